package files

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	// maxName is the longest name in bytes that all usual file systems take.
	maxName = 255
	// maxPath bounds a path below a share, in bytes, maxDepth its elements.
	maxPath  = 4096
	maxDepth = 64
)

// What is written aside until it is whole is called so. It is never served, listed or taken from another.
const (
	partPrefix = ".bcast-"
	partSuffix = ".part"
	partID     = 8 // bytes between them, in hexadecimal
)

func isPart(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, partPrefix) && strings.HasSuffix(name, partSuffix)
}

// isOurPart tells whether partOf would call something so.
func isOurPart(name string) bool {
	id, is := strings.CutPrefix(name, partPrefix)
	id, was := strings.CutSuffix(id, partSuffix)
	b, err := hex.DecodeString(id)
	return is && was && err == nil && len(b) == partID
}

// CheckName refuses a name that another chose for a file here: what is no name, what misleads whoever reads it, and
// what some system takes for something else than a name.
func CheckName(name string) error { return checkName(name, runtime.GOOS == "windows") }

// CheckElement refuses what is no name on any system, whatever this one takes besides.
func CheckElement(name string) error { return checkName(name, false) }

func checkName(name string, windows bool) error {
	switch {
	case len(name) > maxName:
		return nameError(name[:32]+"…", "it is longer than %d bytes", maxName)
	case name == "":
		return nameError(name, "it is empty")
	case !utf8.ValidString(name):
		return nameError(name, "it is not valid UTF-8")
	case name == "." || name == "..":
		return nameError(name, "it is that of a directory that is there already")
	case strings.ContainsAny(name, `/\`):
		return nameError(name, "it has a slash in it")
	case strings.ContainsFunc(name, misleads):
		return nameError(name, "it has characters that are not shown, or turn text around")
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || strings.HasPrefix(name, " "):
		return nameError(name, "it begins with a space, or ends with one or a dot")
	case isReserved(name):
		return nameError(name, "Windows takes it for a device")
	case isPart(name):
		return nameError(name, "it is one of unfinished files")
	case windows && strings.ContainsAny(name, `<>:"|?*`):
		return nameError(name, `Windows takes none of <>:"|?* in a name`)
	}
	return nil
}

func nameError(name, format string, args ...any) error {
	return newError(CodeName, nil, fmt.Sprintf("the name %q is refused: %s", name, fmt.Sprintf(format, args...)),
		"give it another name with -o")
}

// misleads tells of characters that make a name look like another: control and format characters, but for the two that
// Persian and emoji are written with, and separators of lines.
func misleads(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// isReserved tells of names that are devices on Windows, whatever follows a dot.
func isReserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if n, is := strings.CutPrefix(stem, port); is && utf8.RuneCountInString(n) == 1 &&
			strings.ContainsAny(n, "0123456789¹²³") {
			return true
		}
	}
	return false
}

// checkPath refuses a path that another chose unless every element of it is a name. It is relative, with slashes.
func checkPath(p string) error {
	elements := strings.Split(p, "/")
	if len(p) > maxPath || len(elements) > maxDepth {
		return newError(CodeName, nil, "a path is refused: it is too long or too deep", "")
	}
	for _, e := range elements {
		if err := CheckName(e); err != nil {
			return err
		}
	}
	return nil
}

// isPlain tells whether a path is what its elements say: one with a slash in it would be two, and a mux makes others of
// those that are empty or dots.
func isPlain(escaped string) bool {
	rest, rooted := strings.CutPrefix(escaped, "/")
	elements := strings.Split(rest, "/")
	for i, e := range elements {
		name, err := url.PathUnescape(e)
		if err != nil || strings.Contains(name, "/") || name == "." || name == ".." || e == "" && i < len(elements)-1 {
			return false
		}
	}
	return rooted
}

var fold = cases.Fold()

// twin is what a name has in common with those that people, or file systems, take for the same: neither case nor the
// form of Unicode counts. Names are valid and short by then.
func twin(name string) string { return norm.NFC.String(fold.String(norm.NFC.String(name))) }

// numbered is a name with a number before its ending: what is called like another file and is not to replace it.
func numbered(name string, n int) string {
	end := path.Ext(name)
	stem := strings.TrimSuffix(name, end)
	if stem == "" { // .profile
		stem, end = name, ""
	}
	mark := fmt.Sprintf(" (%d)", n)
	for len(stem)+len(mark)+len(end) > maxName && stem != "" {
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-size]
	}
	return stem + mark + end
}
