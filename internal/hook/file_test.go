package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
)

func TestLoad(t *testing.T) {
	home := t.TempDir()
	if hooks, err := Load(home); hooks != nil || err != nil {
		t.Errorf("without a file: %v, %v", hooks, err)
	}
	text := `# what to do when
[[hook]]
on = "mention"
room = "ops*"
nick = "bob*"
text = "(?i)fire"
verified = true
exec = "notify-send \"$BCAST_NICK\""

[[hook]]
on = "device-lost"
for = "2m"
most = 3
timeout = "5s"
webhook = "https://u:p@hooks.example/T0/SECRET?x=SECRET"
headers = { Authorization = "Bearer SECRET" }
`
	if err := os.WriteFile(filepath.Join(home, File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	hooks, err := Load(home)
	if err != nil || len(hooks) != 2 {
		t.Fatalf("%v, %v", hooks, err)
	}
	want := []string{
		`on mention in ops* by bob* text "(?i)fire" verified at most 60 a minute: exec notify-send "$BCAST_NICK"`,
		"on device-lost for 2m0s at most 3 a minute: webhook https://hooks.example/…",
	}
	for i, h := range hooks {
		if h.String() != want[i] || h.Line != []int{2, 10}[i] {
			t.Errorf("line %d: %s", h.Line, h)
		}
	}
	if h := hooks[1]; h.time != 5*time.Second || h.headers["Authorization"] != "Bearer SECRET" {
		t.Errorf("got %+v", h)
	}
}

func TestWhatIsWrongWithAFile(t *testing.T) {
	const ok = "[[hook]]\non = \"post\"\nexec = \"true\"\n"
	for _, test := range []struct {
		text string
		line int
		want string
	}{
		{ok + "[[hook]\n", 4, ""},
		{ok + "[[hook]]\nexec = \"true\"\n", 4, "on is missing: one of post,"},
		{ok + "[[hook]]\non = \"noise\"\nexec = \"true\"\n", 5, `on = "noise": it is one of post, mention`},
		{ok + "[[hook]]\non = \"post\"\n", 4, "either exec or webhook"},
		{ok + "webhook = \"http://x\"\n", 1, "either exec or webhook"},
		{ok + "\n[[hook]]\non = \"cut\"\nexec = 5\n", 7, ""},
		{ok + "colour = \"red\"\n", 4, "colour is not known here"},
		{ok + "[[hooks]]\n", 4, "hooks is not known here"},
		{ok + "text = \"(\"\n", 4, "missing closing )"},
		{ok + "nick = \"[\"\n", 4, `"[" is no pattern`},
		{ok + "timeout = \"soon\"\n", 4, `"soon" is no time`},
		{ok + "timeout = \"-1s\"\n", 4, `"-1s" is no time`},
		{ok + "timeout = \"2h\"\n", 1, "timeout is more than 1h"},
		{ok + "for = \"1m\"\n", 1, "post has no such time"},
		{ok + "most = 0\n", 1, "most is not within 1 to 600"},
		{ok + "headers = { a = \"b\" }\n", 1, "headers are for a webhook"},
		{"[[hook]]\non = \"join\"\ntext = \"x\"\nexec = \"true\"\n", 1, "join has none"},
		{"[[hook]]\non = \"device-new\"\nroom = \"x\"\nexec = \"true\"\n", 1, "room is not for device-new"},
		{"[[hook]]\non = \"cut\"\nverified = true\nexec = \"true\"\n", 1, "verified is not for cut"},
		{"[[hook]]\non = \"post\"\nwebhook = \"file:///SECRET\"\n", 3, "no address"},
		{"[[hook]]\non = \"post\"\nwebhook = \"https://%zz/SECRET\"\n", 3, "no address"},
		{strings.Repeat(ok, maxHooks+1), 3*maxHooks + 1, "more than 100 hooks"},
	} {
		hooks, line, err := parse([]byte(test.text))
		if err == nil || line != test.line || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\nline %d: %v, %v; want line %d: %s", test.text, line, err, hooks, test.line, test.want)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v", err)
		}
	}
}

func TestLoadNamesFileAndLine(t *testing.T) {
	home := t.TempDir()
	name := filepath.Join(home, File)
	for _, test := range []struct{ text, want string }{
		{"\non = 1\n", name + ":2: on is not known here"},
		{strings.Repeat("#", maxFile+1), name + " is longer than"},
	} {
		if err := os.WriteFile(name, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(home)
		if e := control.AsError(err); e == nil || e.Code != control.CodeInvalid || !strings.HasPrefix(e.Message, test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestMatches(t *testing.T) {
	post := control.Event{Post: &control.Post{Room: "ops", Nick: "bob", Tag: "b0b1", Text: "the Fire", Verified: true}}
	direct := control.Event{Post: &control.Post{Room: "@idididid", Direct: "bob", Nick: "bob"}}
	cut := control.Event{Cut: &control.Cut{From: "10.0.0.1:5"}}
	for i, test := range []struct {
		entry string
		on    string
		e     control.Event
		want  bool
	}{
		{`on = "post"`, "post", post, true},
		{`on = "post"`, "mention", post, false},
		{`on = "post"` + "\nroom = \"o*\"", "post", post, true},
		{`on = "post"` + "\nroom = \"o\"", "post", post, false},
		{`on = "post"` + "\nroom = \"@bob\"", "post", direct, true},
		{`on = "post"` + "\nnick = \"bob\"", "post", post, true},
		{`on = "post"` + "\nnick = \"bob-b0b1\"", "post", post, true},
		{`on = "post"` + "\nnick = \"eve\"", "post", post, false},
		{`on = "post"` + "\ntext = \"fire\"", "post", post, false},
		{`on = "post"` + "\ntext = \"(?i)fire\"", "post", post, true},
		{`on = "post"` + "\nverified = true", "post", post, true},
		{`on = "post"` + "\nverified = true", "post", direct, false},
		{`on = "cut"` + "\nnick = \"10.0.*\"", "cut", cut, true},
	} {
		hooks, _, err := parse(fmt.Appendf(nil, "[[hook]]\nexec = \"true\"\n%s\n", test.entry))
		if err != nil {
			t.Fatal(err)
		}
		if got := hooks[0].matches(test.on, test.e); got != test.want {
			t.Errorf("%d: %s matches: %v", i, test.entry, got)
		}
	}
}
