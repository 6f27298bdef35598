package irc

import (
	"bufio"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ergochat/irc-go/ircfmt"
	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/show"
)

const (
	// maxLine is a line without its tags, CR and LF included (RFC 1459), maxTags those of a client (IRCv3 message-tags).
	maxLine, maxTags = 512, 4096
	// maxText bounds what a client makes of one post: the lines of a post of newlines would be 8,000.
	maxText = 100
)

var (
	errLong = errors.New("the line is too long")
	errUTF8 = errors.New("the line is not valid UTF-8")
	errLine = errors.New("that is not a line of IRC")
)

// readLine reads up to the next LF. What is too long is passed over and reported as errLong; other errors are final.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return string(line), err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	if err == nil {
		err = errLong
	}
	return "", err
}

// parse reads a client's line. Empty lines are no error and have no command.
func parse(line string) (ircmsg.Message, error) {
	if strings.Trim(line, " \r\n") == "" {
		return ircmsg.Message{}, nil
	}
	if !utf8.ValidString(line) {
		return ircmsg.Message{}, errUTF8
	}
	m, err := ircmsg.ParseLineStrict(line, true, maxLine)
	switch {
	case errors.Is(err, ircmsg.ErrorBodyTooLong), errors.Is(err, ircmsg.ErrorTagsTooLong):
		return m, errLong
	case err != nil:
		return m, errLine
	}
	return m, nil
}

// line writes a message down. What no line may hold goes here at the latest, whoever made the message.
func line(m ircmsg.Message) ([]byte, error) {
	for i, param := range m.Params {
		m.Params[i] = legal(param, i == len(m.Params)-1)
	}
	b, err := m.LineBytesStrict(false, maxLine)
	if errors.Is(err, ircmsg.ErrorBodyTooLong) {
		err = nil // it was cut
	}
	return b, err
}

// legal takes control characters out of a parameter, but for the pair that marks an action, and misleading ones.
func legal(param string, last bool) string {
	if !last {
		return middle(param)
	}
	if text, action := cutAction(param); action {
		return actionOf(show.Clean(text))
	}
	return show.Clean(param)
}

// The frame of an action, the one CTCP message that is a post.
const actionBegin, ctcpEnd = "\x01ACTION ", "\x01"

func actionOf(text string) string { return actionBegin + text + ctcpEnd }

// cutAction is what an action says.
func cutAction(text string) (string, bool) {
	rest, found := strings.CutPrefix(text, actionBegin)
	return strings.TrimSuffix(rest, ctcpEnd), found
}

// written is what a client's text says: colours and other formatting of IRC are no part of a post, nor are control
// characters.
func written(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return -1
		}
		return r
	}, ircfmt.Strip(text))
}

// wrap makes lines of a text: one for each of its own that is not empty, cut at spaces, else between characters, where
// it is longer than limit bytes.
func wrap(text string, limit int) []string {
	var lines []string
	for _, rest := range show.Lines(text) {
		for rest = strings.TrimRight(rest, " "); rest != ""; {
			if len(lines) == maxText {
				return append(lines[:maxText-1], "… the rest: bcast history")
			}
			var head string
			head, rest = cut(rest, limit)
			lines = append(lines, head)
		}
	}
	return lines
}

// cut takes at most limit bytes off the front of a text.
func cut(text string, limit int) (head, rest string) {
	if len(text) <= limit {
		return text, ""
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if end == 0 { // the limit is less than a character: never with ours
		return text, ""
	}
	if space := strings.LastIndexByte(text[:end+1], ' '); space > 0 && strings.TrimSpace(text[:space]) != "" {
		return text[:space], strings.TrimLeft(text[space:], " ")
	}
	return text[:end], text[end:]
}
