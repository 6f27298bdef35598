package control

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is the longest text of a post in bytes.
const MaxText = 16 << 10

// CheckSay refuses what cannot be said: a delete alone says nothing, and files may speak for themselves.
func CheckSay(say Say) error {
	if len(say.Files) > MaxFiles {
		return NewError(CodeInvalid, nil, fmt.Sprintf("%d files at once: at most %d", len(say.Files), MaxFiles),
			"say it in parts, or share a directory: bcast files share")
	}
	if say.Kind == "delete" || len(say.Files) > 0 && say.Text == "" {
		return nil
	}
	return CheckText(say.Text)
}

// CheckText refuses what no post may carry. Both ends ask: the client because encoding/json would repair invalid UTF-8
// without a word, the server because not every client is this one.
func CheckText(text string) error {
	if len(text) > MaxText {
		return NewError(CodeTooLarge, nil,
			fmt.Sprintf("the text is longer than the %d bytes that a post holds", MaxText), "send it in parts")
	}
	if strings.TrimSpace(text) == "" {
		return NewError(CodeInvalid, nil, "the text is empty", "")
	}
	if !utf8.ValidString(text) {
		return NewError(CodeInvalid, nil, "the text is not valid UTF-8", "convert it first, e.g. with iconv -t UTF-8")
	}
	for at, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return NewError(CodeInvalid, nil, fmt.Sprintf("the text has the control character %U at byte %d", r, at),
				"only newline and tab may stand in a post")
		}
	}
	return nil
}
