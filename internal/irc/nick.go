package irc

import (
	"fmt"
	"strconv"
	"strings"

	"bcast/internal/show"
)

// nickPunctuation is the ASCII punctuation that may stand in a nick (RFC 2812, section 2.3.1), but for the one that
// escapes the others.
const nickPunctuation = "[]\\`_{|}-"

// escape makes a nick fit for IRC. ASCII that may not stand in one there, and ^ itself, become ^ and two hexadecimal
// digits: a,b is a^2Cb.
func escape(nick string) string {
	var b strings.Builder
	for _, r := range show.Clean(nick) {
		if r >= 0x80 || isAlphanumeric(r) || strings.ContainsRune(nickPunctuation, r) && (r != '-' || b.Len() > 0) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "^%02X", r)
		}
	}
	return head(b.String(), maxName)
}

// unescape undoes it.
func unescape(name string) (string, error) {
	before, rest, escaped := strings.Cut(name, "^")
	var b strings.Builder
	for b.WriteString(before); escaped; b.WriteString(before) {
		code, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
		if len(rest) < 2 || err != nil || code >= 0x80 {
			return "", fmt.Errorf("%s: ^ takes the two hexadecimal digits of a character, itself as ^5E", show.Clean(name))
		}
		b.WriteByte(byte(code))
		before, rest, escaped = strings.Cut(rest[2:], "^")
	}
	return b.String(), nil
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// fold is what two names share that are one to a client (CASEMAPPING=ascii).
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, name)
}

// word makes text from the network fit to be a name, or a part of one. It is not longer than any that there can be.
func word(s string) string {
	return middle(head(strings.Map(func(r rune) rune {
		switch r {
		case ',':
			return '_'
		case '!', '@':
			return '.'
		}
		return r
	}, show.Clean(head(s, 4*maxName))), maxName))
}

// middle makes text fit to be a parameter that others follow.
func middle(s string) string {
	s = strings.ReplaceAll(show.Clean(s), " ", "_")
	if s == "" || s[0] == ':' {
		return "_" + s
	}
	return s
}

// channel is a room as a client knows it.
func channel(room string) string { return "#" + word(room) }
