package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// streams are those of a cable: reliable, in order, without delay. What is said on them waits for flow.
type streams struct {
	pipes     []*pipe
	waiting   []func()
	lost      wire.Type // datagrams of this type are
	dials     int
	datagrams int // bytes of them
	bytes     int
	entries   int
	limit     int                        // so many bytes, and a stream breaks
	most      map[*host]int              // how many each served at once
	blocked   bool                       // no stream comes about: a firewall
	tardy     bool                       // that an offer has drained is told after it was taken of
	shy       int                        // so many dialled streams are closed as soon as they are open
	answer    func(h *host, op StreamOp) // takes the place of whoever is dialled
}

// pipe is one stream between two hosts.
type pipe struct {
	ends  [2]*host
	ids   [2]uint64
	bytes int
}

var errCut = errors.New("the connection was cut")

// operate does what a host wants of its streams.
func (c *cable) operate(h *host, op StreamOp) {
	if op.Kind == StreamDial {
		c.dials++
	}
	if c.answer != nil {
		c.answer(h, op)
		return
	}
	if op.Kind == StreamDial {
		c.dial(h, op)
		return
	}
	for _, p := range c.pipes {
		end := slices.Index(p.ends[:], h)
		if end < 0 || p.ids[end] != op.ID {
			continue
		}
		other, id := p.ends[1-end], p.ids[1-end]
		if op.Kind == StreamClose {
			c.cut(p)
			return
		}
		c.bytes += len(op.Data)
		if p.bytes += len(op.Data); c.limit > 0 && p.bytes > c.limit {
			c.cut(p)
			return
		}
		c.entries += len(messagesIn(c.t, op.Data, wire.KindEntry))
		c.later(func() {
			for part := range slices.Chunk(op.Data, 16<<10) {
				other.StreamData(other.clock(), id, part)
				if c.tardy {
					other.StreamDrained(other.clock(), id)
				}
				other.settle()
			}
			h.StreamDrained(h.clock(), op.ID)
			h.settle()
		})
	}
}

func (c *cable) dial(h *host, op StreamOp) {
	i := slices.IndexFunc(c.hosts, func(o *host) bool {
		return o.addr.Addr() == op.To.Addr() && o.network == h.network && o.cfg.Key.Public() == op.Key
	})
	if i < 0 || c.blocked {
		c.later(func() { h.StreamClosed(h.clock(), op.ID, errCut); h.settle() })
		return
	}
	if c.shy > 0 {
		c.shy--
		c.later(func() { h.StreamOpened(h.clock(), op.ID, op.Key, [32]byte{1}, true); h.settle() })
		c.later(func() { h.StreamClosed(h.clock(), op.ID, errCut); h.settle() })
		return
	}
	p := &pipe{ends: [2]*host{h, c.hosts[i]}, ids: [2]uint64{op.ID, uint64(2 * c.dials)}}
	c.pipes = append(c.pipes, p)
	exporter := [32]byte{byte(c.dials), 1}
	for end, o := range p.ends {
		peer := p.ends[1-end].cfg.Key.Public()
		c.later(func() { o.StreamOpened(o.clock(), p.ids[end], peer, exporter, end == 0); o.settle() })
	}
}

// cut ends a stream; nothing that was on its way arrives.
func (c *cable) cut(p *pipe) {
	c.pipes = slices.DeleteFunc(c.pipes, func(o *pipe) bool { return o == p })
	for end, o := range p.ends {
		c.later(func() { o.StreamClosed(o.clock(), p.ids[end], errCut); o.settle() })
	}
}

func (c *cable) later(f func()) { c.waiting = append(c.waiting, f) }

// flow delivers what is on its way on streams.
func (c *cable) flow() {
	for n := 0; len(c.waiting) > 0; n++ {
		if n > 100_000 {
			c.t.Fatal("a hundred thousand things on streams in one moment")
		}
		for h := range c.most {
			c.most[h] = max(c.most[h], h.served())
		}
		next := c.waiting[0]
		c.waiting = c.waiting[1:]
		next()
	}
}

// messagesIn are the messages of one kind in whole messages.
func messagesIn(t testing.TB, b []byte, kind wire.Kind) []wire.Message {
	t.Helper()
	var found []wire.Message
	for len(b) > 0 {
		m, rest, err := wire.CutMessage(b, ^wire.Kinds(0))
		if err != nil || m == nil {
			t.Fatalf("half a message was written: %v", err)
		}
		if b = rest; m.Kind() == kind {
			found = append(found, m)
		}
	}
	return found
}

// ghosts are authors who are never here. What they said is marked, not signed: nobody waits for thousands of signatures.
var ghosts = func() (keys [3]identity.PublicKey) {
	for i := range keys {
		keys[i] = identity.PublicKey{9, byte(i)}
	}
	return keys
}()

const marked = 0xa5

// verifyPast takes the mark of a ghost, and of others signatures only.
func (c *cable) verifyPast(key identity.PublicKey, message, sig []byte) bool {
	if slices.Contains(ghosts[:], key) {
		return sig[0] == marked
	}
	return c.Verify(key, message, sig)
}

// past is what a ghost said in the lobby: n posts.
func past(t *testing.T, ghost, n int) []*record.Record {
	t.Helper()
	return pastOf(t, ghost, n, lobby, "")
}

// pastOf is what a ghost said in a room: n posts that end in text.
func pastOf(t *testing.T, ghost, n int, name identity.RoomName, text string) []*record.Record {
	t.Helper()
	known := fmt.Sprint(ghost, n, name, text)
	if all := pasts[known]; all != nil {
		return all
	}
	room := record.RoomID(seal.PublicSecret(name).RoomID())
	all := make([]*record.Record, n)
	var prev record.ID
	for i := range all {
		body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: fmt.Sprintf("%d of %d %s", i+1, ghost, text)}})
		if err != nil {
			t.Fatal(err)
		}
		h := record.Header{
			Feed: record.Feed{Author: ghosts[ghost], Epoch: 7}, Seq: uint64(i + 1), Prev: prev, Order: uint64(i + 1),
			BodyLength: uint16(len(body)), BodyHash: sha256.Sum256(body),
		}
		b := append([]byte{0, 1, marked}, make([]byte, identity.SignatureSize-1)...)
		if all[i], err = record.Parse(room, append(h.Append(b), body...)); err != nil {
			t.Fatal(err)
		}
		prev = all[i].ID
	}
	pasts[known] = all
	return all
}

// pasts are those that were made: many tests are about the same one, and records do not change.
var pasts = map[string][]*record.Record{}

// knows gives a host a past that it has stored.
func (h *host) knows(records ...*record.Record) {
	h.cable.t.Helper()
	for part := range slices.Chunk(records, 256) {
		h.Do(h.clock(), 3, Adopt{Room: lobby, Records: part})
		h.settle()
	}
}

// has is how many records of ghosts a host has stored in the lobby.
func (h *host) has() int {
	n := 0
	for _, rec := range h.kept[uint64(h.Serving(lobby)[0])] {
		if slices.Contains(ghosts[:], rec.Header.Feed.Author) {
			n++
		}
	}
	return n
}

func (h *host) wantHas(n int) {
	h.cable.t.Helper()
	if got := h.has(); got != n {
		h.cable.t.Errorf("%v has %d records of the past at %v, want %d", h.addr, got, h.cable.now, n)
	}
}

// wantOrder checks that what is stored follows in each feed without gaps, nothing twice.
func (h *host) wantOrder() {
	h.cable.t.Helper()
	next := map[record.Chain]uint64{}
	for _, rec := range h.kept[uint64(h.Serving(lobby)[0])] {
		if n := next[rec.Chain()]; n != 0 && rec.Header.Seq != n {
			h.cable.t.Fatalf("%v stored number %d where %d was to follow", h.addr, rec.Header.Seq, n)
		}
		next[rec.Chain()] = rec.Header.Seq + 1
	}
}

// A host that was away for 20,000 posts is level within seconds, nearly all by stream, and tells how it goes on.
func TestPullBringsALongAbsence(t *testing.T) {
	const n = 5_000
	c := newCable(t)
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	b := c.host(1)
	c.wait(5 * time.Second)
	b.wantHas(n)
	b.wantOrder()
	if c.dials != 1 || c.entries > n || c.entries < n-1024 { // until it is open, datagrams bring some
		t.Errorf("%d records in %d streams", c.entries, c.dials)
	}
	if len(b.synced) < 2 {
		t.Fatalf("told %d times how it goes on", len(b.synced))
	}
	last := b.synced[len(b.synced)-1]
	if !last.Done || last.Have != last.Total || last.Total < n-1024 || last.Device != a.id || b.synced[0].Done {
		t.Errorf("told %+v at last", last)
	}
	if len(b.synced) > 3 { // no time passes on this cable: the first and the last, and one more
		t.Errorf("told %d times in a moment", len(b.synced))
	}
	if len(a.streams())+len(b.streams()) != 0 {
		t.Error("a stream was left behind")
	}
}

func (h *host) streams() []*stream { return h.Engine.streams }

// That what was written before has drained may be told while the store is asked for what is taken now: it is asked once,
// and what it brings is given.
func TestALateDrainCostsNothing(t *testing.T) {
	const n = 3_000
	c := newCable(t)
	c.tardy, c.lost = true, wire.TypeWant
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	b := c.host(1)
	c.wait(2 * time.Second)
	b.wantHas(n)
	if c.dials != 1 || c.entries != n+1 { // a has joined
		t.Errorf("%d records in %d streams", c.entries, c.dials)
	}
}

// Five posts of 5,000 are repaired by datagrams, and cost what five posts cost.
func TestLittleIsNotPulled(t *testing.T) {
	const n = 5_000
	c := newCable(t)
	said := past(t, 0, n)
	a, b := c.host(1), c.host(1)
	a.knows(said...)
	b.knows(said[:n-5]...)
	c.datagrams = 0
	c.wait(10 * time.Second)
	b.wantHas(n)
	if c.dials != 0 || c.datagrams > 64<<10 {
		t.Errorf("%d streams and %d bytes of datagrams for five posts", c.dials, c.datagrams)
	}
}

// What came before a stream broke is kept, and the next one goes on from there.
func TestBrokenPullIsResumed(t *testing.T) {
	const n = 3_000
	c := newCable(t)
	c.limit, c.lost = 300<<10, wire.TypeWant
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	other := c.host(1)
	other.knows(past(t, 0, n)...)
	b := c.host(1)
	c.wait(3 * time.Second)
	if b.has() == n || b.has() < 500 || c.dials != 2 {
		t.Fatalf("%d records of %d streams, before each broke", b.has(), c.dials)
	}
	c.limit = 0
	c.wait(time.Minute)
	b.wantHas(n)
	b.wantOrder()
	if c.entries > n+2*256 {
		t.Errorf("%d records sent in %d streams for %d", c.entries, c.dials, n)
	}
}

// Behind a firewall that lets no stream through, repairs go on by datagrams, and it is tried seldom.
func TestFirewallCostsLittle(t *testing.T) {
	const n = 1_500
	c := newCable(t)
	c.blocked = true
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	b := c.host(1)
	c.wait(20 * time.Second)
	b.wantHas(n)
	if c.dials != 1 {
		t.Errorf("dialled %d times in 20 s", c.dials)
	}
}

// Who has not proven a newcomer yet closes its stream without a word. The newcomer tries again soon: else all that it
// missed would come by datagram.
func TestARefusedPullIsTriedAgainSoon(t *testing.T) {
	const n = 3_000
	c := newCable(t)
	c.shy, c.lost = 2, wire.TypeWant
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	b := c.host(1)
	c.wait(6 * time.Second)
	b.wantHas(n)
	if c.dials != 3 {
		t.Errorf("dialled %d times", c.dials)
	}
}

// others starts n more hosts.
func (c *cable) others(n int) []*host {
	var all []*host
	for range n {
		all = append(all, c.host(1))
	}
	return all
}

// Many who come back at once are served two at a time, and all in the end, also by each other.
func TestManyComeBackAtOnce(t *testing.T) {
	const n = 1_000
	c := newCable(t)
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	c.most = map[*host]int{}
	for _, h := range append([]*host{a}, c.others(6)...) {
		c.most[h] = 0
	}
	c.wait(time.Minute)
	for _, h := range c.hosts {
		h.wantHas(n)
		h.wantOrder()
	}
	for h, most := range c.most {
		if most > maxServed {
			t.Errorf("%v served %d at once", h.addr, most)
		}
	}
}

// served is how many a host serves now.
func (h *host) served() int {
	n := 0
	for _, st := range h.streams() {
		if st.step == offering || st.step == serving {
			n++
		}
	}
	return n
}
