package main

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/files"
)

func init() {
	maps.Copy(jsonLines, map[string][]string{
		"files":         {`|"command":"files"`, `!nonsense|"code":"usage"`},
		"files share":   {`. --public --name here|"name":"here"`, `! . |"code":"invalid"`, `!. --quota x|"code":"usage"`},
		"files shares":  {`|"name":"here"`},
		"files unshare": {`here|"shared":false`, `!here|"code":"not_found"`},
		"files ls": {`bob:docs|"path":"a.txt"`, `bob|"share":"docs"`, `|"peer":"bob"`, `!bob:nope|"code":"not_found"`,
			`!nobody|"code":"not_found"`},
		"files get": {`bob:docs/a.txt -o OUT/|"type":"done"`, `!bob|"code":"invalid"`,
			`!nosuchpost|"code":"not_found"`},
		"files inbox":  {`--accept room|"accept":"room"`, `|"offers":[`},
		"files accept": {`0f|"accepted":true`, `!0f|"code":"not_found"`},
		"files refuse": {`1f|"accepted":false`, `!1f|"code":"not_found"`},
		"files open":   {`!bob|"nothing is called \"piped\" here"`, `!nobody|"code":"not_found"`},
		"files push":   {`lobby OUT/a.txt|"state":"over"`, `!lobby OUT/a.txt --rate x|"code":"usage"`},
		"files put":    {`OUT/a.txt bob:docs/new/|"done":1`, `!OUT/none bob:docs|"code":"invalid"`},
	})
}

// servesDocs has bob share a directory docs with a.txt in it, and returns one to write into.
func servesDocs(t *testing.T, node *fakeNode) (out string) {
	t.Helper()
	docs := t.TempDir()
	if err := os.WriteFile(filepath.Join(docs, "a.txt"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	node.Serve("bob", serverOf(files.Share{Name: "docs", Dir: docs, Public: true, Write: true}))
	node.Offer(control.Offer{ID: "0f", From: "x", Nick: "bob", Name: "gift", Files: 2, Bytes: 5})
	node.Offer(control.Offer{ID: "1f", From: "x", Nick: "bob", Name: "other", Files: 1})
	return t.TempDir()
}

// serverOf serves shares to everybody.
func serverOf(shares ...files.Share) http.Handler {
	library := &files.Library{}
	library.Set(shares)
	return files.NewServer(library, &files.Inbox{}, &files.Holdings{}, func(context.Context, identity.PublicKey) (files.Visitor, error) {
		return files.Visitor{}, nil
	}, slog.New(slog.DiscardHandler)).Handler()
}

func TestParseRemote(t *testing.T) {
	for word, want := range map[string]remotePath{
		"bob":              {"bob", "", ""},
		"@bob:":            {"bob", "", ""},
		"bob-k7f2:docs":    {"bob-k7f2", "docs", ""},
		"bob:docs/":        {"bob", "docs", ""},
		"bob:docs/a/b:c":   {"bob", "docs", "a/b:c"},
		"bob:/docs/a b/":   {"bob", "docs", "a b"},
		"bob:docs/x/../..": {"bob", "docs", "x/../.."}, // the other side refuses it
	} {
		if got, err := parseRemote(word); err != nil || got != want {
			t.Errorf("%s = %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", ":docs", "@", "./file", `C\x`, strings.Repeat("b", 65)} {
		if got, err := parseRemote(word); err == nil {
			t.Errorf("%q is %+v", word, got)
		}
	}
}

func TestPutGoesWhereItIsTold(t *testing.T) {
	node := alice(t)
	out := servesDocs(t, node)
	for _, name := range []string{"one", "two", "dir/three"} {
		os.MkdirAll(filepath.Dir(filepath.Join(out, name)), 0o755)
		os.WriteFile(filepath.Join(out, name), []byte(name), 0o644)
	}
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	for _, test := range []struct {
		line string
		code int
		at   string // where the last of it is then
		err  string
	}{
		{"OUT/one bob:docs", exitDone, "one", ""},
		{"OUT/one bob:docs/uno", exitDone, "uno", ""},
		{"OUT/two bob:docs/uno", exitFailed, "", "uno is there already"},
		{"OUT/one bob:docs/sub/", exitDone, "sub/one", ""},
		{"OUT/two bob:docs/sub", exitDone, "sub/two", ""},
		{"OUT/one OUT/two bob:docs/both", exitDone, "both/two", ""},
		{"OUT/dir bob:docs", exitDone, "dir/three", ""},
		{"OUT/dir bob:docs/tree", exitDone, "tree/three", ""},
		{"OUT/one bob:docs/CON", exitUsage, "", "Windows takes it for a device"},
		{"OUT/one", exitUsage, "", "an argument is missing"},
		{"OUT/one bob", exitFailed, "", "does not take these files"},
	} {
		b := d.beside()
		b.want(b.shell("files put "+strings.ReplaceAll(test.line, "OUT", out)), test.code, "", test.err)
		if b := d.beside(); test.at != "" {
			b.want(b.shell("files ls bob:docs/"+test.at), exitDone, test.at[strings.LastIndexByte(test.at, '/')+1:], "")
		}
	}
}

func TestGetWritesWhereItIsTold(t *testing.T) {
	node := alice(t)
	out := servesDocs(t, node)
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	for _, test := range []struct {
		line string
		code int
		file string // that is there then
		err  string
	}{
		{"bob:docs/a.txt -o " + out, exitDone, "a.txt", ""},
		{"bob:docs/a.txt -o " + out, exitDone, "a.txt", ""}, // it is here
		{"bob:docs/a.txt -o " + out + "/b.txt", exitDone, "b.txt", ""},
		{"bob:docs -o " + out, exitDone, "docs/a.txt", ""},
		{"bob:docs -o " + out + "/copy", exitDone, "copy/a.txt", ""},
		{"bob:docs/a.txt bob:docs/a.txt -o " + out + "/none", exitUsage, "", "make it first"},
		{"bob:docs/none -o " + out, exitFailed, "", "no such file"},
		{"bob:docs/a.txt -o " + out + " --timeout 0s", exitUsage, "", "not a time to wait"},
	} {
		b := d.beside()
		b.want(b.shell("files get "+test.line), test.code, "", test.err)
		if text, err := os.ReadFile(filepath.Join(out, test.file)); test.file != "" && string(text) != "text\n" {
			t.Errorf("%s: %q, %v", test.line, text, err)
		}
	}
	os.WriteFile(filepath.Join(out, "a.txt"), []byte("mine"), 0o644)
	b := d.beside()
	b.want(b.shell("files get bob:docs/a.txt -o "+out), exitFailed, "", "is there already\nbcast: hint: --force replaces it")
	if text, _ := os.ReadFile(filepath.Join(out, "a.txt")); string(text) != "mine" {
		t.Errorf("it was replaced: %q", text)
	}
	b.want(b.shell("files get --force bob:docs/a.txt -o "+out), exitDone, "", "")
	if text, _ := os.ReadFile(filepath.Join(out, "a.txt")); string(text) != "text\n" {
		t.Errorf("it was not replaced: %q", text)
	}
}

func TestGetOfAPost(t *testing.T) {
	node := alice(t)
	post := node.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer", File: &control.OfferedFile{Name: "photo.jpg", Size: 9}})
	out := t.TempDir()
	d := newBench(t, node)
	stop := daemonOf(d, "")
	for line, want := range map[string]string{
		"files get " + post.ID + " -o " + out + " --json": `{"name":"` + out + `/photo.jpg","type":"file"}`,
		"history lobby":               "photo.jpg (9 B) — ",
		"history lobby --json":        `"kind":"offer"`,
		"say lobby --file photo.jpg":  ".0",
		"say lobby hi --file a,b.jpg": ".0",
	} {
		b := d.beside()
		b.want(b.shell(line), exitDone, want, "")
	}
	b := d.beside()
	b.want(b.shell("files get aaaaaaa"), exitFailed, "", "not known here")
	posts, err := node.Posts(t.Context(), "lobby", control.PostQuery{Search: "hi"})
	if err != nil || len(posts) != 1 || posts[0].File.Name != "a,b.jpg" {
		t.Errorf("%+v, %v", posts, err)
	}
	stop()
	b = newBench(t)
	b.want(b.shell("say lobby --file photo.jpg"), exitNoDaemon, "", "a file can be had only while a daemon serves it")
	b.want(b.shell("files get aaaaaaa"), exitNoDaemon, "", "start one: bcast daemon")
}

// Who says how long it is to be tried waits no longer for a file that nobody gives.
func TestGetOfAPostHasALimit(t *testing.T) {
	node := alice(t)
	node.stalled = true
	d := newBench(t, node)
	daemonOf(d, "")
	b := d.beside()
	b.want(b.shell("files get aaaaaaa --timeout 10ms"), exitFailed, "", "nothing came for 10ms; the daemon goes on with it")
}

func TestPostWords(t *testing.T) {
	for word, want := range map[string]bool{"k7f2": true, "k7f2qd.1": true, "bob:docs/a": false, "bob": false, "K7F2": false,
		"a1b0": false, "./file": false, "k7f2.": false} {
		if isPostWord(word) != want {
			t.Errorf("%s: %t", word, !want)
		}
	}
}
