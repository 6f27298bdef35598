package show

import (
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		-time.Second: {"0s", "0 s"}, 59 * time.Second: {"59s", "59 s"}, time.Minute: {"1m", "1 min"},
		time.Hour - 1: {"59m", "59 min"}, 47 * time.Hour: {"47h", "47 h"}, 49 * time.Hour: {"2d", "2 days"},
	} {
		if got := [2]string{Span(d), Lapse(d)}; got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestName(t *testing.T) {
	for _, test := range []struct {
		nick             string
		tagged, verified bool
		want             string
	}{
		{"bob", false, false, "bob"},
		{"bob", true, false, "bob-k7f2"},
		{"bob", false, true, "bob ✓"},
		{"bob", true, true, "bob-k7f2 ✓"},
		{"", true, false, "k7f2abcd"},
		{"b\x1bob\u202e", false, false, "bob"},
	} {
		if got := Name("k7f2abcdefgh", test.nick, "k7f2", test.tagged, test.verified); got != test.want {
			t.Errorf("%+v is shown as %q", test, got)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// CVE-2021-25743 (kubectl): escapes, control characters and bidirectional overrides never reach a terminal.
func TestADV_32_A_terminal_gets_no_control(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain ✓ 日本", "plain ✓ 日本"},
		{"\x1b[2J\x1b]0;title\x07", "[2J]0;title"},
		{"a\r\nb\tc", "a b c"},
		{"abc\u202Etxt.exe\u202C", "abctxt.exe"},
		{"\u2066x\u2069\u200E\u061C", "x"},
		{"a\u2028b\u0085c\u009bd", "abcd"},
		{"bad \xff byte", "bad \ufffd byte"},
		{"👩\u200d🚀", "👩\u200d🚀"},
	} {
		if got := Clean(test.in); got != test.want {
			t.Errorf("Clean(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestRedactTakesSecretsAlone(t *testing.T) {
	secret := strings.Repeat("k7f2abcd", 7)
	for text, want := range map[string]string{
		"invite: not of the form bcast:1:ROOM#SECRET": "invite: not of the form bcast:1:ROOM#SECRET",
		"zcfz4b5m7d6f2qkq3vbs2u5r4e":                  "zcfz4b5m7d6f2qkq3vbs2u5r4e",
		"no room #lobby":                              "no room #lobby",
		"no room crew#" + secret:                      "no room crew[redacted]",
		strings.ToUpper(secret):                       "[redacted]",
	} {
		if got := Redact(text); got != want || Secret(text) != (got != text) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestFailure(t *testing.T) {
	err := control.NewError(control.CodeInvalid, nil, "no\x1b[2J room crew#"+strings.Repeat("k7f2abcd", 7), "try another")
	if got := Failure(err); got != "no[2J room crew[redacted] (try another)" {
		t.Errorf("shown as %q", got)
	}
}
