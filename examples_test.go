package bcast_test

import (
	"os"
	"strings"
	"testing"
)

// The examples are as short as is said of them, blank lines and comments not counted; scripts/faces runs them.
func TestExamplesAreShort(t *testing.T) {
	for name, limit := range map[string]struct {
		lines   int
		comment string
	}{"examples/dice.sh": {10, "#"}, "examples/ping/main.go": {15, "//"}} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, limit.comment) {
				count++
			}
		}
		if count < 3 || count > limit.lines {
			t.Errorf("%s has %d lines, at most %d", name, count, limit.lines)
		}
	}
}
