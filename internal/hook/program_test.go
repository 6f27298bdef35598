package hook

import (
	"path/filepath"
	"strings"
	"testing"

	"bcast/internal/control"
)

// hostile are texts that a shell, or what puts a command line together, would take for more than text.
var hostile = []string{
	"$(touch pwned)", "`touch pwned`", "; touch pwned", "\"; touch pwned; \"", "'; touch pwned; '", "| touch pwned",
	"& touch pwned &", "x\ntouch pwned\n", "() { :;}; touch pwned", "%s%n", "-n", "\\", "${IFS}touch${IFS}pwned", "a\x00b",
}

// CVE-2014-6271 (bash) and every chat bot that built a command line from what was said: data is data.
func TestADV_exec_What_is_said_is_never_run(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, text := range hostile {
		e := control.Event{Type: "post", Post: &control.Post{Text: text, Nick: text, Room: text, From: text, ID: text}}
		program := Program{Command: `printf %s "$BCAST_TEXT"; cat`}
		out, err := program.run(t.Context(), environ("post", e), []byte(text))
		if want := strings.ReplaceAll(text, "\x00", ""); err != nil || out != want+text {
			t.Errorf("%q comes out as %q, %v", text, out, err)
		}
	}
	if found, _ := filepath.Glob("*"); found != nil {
		t.Errorf("something was run: %v", found)
	}
}

func TestProgramFinds(t *testing.T) {
	t.Setenv("BCAST_TEXT", "of somebody else")
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	program := Program{Command: `echo "$BCAST_HOME $BCAST_NICK $BCAST_TEXT.$NOTIFY_SOCKET $BCAST_STATUS"`, Home: "/h"}
	e := control.Event{Peer: &control.Peer{Nick: "bob", Status: "lost"}}
	if out, err := program.run(t.Context(), environ("device-lost", e), nil); out != "/h bob . lost\n" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestProgramEnds(t *testing.T) {
	for _, test := range []struct{ command, out, err string }{
		{"echo hi; echo no >&2", "hi\n", ""},
		{"true", "", ""},
		{"test a = b && echo yes", "", ""},
		{"echo half; exit 1", "", "exit status 1"},
		{"exit 2", "", "exit status 2"},
		{"echo no $BCAST_X >&2; exit 3", "", "exit status 3: no"},
		{"printf '\\033[2J' >&2; exit 1", "", "exit status 1: [2J"},
		{"yes | head -c 100000", strings.Repeat("y\n", control.MaxText/2) + "y", ""},
	} {
		out, err := Program{Command: test.command}.run(t.Context(), nil, []byte(strings.Repeat("unread", 50000)))
		if out != test.out || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: %d bytes %.20q, %v", test.command, len(out), out, err)
		}
	}
}

func TestPostOfAnOutput(t *testing.T) {
	long := strings.Repeat("é", control.MaxText)
	for out, want := range map[string]string{
		"": "", " \n\n": "", "one\n": "one", "one\ntwo\n\n": "one\ntwo", "\x1b[31mred\x1b[0m\r\n": "[31mred[0m",
		"bad \xff": "bad \uFFFD", "a\u202Eb": "ab", long: long[:control.MaxText-4] + "…",
	} {
		got := post(out)
		if got != want {
			t.Errorf("%.40q becomes %.40q (%d bytes), want %.40q", out, got, len(got), want)
		}
		if got != "" && control.CheckText(got) != nil {
			t.Errorf("%.40q cannot be posted: %v", got, control.CheckText(got))
		}
	}
}
