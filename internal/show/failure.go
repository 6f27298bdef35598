package show

import (
	"regexp"

	"bcast/internal/control"
)

// secretLike is what stands behind the # of an invite, or base32 about as long: no id is, and hardly a word.
var secretLike = regexp.MustCompile(`#\S{20,}|[a-z2-7]{40,}|[A-Z2-7]{40,}`)

// Secret tells whether a text may hold a secret.
func Secret(text string) bool { return secretLike.MatchString(text) }

// Redact takes what may be a secret out of a text for people: an invite given in the wrong place is quoted like any
// other word that is wrong.
func Redact(text string) string { return secretLike.ReplaceAllString(text, "[redacted]") }

// Failure is an error and what to do about it, in one line.
func Failure(err error) string {
	e := control.AsError(err)
	text := e.Message
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return Clean(Redact(text))
}
