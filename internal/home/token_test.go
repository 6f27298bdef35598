package home

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestTokenIsDrawnOnce(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadToken(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a home without a token: %v", err)
	}
	first, err := MakeToken(dir, rand.Reader)
	if err != nil || len(first) != 43 {
		t.Fatalf("drawn: %d characters, %v", len(first), err)
	}
	info, err := os.Stat(TokenPath(dir))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := MakeToken(dir, nil) // a second drawing would fail
	read, readErr := ReadToken(dir)
	if again != first || read != first || err != nil || readErr != nil {
		t.Errorf("another token, %v, %v", err, readErr)
	}
}

func TestADamagedTokenIsToldAndNotQuoted(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "c2hvcnQ", "!secret!"} {
		if err := os.WriteFile(TokenPath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := MakeToken(dir, rand.Reader)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
