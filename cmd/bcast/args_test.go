package main

import (
	"slices"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/fuzztest"
)

var (
	testGlobals  = flagTable{"json": false, "home": true, "help": false, "h": false}
	testCommands = map[string]flagTable{
		"say":    {"wait": true, "every": true, "help": false, "h": false},
		"tail":   {"follow": false, "limit": true, "help": false, "h": false},
		"status": {"help": false, "h": false},
		"help":   {"help": false, "h": false},
	}
)

func TestArrange(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"--json", "--json"},
		{"status", "status|--"},
		{"status|--json", "--json|status|--"},
		{"-json|status|--home|/x", "--json|--home=/x|status|--"},
		{"say|lobby|hi|there|--wait|all", "say|--wait=all|--|lobby|hi|there"},
		{"say|--wait=all|lobby|hi|--json|there", "--json|say|--wait=all|--|lobby|hi|there"},
		{"say|lobby|--|--wait|all", "say|--|lobby|--wait|all"},
		{"say|lobby|--|a|--|b", "say|--|lobby|a|--|b"},
		{"say|lobby|-", "say|--|lobby|-"},
		{"say|lobby|--every|-5s|x", "say|--every=-5s|--|lobby|x"},
		{"say|lobby||x", "say|--|lobby||x"},
		{"tail|lobby|--follow=false|--limit|3", "tail|--follow=false|--limit=3|--|lobby"},
		{"tail|--follow|lobby", "tail|--follow|--|lobby"},
		{"tail|-h", "help|--|tail"},
		{"say|lobby|hi|--help|--wait|all", "help|--|say"},
		{"say|--json|--help", "--json|help|--|say"},
		{"--help|--json", "--json|help|--"},
		{"--|say|lobby|-x", "say|--|lobby|-x"},
	} {
		got, err := arrange(split(test.in), testGlobals, testCommands)
		if err != nil || strings.Join(got, "|") != test.want {
			t.Errorf("%s = %s, %v, want %s", test.in, strings.Join(got, "|"), err, test.want)
		}
	}
}

func split(words string) []string {
	if words == "" {
		return nil
	}
	return strings.Split(words, "|")
}

func TestArrangeRefuses(t *testing.T) {
	for _, test := range []struct{ in, message, hint string }{
		{"sya|lobby", `unknown command "sya"`, "did you mean say? all commands: bcast --help"},
		{"stats", `unknown command "stats"`, "did you mean status? "},
		{"sayy", `unknown command "sayy"`, "did you mean say? "},
		{"elp", `unknown command "elp"`, "did you mean help? "},
		{"hay", `unknown command "hay"`, "did you mean say? "},
		{"--|-x", `unknown command "-x"`, "bcast --help"},
		{"--wait|all|say", "unknown flag --wait before the command", "after its name"},
		{"say|lobby|-5|degrees", "unknown flag -5", "use --"},
		{"say|lobby|--wiat|all", "unknown flag --wiat", "did you mean --wait? use --"},
		{"status|--wait|3s", "unknown flag --wait", "bcast status --help"},
		{"say|lobby|--wait", "flag --wait needs a value", ""},
		{"say|lobby|--wait|--|x", "flag --wait needs a value", ""},
		{"--home", "flag --home needs a value", ""},
	} {
		got, err := arrange(split(test.in), testGlobals, testCommands)
		e := control.AsError(err)
		if e == nil || e.Code != control.CodeUsage || e.Message != test.message || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s = %q, %+v, want %s (%s)", test.in, got, e, test.message, test.hint)
		}
	}
}

func FuzzArrange(f *testing.F) {
	for _, seed := range []string{"say|lobby|hi|--wait|all", "tail|--follow=false|lobby|--json", "--|say|-|--", "-|=|--="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		var once []string
		var err error
		fuzztest.Within(t, len(words), 128, 16<<10, func() {
			once, err = arrange(split(words), testGlobals, testCommands)
		})
		if err != nil {
			if control.AsError(err).Code != control.CodeUsage {
				t.Errorf("%q: %v is no usage error", words, err)
			}
			return
		}
		again, err := arrange(once, testGlobals, testCommands)
		if err != nil || !slices.Equal(once, again) {
			t.Errorf("%q: arranged %q, again %q, %v", words, once, again, err)
		}
		at := slices.Index(once, "--")
		if at < 0 || slices.Contains(once[:at], "help") {
			return // no command or only its help, so no arguments
		}
		in := split(words)
		for _, arg := range once[at+1:] {
			next := slices.Index(in, arg)
			if next < 0 {
				t.Fatalf("%q: argument %q of %q is not there or out of order", words, arg, once)
			}
			in = in[next+1:]
		}
	})
}
