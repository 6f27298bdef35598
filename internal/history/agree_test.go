package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// both are the two stores, done the same to, step by step.
type both struct {
	t       *testing.T
	dice    *rand.Rand
	disk    *Disk
	memory  *Memory
	now     time.Time
	authors []*author
	chains  []tip
	ids     []record.ID
}

// tip is a chain as the test knows it, and where it goes on.
type tip struct {
	author int
	chain  record.Chain
	next   uint64
	said   []record.Entry
}

var vocabulary = []string{"red", "Green", "grün", "blue-ish", "été", "x²", "naïve", "ΣΑΣ", "日本語", "42"}

func (b *both) words() string {
	var s string
	for range 1 + b.dice.IntN(4) {
		s += vocabulary[b.dice.IntN(len(vocabulary))] + []string{" ", ", ", "\n"}[b.dice.IntN(3)]
	}
	return s
}

func (b *both) post() record.Post {
	target := record.Ref{}
	if len(b.ids) > 0 {
		target.Record = b.ids[b.dice.IntN(len(b.ids))]
	}
	return []record.Post{
		text(b.words()), {Kind: record.KindJoin, Nick: "alice"}, {Kind: record.KindTopic, Text: b.words()},
		{Kind: record.KindReply, Text: b.words(), Target: target}, {Kind: record.KindDelete, Target: target},
		{Kind: record.KindReaction, Text: "red", Target: target}, {Kind: 99, Text: "red"},
	}[b.dice.IntN(7)]
}

// entry is the next of a chain, made to have number seq.
func (b *both) entry(c *tip, seq uint64) record.Entry {
	e := b.authors[c.author].at(b.t, seq, uint64(b.dice.IntN(1000)), b.post())
	e.Branch = c.chain.Branch
	b.ids = append(b.ids, e.ID)
	return e
}

// batch is most often one that can be kept.
func (b *both) batch() record.Batch {
	batch := record.Batch{Scope: 7 + uint64(b.dice.IntN(2))}
	for range b.dice.IntN(5) {
		c := &b.chains[b.dice.IntN(len(b.chains))]
		switch b.dice.IntN(40) {
		case 0: // a gap
			batch.Records = append(batch.Records, b.entry(c, c.next+1))
		case 5, 6: // the chain begins anew
			e := b.entry(c, c.next+1+b.dice.Uint64N(3))
			e.Anew = true
			c.said, c.next = append(c.said, e), e.Header.Seq+1
			batch.Records = append(batch.Records, e)
		case 1: // another one with the number
			batch.Records = append(batch.Records, b.entry(c, max(c.next, 2)-1))
		case 2, 3, 4: // once more
			if len(c.said) > 0 {
				batch.Records = append(batch.Records, c.said[b.dice.IntN(len(c.said))])
			}
		default:
			e := b.entry(c, c.next)
			c.said, c.next = append(c.said, e), c.next+1
			batch.Records = append(batch.Records, e, e)[:len(batch.Records)+1+b.dice.IntN(2)]
		}
	}
	if c := b.chains[b.dice.IntN(len(b.chains))]; b.dice.IntN(8) == 0 {
		split := record.Split{Chain: c.chain, At: 1 + uint64(b.dice.IntN(int(c.next)+2)), Before: record.ID{7}}
		split.Branch = record.ID{byte(b.dice.IntN(256)), 1}
		if b.dice.IntN(4) == 0 {
			split.Branch = record.ID{}
		}
		for range b.dice.IntN(3) {
			e := b.authors[c.author].at(b.t, split.At, uint64(b.dice.IntN(1000)), b.post())
			split.Heads = append(split.Heads, headOf(b.t, e.Record))
		}
		batch.Splits = append(batch.Splits, split)
	}
	if c := b.chains[b.dice.IntN(len(b.chains))]; b.dice.IntN(3) == 0 {
		device := identity.DeviceID{byte(b.dice.IntN(4))}
		batch.Levels = []record.Level{{Chain: c.chain, Device: device, Low: b.dice.Uint64N(9), High: b.dice.Uint64N(9)}}
		batch.Rosters = []record.Roster{{
			Feed: c.chain.Feed, From: b.dice.Uint64N(9), Members: []identity.DeviceID{device},
		}}
	}
	return batch
}

func headOf(t *testing.T, rec *record.Record) *record.Record {
	head, err := record.ParseHead(room, rec.Head())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func (b *both) step() {
	switch b.dice.IntN(30) {
	case 0:
		b.same("forget", b.disk.Forget(8), b.memory.Forget(8))
		b.keepScopes()
	case 1, 2:
		x, err := b.disk.Prune(b.now)
		y, other := b.memory.Prune(b.now)
		b.same("prune", err, other)
		b.equal("pruned", x, y)
	default:
		batches := []record.Batch{b.batch(), b.batch()}
		x, err := b.disk.Append(b.now, batches)
		y, other := b.memory.Append(b.now, batches)
		b.same("append", err, other)
		b.equal("floors", byScope(batches, x), byScope(batches, y))
		b.learn()
	}
	b.now = b.now.Add(time.Minute)
}

// byScope is what an Append gave up, whichever of its batches it was told with.
func byScope(batches []record.Batch, floors [][]record.Floor) map[uint64][]record.Floor {
	all := map[uint64][]record.Floor{}
	for i := range floors {
		all[batches[i].Scope] = append(all[batches[i].Scope], floors[i]...)
	}
	return all
}

// learn asks the memory where chains go on: what was refused was not kept, and a split made others of them.
func (b *both) learn() {
	for i := range b.chains {
		b.chains[i].next = 1
	}
	for _, scope := range []uint64{8, 7} {
		kept, _ := b.memory.Kept(scope, room)
		for _, k := range kept.Chains {
			at := slices.IndexFunc(b.chains, func(c tip) bool { return c.chain == k.Chain })
			if at < 0 {
				author := slices.IndexFunc(b.authors, func(a *author) bool { return a.feed == k.Chain.Feed })
				b.chains = append(b.chains, tip{author: author, chain: k.Chain})
				at = len(b.chains) - 1
			}
			b.chains[at].next = k.High + 1
		}
		for _, gone := range kept.Gone {
			at := slices.IndexFunc(b.chains, func(c tip) bool { return c.chain == gone.Chain })
			if at >= 0 {
				b.chains[at].next = gone.Low
			}
		}
	}
}

func (b *both) keepScopes() {
	for id, retention := range map[uint64]record.Retention{
		7: {Count: 150, Age: 45 * time.Minute}, 8: {Bytes: 9000},
	} {
		s := record.Scope{ID: id, Room: room, Retention: retention}
		if err := errors.Join(b.disk.KeepScope(s), b.memory.KeepScope(s)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *both) same(what string, disk, memory error) {
	b.t.Helper()
	if (disk == nil) != (memory == nil) || disk != nil && !errors.Is(disk, memory) {
		b.t.Fatalf("%s: the disk says %v, the memory %v", what, disk, memory)
	}
}

func (b *both) equal(what string, disk, memory any) {
	b.t.Helper()
	if x, y := show(disk), show(memory); x != y {
		b.t.Fatalf("%s: the disk says\n%s\nthe memory\n%s", what, x, y)
	}
}

// show writes records by their ids, and no list like an empty one.
func show(v any) string {
	switch v := v.(type) {
	case []record.Entry:
		s := ""
		for _, e := range v {
			s += fmt.Sprintf("%v %d of %v at %d\n", e.ID, e.Header.Seq, e.Branch, e.Kept)
		}
		return s
	case record.Kept:
		s := show(v.Standing) + fmt.Sprint(v.Order, v.Rosters, v.Levels, v.Gone)
		for _, h := range v.Heads {
			s += fmt.Sprintf("\nhead %v %d of %x", h.ID, h.Header.Seq, h.Header.Feed.Author[:2])
		}
		for _, c := range v.Chains {
			s += fmt.Sprintf("\n%v %d to %d, %v at %d", c.Chain, c.Low, c.High, c.Head.ID, c.Heard)
			s += fmt.Sprintf(" from %d after %v", c.First, c.Before)
		}
		return s
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Map && r.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("%v", v)
}

// compare asks both everything.
func (b *both) compare() {
	for scope := range uint64(10) {
		ask(b, "kept", func(s Store) (any, error) { return s.Kept(scope, room) })
		ask(b, "counts", func(s Store) (any, error) {
			n, size, err := s.Counts(scope)
			return [2]int64{int64(n), size}, err
		})
		c := b.chains[b.dice.IntN(len(b.chains))].chain
		seq := b.dice.Uint64N(9)
		ask(b, "levels", func(s Store) (any, error) { return s.Levels(scope, c) })
		ask(b, "roster", func(s Store) (any, error) {
			r, ok, err := s.Roster(scope, c.Feed, seq)
			return fmt.Sprint(r, ok), err
		})
		for _, to := range []uint64{seq, seq + 40, 1<<64 - 1} {
			spans := []record.Span{{Chain: c, From: seq, To: to}}
			ask(b, "load", func(s Store) (any, error) { return s.Load(scope, spans, b.ids[:min(9, len(b.ids))]) })
		}
	}
	q := Query{Scopes: []uint64{8, 7}, Limit: b.dice.IntN(9), Newest: b.dice.IntN(2) == 0, Kinds: b.dice.IntN(2) == 0,
		Topics: b.dice.IntN(4) == 0}
	if b.dice.IntN(2) == 0 {
		q.After = &Place{Order: uint64(b.dice.IntN(900)), ID: record.ID{8}}
	}
	if b.dice.IntN(2) == 0 {
		q.Before = &Place{Order: uint64(b.dice.IntN(900)), ID: record.ID{8}}
	}
	if b.dice.IntN(2) == 0 {
		q.Since = start.UnixNano() + b.dice.Int64N(900)
	}
	ask(b, fmt.Sprintf("page %+v", q), func(s Store) (any, error) { return s.Page(q) })
	for _, q.Search = range []string{b.words(), "gr", "e", "GRÜN", "²", "x", "ete", "σας", "日本", "-", "4 red"} {
		ask(b, fmt.Sprintf("search %q", q.Search), func(s Store) (any, error) { return s.Page(q) })
	}
	if len(b.ids) > 0 {
		targets := []record.ID{b.ids[b.dice.IntN(len(b.ids))], b.ids[0]}
		ask(b, "targets", func(s Store) (any, error) { return s.Targets(q.Scopes, targets) })
		prefix := targets[0].String()[:b.dice.IntN(27)]
		ask(b, "find "+prefix, func(s Store) (any, error) {
			found, err := s.Find(q.Scopes, prefix)
			if len(found) == 2 {
				return 2, err // which two is nobody's concern
			}
			return found, err
		})
	}
}

func ask(b *both, what string, question func(Store) (any, error)) {
	b.t.Helper()
	x, err := question(b.disk)
	y, other := question(b.memory)
	b.same(what, err, other)
	b.equal(what, x, y)
}

// Whatever is done to them, in whatever order, the two stores answer the same.
func TestTheStoresAgree(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d, err := Open(t.TempDir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			b := &both{t: t, dice: rand.New(rand.NewPCG(seed, 1)), disk: d, memory: NewMemory(), now: start}
			for i := range 3 {
				a := newAuthor(t, byte(i+1))
				b.authors = append(b.authors, a)
				b.chains = append(b.chains, tip{author: i, chain: record.Chain{Feed: a.feed}, next: 1})
			}
			b.keepScopes()
			for i := range 120 {
				if b.step(); i%20 == 19 {
					b.compare()
				}
			}
		})
	}
}
