package sim

import (
	"bytes"
	"cmp"
	"errors"
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
	crafted   map[record.ID]*record.Record             // by insiders, beside what their engines say
	texts     map[record.ID]string                     // what engines were told to say
	held      map[record.ID]map[identity.DeviceID]bool // on whose disk a record ever was
	tap       tap
	expected  map[record.ID]*expectation
	latency   latencies
	converged time.Duration
}

// feed is what its author said, the truth.
type feed struct {
	id      record.Feed
	author  *node
	records []*record.Record
	said    []time.Duration
	fixed   uint64 // up to which number a disk or the air has it: what its author may not say otherwise again
	doubted uint64 // and up to which number one process of the author, its doubter-th run, may not
	doubter int
	home    *segment // where it was first sent: nothing of it may ever be sent elsewhere
	cloned  bool     // its author was copied as it ran: two go on with it, and nothing can keep them from a fork
	forked  bool     // and so they did
}

// view is what one process has shown, or found to be on its disk.
type view struct {
	shown map[record.Chain]place // of the last post
}

// place is where a post stands in its chain.
type place struct {
	seq   uint64
	index int
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.seq, o.seq), cmp.Compare(p.index, o.index))
}

func newChecker(w *world) *checker {
	c := &checker{
		w: w, feeds: map[record.Feed]*feed{}, byID: map[record.ID]*record.Record{},
		byShort: map[record.ShortFeed]*feed{}, expected: map[record.ID]*expectation{},
		texts: map[record.ID]string{}, crafted: map[record.ID]*record.Record{},
		held: map[record.ID]map[identity.DeviceID]bool{},
	}
	c.tap = newTap(w)
	return c
}

// store checks records that an engine wants kept (I2, I3, I5): each is what its author said, and none is on the disk
// already. That each is the next of its chain (I4) the disk finds. It tells which own feed they continue.
func (c *checker) store(n *node, s engine.Store) (own record.Chain) {
	for _, e := range s.Records {
		rec := e.Record
		c.w.note(n, uint32(s.Scope), rec.ID[:])
		f := c.feeds[rec.Header.Feed]
		crafted := c.crafted[rec.ID]
		if crafted == nil && rec.Header.Feed.Author == n.key.Public() && (f == nil || !f.has(rec)) {
			if f != nil && f.cloned && !f.continues(rec) {
				c.crafted[rec.ID], c.byID[rec.ID], f.forked = rec, rec, true
				crafted = rec
			} else {
				f = c.said(n, f, rec)
			}
			own = e.Chain()
		}
		if (f == nil || !f.has(rec)) && (crafted == nil || !same(crafted, rec)) {
			c.w.violate("I2", "%v stores %d of a feed, which nobody said", n, rec.Header.Seq)
			return own
		}
		kept := n.disk.scope(engine.ScopeID(s.Scope))
		if kept != nil && kept.chains[e.Chain()].has(rec.Header.Seq) {
			c.w.violate("I3", "%v stores %v again", n, rec.ID)
		}
	}
	return own
}

// clone notes that two go on with what a device began.
func (c *checker) clone(n *node) {
	for _, f := range c.order {
		if f.id.Author == n.key.Public() {
			f.cloned = true
		}
	}
}

// has tells whether the author said that very record.
func (f *feed) has(rec *record.Record) bool {
	seq := rec.Header.Seq
	return seq > 0 && seq <= uint64(len(f.records)) && same(f.records[seq-1], rec)
}

// continues tells whether a record is the next of what the author said.
func (f *feed) continues(rec *record.Record) bool {
	l := len(f.records)
	return rec.Header.Seq == uint64(l)+1 && (l == 0 || rec.Header.Prev == f.records[l-1].ID)
}

func same(a, b *record.Record) bool { return a.ID == b.ID && bytes.Equal(a.Bytes(), b.Bytes()) }

// said enters a record that its author's engine made: it is the truth from now on. An author never makes two with one
// number (I5), unless the first one died with its process before anybody could know it; and its order grows (I7 rests
// on that).
func (c *checker) said(n *node, f *feed, rec *record.Record) *feed {
	if f == nil {
		f = &feed{id: rec.Header.Feed, author: n}
		if c.w.opt.Private { // nobody sees where it is sent; it is where all are
			f.home = c.w.home(n)
		}
		c.feeds[f.id] = f
		c.byShort[f.id.Short()] = f
		c.order = append(c.order, f)
		n.feeds++
	}
	seq, l := rec.Header.Seq, uint64(len(f.records))
	switch {
	case seq <= f.fixed, n == f.author && n.run == f.doubter && seq <= f.doubted:
		c.w.violate("I5", "%v signs a second record %d of one feed, first by %v", n, seq, f.author)
		return f
	case seq > l+1:
		c.w.violate("I5", "%v says %d after %d", n, seq, l)
		return f
	case seq <= l:
		f.records, f.said = f.records[:seq-1], f.said[:seq-1]
	}
	if seq > 1 {
		if last := f.records[seq-2]; rec.Header.Order <= last.Header.Order || rec.Header.Prev != last.ID {
			c.w.violate("I4", "%v: record %d does not continue its feed", n, rec.Header.Seq)
		}
	}
	c.w.tell("%v: record %d of its feed %x", n, seq, rec.Header.Feed.Epoch>>48)
	f.records = append(f.records, rec)
	f.said = append(f.said, c.w.now)
	c.byID[rec.ID] = rec
	return f
}

// shared is the record as its author's engine made it, in place of one that is the same: all devices have it once.
func (c *checker) shared(rec *record.Record) *record.Record {
	if known := c.byID[rec.ID]; known != nil && same(known, rec) {
		return known
	}
	return rec
}

// keeps notes that a device's disk has a batch.
func (c *checker) keeps(n *node, b *record.Batch) {
	for _, e := range b.Records {
		on := c.held[e.ID]
		if on == nil {
			on = map[identity.DeviceID]bool{}
			c.held[e.ID] = on
		}
		on[n.key.ID()] = true
		c.fixed(e.Record)
	}
}

// doubts notes that the next process may find a batch that this one was told has failed: it cannot know, so that what
// is its own in there it never says otherwise. The next one knows.
func (c *checker) doubts(n *node, b *record.Batch) {
	for _, e := range b.Records {
		if f := c.feeds[e.Header.Feed]; f != nil && f.author == n && f.has(e.Record) {
			f.doubted, f.doubter = e.Header.Seq, n.run
		}
	}
}

// counts checks what a ledger tells of an own post: no more have it than those on whose disks it ever was, and members
// that lie (I6). Of a post that was said in several scopes it tells of all.
func (c *checker) counts(n *node, id record.ID, have int) {
	if truth := len(c.held[id]) - 1 + c.w.opt.Insiders; have > max(truth, 0) && len(n.scopes()) == 1 {
		c.w.violate("I6", "%v tells that %d others have its post, and it never was on the disks of more than %d",
			n, have, truth)
	}
}

// fixed notes that a disk or the air has a record.
func (c *checker) fixed(rec *record.Record) {
	if f := c.feeds[rec.Header.Feed]; f != nil && f.has(rec) {
		f.fixed = max(f.fixed, rec.Header.Seq)
	}
}

// reply checks what an engine answers to a command. Only a disk that does not work is an excuse.
func (c *checker) reply(n *node, r engine.Reply) {
	switch {
	case r.Token == n.leaving && r.Err == nil:
		n.left()
	case r.Err != nil && n.troubled() && errors.Is(r.Err, engine.ErrReadOnly):
		delete(n.ledger.saying, r.Token)
	case r.Err != nil:
		c.w.violate("reply", "%v: %v", n, r.Err)
	case !r.Record.IsZero():
		c.counts(n, r.Record, r.Have)
		c.told(n, r)
	}
}

// wronged checks that a signature which is refused is one that was damaged on the way, or a lie: what an honest device
// signs is right, whoever passes it on.
func (c *checker) wronged(n *node, p *packet) {
	if !p.damaged && !p.lied {
		c.w.violate(string(wire.DropBadSignature), "%v refuses what %v sent", n, p.from)
	}
}

// event checks what is shown (I2, I3, I4): each post as its author said it, once, and after those before it.
func (c *checker) event(n *node, e engine.Event) {
	var status []byte
	if e.Peer != nil {
		status = []byte(e.Peer.Status.String())
	}
	c.w.note(n, uint32(e.Kind)<<8|uint32(e.Chat.Kind), status)
	if c.w.watch != nil {
		c.w.watch(n, e)
	}
	if e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Received {
		c.counts(n, e.Chat.Record.ID, e.Chat.Have)
	}
	if e.Kind != engine.RoomEvent || e.Chat.Kind != chat.Posted {
		return
	}
	rec := e.Chat.Record
	f := c.feeds[rec.Header.Feed]
	if crafted := c.crafted[rec.ID]; (f == nil || !f.has(rec)) && (crafted == nil || !same(crafted, rec)) {
		c.w.violate("I2", "%v shows a post that nobody said", n)
		return
	}
	text, told := c.texts[rec.ID]
	if e.Chat.Device != rec.Header.Feed.Author.ID() || told && e.Chat.Posts[0].Text != text {
		c.w.violate("I2", "%v shows a post that its author did not say", n)
	}
	chain := record.Chain{Feed: rec.Header.Feed, Branch: e.Chat.Branch}
	at := place{rec.Header.Seq, e.Chat.Index}
	switch last := n.view.shown[chain]; {
	case at == last:
		c.w.violate("I3", "%v shows post %d of feed %x twice", n, rec.Header.Seq, chain.Feed.Short())
	case at.compare(last) < 0:
		c.w.violate("I4", "%v shows post %d of feed %x after %d", n, rec.Header.Seq, chain.Feed.Short(), last.seq)
	}
	n.view.shown[chain] = at
	c.arrived(n, rec)
}

// ledger is what passed between a process and addresses that proved nothing to it, what it broadcast and what signed
// datagrams it took.
type ledger struct {
	heardFrom, sentTo tally
	tokens            float64
	at                time.Duration
	saying            map[uint64]string // what the engine was told to say, by token
	took              map[uint64]bool   // by checksum
}

func newLedger() ledger {
	return ledger{
		saying: map[uint64]string{}, took: map[uint64]bool{},
	}
}

func (l *ledger) heard(p *packet) { l.heardFrom.add(p.source, len(p.data)) }

// tally is bytes by the number of an address: see world.number.
type tally []int

func (t *tally) add(number, bytes int) {
	if number >= len(*t) {
		*t = append(*t, make([]int, number+1-len(*t))...)
	}
	(*t)[number] += bytes
}

func (t tally) of(number int) int {
	if number < len(t) {
		return t[number]
	}
	return 0
}

// What a process may broadcast in rooms, by the kind of its link: bytes a second and at once. Presence has bounds of
// its own.
const (
	wiredRate, wiredBurst = 1 << 20, 256 << 10
	wifiRate, wifiBurst   = 12 << 10, 24 << 10
)

// send checks what leaves an engine: size, amplification and budget (I9), and that nothing leaves its network (N1).
func (c *checker) send(n *node, s *engine.Send) {
	if n.insider != nil {
		return
	}
	if len(s.Data) > n.nics[0].limit() && s.Type != wire.TypeFork { // R30; a fork cannot be cut
		c.w.violate("I9", "%v sends a datagram of %d bytes", n, len(s.Data))
	}
	l := &n.ledger
	switch {
	case s.To.IsValid():
		if _, proven := n.engine.PeerAt(s.To); !proven {
			to := c.w.number(s.To)
			l.sentTo.add(to, len(s.Data))
			if sent, heard := l.sentTo.of(to), l.heardFrom.of(to); sent > heard {
				c.w.violate("I9", "%v sends %v: %d bytes to %v, which proved nothing and sent %d", n, s.Type, sent, s.To, heard)
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
	if !s.Type.Presence() {
		c.tap.inspect(n, s)
	}
}

// all compares all members completely (I1, I7): who shares a segment and a room holds the same.
func (c *checker) all() {
	if f, n, m := c.apart(c.w.now - c.w.settled()); f != nil {
		c.w.violate("I1", "%v lacks of the feed of %v what %v has (%d of %d)",
			n, f.author, m, c.high(n, f), c.high(m, f))
	}
	for _, s := range c.w.segments {
		var first []record.ID
		var of *node
		for _, n := range s.members() {
			order := c.shownOrder(n)
			if of == nil {
				first, of = order, n
			} else if !slices.Equal(order, first) && slices.Equal(sorted(order), sorted(first)) {
				c.w.violate("I7", "%v and %v show one set in two orders", of, n)
			}
		}
	}
	for _, f := range c.order {
		if f.forked && f.home != nil {
			c.agreed(f)
		}
	}
}

// count counts the pairs of a post and a member that is to have it in the end, and those where it is not there. What
// only a deaf member has is asked of one who next to never hears that, and may take longer.
func (c *checker) count() {
	for _, s := range c.w.segments {
		members := s.members()
		for _, f := range c.order {
			count, _ := slices.BinarySearch(f.said, c.w.now-c.w.settled())
			if f.home != s || f.author.insider != nil || f.forked {
				continue
			}
			most := uint64(0)
			for _, n := range members {
				if n.deaf == 0 {
					most = max(most, c.high(n, f))
				}
			}
			for _, n := range members {
				if n.mayLack() {
					continue
				}
				has := c.high(n, f)
				for _, rec := range f.records[:min(uint64(count), most)] {
					if _, post := c.texts[rec.ID]; post {
						c.w.count.Owed++
						if rec.Header.Seq > has {
							c.w.count.Missing++
						}
					}
				}
			}
		}
	}
}

func sorted(ids []record.ID) []record.ID {
	return slices.SortedFunc(slices.Values(ids), func(a, b record.ID) int { return bytes.Compare(a[:], b[:]) })
}

// shownOrder is what a node's history shows, in the room's order.
func (c *checker) shownOrder(n *node) []record.ID {
	var all []*record.Record
	for _, id := range n.scopes() {
		if s := n.disk.scope(id); s != nil {
			for _, r := range s.chains {
				for _, e := range r.entries {
					all = append(all, e.Record)
				}
			}
		}
	}
	slices.SortFunc(all, record.Compare)
	ids := make([]record.ID, len(all))
	for i, rec := range all {
		ids[i] = rec.ID
	}
	return ids
}

// settled is how long a record may take before all must have it. What the link holds back it holds back again when it
// is repaired.
func (w *world) settled() time.Duration {
	return 15*time.Second + 4*max(w.opt.ReorderBy-time.Second, 0)
}

// apart finds a member that lacks what another one of its segment has, of what was said before a moment.
func (c *checker) apart(before time.Duration) (*feed, *node, *node) {
	for _, s := range c.w.segments {
		members := s.members()
		served, high := make([][]*keptScope, len(members)), make([]uint64, len(members))
		for i, n := range members {
			served[i] = n.served()
		}
		for _, f := range c.order {
			if f.home != s || f.author.insider != nil || f.forked {
				continue
			}
			most := -1
			for i, n := range members {
				if high[i] = f.highIn(served[i]); n.deaf == 0 && (most < 0 || high[i] > high[most]) {
					most = i
				}
			}
			count, _ := slices.BinarySearch(f.said, before)
			for i, n := range members {
				// Who gives up what is old may have given up all of a feed; who hears next to nothing may take longer.
				if !n.mayLack() && high[i] < min(uint64(count), high[most]) {
					return f, n, members[most]
				}
			}
		}
	}
	return nil, nil, nil
}

// mayLack tells whether nothing is promised to a device: it gives up what is old, or hears next to nothing.
func (n *node) mayLack() bool { return n.keep.Count > 0 || n.deaf > 0 }

// high is how far a node has a feed, in what it shows now.
func (c *checker) high(n *node, f *feed) uint64 { return f.highIn(n.served()) }

// highIn is how far some scopes have f.
func (f *feed) highIn(served []*keptScope) (high uint64) {
	for _, s := range served {
		if r := s.chains[record.Chain{Feed: f.id}]; r != nil && len(r.entries) > 0 {
			high = max(high, r.high())
		}
	}
	return high
}

// served is what a node serves now, as its disk has it.
func (n *node) served() []*keptScope {
	var all []*keptScope
	for _, id := range n.scopes() {
		if s := n.disk.scope(id); s != nil {
			all = append(all, s)
		}
	}
	return all
}

// scopes are those that a node serves now.
func (n *node) scopes() []engine.ScopeID {
	return n.engine.Serving(lobby)
}
