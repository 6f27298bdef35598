// Package doctor says why devices do not see each other, and which command mends it, from what was seen.
//
// Its invariant: Examine is a function of its facts; equal facts give equal findings in equal order. It never sends,
// listens, runs a tool or asks anybody: the caller brings the facts.
package doctor

import (
	"fmt"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities. A Problem keeps devices apart; with a Warning it works, but less well than it could, or not for long.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Problem Severity = "problem"
)

// Finding is one thing looked at. Code names it for programs, Sentence tells it to people, and Command, if there is
// one, mends it: in capitals is what only a person knows.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Sentence string   `json:"sentence"`
	Command  string   `json:"command,omitempty"`
}

// Report is what `bcast doctor` prints: the verdict in one sentence, the command that mends it, and all findings, those
// that cause others first.
type Report struct {
	Healthy  bool      `json:"healthy"` // no problem was found
	Verdict  string    `json:"verdict"`
	Command  string    `json:"command,omitempty"`
	Findings []Finding `json:"findings"`
}

// The ports that a firewall has to let pass: the shared one, unless it is another, and those that a node takes its own
// of. ports is how most tools write them.
const (
	defaultPort = 27474
	ownPort     = 27475
	ports       = "27474:27490"
)

// Examine judges the facts.
func Examine(facts Facts) Report {
	var findings []Finding
	for _, check := range []func(*Facts) []Finding{
		checkStart, checkDaemon, checkInterfaces, checkFirewall, checkBroadcast, checkSubnets, checkUnmet, checkRoutes,
		checkBridges, checkIsolation, checkPeers, checkPaths, checkBuffers, checkCuts, checkClocks, checkQueue,
	} {
		findings = append(findings, check(&facts)...)
	}
	report := Report{Healthy: true, Verdict: healthy(&facts), Findings: findings}
	if f, found := first(findings, Problem); found {
		report.Healthy, report.Verdict, report.Command = false, f.Sentence, f.Command
	} else if f, found := first(findings, Warning); found {
		report.Verdict, report.Command = "It works, but: "+lower(f.Sentence), f.Command
	}
	return report
}

func first(findings []Finding, s Severity) (Finding, bool) {
	for _, f := range findings {
		if f.Severity == s {
			return f, true
		}
	}
	return Finding{}, false
}

func healthy(f *Facts) string {
	switch here := len(f.here()); here {
	case 0:
		return "All is well on this host; no other bcast device has been heard yet."
	case 1:
		return "All is well: one other device is here and hears you."
	default:
		return fmt.Sprintf("All is well: %d other devices are here and hear you.", here)
	}
}

func ok(code, format string, args ...any) Finding {
	return Finding{code, OK, fmt.Sprintf(format, args...), ""}
}

func warning(code, command, format string, args ...any) Finding {
	return Finding{code, Warning, fmt.Sprintf(format, args...), command}
}

func problem(code, command, format string, args ...any) Finding {
	return Finding{code, Problem, fmt.Sprintf(format, args...), command}
}

// lower begins a sentence behind a colon, unless with a word that is written in capitals.
func lower(sentence string) string {
	if len(sentence) > 1 && strings.ToUpper(sentence[:2]) == sentence[:2] {
		return sentence
	}
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

func list(words []string) string { return strings.Join(words, ", ") }
