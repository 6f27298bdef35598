// Package show says things the way all faces on a terminal say them, and makes what came from the network fit for one.
//
// Its invariant: what Clean and Lines return moves no cursor, sets no title and turns no text around.
package show

import (
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"
	"unicode"

	"bcast/internal/control"
)

// Misleads reports whether r can make a terminal show something else than was written: control characters move the
// cursor and set titles, bidirectional controls turn text around.
func Misleads(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// Clean makes text from the network fit for one line of a terminal: line breaks and tabs become spaces, misleading
// characters go, invalid UTF-8 becomes U+FFFD.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case Misleads(r):
			return -1
		default:
			return r
		}
	}, s)
}

// Lines does the same and keeps the lines.
func Lines(s string) []string {
	lines := strings.Split(strings.ReplaceAll(s, "\t", "    "), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	return lines
}

// Room is a room as people are shown it: a direct one by whom it is with.
func Room(name, direct string) string {
	if direct != "" {
		return "@" + Clean(direct)
	}
	return Clean(name)
}

// Name is a device as people are shown it: its nick, with the tag where that alone does not say who it is, and a mark
// where its key was compared.
func Name(id, nick, tag string, tagged, verified bool) string {
	shown := Clean(nick)
	if shown == "" {
		return Clean(id[:min(8, len(id))])
	}
	if tagged {
		shown += "-" + Clean(tag)
	}
	if verified {
		shown += " ✓"
	}
	return shown
}

// Tag is the beginning of an id, of a device whose tag is not told.
func Tag(id string) string { return id[:min(4, len(id))] }

// Hue chooses one of n colours for a device: it follows from the key.
func Hue(id string, n int) int {
	hash := fnv.New32a()
	io.WriteString(hash, id)
	return int(hash.Sum32() % uint32(n))
}

// Said is what a post says, in lines: its text, and the file that it offers with the command that gets it.
func Said(post control.Post) []string {
	if post.File == nil || post.Deleted {
		return Lines(post.Text)
	}
	offer := fmt.Sprintf("%s (%s)", Clean(post.File.Name), Bytes(post.File.Size))
	switch {
	case post.File.Held && post.Own:
		offer += " — offered"
	case post.File.Held:
		offer += " — it is here"
	default:
		offer += " — bcast files get " + Clean(post.ID)
	}
	if post.Text == "" {
		return []string{offer}
	}
	return append(Lines(post.Text), offer)
}

// reactionsLimit is how many different reactions are shown: anyone can add more.
const reactionsLimit = 8

// Reactions are those to a post, each with how many there are if not one.
func Reactions(post control.Post) []string {
	var all []string
	for _, r := range post.Reactions[:min(len(post.Reactions), reactionsLimit)] {
		mark := Clean(r.Text)
		if len(r.From) > 1 {
			mark += fmt.Sprintf(" %d", len(r.From))
		}
		all = append(all, mark)
	}
	return all
}

// Marks are what there is to know of a post beside its text and the reactions to it.
func Marks(post control.Post) []string {
	var marks []string
	if post.Edited && !post.Deleted {
		marks = append(marks, "edited")
	}
	if post.Late {
		marks = append(marks, "late")
	}
	if post.ClockOff != "" {
		marks = append(marks, "clock "+Clean(post.ClockOff))
	}
	return marks
}

// Forked is what is said of a post that Forked marks.
const Forked = "its author signed two histories"

// Away is what a member said of being away, in a few words; empty if it is not.
func Away(text string) string {
	if text == "" || text == "away" {
		return text
	}
	return "away: " + Clean(text)
}

// Span is a duration in its largest unit, for columns.
func Span(d time.Duration) string { return inLargest(d, "s", "m", "h", "d") }

// Lapse is a duration in its largest unit, for sentences.
func Lapse(d time.Duration) string { return inLargest(d, " s", " min", " h", " days") }

func inLargest(d time.Duration, seconds, minutes, hours, days string) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d%s", max(0, d/time.Second), seconds)
	case d < time.Hour:
		return fmt.Sprintf("%d%s", d/time.Minute, minutes)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d%s", d/time.Hour, hours)
	}
	return fmt.Sprintf("%d%s", d/(24*time.Hour), days)
}

// Thousands is a number with commas.
func Thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Bytes is a size with the unit, of a thousand each, that leaves it three digits.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if value /= 1000; value < 999.5 || unit == "TB" {
			if value < 9.95 {
				return fmt.Sprintf("%.1f %s", value, unit)
			}
			return fmt.Sprintf("%.0f %s", value, unit)
		}
	}
	return ""
}
