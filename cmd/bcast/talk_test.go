package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/show"
	"bcast/internal/tui"
)

// talkOf is a talk of node in the lobby that answers into the buffer returned.
func talkOf(t *testing.T, node *fakeNode) (talk, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return talk{api: node, room: "lobby", p: newBench(t).printerOn(out, false)}, out
}

func TestCommandsAnswer(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"/help", "/join ROOM"},
		{"/help names", "who is in the room, here or gone (also /names)"},
		{"/names", "bob  "},
		{"/list", "lobby  2        joined"},
		{"/whois bob", "bob has the key 626f62"},
		{"/topic", "no topic is set"},
		{"/invite", "bcast:1:lobby#secret"},
		{"/verify bob", "words shared with"},
		{"/verify bob " + strings.Repeat("bob ", 10), "bob ✓ is verified"},
		{"/block @bob", "what @bob posts is hidden here"},
		{"/rooms", "lobby  2     2"},
		{"/who", "bob"},
	} {
		talk, out := talkOf(t, alice(t))
		if asked, err := talk.obey(t.Context(), test.line); err != nil || asked != (tui.Outcome{}) {
			t.Errorf("%s: %+v, %v", test.line, asked, err)
		}
		if !strings.Contains(out.String(), test.want) {
			t.Errorf("%s answers %q, want %q", test.line, out, test.want)
		}
	}
}

func TestCommandsAskTheView(t *testing.T) {
	for line, want := range map[string]tui.Outcome{
		"/join #dev":       {Enter: "dev"},
		"/j bcast:1:x":     {Enter: "bcast:1:x"},
		"/query bob":       {Enter: "@bob"},
		"/search fire pri": {Search: "fire pri"},
		"/part":            {Part: true},
		"/clear":           {Clear: true},
		"/quit":            {Quit: true},
		"":                 {},
	} {
		talk, _ := talkOf(t, alice(t))
		if got, err := talk.obey(t.Context(), line); err != nil || got != want {
			t.Errorf("%q asks for %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestCommandsRefuse(t *testing.T) {
	for line, want := range map[string]string{
		"/nonsense":    "there is no /nonsense",
		"/help me too": "there is no me too",
		"/join no/way": "room name",
		"/join":        "room name",
		"/whois":       `no device "" is known`,
		"/verify":      "verify whom?",
		"/msg bob":     "the text is empty",
		"/edit x":      "you said nothing here lately",
		"/block eve":   `no device here is called "eve"`,
	} {
		talk, _ := talkOf(t, alice(t))
		if _, err := talk.obey(t.Context(), line); err == nil || !strings.Contains(control.AsError(err).Message, want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestWhatIsSaidAnswersThePostPointedAt(t *testing.T) {
	node := alice(t)
	first := node.Hear("lobby", "bob", "lunch?")
	node.Hear("lobby", "bob", "anybody?")
	talk, _ := talkOf(t, node)
	talk.pick = first.ID
	for line, kind := range map[string]string{"yes": "reply", "/react 👍": "reaction", "/reply of course": "reply"} {
		if _, err := talk.obey(t.Context(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		posts, _ := node.Posts(t.Context(), "lobby", control.PostQuery{Limit: 1})
		if post := posts[0]; post.Kind != kind || post.ReplyTo != first.ID {
			t.Errorf("%s made a %s to %s, want a %s to %s", line, post.Kind, post.ReplyTo, kind, first.ID)
		}
	}
}

func TestFilesOfARoom(t *testing.T) {
	node := alice(t)
	for _, name := range []string{"first.jpg", "second.jpg", "last.jpg"} {
		node.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer", File: &control.OfferedFile{Name: name, Size: 2_100_000}})
	}
	talk, out := talkOf(t, node)
	obey := func(line, want string) {
		t.Helper()
		out.Reset()
		if _, err := talk.obey(t.Context(), line); err != nil {
			out.WriteString(show.Failure(err))
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s answers %q, want %q", line, out, want)
		}
	}
	obey("/send photo.jpg from the roof", "")
	dir, _ := os.Getwd()
	posts, err := node.Posts(t.Context(), "lobby", control.PostQuery{Limit: 1})
	if err != nil || posts[0].Text != "from the roof" || posts[0].File == nil || posts[0].File.Name != "photo.jpg" {
		t.Errorf("%+v, %v in %s", posts, err, dir)
	}
	obey("/get", "last.jpg, 2.1 MB, is on its way") // not one's own
	obey("/get 2", "second.jpg")
	obey("/get 4", "nobody else offered so many files")
	obey("/get nosuchpost", "not known here")
	obey("/send", "send which file?")
	talk.pick = posts[0].ID
	obey("/get", "photo.jpg, 2.1 MB, is on its way")
}

func TestPathsInALine(t *testing.T) {
	for line, want := range map[string][2]string{
		"a": {"a", ""}, "a b c": {"a", "b c"}, `my\ file  and text`: {"my file", "and text"}, `a\\b`: {`a\b`, ""},
		`C:\dir`: {`C:\dir`, ""}, "": {"", ""},
	} {
		if path, rest := cutPath(line); path != want[0] || rest != want[1] {
			t.Errorf("%s: %q, %q", line, path, rest)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"a file", "a.txt", "b", ".hidden", "a\x1bx", "adir/c"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), nil, 0o644)
	}
	all := finishedPaths(escapePath(dir) + "/a")
	want := []string{dir + `/a\ file `, dir + "/a.txt ", dir + "/adir/"}
	if !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
	if all := finishedPaths(dir + "/"); len(all) != 4 {
		t.Errorf("%q", all)
	}
	t.Setenv("HOME", dir)
	if all := finishedPaths("~/adir/"); !slices.Equal(all, []string{"~/adir/c "}) {
		t.Errorf("%q", all)
	}
	if all := finishedPaths("~/none/"); all != nil {
		t.Errorf("%q", all)
	}
}
