package record

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"bcast/identity"
)

// What a conversation and a store say to each other. A *scope* is one room on the networks that may share its history:
// the unit of keeping.

// Chain names a run of records that follow each other without gaps. It is a feed, up to where its author forked it if
// it did, or a branch from there on.
type Chain struct {
	Feed   Feed
	Branch ID // the first record of the branch; zero: the feed itself
}

// Short is the chain's name on the wire.
func (c Chain) Short() ShortFeed {
	if c.Branch.IsZero() {
		return c.Feed.Short()
	}
	sum := sha256.Sum256(append([]byte("bcast/1 branch\x00"), c.Branch[:]...))
	return ShortFeed(sum[:8])
}

// Compare is an order of chains.
func (c Chain) Compare(o Chain) int {
	return cmp.Or(bytes.Compare(c.Feed.Author[:], o.Feed.Author[:]), cmp.Compare(c.Feed.Epoch, o.Feed.Epoch),
		bytes.Compare(c.Branch[:], o.Branch[:]))
}

// Entry is a record in its place.
type Entry struct {
	*Record
	Branch ID
	Kept   int64 // when a store kept it, nanoseconds since 1970 on our own clock; 0: not yet
	// Anew tells that the chain begins anew with it, for nobody has what is missing before it any more. What is kept from
	// before that can still be read, and is of the chain no more.
	Anew bool
}

// Chain is what the record is in.
func (e Entry) Chain() Chain { return Chain{e.Header.Feed, e.Branch} }

// Span names records of a chain by their numbers, From to To inclusive.
type Span struct {
	Chain    Chain
	From, To uint64
}

// Floor tells that a store holds nothing of Chain below number Low any more.
type Floor struct {
	Chain Chain
	Low   uint64
}

// Batch is what has to be kept of a scope in one step: all of it, in this order, or nothing.
type Batch struct {
	Scope   uint64
	Splits  []Split
	Records []Entry // each is the next of its chain, or begins it anew, or is the first of a chain not known yet
	Rosters []Roster
	Levels  []Level
	Own     *Feed // the feed of our own that records of the batch go on with; nil: none of them is ours
}

// IsEmpty tells whether there is nothing to keep.
func (b *Batch) IsEmpty() bool {
	return len(b.Splits)+len(b.Records)+len(b.Rosters)+len(b.Levels) == 0
}

// Split says that the author of Chain forked it at number At. What is kept from there on is the branch that begins with
// record Branch, which names Before as the one before it.
type Split struct {
	Chain  Chain
	At     uint64
	Branch ID // zero: nothing is kept
	Before ID
	// Heads are of first records of branches, as far as they are needed to prove the fork: without its body such a record
	// may never come.
	Heads []*Record
}

// MaxHeads is how many heads of one feed are kept beside its records: those with the lowest numbers and, of these, with
// the smallest ids.
const MaxHeads = 8

// Roster says against whom the posts of a feed count from number From on: the members, without the author, when it was
// said. It holds until the next Roster of the feed.
type Roster struct {
	Feed    Feed
	From    uint64
	Members []identity.DeviceID // sorted
}

// Level says that a device told us to have stored a chain from number Low to High.
type Level struct {
	Chain     Chain
	Device    identity.DeviceID
	Low, High uint64
}

// ChainState is what a store keeps of a chain: Low to High without gaps. If High is below Low, nothing of it is kept
// any more, and it goes on with Low.
type ChainState struct {
	Chain     Chain
	Low, High uint64
	First     uint64  // of a branch: the number with which it began; 0: not known
	Before    ID      // of a branch: what its first record names as the one before
	Head      *Record // High itself; its body may be nil; nil if nothing is kept
	Heard     int64   // when its last record was kept, nanoseconds since 1970 on our own clock
}

// Kept is what a store knows of a scope, for a conversation to go on from.
type Kept struct {
	Chains   []ChainState
	Gone     []ChainState // of which nothing is kept any more
	Heads    []*Record    // that prove forks, in the order of their feeds, numbers and ids
	Standing []Entry      // the records that hold a join, leave, nick, topic or rekey, in the room's order
	Rosters  []Roster
	Levels   []Level
	// Own is the feed of our own that was written last, and may be gone on with. Nil: a store that cannot be sure to have
	// all of it tells none, and what came back from others is not it.
	Own   *Feed
	Order uint64 // the highest that own records follow (PROTOCOL.md R7)
}

// Scope is what there is to know of a scope beside its records.
type Scope struct {
	ID        uint64
	Room      RoomID
	Networks  [][16]byte          // by any of which it is known again
	Members   []identity.DeviceID // who took part: by whom it is known, too
	Ephemeral bool                // kept in memory only
	Retention Retention
}

// Retention bounds what is kept of a scope. The oldest goes first; zero is no bound.
type Retention struct {
	Age   time.Duration
	Count int
	Bytes int64
}

// Equal tells whether two say the same of a scope.
func (s *Scope) Equal(o *Scope) bool {
	return s.ID == o.ID && s.Room == o.Room && slices.Equal(s.Networks, o.Networks) &&
		slices.Equal(s.Members, o.Members) && s.Ephemeral == o.Ephemeral && s.Retention == o.Retention
}
