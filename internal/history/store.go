// Package history keeps records: what was received and made is appended, and read again by number, by id, by words or
// in the room's order. A Disk is a SQLite file; a Memory forgets at the end of the process.
//
// Its invariant: a record is kept as the bytes that came, within a chain what is kept has no gaps, and a call of Append
// keeps all of it or nothing. It checks no signature and decides nothing about the conversation.
package history

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bcast/identity"
	"bcast/internal/record"
)

// LoadLimit is how many bytes of records one Load brings; who wants more asks again.
const LoadLimit = 4 << 20

// pruneSlack is by how much a bound on the number or the bytes of records may be passed before the oldest are given up:
// one hundredth, so that this is done rarely and then for many.
const pruneSlack = 100

// maxGone is how many chains of a scope are remembered of which nothing is kept any more, so that it is not taken from
// others again. Beyond, the oldest are forgotten: as many as a conversation has place for.
const maxGone = 4096

// passes tells whether n is so far beyond a bound (0: none) that records have to go until it is kept again.
func passes(n, bound int64) bool { return bound > 0 && n > bound+bound/pruneSlack }

// Errors of Append.
var (
	// ErrGap says that a record does not continue its chain: the caller is wrong about what is kept.
	ErrGap = errors.New("history: the record does not continue its chain")
	// ErrTaken says that another record has this number in this chain, or another chain has the record.
	ErrTaken = errors.New("history: the number is taken by another record")
	// ErrScope says that the scope is not known.
	ErrScope = errors.New("history: the scope is not known")
)

// Place is one in the room's order.
type Place struct {
	Order uint64
	ID    record.ID
}

func placeOf(r *record.Record) Place { return Place{r.Header.Order, r.ID} }

func (p Place) compare(o Place) int {
	switch {
	case p.Order != o.Order && p.Order < o.Order:
		return -1
	case p.Order != o.Order:
		return 1
	}
	return strings.Compare(string(p.ID[:]), string(o.ID[:]))
}

// Query selects records of some scopes. What it finds is in the room's order.
type Query struct {
	Scopes        []uint64
	After, Before *Place // exclusive
	Since         int64  // said then or later by their authors' clocks, nanoseconds since 1970; 0: any time
	Limit         int    // the first so many, with Newest the last; 0: all
	Newest        bool
	Search        string // words that a post holds, the last one maybe cut short
	Kinds         bool   // only what shows something
	Topics        bool   // only what may say what the room is about: all that shows something and how things stand
}

// Reader reads what is kept. Its methods are safe for many goroutines, also beside a writer.
type Reader interface {
	// Load returns those of the records asked for that are kept, the spans' in order, then those by id, at most
	// LoadLimit bytes and at least one.
	Load(scope uint64, spans []record.Span, ids []record.ID) ([]record.Entry, error)
	// Scopes are those of a room, in the order in which they began.
	Scopes(room record.RoomID) ([]record.Scope, error)
	// Kept is what a conversation needs to go on. It costs what there are chains, not what there are records.
	Kept(scope uint64, room record.RoomID) (record.Kept, error)
	Page(Query) ([]record.Entry, error)
	// Find returns records whose ids begin with prefix; two are enough to know that it is not unique.
	Find(scopes []uint64, prefix string) ([]record.Entry, error)
	// Targets returns the records that hold a post with one of these as target, in the room's order.
	Targets(scopes []uint64, targets []record.ID) ([]record.Entry, error)
	// Roster is the one in force for number seq of a feed.
	Roster(scope uint64, feed record.Feed, seq uint64) (record.Roster, bool, error)
	Levels(scope uint64, chain record.Chain) ([]record.Level, error)
	Counts(scope uint64) (records int, bytes int64, err error)
	Close() error
}

// Store keeps and reads.
type Store interface {
	Reader
	// Append keeps batches, all or nothing, and tells of each which chains begin later because their scope had too much,
	// or had before, if what was given up then is brought again. A record that is kept already is passed over. Errors are
	// ErrGap, ErrTaken, ErrScope or a *FailedError.
	Append(now time.Time, batches []record.Batch) ([][]record.Floor, error)
	// KeepScope makes or changes a scope.
	KeepScope(record.Scope) error
	Forget(scope uint64) error
	// Prune gives up what its scope keeps no more: by age, and by the other bounds if nothing is appended any more. What
	// it gave up is told also with an error.
	Prune(now time.Time) (map[uint64][]record.Floor, error)
}

// What a record is to a reader, by the posts in it.
const (
	shows  = 1 << iota // something to read
	stands             // how things stand: members, nicks, topic, keys
)

// topics are the marks of a record that may hold a topic.
const topics = shows | stands

// digest is what a store needs to know of a record's body.
type digest struct {
	marks   int
	targets []record.ID
}

// worded are the kinds that are there to be read, in the bits of PlainKinds.
const worded = 1<<record.KindText | 1<<record.KindAction

func digestOf(rec *record.Record) digest {
	if kinds, plain := rec.PlainKinds(); plain && kinds&^worded == 0 {
		return digest{marks: shows}
	}
	posts, err := rec.Posts()
	if err != nil {
		return digest{} // kept like any other, and nothing to find
	}
	var d digest
	for _, p := range posts {
		switch p.Kind {
		case record.KindJoin, record.KindLeave, record.KindNick, record.KindRekey:
			d.marks |= stands
			continue
		case record.KindTopic:
			d.marks |= stands | shows
		case record.KindText, record.KindAction, record.KindReply:
			d.marks |= shows
		case record.KindOffer:
			if _, err := record.ParseOffer(p.Data); err == nil {
				d.marks |= shows
			}
		}
		if p.Target.Record != (record.ID{}) {
			d.targets = append(d.targets, p.Target.Record)
		}
	}
	return d
}

// textOf is the words of a record's body as wordsOf has them, with a space between: what is searched. Whoever appends
// does not wait for it.
func textOf(body []byte) string {
	posts, err := record.DecodePosts(body)
	if err != nil {
		return ""
	}
	text := make([]byte, 0, len(body))
	for i := range posts {
		switch posts[i].Kind {
		case record.KindJoin, record.KindLeave, record.KindNick, record.KindRekey, record.KindReaction:
		case record.KindOffer: // a file is found by its name, too
			offer, err := record.ParseOffer(posts[i].Data)
			if err != nil {
				continue
			}
			text = appendWords(appendWords(text, posts[i].Text), offer.Name)
		default:
			text = appendWords(text, posts[i].Text)
		}
	}
	return string(text)
}

// appendWords appends the words of a text to others. Most texts are ASCII, and to ask of each of their characters what
// it is to Unicode took more than the rest of filling the full text.
func appendWords(to []byte, text string) []byte {
	began := len(to)
	apart := began > 0 // from what comes next
	for _, c := range []byte(text) {
		if c >= utf8.RuneSelf {
			to = to[:began]
			for _, w := range wordsOf(text) {
				if len(to) > 0 {
					to = append(to, ' ')
				}
				to = append(to, w...)
			}
			return to
		}
		if c = wordBytes[c]; c == 0 {
			apart = len(to) > 0
			continue
		}
		if apart {
			to, apart = append(to, ' '), false
		}
		to = append(to, c)
	}
	return to
}

// wordBytes are the ASCII characters as they are in words; 0: none is.
var wordBytes = func() (table [utf8.RuneSelf]byte) {
	for c := range table {
		if r := rune(c); !notWord(r) {
			table[c] = byte(unicode.ToLower(r))
		}
	}
	return table
}()

// memberIDs are ids as one text of bytes.
func memberIDs(ids []identity.DeviceID) []byte {
	b := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func parseMemberIDs(b []byte) []identity.DeviceID {
	var ids []identity.DeviceID
	for ; len(b) >= 16; b = b[16:] {
		ids = append(ids, identity.DeviceID(b[:16]))
	}
	return ids
}

// wordsOf are the words of a text, for searching: runs of letters, digits and marks, in lower case.
func wordsOf(text string) []string { return strings.FieldsFunc(strings.ToLower(text), notWord) }

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) }

// holds tells whether a text of words has all of some, the last of them maybe longer.
func holds(text string, words []string) bool {
	have := strings.Split(text, " ")
	for i, w := range words {
		last := i == len(words)-1
		if !slices.ContainsFunc(have, func(h string) bool { return h == w || last && strings.HasPrefix(h, w) }) {
			return false
		}
	}
	return len(words) > 0
}
