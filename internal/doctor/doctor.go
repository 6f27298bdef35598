// Package doctor says why devices do not see each other, from what a participant has seen.
//
// Its invariant: Examine is a function of its facts; equal facts give equal findings in equal order. It never sends,
// listens or asks anybody: the caller brings the facts.
package doctor

import (
	"fmt"
	"strings"
	"time"

	"bcast/internal/control"
)

// Facts are what a participant has seen when it is examined.
type Facts struct {
	Now    time.Time
	Status control.Status
	Peers  []control.Peer
	// RmemMax is the kernel's limit for socket receive queues in bytes; 0 when it is not known.
	RmemMax int
}

// Level is how much a finding matters.
type Level string

// The levels. Only a Problem makes a report unhealthy.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Problem Level = "problem"
)

// Finding is one thing looked at. Check names it for programs, Message is a sentence, Fix a command or an act that
// helps.
type Finding struct {
	Check   string `json:"check"` // interfaces | ports | broadcast | unicast | peers | buffer | queue | cuts
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// Report is what `bcast doctor` prints.
type Report struct {
	Healthy  bool      `json:"healthy"`
	Verdict  string    `json:"verdict"` // one sentence
	Findings []Finding `json:"findings"`
}

const (
	// heardWithin is how old the echo of an own broadcast may be: beats are seconds apart, a minute of silence is none.
	heardWithin = time.Minute
	// beatWithin is how old a peer's last broadcast may be: a member of the largest subnet beats every N/4 s on Wi-Fi.
	beatWithin = 90 * time.Second
	// fullQueue is the receive queue that flat-out traffic needs.
	fullQueue = 16 << 20
	// watchBelow is the receive buffer under which a node cannot take part.
	watchBelow = 512
	firewall   = "let udp and tcp ports 27474-27490 through the firewall, e.g. ufw allow 27474:27490/udp"
)

// Examine judges the facts.
func Examine(facts Facts) Report {
	var findings []Finding
	for _, check := range []func(Facts) []Finding{
		checkInterfaces, checkPorts, checkBroadcast, checkPeers, checkBuffers, checkQueue, checkCuts,
	} {
		findings = append(findings, check(facts)...)
	}
	report := Report{Healthy: true, Findings: findings}
	for _, f := range findings {
		if f.Level == Problem {
			report.Healthy = false
			report.Verdict = f.Message
			break // the checks stand in the order of cause and effect
		}
	}
	if report.Healthy {
		report.Verdict = healthy(facts)
	}
	return report
}

func healthy(facts Facts) string {
	here := 0
	for _, p := range facts.Peers {
		if p.Status == "here" {
			here++
		}
	}
	switch here {
	case 0:
		return "All is well on this host; no other bcast device has been heard yet."
	case 1:
		return "All is well: one other device is here and hears you."
	default:
		return fmt.Sprintf("All is well: %d other devices are here and hear you.", here)
	}
}

func used(facts Facts) []control.Interface {
	var list []control.Interface
	for _, i := range facts.Status.Interfaces {
		if i.Used {
			list = append(list, i)
		}
	}
	return list
}

func checkInterfaces(facts Facts) []Finding {
	list := used(facts)
	if len(list) == 0 {
		return []Finding{{"interfaces", Problem, "No interface of this host can broadcast.",
			"bcast ifaces tells why each is not used"}}
	}
	var words []string
	alone := true
	for _, i := range list {
		words = append(words, fmt.Sprintf("%s (%s)", i.Name, strings.Join(i.Addrs, ", ")))
		alone = alone && i.Link == "loopback"
	}
	if alone {
		return []Finding{{"interfaces", Warning,
			"Only the loopback interface is used: nobody outside of this host is reached.",
			"connect to a network; bcast ifaces tells why the others are not used"}}
	}
	return []Finding{{"interfaces", OK, "In use: " + strings.Join(words, ", ") + ".", ""}}
}

func checkPorts(facts Facts) []Finding {
	s := facts.Status
	if s.Port == 0 || s.Unicast == 0 {
		return []Finding{{"ports", Problem, "The ports are not bound.", "restart bcast and read its log"}}
	}
	return []Finding{{"ports", OK, fmt.Sprintf("Ports %d (shared) and %d (own) are bound.", s.Port, s.Unicast), ""}}
}

func checkBroadcast(facts Facts) []Finding {
	var findings []Finding
	for _, i := range used(facts) {
		switch {
		case i.OwnHeard == nil:
			findings = append(findings, Finding{"broadcast", Problem,
				fmt.Sprintf("Own broadcasts on %s never come back: something on this host drops them.", i.Name), firewall})
		case facts.Now.Sub(*i.OwnHeard) > heardWithin:
			findings = append(findings, Finding{"broadcast", Problem,
				fmt.Sprintf("Own broadcasts on %s stopped coming back %s ago.", i.Name,
					facts.Now.Sub(*i.OwnHeard).Round(time.Second)), firewall})
		default:
			findings = append(findings, Finding{"broadcast", OK, fmt.Sprintf("Own broadcasts are heard on %s.", i.Name), ""})
		}
	}
	return findings
}

// checkPeers looks at both ways from each peer that is here: one alone is how firewalls and access points fail.
func checkPeers(facts Facts) []Finding {
	var findings []Finding
	for _, p := range facts.Peers {
		if p.Status != "here" && p.Status != "suspect" {
			continue
		}
		silent := p.LastBroadcast == nil || facts.Now.Sub(*p.LastBroadcast) > beatWithin
		switch {
		case p.Unicast == "blocked":
			findings = append(findings, Finding{"unicast", Problem, fmt.Sprintf(
				"Unicast to %s (%s) is blocked while its broadcasts arrive: a firewall there or here, or a guest network.",
				p.Nick, p.Addr), firewall})
		case silent:
			findings = append(findings, Finding{"broadcast", Problem, fmt.Sprintf(
				"No broadcast of %s (%s) arrives: it is on another subnet mask, or the access point drops them.",
				p.Nick, p.Addr), "compare bcast ifaces on both"})
		case p.LastUnicast == nil:
			findings = append(findings, Finding{"unicast", Warning, fmt.Sprintf(
				"No unicast of %s (%s) has arrived yet.", p.Nick, p.Addr), ""})
		default:
			findings = append(findings, Finding{"peers", OK, fmt.Sprintf(
				"%s (%s) is heard by broadcast and by unicast.", p.Nick, p.Addr), ""})
		}
	}
	return findings
}

func checkBuffers(facts Facts) []Finding {
	var findings []Finding
	own := facts.Status.RecvBuffer
	switch {
	case own < watchBelow:
		findings = append(findings, Finding{"buffer", Problem, fmt.Sprintf(
			"The receive buffer of %d bytes is too small to take part: this node only watches.", own),
			"bcast daemon --recv-buffer 65535"})
	case own < 65535:
		findings = append(findings, Finding{"buffer", Warning, fmt.Sprintf(
			"The receive buffer is %d bytes: others send smaller datagrams because of it.", own),
			"bcast daemon --recv-buffer 65535"})
	default:
		findings = append(findings, Finding{"buffer", OK, "The receive buffer takes every datagram whole.", ""})
	}
	for _, r := range facts.Status.Rooms {
		if r.LimitedBy != "" {
			findings = append(findings, Finding{"buffer", Warning, fmt.Sprintf(
				"Datagrams of room %s are held to %d bytes by the receive buffer of %s.", r.Name, r.DatagramLimit,
				r.LimitedBy), "a larger --recv-buffer there"})
		}
	}
	return findings
}

func checkQueue(facts Facts) []Finding {
	if facts.RmemMax == 0 || facts.RmemMax >= fullQueue {
		return nil
	}
	return []Finding{{"queue", Warning, fmt.Sprintf(
		"The kernel holds receive queues to %d KiB: bursts beyond that are lost and asked for again.", facts.RmemMax>>10),
		fmt.Sprintf("sysctl -w net.core.rmem_max=%d", fullQueue)}}
}

func checkCuts(facts Facts) []Finding {
	s := facts.Status
	if s.Cuts == 0 {
		return nil
	}
	message := fmt.Sprintf("%d datagrams did not fit the receive buffer and were cut.", s.Cuts)
	if len(s.CutFrom) > 0 {
		who := s.CutFrom[0].Nick
		if who == "" {
			who = s.CutFrom[0].Addr
		}
		message = fmt.Sprintf("%d datagrams did not fit the receive buffer and were cut, %d of them from %s.", s.Cuts,
			s.CutFrom[0].Count, who)
	}
	return []Finding{{"cuts", Warning, message, "bcast daemon --recv-buffer 65535"}}
}
