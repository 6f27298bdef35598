package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bcast/internal/files"
)

func TestBrowse(t *testing.T) {
	node := alice(t)
	docs, here := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "deep/down/c d.txt"} {
		at := filepath.Join(docs, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(at), 0o755)
		os.WriteFile(at, []byte(name), 0o644)
	}
	os.WriteFile(filepath.Join(here, "mine.txt"), []byte("mine"), 0o644)
	node.Serve("bob", serverOf(files.Share{Name: "docs", Dir: docs, Public: true, Write: true}))
	d := newBench(t, node)
	defer daemonOf(d, "")()
	for _, test := range []struct {
		lines, out, err string
		code            int
	}{
		{"ls", "docs/\n", "", exitDone},
		{"cd docs|pwd|ls|quit|nonsense", "/docs, here", "", exitDone},
		{"cd docs/deep|cd ..|ls|", "a.txt", "", exitDone},
		{"cd docs|get 'deep/down/c d.txt'|lls", "c d.txt", "", exitDone},
		{"get docs/*.txt|lls", "b.txt", "", exitDone},
		{"get docs/*.pdf", "", "nothing fits docs/*.pdf", exitFailed},
		{"cd docs/a.txt", "", "is no directory", exitUsage},
		{"cd nowhere|cd docs|pwd", "/docs, here", "no such file", exitFailed},
		{"put mine.txt", "", "cd to a share", exitUsage},
		{"cd docs/deep|put *.txt|ls", "mine.txt", "", exitDone},
		{"lcd nowhere", "", "is no directory", exitUsage},
		{"get", "", "get what?", exitUsage},
		{"nonsense|help", "bring files or directories here", `nothing is called "nonsense" here`, exitUsage},
		{"ls 'docs", "", "a quote is not closed", exitUsage},
		{"cd /docs/../../..|pwd", "/, here", "", exitDone},
	} {
		b := d.beside()
		b.in = strings.NewReader("lcd " + here + "\n" + strings.ReplaceAll(test.lines, "|", "\n") + "\n")
		b.want(b.shell("files open bob"), test.code, test.out, test.err)
	}
	for name, want := range map[string]string{"c d.txt": "deep/down/c d.txt", "a.txt": "a.txt"} {
		if text, err := os.ReadFile(filepath.Join(here, name)); string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestBrowseCompletes(t *testing.T) {
	node := alice(t)
	docs := t.TempDir()
	for _, name := range []string{"report.pdf", "readme", "with space", "dir/x"} {
		os.MkdirAll(filepath.Dir(filepath.Join(docs, name)), 0o755)
		os.WriteFile(filepath.Join(docs, name), nil, 0o644)
	}
	node.Serve("bob", serverOf(files.Share{Name: "docs", Dir: docs, Public: true}))
	b := &browser{l: libraryOf(&seat{API: node}, "bob"), name: "bob", at: "/", here: docs}
	for line, want := range map[string][]string{
		"g":             {"get"},
		"l":             {"ls", "lls", "lcd"},
		"ls d":          {"docs/"},
		"get docs/re":   {"docs/readme", "docs/report.pdf"},
		"cd docs/d":     {"docs/dir/"},
		"put rep":       {"report.pdf"},
		"get docs/with": nil,
		"pwd ":          nil,
	} {
		begun := line[strings.LastIndexByte(line, ' ')+1:]
		if got := b.endings(t.Context(), line, begun); !slices.Equal(got, want) {
			t.Errorf("%q goes on with %q, want %q", line, got, want)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"": nil, "  a  b ": {"a", "b"}, `get "a b" 'c "d'`: {"get", "a b", `c "d`}, `a\ b ''`: {"a b", ""}, `"a\"b"`: {`a"b`},
	} {
		if got, err := splitWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q = %q, %v", line, got, err)
		}
	}
}
