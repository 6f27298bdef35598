package engine

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// script is one stream of which a test says the other end.
type script struct {
	c      *cable
	h      *host // whose stream it is
	peer   *host // who the other end is said to be
	id     uint64
	said   []wire.Message
	bytes  int
	closed bool
}

var scriptExporter = [32]byte{77}

// scripts has the test say the other end of every stream.
func (c *cable) scripts() *[]*script {
	all := &[]*script{}
	c.answer = func(h *host, op StreamOp) {
		if op.Kind == StreamDial {
			i := slices.IndexFunc(c.hosts, func(o *host) bool { return o.cfg.Key.Public() == op.Key })
			*all = append(*all, &script{c: c, h: h, peer: c.hosts[i], id: op.ID})
			return
		}
		for _, s := range *all {
			switch {
			case s.h != h || s.id != op.ID:
			case op.Kind == StreamClose:
				s.closed = true
			default:
				s.bytes += len(op.Data)
				for kind := wire.KindProof; kind <= wire.KindBusy; kind++ {
					s.said = append(s.said, messagesIn(c.t, op.Data, kind)...)
				}
			}
		}
	}
	return all
}

// knock opens a stream to h in the name of peer.
func (c *cable) knock(all *[]*script, h, peer *host) *script {
	s := &script{c: c, h: h, peer: peer, id: uint64(2*len(*all) + 2)}
	*all = append(*all, s)
	h.StreamOpened(h.clock(), s.id, peer.cfg.Key.Public(), scriptExporter, false)
	h.settle()
	return s
}

// opened says that the stream which h dialled is open.
func (s *script) opened() {
	s.h.StreamOpened(s.h.clock(), s.id, s.peer.cfg.Key.Public(), scriptExporter, true)
	s.h.settle()
}

func (s *script) say(messages ...wire.Message) {
	var b []byte
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	s.sayBytes(b)
}

func (s *script) sayBytes(b []byte) {
	s.h.StreamData(s.h.clock(), s.id, b)
	s.h.settle()
}

func (s *script) drained() {
	s.h.StreamDrained(s.h.clock(), s.id)
	s.h.settle()
}

// proof is the one of this stream for a room.
func (s *script) proof(name identity.RoomName, end byte, exporter [32]byte) wire.Proof {
	s.c.t.Helper()
	keys, err := seal.Open(seal.PublicSecret(name), 0, nil)
	if err != nil {
		s.c.t.Fatal(err)
	}
	if s.id%2 == 1 { // dialled by h
		return wire.Proof{MAC: keys.StreamProof(end, exporter, s.h.id, s.peer.id)}
	}
	return wire.Proof{MAC: keys.StreamProof(end, exporter, s.peer.id, s.h.id)}
}

func (s *script) right() wire.Proof {
	if s.id%2 == 1 {
		return s.proof(lobby, seal.Acceptor, scriptExporter)
	}
	return s.proof(lobby, seal.Dialler, scriptExporter)
}

func (s *script) wantClosed(why string) {
	s.c.t.Helper()
	if !s.closed || s.h.stream(s.id) != nil {
		s.c.t.Errorf("%s: the stream is still open at %v", why, s.c.now)
	}
}

func frames(b []byte, messages ...wire.Message) []byte {
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	return b
}

// What comes of a message drop by drop is not copied with each drop.
func TestADV_03_A_message_drop_by_drop_takes_no_more(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	s := c.knock(c.scripts(), a, b)
	s.say(s.right())
	var claims wire.StreamClaims
	for n := range 600 {
		claims.Claims = append(claims.Claims, wire.FeedClaim{Feed: record.ShortFeed{byte(n), byte(n >> 8)}, Low: 1, High: 1})
	}
	message := frames(nil, claims)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, drop := range message[:len(message)-1] {
		s.sayBytes([]byte{drop})
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%d bytes taken for a message of %d", took, len(message))
	}
	if s.sayBytes(message[len(message)-1:]); len(s.said) != 2 {
		t.Errorf("%d answers", len(s.said))
	}
}

// Who does not prove to know a room, or not here, learns nothing: not even that a room is unknown.
func TestStreamTellsNothingToWhoProvesNothing(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	left, far := c.host(1), c.host(2)
	c.wait(3 * time.Second)
	left.Do(left.clock(), 4, Bye{})
	left.settle()
	all := c.scripts()
	tests := []struct {
		name string
		as   *host
		say  func(s *script) []byte
	}{
		{"no room's proof", b, func(*script) []byte { return frames(nil, wire.Proof{}) }},
		{"a room unknown here", b, func(s *script) []byte {
			return frames(nil, s.proof("elsewhere", seal.Dialler, scriptExporter))
		}},
		{"the acceptor's proof", b, func(s *script) []byte {
			return frames(nil, s.proof(lobby, seal.Acceptor, scriptExporter))
		}},
		{"another connection's proof", b, func(s *script) []byte {
			return frames(nil, s.proof(lobby, seal.Dialler, [32]byte{1}))
		}},
		{"a member elsewhere", far, func(s *script) []byte { return frames(nil, s.right()) }},
		{"a member that has left", left, func(s *script) []byte { return frames(nil, s.right()) }},
		{"claims without proof", b, func(*script) []byte { return frames(nil, wire.StreamClaims{All: true}) }},
		{"garbage", b, func(*script) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }},
		{"four gigabytes", b, func(*script) []byte { return []byte{255, 255, 255, 255, byte(wire.KindProof)} }},
		{"nothing for ten seconds", b, func(*script) []byte { c.wait(11 * time.Second); return nil }},
	}
	for _, test := range tests {
		s := c.knock(all, a, test.as)
		if test.as != b {
			s.wantClosed(test.name + ", before a word")
		}
		s.sayBytes(test.say(s))
		s.wantClosed(test.name)
		if len(s.said) != 0 {
			t.Errorf("%s: was told %T", test.name, s.said[0])
		}
	}
	s := c.knock(all, a, b)
	s.say(s.right(), wire.StreamClaims{All: true})
	if s.closed || len(s.said) != 2 {
		t.Errorf("a member was told %v", s.said)
	}
}

// serving is a stream by which a serves b, who has claimed nothing and been made an offer.
func (c *cable) serving(all *[]*script, a, b *host) (*script, wire.Offer) {
	c.t.Helper()
	s := c.knock(all, a, b)
	s.say(s.right(), wire.StreamClaims{All: true})
	if len(s.said) != 2 {
		c.t.Fatalf("said %d things, want a proof and an offer", len(s.said))
	}
	offer, ok := s.said[1].(wire.Offer)
	if !ok {
		c.t.Fatalf("got %T, want an offer", s.said[1])
	}
	s.said, s.bytes = nil, 0
	return s, offer
}

// served is a cable of two members, of which a, which has a past, serves b by the streams of a script.
func served(t *testing.T, past []*record.Record) (c *cable, a, b *host, all *[]*script) {
	t.Helper()
	c = newCable(t)
	a, b = c.host(1), c.host(1)
	a.knows(past...)
	c.wait(3 * time.Second)
	return c, a, b, c.scripts()
}

func TestServedPeerThatDoesNotRead(t *testing.T) {
	c, a, b, all := served(t, pastOf(t, 0, 200, lobby, strings.Repeat("x", 8000)))
	s, offer := c.serving(all, a, b)
	take := wire.Take{}
	for _, o := range offer.Claims {
		take.Ranges = append(take.Ranges, wire.SeqRange{Feed: o.Feed, From: 1, To: 1 << 50})
	}
	s.say(take)
	if s.bytes == 0 || s.bytes > writeBytes+20<<10 {
		t.Errorf("%d bytes written to who does not read", s.bytes)
	}
	for range 3 {
		s.drained()
	}
	if s.bytes > 4*(writeBytes+20<<10) || s.bytes < 3*writeBytes {
		t.Errorf("%d bytes written to who read thrice", s.bytes)
	}
	c.wait(11 * time.Second)
	s.wantClosed("reads nothing")
}

// Of small records, too, little is loaded ahead for who does not read.
func TestServedPeerThatDoesNotReadSmallRecords(t *testing.T) {
	c, a, b, all := served(t, past(t, 0, 1000))
	s, offer := c.serving(all, a, b)
	s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: s.feedOf(offer), From: 1, To: 1000}}})
	if n := len(s.said); n != loadRecords {
		t.Errorf("%d records written to who does not read, want %d", n, loadRecords)
	}
	s.drained()
	if n := len(s.said); n != 2*loadRecords {
		t.Errorf("%d records written to who read once, want %d", n, 2*loadRecords)
	}
}

// feedOf is the chain of the first ghost in an offer.
func (s *script) feedOf(offer wire.Offer) [8]byte {
	s.c.t.Helper()
	name := record.Feed{Author: ghosts[0], Epoch: 7}.Short()
	if !slices.ContainsFunc(offer.Claims, func(c wire.FeedClaim) bool { return c.Feed == name }) {
		s.c.t.Fatal("the past is not offered")
	}
	return name
}

func TestServedPeerMayNotStayForEver(t *testing.T) {
	c, a, b, all := served(t, past(t, 0, 500))
	s, _ := c.serving(all, a, b)
	c.wait(21 * time.Second)
	s.wantClosed("asks for nothing")
	s, offer := c.serving(all, a, b)
	for range 17 {
		c.wait(18 * time.Second)
		s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: s.feedOf(offer), From: 1, To: 1}}})
	}
	s.wantClosed("asks for a little, for ever")
}

// What was taken on a stream is not given on it again, nor what was not offered: a member that asks for the same as
// often as it can gets each record once.
func TestADV_03_A_record_goes_once_on_a_stream(t *testing.T) {
	c, a, b, all := served(t, past(t, 0, 100))
	s, offer := c.serving(all, a, b)
	feed := s.feedOf(offer)
	for _, take := range []struct {
		from, to uint64
		want     int
	}{{1, 60, 60}, {1, 60, 0}, {1, 60, 0}, {41, 80, 20}, {1, 1 << 50, 20}, {1, 1 << 50, 0}} {
		s.said = nil
		s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: feed, From: take.from, To: take.to}}})
		s.drained()
		if n := len(s.said) - 1; n != take.want || s.said[n] != (wire.End{}) {
			t.Errorf("%d to %d: %d records, want %d and the end", take.from, take.to, n, take.want)
		}
	}
	s = c.knock(all, a, b)
	s.say(s.right(), wire.StreamClaims{})
	s.said = nil
	s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: feed, From: 1, To: 60}}})
	if len(s.said) != 1 || s.said[0] != (wire.End{}) {
		t.Errorf("what was not offered is given: %v", len(s.said))
	}
}

// Nothing that a member says while it is served is taken, nor anything out of its turn.
func TestServedPeerOutOfTurn(t *testing.T) {
	c, a, b, all := served(t, past(t, 0, 500))
	for _, m := range []wire.Message{wire.End{}, wire.Offer{}, wire.Busy{}, wire.Proof{}, wire.StreamClaims{}, wire.Entry{}} {
		s, _ := c.serving(all, a, b)
		s.say(m)
		s.wantClosed("said something out of turn")
	}
	s, offer := c.serving(all, a, b)
	take := wire.Take{Ranges: []wire.SeqRange{{Feed: s.feedOf(offer), From: 1, To: 500}}}
	s.say(take, take)
	s.wantClosed("two takes at once")
	s, _ = c.serving(all, a, b)
	s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: [8]byte{1}, From: 1, To: 9}}})
	if len(s.said) != 1 || s.said[0] != (wire.End{}) {
		t.Errorf("asked for what is not there, got %v", s.said)
	}
}

// A thousand streams of a member make one; of strangers none. Members are served two at a time.
func TestManyStreamsOfOneDevice(t *testing.T) {
	c := newCable(t)
	a := c.host(1)
	members := c.others(4)
	far := c.host(2)
	c.wait(3 * time.Second)
	all := c.scripts()
	for range 1000 {
		c.knock(all, a, members[0])
		c.knock(all, a, far)
	}
	if n := len(a.streams()); n != 1 {
		t.Errorf("%d streams", n)
	}
	busy := 0
	for _, m := range members {
		s := c.knock(all, a, m)
		s.say(s.right(), wire.StreamClaims{All: true})
		if m, ok := s.said[len(s.said)-1].(wire.Busy); ok {
			busy++
			if m.RetryMillis < 1000 || m.RetryMillis > 5000 {
				t.Errorf("asked to come back after %d ms", m.RetryMillis)
			}
		}
	}
	if busy != 2 {
		t.Errorf("%d of four were told to come back", busy)
	}
}

// Who is gone from the network is not served any more, though its stream is still there (N1).
func TestServedPeerThatIsGone(t *testing.T) {
	c, a, b, all := served(t, pastOf(t, 0, 200, lobby, strings.Repeat("x", 8000)))
	s, offer := c.serving(all, a, b)
	s.say(wire.Take{Ranges: []wire.SeqRange{{Feed: s.feedOf(offer), From: 1, To: 200}}})
	before := s.bytes
	a.plug(2)
	s.drained()
	s.wantClosed("moved to another network")
	if before == 0 || s.bytes != before {
		t.Errorf("%d bytes at home, and %d on another network", before, s.bytes-before)
	}
}

// What comes of a stream after a move belongs to the network that was left.
func TestPullerThatIsGone(t *testing.T) {
	_, _, said, s := lying(t, 1000)
	s.say(s.right(), s.offer(said))
	s.h.plug(2)
	s.sayBytes(entries(said[0]))
	s.wantClosed("moved to another network")
	if n := s.h.has(); n != 0 {
		t.Errorf("%d records taken along", n)
	}
}

// lying is a host b that lacks what a claims, and the stream by which it wants to pull. Repairs by datagram are lost.
func lying(t *testing.T, n int) (*cable, *[]*script, []*record.Record, *script) {
	t.Helper()
	c := newCable(t)
	c.lost = wire.TypeWant
	all := c.scripts()
	a := c.host(1)
	said := past(t, 0, n)
	a.knows(said...)
	b := c.host(1)
	c.wait(3 * time.Second)
	if len(*all) != 1 || (*all)[0].h != b {
		t.Fatalf("%d streams dialled, want one", len(*all))
	}
	s := (*all)[0]
	s.opened()
	return c, all, said, s
}

// offer is the honest one of n records of the first ghost.
func (s *script) offer(said []*record.Record) wire.Offer {
	head := said[len(said)-1]
	return wire.Offer{Claims: []wire.FeedClaim{{
		Feed: head.Header.Feed.Short(), Low: 1, High: uint64(len(said)), Head: [4]byte(head.ID[:4]),
	}}}
}

func entries(records ...*record.Record) []byte {
	var b []byte
	for _, rec := range records {
		b = frames(b, wire.Entry{Bytes: rec.Bytes()})
	}
	return b
}

func TestPulledFromALiar(t *testing.T) {
	const n = 1000
	unsigned := func(said []*record.Record) []byte {
		b := slices.Clone(said[0].Bytes())
		b[2] = 0
		return b
	}
	tests := []struct {
		name string
		lie  func(s *script, said []*record.Record) []byte
		kept int
	}{
		{"garbage", func(*script, []*record.Record) []byte { return []byte("HTTP/1.1 400 Bad Request") }, 0},
		{"its own proof back", func(s *script, _ []*record.Record) []byte { return frames(nil, s.said[0]) }, 0},
		{"another room's proof", func(s *script, _ []*record.Record) []byte {
			return frames(nil, s.proof("elsewhere", seal.Acceptor, scriptExporter))
		}, 0},
		{"a record before the offer", func(s *script, said []*record.Record) []byte {
			return append(frames(nil, s.right()), entries(said[0])...)
		}, 0},
		{"a record that was not taken", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return entries(said[256])
		}, 0},
		{"a record twice", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return entries(said[0], said[1], said[1])
		}, 2},
		{"another feed's record", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return entries(said[0], past(t, 1, 2)[1])
		}, 1},
		{"another room's record", func(s *script, _ []*record.Record) []byte {
			said := record.Sign(s.peer.cfg.Key, record.RoomID(seal.PublicSecret("elsewhere").RoomID()), []record.Draft{{
				Header: record.Header{Feed: record.Feed{Author: s.peer.cfg.Key.Public(), Epoch: 3}, Seq: 1}, Body: []byte{0x80},
			}})
			s.say(s.right(), s.offer(said))
			return entries(said...)
		}, 0},
		{"an unsigned record", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return frames(nil, wire.Entry{Bytes: unsigned(said)})
		}, 0},
		{"a record cut short", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return frames(nil, wire.Entry{Bytes: said[0].Bytes()[:150]})
		}, 0},
		{"a record in a branch that was not taken", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return frames(nil, wire.Entry{Branch: said[0].ID, Bytes: said[0].Bytes()})
		}, 0},
		{"an offer and nothing of it", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			return frames(nil, wire.End{})
		}, 0},
		{"no offer", func(s *script, _ []*record.Record) []byte { return frames(nil, s.right(), wire.Offer{}) }, 0},
		{"silence", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			s.c.wait(11 * time.Second)
			return nil
		}, 0},
		{"drop by drop", func(s *script, said []*record.Record) []byte {
			s.say(s.right(), s.offer(said))
			for i := range 4 {
				s.sayBytes(entries(said[i]))
				s.c.wait(9 * time.Second)
			}
			return nil
		}, 4},
	}
	for _, test := range tests {
		c, all, said, s := lying(t, n)
		s.sayBytes(test.lie(s, said))
		s.wantClosed(test.name)
		if got := s.h.has(); got != test.kept {
			t.Errorf("%s: %d records kept, want %d", test.name, got, test.kept)
		}
		c.wait(20 * time.Second)
		if len(*all) != 1 {
			t.Errorf("%s: pulled from again within %v", test.name, c.now)
		}
		if s.h.pulling != nil {
			t.Errorf("%s: the pull goes on", test.name)
		}
	}
}

// Whoever else has it is pulled from as soon as a liar has lost the pull.
func TestPulledFromAnotherThanTheLiar(t *testing.T) {
	const n = 1000
	c, _, said, s := lying(t, n)
	other := c.host(1)
	other.knows(said...)
	s.sayBytes([]byte("garbage"))
	c.answer = nil
	c.wait(5 * time.Second)
	s.h.wantHas(n)
	s.h.wantOrder()
}

// Busy is not held against a member, but believed within reason.
func TestBusyMemberIsPulledFromLater(t *testing.T) {
	c, all, _, s := lying(t, 1000)
	s.say(s.right(), wire.Busy{RetryMillis: 4000})
	s.wantClosed("busy")
	c.wait(3 * time.Second)
	if len(*all) != 1 {
		t.Error("pulled from before it was time")
	}
	c.wait(3 * time.Second)
	if len(*all) != 2 {
		t.Errorf("%d pulls six seconds after one of four", len(*all))
	}
}

var errDisk = errors.New("no space left on device")

// A pull takes no more than the store has place for, and goes on when it has.
func TestPullWaitsForTheStore(t *testing.T) {
	const n = 900 // 14.4 MB: more than pullBacklog and takeRecordsLargest
	c := newCable(t)
	c.lost = wire.TypeWant
	a := c.host(1)
	a.knows(pastOf(t, 0, n, lobby, strings.Repeat("x", 16000))...)
	b := c.host(1)
	b.slow = true
	c.wait(3 * time.Second)
	if b.backlog <= pullBacklog || b.backlog > pullBacklog+takeRecordsLargest {
		t.Errorf("%d bytes on their way to a store that is stuck", b.backlog)
	}
	c.wait(time.Minute)
	b.slow = false
	for _, s := range b.queued {
		b.kept[s.Scope] = append(b.kept[s.Scope], s.Records...)
		b.Stored(b.clock(), s.Token, nil, nil)
		b.settle()
	}
	c.wait(time.Minute)
	b.wantHas(n)
	b.wantOrder()
}

const takeRecordsLargest = 256 * (18 << 10)

// A store that fails ends a pull; nobody else is blamed for it, and it goes on when the store works again.
func TestPullEndsWithTheStore(t *testing.T) {
	const n = 1000
	c := newCable(t)
	c.lost = wire.TypeWant
	a := c.host(1)
	a.knows(past(t, 0, n)...)
	b := c.host(1)
	b.disk = errDisk
	c.wait(15 * time.Second)
	b.wantHas(0)
	if c.dials != 2 || c.entries > 256 {
		t.Errorf("%d pulls and %d records for a store that fails", c.dials, c.entries)
	}
	b.disk = nil
	c.wait(12 * time.Second) // nobody is left alone for longer than the store was
	b.wantHas(n)
	b.wantOrder()
}
