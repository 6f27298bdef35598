package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// misleads reports whether r can make a terminal show something else than was written: control characters move the
// cursor and set titles, bidirectional controls turn text around.
func misleads(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// clean makes text from the network fit for one line of a terminal: line breaks and tabs become spaces, misleading
// characters go, invalid UTF-8 becomes U+FFFD.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case misleads(r):
			return -1
		default:
			return r
		}
	}, s)
}

// cleanLines does the same and keeps the lines.
func cleanLines(s string) []string {
	lines := strings.Split(strings.ReplaceAll(s, "\t", "    "), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return lines
}

// appendJSON appends v as one line of JSON in which misleading characters are escaped: nothing is lost and a terminal
// is safe. In JSON such characters can stand only inside of strings.
func appendJSON(line []byte, v any) ([]byte, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	for data := bytes.TrimSuffix(plain.Bytes(), []byte("\n")); len(data) > 0; {
		r, size := utf8.DecodeRune(data)
		if misleads(r) {
			line = fmt.Appendf(line, `\u%04x`, r)
		} else {
			line = append(line, data[:size]...)
		}
		data = data[size:]
	}
	return append(line, '\n'), nil
}

// cells is how many columns of a terminal s takes.
func cells(s string) int {
	total := 0
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			continue
		}
		total++
		if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
			total++
		}
	}
	return total
}
