package home

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tokenFile holds what a client of --http shows; tokenSize is its length in bytes before it is written as text.
const (
	tokenFile = "http.token"
	tokenSize = 32
)

// TokenPath is the file of the home dir that holds the token of --http.
func TokenPath(dir string) string { return filepath.Join(dir, tokenFile) }

// ReadToken reads the token of the home dir.
func ReadToken(dir string) (string, error) {
	b, err := os.ReadFile(TokenPath(dir))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return parseToken(dir, b)
}

func parseToken(dir string, b []byte) (string, error) {
	token := strings.TrimSpace(string(b))
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) < tokenSize {
		// The cause would quote the secret.
		return "", &CorruptError{TokenPath(dir), fmt.Errorf("not %d bytes in base64", tokenSize)}
	}
	return token, nil
}

// MakeToken is ReadToken, and draws a token from random when the home has none yet. Who wants another one removes the
// file and starts the daemon again.
func MakeToken(dir string, random io.Reader) (string, error) {
	b, err := Keep(dir, tokenFile, func() ([]byte, error) {
		raw := make([]byte, tokenSize)
		_, err := io.ReadFull(random, raw)
		return []byte(base64.RawURLEncoding.EncodeToString(raw) + "\n"), err
	})
	if err != nil {
		return "", err
	}
	return parseToken(dir, b)
}
