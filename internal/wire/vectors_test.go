package wire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

const vectorDir = "testdata/vectors"

// A section is one datagram, the inside of one, or a record without a datagram.
type section struct {
	kind  string // datagram, inside, record
	bytes []byte
}

// A vector is one file of testdata/vectors; PROTOCOL.md, section 14, gives its form.
type vector struct {
	name     string
	header   []string // "key: value"
	sections []section
}

func (v *vector) set(key, format string, args ...any) {
	v.header = append(v.header, key+": "+fmt.Sprintf(format, args...))
}

func (v *vector) value(key string) string {
	for _, line := range v.header {
		if value, ok := strings.CutPrefix(line, key+": "); ok {
			return value
		}
	}
	return ""
}

// size is how long a cut datagram was when it was sent; 0 when nothing was cut.
func (v *vector) size() int {
	n, _ := strconv.Atoi(v.value("size"))
	return n
}

func (v *vector) format() []byte {
	var b bytes.Buffer
	for _, line := range v.header {
		fmt.Fprintln(&b, line)
	}
	cut := v.size() > 0
	for i, s := range v.sections {
		fmt.Fprintf(&b, "\n= %s\n", s.kind)
		var front []byte
		if s.kind == "inside" {
			front = v.sections[i-1].bytes
		}
		for _, f := range dissect(s, front, cut) {
			writeField(&b, f)
		}
	}
	return b.Bytes()
}

func writeField(b *bytes.Buffer, f field) {
	const perLine = 32
	comment := "  # " + f.label
	for rest := f.bytes; len(rest) > 0; comment = "" {
		n := min(len(rest), perLine)
		fmt.Fprintf(b, "% x%s\n", rest[:n], comment)
		rest = rest[n:]
	}
}

func parseVector(text string) (*vector, error) {
	v := &vector{}
	for n, line := range strings.Split(text, "\n") {
		code, _, _ := strings.Cut(line, "#")
		switch kind, isSection := strings.CutPrefix(line, "= "); {
		case isSection:
			v.sections = append(v.sections, section{kind: kind})
		case len(v.sections) == 0 && line != "":
			v.header = append(v.header, line)
		case len(v.sections) > 0:
			b, err := hex.DecodeString(strings.ReplaceAll(code, " ", ""))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			last := &v.sections[len(v.sections)-1]
			last.bytes = append(last.bytes, b...)
		}
	}
	v.name = v.value("name")
	return v, nil
}

// loadVectors reads the golden vectors; there is no test without them.
func loadVectors(tb testing.TB) []*vector {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no golden vectors in %s: run go test ./internal/wire -run TestVectors -rewrite (%v)", vectorDir, err)
	}
	var all []*vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		v, err := parseVector(string(text))
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		if v.name+".txt" != filepath.Base(file) {
			tb.Fatalf("%s: calls itself %q", file, v.name)
		}
		all = append(all, v)
	}
	return all
}

// seedsOf is all that the vectors have of one kind, for fuzzers.
func seedsOf(tb testing.TB, kind string) [][]byte {
	tb.Helper()
	var seeds [][]byte
	for _, v := range loadVectors(tb) {
		for _, s := range v.sections {
			if s.kind == kind {
				seeds = append(seeds, s.bytes)
			}
		}
	}
	if len(seeds) == 0 {
		tb.Fatalf("no %s in %s", kind, vectorDir)
	}
	return seeds
}

func TestVectorsAreWhatTheCodeMakes(t *testing.T) {
	made := map[string]bool{}
	for _, v := range makeVectors(t) {
		file := filepath.Join(vectorDir, v.name+".txt")
		made[file] = true
		want := v.format()
		if *rewrite {
			if err := os.MkdirAll(vectorDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(have, want) {
			t.Errorf("%s differs from what the code makes (-rewrite writes it anew)", file)
		}
	}
	files, _ := filepath.Glob(filepath.Join(vectorDir, "*"))
	for _, file := range files {
		if !made[file] {
			t.Errorf("%s: nothing makes it", file)
		}
	}
}

func TestVectorsOpenAsTheySay(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			o := opener{t: t, rooms: openRooms(t, v)}
			result := "ok"
			for i, s := range v.sections {
				if s.kind == "inside" {
					continue
				}
				var inside []byte
				if i+1 < len(v.sections) && v.sections[i+1].kind == "inside" {
					inside = v.sections[i+1].bytes
				}
				if drop := o.open(s, inside, v.size()); drop != "" {
					result = "drop " + string(drop)
				}
			}
			if want := v.value("expect"); result != want {
				t.Errorf("%s, the vector says %s", result, want)
			}
			o.finish(v)
		})
	}
}
