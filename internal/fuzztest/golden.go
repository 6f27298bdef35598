package fuzztest

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Golden is all parts of one kind, record or datagram, of the golden vectors in the folder dir. That there are none is
// a failure: a fuzzer without seeds finds nothing and says nothing.
func Golden(tb testing.TB, dir, kind string) [][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n= ")[1:] {
			if body, ok := strings.CutPrefix(part, kind+"\n"); ok {
				all = append(all, unhex(tb, file, body))
			}
		}
	}
	if len(all) == 0 {
		tb.Fatalf("no %s among the golden vectors of %s", kind, dir)
	}
	return all
}

// Captures are the datagrams of a file: hex, a line each, behind a comment. That there are none is a failure.
func Captures(tb testing.TB, file string) [][]byte {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for line := range strings.Lines(string(text)) {
		if datagram := unhex(tb, file, line); len(datagram) > 0 {
			all = append(all, datagram)
		}
	}
	if len(all) == 0 {
		tb.Fatalf("no datagram in %s", file)
	}
	return all
}

// unhex reads spaced hex with a comment behind each line.
func unhex(tb testing.TB, file, body string) []byte {
	tb.Helper()
	var b []byte
	for line := range strings.Lines(body) {
		code, _, _ := strings.Cut(line, "#")
		piece, err := hex.DecodeString(strings.Join(strings.Fields(code), ""))
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		b = append(b, piece...)
	}
	return b
}
