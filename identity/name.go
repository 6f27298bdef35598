package identity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Name limits in bytes of UTF-8. A nick is short enough for a presence datagram to carry it with everything else.
const (
	MaxNick     = 32
	MaxRoomName = 64
	// maxTyped is looked at before it is normalised, which may shorten it, and takes a second for some megabytes.
	maxTyped = 1024
)

// Nick is what a person calls their device. It names nobody for certain: only a key does.
type Nick string

// RoomName is a room's name as all members write it: NFC, lower case, letters with their marks, digits and
// -_. only.
type RoomName string

// ParseNick checks and normalises a nick: NFC, 1 to 32 bytes, no spaces, no control, format, invisible or unassigned
// characters, no combining mark in front, and not '@' or '#' either, which address peers and rooms, nor '-'.
func ParseNick(s string) (Nick, error) {
	if len(s) > maxTyped {
		return "", fmt.Errorf("nick: %d bytes, at most %d", len(s), MaxNick)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("nick: not valid UTF-8")
	}
	s = norm.NFC.String(s)
	switch {
	case s == "":
		return "", errors.New("nick: empty")
	case len(s) > MaxNick:
		return "", fmt.Errorf("nick: %d bytes, at most %d", len(s), MaxNick)
	case s[0] == '@' || s[0] == '#' || s[0] == '-':
		return "", fmt.Errorf("nick %q: may not begin with %q", s, s[0])
	}
	for i, r := range s {
		if !inNick(r) || i == 0 && unicode.Is(unicode.M, r) {
			return "", fmt.Errorf("nick %q: the character %U is not allowed", s, r)
		}
	}
	return Nick(s), nil
}

// NormalNick reads a nick that is in its normal form already, as all are that other devices send.
func NormalNick(s string) (Nick, error) {
	n, err := ParseNick(s)
	if err == nil && string(n) != s {
		return "", fmt.Errorf("nick %q: not in its normal form", s)
	}
	return n, err
}

// NickFrom makes a nick out of any text, such as a user or host name: what is not allowed is left out.
func NickFrom(s string) Nick {
	var b strings.Builder
	for _, r := range norm.NFC.String(strings.ToValidUTF8(s[:min(len(s), maxTyped)], "")) {
		if b.Len()+utf8.RuneLen(r) > MaxNick {
			break
		}
		if inNick(r) && (b.Len() > 0 || !strings.ContainsRune("@#-", r) && !unicode.Is(unicode.M, r)) {
			b.WriteRune(r)
		}
	}
	if n, err := ParseNick(b.String()); err == nil {
		return n
	}
	return "nobody"
}

// inNick tells whether r may stand in a nick: something to see, and not a space.
func inNick(r rune) bool { return unicode.IsPrint(r) && r != ' ' && !invisible(r) }

// invisible tells of letters and marks that show nothing, such as the Hangul fillers and the empty Braille pattern.
func invisible(r rune) bool {
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r == '\u2800'
}

// ParseRoomName checks and normalises a room name: a leading '#' is ignored, upper case is folded, NFC, 1 to 64 bytes
// of letters with their marks, digits and -_. only.
func ParseRoomName(s string) (RoomName, error) {
	if len(s) > maxTyped {
		return "", fmt.Errorf("room name: %d bytes, at most %d", len(s), MaxRoomName)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("room name: not valid UTF-8")
	}
	name := norm.NFC.String(strings.ToLower(strings.TrimPrefix(s, "#")))
	if name == "" || name == "." || name == ".." {
		return "", fmt.Errorf("room name %q: empty, or nothing but dots", s)
	}
	if len(name) > MaxRoomName {
		return "", fmt.Errorf("room name: %d bytes, at most %d", len(name), MaxRoomName)
	}
	for i, r := range name {
		if !inRoomName(r) || i == 0 && unicode.Is(unicode.M, r) {
			return "", fmt.Errorf("room name %q: the character %q is not allowed; letters, digits, -, _ and . are", s, r)
		}
	}
	return RoomName(name), nil
}

// NormalRoomName reads a room name that is in its normal form already, as all are that other devices send.
func NormalRoomName(s string) (RoomName, error) {
	n, err := ParseRoomName(s)
	if err == nil && string(n) != s {
		return "", fmt.Errorf("room name %q: not in its normal form", s)
	}
	return n, err
}

// inRoomName tells whether r may stand in a room name; many scripts do not write their letters without marks.
func inRoomName(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.In(r, unicode.Mn, unicode.Mc) ||
		strings.ContainsRune("-_.", r)) && !invisible(r)
}
