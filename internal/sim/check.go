package sim

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// checker knows what was really said and holds everything that engines do against it.
type checker struct {
	w         *world
	feeds     map[record.Feed]*feed
	order     []*feed // in the order in which they began
	byID      map[record.ID]*record.Record
	byShort   map[record.ShortFeed]*feed
	texts     map[record.ID]string // what engines were told to say
	tap       tap
	expected  map[record.ID]*expectation
	latency   latencies
	converged time.Duration
}

// feed is what its author said, the truth.
type feed struct {
	id      record.Feed
	author  *node
	run     int
	records []*record.Record
	said    []time.Duration
	home    *segment // where it was first sent: nothing of it may ever be sent elsewhere
}

// view is what one process has shown.
type view struct {
	shown map[record.Feed]uint64 // number and index of the last post shown
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, feeds: map[record.Feed]*feed{}, byID: map[record.ID]*record.Record{},
		byShort: map[record.ShortFeed]*feed{}, expected: map[record.ID]*expectation{},
		texts: map[record.ID]string{},
	}
	c.tap = newTap(w)
	return c
}

// store checks records that an engine wants kept (I2, I3, I4, I5): each is what its author said, and the next of its
// feed.
func (c *checker) store(n *node, s engine.Store) {
	for _, rec := range s.Records {
		c.w.note(n, uint32(s.Scope), rec.ID[:])
		f := c.feeds[rec.Header.Feed]
		news := f == nil || f.run == n.run && rec.Header.Seq > uint64(len(f.records))
		if news && rec.Header.Feed.Author == n.key.Public() {
			f = c.said(n, f, rec)
		}
		switch {
		case f == nil || rec.Header.Seq > uint64(len(f.records)):
			c.w.violate("I2", "%v stores %d of a feed, which nobody said", n, rec.Header.Seq)
			return
		case !same(f.records[rec.Header.Seq-1], rec):
			c.w.violate("I2", "%v stores another %d of the feed of %v than was said", n, rec.Header.Seq, f.author)
			return
		}
		r := n.store.scopes[s.Scope][rec.Header.Feed]
		if r != nil && rec.Header.Seq <= r.high() {
			c.w.violate("I3", "%v stores %d of the feed of %v again", n, rec.Header.Seq, f.author)
		}
		if r != nil && rec.Header.Seq > r.high()+1 {
			c.w.violate("I4", "%v stores %d of the feed of %v after %d", n, rec.Header.Seq, f.author, r.high())
		}
		n.store.take(s.Scope, rec)
	}
}

func same(a, b *record.Record) bool { return a.ID == b.ID && bytes.Equal(a.Bytes(), b.Bytes()) }

// said enters a record that its author's engine made: it is the truth from now on. An author never makes two with one
// number (I5), and its order grows (I7 rests on that).
func (c *checker) said(n *node, f *feed, rec *record.Record) *feed {
	if f == nil {
		f = &feed{id: rec.Header.Feed, author: n, run: n.run}
		c.feeds[f.id] = f
		c.byShort[f.id.Short()] = f
		c.order = append(c.order, f)
	}
	if rec.Header.Seq != uint64(len(f.records))+1 {
		c.w.violate("I5", "%v says %d after %d", n, rec.Header.Seq, len(f.records))
	}
	if l := len(f.records); l > 0 {
		if last := f.records[l-1]; rec.Header.Order <= last.Header.Order || rec.Header.Prev != last.ID {
			c.w.violate("I4", "%v: record %d does not continue its feed", n, rec.Header.Seq)
		}
	}
	f.records = append(f.records, rec)
	f.said = append(f.said, c.w.now)
	c.byID[rec.ID] = rec
	return f
}

// event checks what is shown (I2, I3, I4): each post as its author said it, once, and after those before it.
func (c *checker) event(n *node, e engine.Event) {
	c.w.note(n, uint32(e.Kind)<<8|uint32(e.Chat.Kind), []byte(e.Peer.Status.String()))
	if c.w.watch != nil {
		c.w.watch(n, e)
	}
	if e.Kind != engine.RoomEvent || e.Chat.Kind != chat.Posted {
		return
	}
	rec := e.Chat.Record
	f := c.feeds[rec.Header.Feed]
	if f == nil || rec.Header.Seq > uint64(len(f.records)) || !same(f.records[rec.Header.Seq-1], rec) {
		c.w.violate("I2", "%v shows a post that nobody said", n)
		return
	}
	if text, told := c.texts[rec.ID]; e.Chat.Device != f.author.key.ID() || told && e.Chat.Post.Text != text {
		c.w.violate("I2", "%v shows a post of %v that it did not say", n, f.author)
	}
	if n.view.shown == nil {
		n.view.shown = map[record.Feed]uint64{}
	}
	at := rec.Header.Seq<<8 | uint64(e.Chat.Index)
	switch last := n.view.shown[f.id]; {
	case at == last:
		c.w.violate("I3", "%v shows post %d of the feed of %v twice", n, rec.Header.Seq, f.author)
	case at < last:
		c.w.violate("I4", "%v shows post %d of the feed of %v after %d", n, rec.Header.Seq, f.author, last>>8)
	}
	n.view.shown[f.id] = at
	c.arrived(n, rec)
}

// ledger is what passed between a process and addresses that proved nothing to it, and what it broadcast.
type ledger struct {
	heardFrom, sentTo map[netip.AddrPort]int
	tokens            float64
	at                time.Duration
	saying            map[uint64]string // what the engine was told to say, by token
}

func newLedger() ledger {
	return ledger{
		heardFrom: map[netip.AddrPort]int{}, sentTo: map[netip.AddrPort]int{}, saying: map[uint64]string{},
	}
}

func (l *ledger) heard(p *packet) { l.heardFrom[p.from] += len(p.data) }

// What a process may broadcast in rooms, by the kind of its link: bytes a second and at once. Presence has bounds of
// its own.
const (
	wiredRate, wiredBurst = 1 << 20, 256 << 10
	wifiRate, wifiBurst   = 12 << 10, 24 << 10
)

// send checks what leaves an engine: size, amplification and budget (I9), and that nothing leaves its network (N1).
func (c *checker) send(n *node, s *engine.Send) {
	if len(s.Data) > wire.MaxDatagram {
		c.w.violate("I9", "%v sends a datagram of %d bytes", n, len(s.Data))
	}
	l := &n.ledger
	switch {
	case s.To.IsValid():
		if _, proven := n.engine.PeerAt(s.To); !proven {
			l.sentTo[s.To] += len(s.Data)
			if l.sentTo[s.To] > l.heardFrom[s.To] {
				c.w.violate("I9", "%v sends %v: %d bytes to %v, which proved nothing and sent %d",
					n, s.Type, l.sentTo[s.To], s.To, l.heardFrom[s.To])
			}
		}
	case !s.Type.Presence():
		rate, burst := float64(wiredRate), float64(wiredBurst)
		if c.w.opt.Wifi {
			rate, burst = wifiRate, wifiBurst
		}
		l.tokens = min(burst+wire.MaxDatagram, l.tokens+rate*(c.w.now-l.at).Seconds())
		if l.at == 0 {
			l.tokens = burst + wire.MaxDatagram
		}
		l.at = c.w.now
		if l.tokens -= float64(len(s.Data)); l.tokens < -1 {
			c.w.violate("I9", "%v broadcasts more than its budget", n)
		}
	}
	if s.Type.Presence() {
		c.w.signatures.believe(s.Data[len(s.Data)-identity.SignatureSize:])
	} else {
		c.tap.inspect(n, s)
	}
}

// all compares all members completely (I1, I7): who shares a segment and a room holds the same.
func (c *checker) all() {
	if f, n, m := c.apart(c.w.now - settled); f != nil {
		c.w.violate("I1", "%v lacks of the feed of %v what %v has (%d of %d)", n, f.author, m, c.high(n, f), c.high(m, f))
	}
	for _, s := range c.w.segments {
		var first []record.ID
		var of *node
		for _, n := range s.members() {
			order := c.shownOrder(n)
			if of == nil {
				first, of = order, n
			} else if len(order) == len(first) && !slices.Equal(order, first) {
				c.w.violate("I7", "%v and %v show one set in two orders", of, n)
			}
		}
	}
}

// shownOrder is what a node's history shows, in the room's order.
func (c *checker) shownOrder(n *node) []record.ID {
	var all []*record.Record
	for _, scope := range n.scopes() {
		for _, r := range n.store.scopes[scope] {
			all = append(all, r.records...)
		}
	}
	slices.SortFunc(all, func(a, b *record.Record) int {
		return cmp.Or(cmp.Compare(a.Header.Order, b.Header.Order), bytes.Compare(a.ID[:], b.ID[:]))
	})
	ids := make([]record.ID, len(all))
	for i, rec := range all {
		ids[i] = rec.ID
	}
	return ids
}

// settled is how long a record may take before all must have it.
const settled = 15 * time.Second

// apart finds a member that lacks what another one of its segment has, of what was said before a moment.
func (c *checker) apart(before time.Duration) (*feed, *node, *node) {
	for _, s := range c.w.segments {
		members := s.members()
		for _, f := range c.order {
			if f.home != s {
				continue
			}
			count, _ := slices.BinarySearch(f.said, before)
			var most *node
			for _, n := range members {
				if most == nil || c.high(n, f) > c.high(most, f) {
					most = n
				}
			}
			for _, n := range members {
				if c.high(n, f) < min(uint64(count), c.high(most, f)) {
					return f, n, most
				}
			}
		}
	}
	return nil, nil, nil
}

// high is how far a node has a feed, in what it shows now.
func (c *checker) high(n *node, f *feed) (high uint64) {
	for _, scope := range n.scopes() {
		if r := n.store.scopes[scope][f.id]; r != nil {
			high = max(high, r.high())
		}
	}
	return high
}

// scopes are those that a node serves now.
func (n *node) scopes() []engine.ScopeID {
	return n.engine.Serving(lobby)
}

// members are those that take part in the lobby on a segment.
func (s *segment) members() []*node {
	var all []*node
	for _, c := range s.nics {
		if c.node.takesPart() && c.node.in(lobby) {
			all = append(all, c.node)
		}
	}
	return all
}
