package identity

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Candidate is a device that a typed word may mean.
type Candidate struct {
	ID   DeviceID
	Nick Nick
}

// Resolve finds the candidates that a person means by word: a nick, a nick with a tag behind a dash, or the beginning
// of an id of four characters or more. An '@' in front is ignored. None or several are for the caller to show.
//
// Nicks are anybody's choice, so they are compared as exact text, never by what they look like, and no way to match
// wins over another: who takes the nick alice-k7f2, or one like the beginning of another's id, makes the word ambiguous
// and does not become who was meant. A whole id means its device alone. Matches by nick come first, then by nick and
// tag, then by id, each in the order of among.
func Resolve(word string, among []Candidate) []Candidate {
	word = norm.NFC.String(strings.TrimPrefix(word, "@"))
	if id, err := ParseDeviceID(strings.ToLower(word)); err == nil {
		return matching(among, func(c Candidate) bool { return c.ID == id })
	}
	dash := strings.LastIndexByte(word, '-') // no tag has one, a nick may
	byNick := matching(among, func(c Candidate) bool { return string(c.Nick) == word })
	byTag := matching(among, func(c Candidate) bool {
		return dash >= 0 && string(c.Nick) == word[:dash] && begins(c.ID, word[dash+1:])
	})
	byID := matching(among, func(c Candidate) bool { return begins(c.ID, word) })
	var found []Candidate
	for _, c := range append(append(byNick, byTag...), byID...) {
		if len(matching(found, func(f Candidate) bool { return f.ID == c.ID })) == 0 {
			found = append(found, c)
		}
	}
	return found
}

// begins tells whether prefix, in any case, is long enough to mean a device and is how id begins.
func begins(id DeviceID, prefix string) bool {
	return len(prefix) >= tagLen && strings.HasPrefix(id.String(), strings.ToLower(prefix))
}

func matching(among []Candidate, match func(Candidate) bool) []Candidate {
	var found []Candidate
	for _, c := range among {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}
