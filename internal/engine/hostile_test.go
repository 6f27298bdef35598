package engine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// segment is a network without loss or delay on which not everybody is honest.
type segment struct {
	t        testing.TB
	now      time.Duration
	stations []*station
	foes     []*foe
	queue    []flying
	sent     []engine.Send // by stations, since the test last emptied it
	checks   int           // signatures asked for
	// streamPort is where all take streams; 0: nobody does.
	streamPort uint16
	engine.Ring
}

type flying struct {
	from netip.AddrPort
	send engine.Send
	only *station // the one that it reaches, if it does not reach all that it is for
}

// station is an honest engine with a store that keeps so many records of a room.
type station struct {
	*engine.Engine
	key     identitytest.Quick
	seg     *segment
	addr    netip.AddrPort
	off     bool // unplugged: it hears nobody and nobody hears it
	keep    int  // 0: all
	kept    map[uint64][]record.Entry
	shown   []string
	changes []chat.Event // who joined and left
	rivals  int          // rekeys by which a room is in two
	forks   []record.ID  // of which it was told
	knock   []identity.DeviceID
	keys    engine.Keys // that a rekey brought
	told    []engine.Reply
	ahead   time.Duration       // its wall clock
	missed  []identity.DeviceID // whom a rekey did not know of, as was told
	years   int                 // and by how much more
	full    bool                // its store keeps nothing
	// streams is what it wants of streams, where it takes some.
	streams []engine.StreamOp
}

const square identity.RoomName = "square"

func newSegment(t testing.TB) *segment { return &segment{t: t, Ring: engine.NewRing()} }

func (g *segment) verify(key identity.PublicKey, message, sig []byte) bool {
	g.checks++
	return g.Verify(key, message, sig)
}

func (g *segment) station(keep int) *station {
	g.t.Helper()
	n := byte(len(g.stations) + 1)
	random := rand.NewChaCha8([32]byte{n})
	key, err := identity.NewKey(random)
	if err != nil {
		g.t.Fatal(err)
	}
	s := &station{
		seg: g, key: g.Add(key), keep: keep, kept: map[uint64][]record.Entry{},
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 27475),
	}
	s.Engine, err = engine.New(s.clock(), engine.Config{
		Key: key, Signer: s.key, Instance: identity.Instance{Boot: 1, Nonce: uint64(n)}, Nick: identity.Nick(fmt.Sprintf("host%d", n)),
		RecvBuffer: 65535, UnicastPort: 27475, StreamPort: g.streamPort, Random: random, Timing: rand.New(random), Verify: g.verify,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.stations = append(g.stations, s)
	s.SetInterfaces(s.clock(), []engine.Interface{{
		Index: 1, Addrs: []netip.Addr{s.addr.Addr()}, MTU: 1500, Networks: []engine.NetworkID{{1}},
	}})
	s.Do(s.clock(), 1, engine.Join{Room: square})
	s.settle()
	return s
}

func (s *station) clock() engine.Now {
	return engine.Now{Mono: s.seg.now, Wall: time.Date(2026+s.years, 1, 2, 3, 4, 5, 0, time.UTC).Add(s.seg.now + s.ahead)}
}

func (s *station) say(text string) *record.Record {
	s.Do(s.clock(), 2, engine.Say{Room: square, Posts: []record.Post{{Kind: record.KindText, Text: text}}})
	s.settle()
	s.seg.pump()
	return s.last()
}

// last is the newest record of its own that it keeps.
func (s *station) last() *record.Record {
	own := slices.DeleteFunc(slices.Concat(s.kept[uint64(s.Serving(square)[0])]), func(r record.Entry) bool {
		return r.Header.Feed.Author != s.key.Public()
	})
	if len(own) == 0 {
		return nil // it was given up
	}
	return own[len(own)-1].Record
}

func (s *station) settle() {
	for {
		var out engine.Output
		s.Drain(&out)
		if out.IsEmpty() {
			return
		}
		for _, st := range out.Store {
			if s.full {
				s.Stored(s.clock(), st.Token, nil, errors.New("no space left"))
				continue
			}
			s.Stored(s.clock(), st.Token, s.append(st), nil)
		}
		for _, l := range out.Load {
			s.Loaded(s.clock(), l.Token, s.load(l))
		}
		for _, send := range out.Send {
			s.seg.sent = append(s.seg.sent, send)
			if !s.off {
				s.seg.queue = append(s.seg.queue, flying{from: s.addr, send: send})
			}
		}
		s.told, s.streams = append(s.told, out.Replies...), append(s.streams, out.Streams...)
		for _, e := range out.Events {
			if e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Posted {
				for _, p := range e.Chat.Posts {
					s.shown = append(s.shown, p.Text)
				}
			}
			if e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Forked {
				s.forks = append(s.forks, e.Chat.Record.ID)
			}
			if e.Kind == engine.RoomEvent && (e.Chat.Kind == chat.Joined || e.Chat.Kind == chat.Left) {
				s.changes = append(s.changes, e.Chat)
			}
			if e.Kind == engine.MissedEvent {
				s.missed = append(s.missed, e.Peer.ID)
			}
			if e.Kind == engine.RivalEvent {
				s.rivals++
			}
			if e.Kind == engine.KeysEvent {
				s.keys = *e.Keys
			}
			if e.Kind == engine.KnockEvent {
				s.knock = append(s.knock, e.Peer.ID)
			}
		}
	}
}

func (s *station) append(st engine.Store) (floors []record.Floor) {
	for i := range s.kept[st.Scope] {
		for _, split := range st.Splits {
			if e := &s.kept[st.Scope][i]; e.Chain() == split.Chain && e.Header.Seq >= split.At {
				e.Branch = split.Branch
			}
		}
	}
	all := append(s.kept[st.Scope], st.Records...)
	for s.keep > 0 && len(all) > s.keep {
		floors = append(floors, record.Floor{Chain: all[0].Chain(), Low: all[0].Header.Seq + 1})
		all = all[1:]
	}
	s.kept[st.Scope] = all
	return floors
}

func (s *station) load(l engine.Load) []record.Entry {
	return slices.DeleteFunc(slices.Clone(s.kept[uint64(l.Scope)]), func(rec record.Entry) bool {
		in := func(p record.Span) bool {
			return p.Chain == rec.Chain() && p.From <= rec.Header.Seq && rec.Header.Seq <= p.To
		}
		return !slices.ContainsFunc(l.Ranges, in) && !slices.Contains(l.IDs, rec.ID)
	})
}

func (s *station) wantShown(texts ...string) {
	s.seg.t.Helper()
	for _, text := range texts {
		if !slices.Contains(s.shown, text) {
			s.seg.t.Errorf("%v does not show %.20q at %v", s.addr, text, s.seg.now)
		}
	}
}

// pump delivers what is on its way.
func (g *segment) pump() {
	for count := 0; len(g.queue) > 0; count++ {
		if count > 200_000 {
			g.t.Fatal("200,000 datagrams in one moment")
		}
		f := g.queue[0]
		g.queue = g.queue[1:]
		for _, s := range g.stations {
			if s.off || s.addr == f.from || f.only != nil && f.only != s || f.send.To.IsValid() && f.send.To != s.addr {
				continue
			}
			op, drop := s.Opener().Open(engine.Datagram{
				Data: f.send.Data, Size: len(f.send.Data), From: f.from, Iface: 1, TTL: 255,
				Broadcast: !f.send.To.IsValid(), OnLink: true,
			})
			if drop == "" {
				s.Receive(s.clock(), op)
			}
			s.settle()
		}
		for _, foe := range g.foes {
			if f.from != foe.addr && (!f.send.To.IsValid() || f.send.To == foe.addr) {
				foe.hear(f)
			}
		}
	}
}

// wait lets time pass.
func (g *segment) wait(d time.Duration) {
	g.pump()
	for end := g.now + d; ; {
		next, due := end, (*station)(nil)
		for _, s := range g.stations {
			if at := s.Deadline(); at < next {
				next, due = at, s
			}
		}
		g.now = max(g.now, next)
		if due == nil {
			return
		}
		due.Advance(due.clock())
		due.settle()
		g.pump()
	}
}

// sentCount counts what stations sent since the last call for which match holds, and its bytes.
func (g *segment) sentCount(match func(engine.Send) bool) (count, size int) {
	for _, s := range g.sent {
		if match(s) {
			count, size = count+1, size+len(s.Data)
		}
	}
	g.sent = nil
	return count, size
}

func to(addr netip.AddrPort) func(engine.Send) bool {
	return func(s engine.Send) bool { return s.To == addr }
}

func ofType(types ...wire.Type) func(engine.Send) bool {
	return func(s engine.Send) bool { return slices.Contains(types, s.Type) }
}

// foe is a device that knows the room's name and keeps no rule. It completes the handshakes that it begins, and
// promises a beat in ten minutes.
type foe struct {
	seg        *segment
	key        identitytest.Quick
	instance   identity.Instance
	addr       netip.AddrPort
	counter    uint64
	random     *rand.ChaCha8
	room       *seal.Room
	challenges map[netip.AddrPort]wire.Challenge // that each station broadcast last
	meeting    bool
}

func (g *segment) foe() *foe {
	g.t.Helper()
	n := byte(len(g.foes) + 101)
	random := rand.NewChaCha8([32]byte{n})
	key, err := identity.NewKey(random)
	if err != nil {
		g.t.Fatal(err)
	}
	room, err := seal.Open(seal.PublicSecret(square), 0, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	f := &foe{
		seg: g, key: g.Add(key), random: random, room: room, instance: identity.Instance{Boot: 1, Nonce: uint64(n)},
		addr:       netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 27475),
		challenges: map[netip.AddrPort]wire.Challenge{},
	}
	g.foes = append(g.foes, f)
	return f
}

// presence is a datagram of the foe's, said to come from addr.
func (f *foe) presence(t wire.Type, from netip.Addr, challenge, echo wire.Challenge) []byte {
	f.counter++
	return wire.SealPresence(wire.Presence{
		Type: t, Instance: f.instance, Counter: f.counter,
		Claims: wire.Claims{
			Nick: "mallory", Challenge: challenge, Echo: echo, Addrs: []netip.Addr{from}, UnicastPort: 27475,
			StreamPort: f.seg.streamPort, RecvBuffer: 65535, MaxVersion: 1, NextBeat: 10 * time.Minute, Rooms: []identity.RoomName{square},
		},
	}, f.key)
}

func (f *foe) hear(d flying) {
	p, err := wire.ParsePresence(d.send.Data)
	if err != nil {
		return
	}
	if !d.send.To.IsValid() {
		f.challenges[d.from] = p.Challenge
	}
	if f.meeting && p.Type != wire.TypeAck && d.send.To.IsValid() {
		f.send(d.from, f.presence(wire.TypeAck, f.addr.Addr(), wire.Challenge{}, p.Challenge))
	}
}

// meet proves the foe's address to all.
func (f *foe) meet() {
	f.meeting = true
	f.send(netip.AddrPort{}, f.presence(wire.TypeHello, f.addr.Addr(), wire.Challenge{1}, wire.Challenge{}))
	f.seg.wait(3 * time.Second)
	for _, s := range f.seg.stations {
		if p, known := s.Peer(f.key.ID()); !s.off && (!known || !p.Proven) {
			f.seg.t.Fatalf("%v did not prove itself to %v", f.addr, s.addr)
		}
	}
	f.seg.sent = nil
}

func (f *foe) send(dst netip.AddrPort, data []byte) { f.sendFrom(f.addr, dst, data) }

func (f *foe) sendFrom(src, dst netip.AddrPort, data []byte) {
	f.seg.queue = append(f.seg.queue, flying{from: src, send: engine.Send{To: dst, Data: data}})
}

// tell sends one station a frame, signed if its kind asks for it, in a datagram of at least size bytes.
func (f *foe) tell(s *station, frame wire.Frame, size int) {
	_, _, instance := s.Own()
	data := f.sealed(frame, instance, size)
	f.seg.queue = append(f.seg.queue, flying{from: f.addr, send: engine.Send{To: s.addr, Data: data}, only: s})
	f.seg.pump()
}

// sign makes a record of the foe's, after prev if there is one.
func (f *foe) sign(epoch, seq, order uint64, prev *record.Record, text string) *record.Record {
	body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: text}})
	if err != nil {
		f.seg.t.Fatal(err)
	}
	h := record.Header{Feed: record.Feed{Author: f.key.Public(), Epoch: epoch}, Seq: seq, Order: order}
	if prev != nil {
		h.Prev = prev.ID
	}
	return record.Sign(f.key, record.RoomID(f.room.ID), []record.Draft{{Header: h, Body: body}})[0]
}

func (f *foe) claim(s *station, claims ...wire.FeedClaim) {
	f.tell(s, wire.Digest{Root: [32]byte{1}, Feeds: uint32(len(claims)), Claims: claims}, 0)
}

func feedOf(rec *record.Record) record.ShortFeed { return rec.Header.Feed.Short() }

// What nobody can put in order fills the space for records held behind gaps; records that are in order need
// none of it.
func TestHeldRecordsDoNotStopTheRoom(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	for seq := uint64(2); seq < 300; seq++ {
		m.tell(b, wire.Record{Bytes: m.sign(1, seq, 1, nil, strings.Repeat("x", 16000)).Bytes()}, 0)
	}
	for seq := uint64(300); seq < 400; seq++ {
		m.tell(b, wire.Record{Bytes: m.sign(1, seq, 1, nil, "x").Bytes()}, 0)
	}
	a.say("in order")
	g.wait(time.Minute)
	b.wantShown("in order")
}

// Where a feed begins for a newcomer is not for the first liar to say.
func TestLyingClaimDoesNotHideAFeed(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	rec := a.say("before")
	a.off = true
	b := g.station(0)
	m.meet()
	m.claim(b, wire.FeedClaim{Feed: feedOf(rec), Low: 1 << 40, High: 1 << 40})
	a.off = false
	g.wait(10 * time.Second)
	a.say("after")
	g.wait(time.Minute)
	b.wantShown("before", "after")
}

// One datagram every few seconds must not keep a long post, and all that follows it, from a newcomer.
func TestFalsePieceDoesNotBlockALongPost(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	text := strings.Repeat("long ", 2000)
	rec := a.say(text)
	b := g.station(0)
	for range 20 {
		m.tell(b, wire.Frag{Record: rec.ID, Total: 100, Data: []byte{0}}, 0)
		g.wait(3 * time.Second)
	}
	b.wantShown(text)
}

// Feeds that nobody needs make place for one that somebody speaks in.
func TestHeadsOfAStrangerLeavePlaceForFeeds(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	feeds := make([]record.Draft, 4200) // more than a room has place for
	for epoch := range feeds {
		feeds[epoch].Header = record.Header{Feed: record.Feed{Author: m.key.Public(), Epoch: uint64(epoch)}, Seq: 1, Order: 1}
	}
	for flight := range slices.Chunk(feeds, record.MaxFlight) {
		for _, first := range record.Sign(m.key, record.RoomID(m.room.ID), flight) {
			m.tell(a, wire.Head{Bytes: first.Head()}, 0)
		}
	}
	g.station(0).say("new here")
	g.wait(30 * time.Second)
	a.wantShown("new here")
}

// A challenge that was broadcast proves that who echoes it hears the link, not that the source address is
// its own: at one that never echoed what was sent to it alone, nothing is asked for and nothing is repaired.
func TestForgedSourceIsNotFlooded(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	var rec *record.Record
	for range 100 {
		rec = a.say(strings.Repeat("x", 1000))
	}
	victim := netip.MustParseAddrPort("10.0.0.250:9")
	m.sendFrom(victim, a.addr, m.presence(wire.TypeAnswer, victim.Addr(), wire.Challenge{2}, m.challenges[a.addr]))
	g.pump()
	g.sent = nil
	m.tell(a, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: feedOf(rec), From: 1, To: 200}}}, 0)
	g.wait(time.Minute)
	if count, size := g.sentCount(to(victim)); count > 10 {
		t.Errorf("%d datagrams, %d bytes, to an address that answered none", count, size)
	}
}

// An address goes on naming the peer that answers there, whoever says to be there too.
func TestForgedSourceTakesNoAddress(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	m.sendFrom(b.addr, a.addr, m.presence(wire.TypeAnswer, b.addr.Addr(), wire.Challenge{2}, m.challenges[a.addr]))
	g.wait(time.Second)
	if p, _ := a.PeerAt(b.addr); p.ID != b.key.ID() {
		t.Errorf("%v is %s's address now", b.addr, p.Nick)
	}
}

// One question gets one answer, and who asks much is served at a rate.
func TestQuestionsDoNotMultiply(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	var rec *record.Record
	for range 300 {
		rec = a.say("x")
	}
	m.meet()
	var all wire.Range
	for range wire.MaxSpans {
		all.Spans = append(all.Spans, wire.Span{To: [8]byte(bytes.Repeat([]byte{255}, 8)), Listed: true})
	}
	m.tell(a, all, 1024)
	if _, size := g.sentCount(to(m.addr)); size > 1024 {
		t.Errorf("%d bytes for a range of 1024", size)
	}
	for range 50 {
		m.tell(a, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: feedOf(rec), From: 1, To: 400}}}, 256)
		g.wait(20 * time.Millisecond)
	}
	if count, size := g.sentCount(to(m.addr)); size > 3<<19 {
		t.Errorf("%d datagrams, %d bytes, in one second for 50 wants of 256 bytes", count, size)
	}
}

// Sixteen liars who claim everything do not make the one who has it forgotten.
func TestLiarsDoNotCrowdOutAHolder(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	rec := a.say("the author is gone")
	g.wait(3 * time.Second)
	b.wantShown("the author is gone")
	a.off, b.off = true, true
	c := g.station(0)
	for range 16 {
		m := g.foe()
		m.meet()
		m.claim(c, wire.FeedClaim{Feed: feedOf(rec), Low: 1, High: 1000})
	}
	b.off = false
	g.wait(2 * time.Minute)
	c.wantShown("the author is gone")
}

// R10: asked for "while a peer that is here claims it", and not for ever because one once did.
func TestAskingEndsWithTheLiar(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	m.meet()
	m.claim(b, wire.FeedClaim{Feed: feedOf(a.say("all there is")), Low: 1, High: 1 << 62})
	m.send(netip.AddrPort{}, m.presence(wire.TypeBye, m.addr.Addr(), wire.Challenge{}, wire.Challenge{}))
	g.wait(30 * time.Second)
	g.sent = nil
	g.wait(time.Minute)
	if count, _ := g.sentCount(ofType(wire.TypeWant)); count > 0 {
		t.Errorf("%d wants a minute for what nobody here claims", count)
	}
}

// Feeds that somebody invents are asked for together, not in a datagram each.
func TestInventedFeedsMakeNoStorm(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	m.meet()
	for n := range uint64(10) {
		claims := make([]wire.FeedClaim, 40)
		for i := range claims {
			claims[i] = wire.FeedClaim{Low: 1, High: 1 << 62}
			binary.BigEndian.PutUint64(claims[i].Feed[:], n<<32+uint64(i))
		}
		m.claim(a, claims...)
	}
	g.wait(10 * time.Second)
	g.sent = nil
	g.wait(5 * time.Second)
	if count, _ := g.sentCount(ofType(wire.TypeWant)); count > 100 {
		t.Errorf("%d wants in five seconds", count)
	}
}

// One record from the year 6429 does not end the order of all that follow.
func TestOrderStaysUsable(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	far := wire.Record{Bytes: m.sign(1, 1, record.MaxOrder, nil, "last").Bytes()}
	m.tell(a, far, 0)
	m.tell(b, far, 0)
	order := uint64(0)
	for i := range 8 {
		h := []*station{a, b}[i%2].say(fmt.Sprint(i)).Header
		if h.Order <= order {
			t.Errorf("post %d has order %d after %d", i, h.Order, order)
		}
		order = h.Order
		g.wait(100 * time.Millisecond)
	}
}

// Padding is not part of a record and is not kept with it: limits in bytes count what memory is taken.
func TestPaddingTakesNoMemory(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	var prev *record.Record
	for seq := uint64(1); seq <= 300; seq++ {
		prev = m.sign(1, seq, seq, prev, "x")
		m.tell(a, wire.Record{Bytes: prev.Bytes()}, 60_000)
	}
	a.wantShown("x")
	if after := heap(); after > before+5<<20 {
		t.Errorf("300 small records take %d KiB", (after-before)>>10)
	}
	runtime.KeepAlive(a)
}

// What the author itself has given up is not waited for: the feed goes on where it can be had.
func TestFeedGoesOnAboveItsFloor(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(5), g.station(0)
	g.wait(3 * time.Second)
	a.say("0")
	g.wait(3 * time.Second)
	b.wantShown("0")
	b.off = true
	for i := range 20 {
		a.say(fmt.Sprint(i + 1))
	}
	b.off = false
	g.wait(time.Minute)
	b.wantShown("19", "20")
}

// Members who differ about a fork agree soon; those who can not agree about what was given up stop talking about it.
func TestDisagreementGetsQuiet(t *testing.T) {
	quiet := func(t *testing.T, g *segment) {
		t.Helper()
		g.wait(5 * time.Minute)
		g.sent = nil
		g.wait(time.Minute)
		if count, _ := g.sentCount(ofType(wire.TypeDigest, wire.TypeRange, wire.TypeWant)); count > 20 {
			t.Errorf("two idle members send %d digests, ranges and wants a minute", count)
		}
	}
	t.Run("fork", func(t *testing.T) {
		g := newSegment(t)
		a, b, m := g.station(0), g.station(0), g.foe()
		m.tell(a, wire.Record{Bytes: m.sign(1, 1, 1, nil, "yes").Bytes()}, 0)
		m.tell(b, wire.Record{Bytes: m.sign(1, 1, 1, nil, "no").Bytes()}, 0)
		quiet(t, g)
		a.wantShown("yes", "no")
		b.wantShown("yes", "no")
	})
	t.Run("floor", func(t *testing.T) {
		g := newSegment(t)
		a, _ := g.station(5), g.station(0)
		g.wait(3 * time.Second)
		for i := range 10 {
			a.say(fmt.Sprint(i))
		}
		quiet(t, g)
	})
}

// P9 holds for what says to be of our own key, too.
func TestForgeriesOfOurOwnKeyAreBudgeted(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	g.wait(time.Second)
	g.checks = 0
	own := a.key.Public()
	for i := range uint32(2000) {
		m.instance = identity.Instance{Boot: 1 << 31, Nonce: uint64(i)}
		forged := m.presence(wire.TypeBeat, m.addr.Addr(), wire.Challenge{1}, wire.Challenge{})
		copy(forged[wire.PrefixSize:], own[:])
		m.send(a.addr, forged)
	}
	g.pump()
	if g.checks > 1000 {
		t.Errorf("%d signatures checked in one moment", g.checks)
	}
}

// A feed of which the store has given up all is not claimed any more (R6), and so not asked for.
func TestNothingGivenUpIsClaimed(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(5)
	g.wait(3 * time.Second)
	a.say("soon forgotten")
	g.wait(3 * time.Second)
	a.off = true
	for i := range 10 {
		b.say(fmt.Sprint(i))
	}
	c := g.station(0)
	g.wait(time.Minute)
	c.wantShown("9")
	g.sent = nil
	g.wait(time.Minute)
	if count, _ := g.sentCount(ofType(wire.TypeWant)); count > 0 {
		t.Errorf("%d wants a minute for what nobody has", count)
	}
}

// rootOf is the root of a station's digests, as everybody who has what it has can compute it.
func rootOf(s *station) [32]byte {
	high := map[record.ShortFeed]*record.Record{}
	for _, rec := range s.kept[uint64(s.Serving(square)[0])] {
		high[feedOf(rec.Record)] = rec.Record
	}
	sum := new(big.Int)
	for feed, rec := range high {
		b := slices.Concat([]byte("bcast/1 claim\x00"), feed[:], []byte{0, 0, 0, 0, 0, 0, 0, 1})
		h := sha256.Sum256(append(binary.BigEndian.AppendUint64(b, rec.Header.Seq), rec.ID[:]...))
		sum.Add(sum, new(big.Int).SetBytes(h[:]))
	}
	var root [32]byte
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256)).FillBytes(root[:])
	return root
}

// One member who agrees again and again is one, and does not silence the digests (RFC 6206's k counts
// members) by which another learns what it missed.
func TestAgreementDoesNotSilenceTheRoom(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	m.meet()
	g.wait(3 * time.Second)
	b.off = true
	a.say("missed")
	g.wait(2500 * time.Millisecond)
	b.off = false
	for range 1200 {
		m.tell(a, wire.Digest{Root: rootOf(a)}, 0)
		g.wait(100 * time.Millisecond)
	}
	b.wantShown("missed")
}

// Who only made records, as anybody can, was never seen on the network: it does not take the network along
// (N2).
func TestAuthorsDoNotCarryTheNetworkAlong(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	b.say("at the office")
	var crowd []*foe
	for range 3 {
		m := g.foe()
		m.tell(a, wire.Record{Bytes: m.sign(1, 1, 1, nil, "hi").Bytes()}, 0)
		crowd = append(crowd, m)
	}
	g.wait(3 * time.Second)
	b.off = true
	a.SetInterfaces(a.clock(), []engine.Interface{{
		Index: 1, Addrs: []netip.Addr{a.addr.Addr()}, MTU: 1500, Networks: []engine.NetworkID{{2}},
	}})
	a.settle()
	stranger := g.station(0)
	for _, m := range crowd {
		m.meet()
	}
	g.wait(time.Minute)
	if slices.Contains(stranger.shown, "at the office") {
		t.Error("a stranger elsewhere reads what was said at the office")
	}
}

// CVE-2020-26164 again: oversized datagrams cost a short buffer a line a second and source, and say how many came; those
// of more sources than are told apart cost one line together.
func TestADV_03_Cut_datagrams_are_shown_together(t *testing.T) {
	g := newSegment(t)
	a := g.station(0)
	var shown []engine.Cut
	drain := func() {
		var out engine.Output
		a.Drain(&out)
		for _, e := range out.Events {
			if e.Kind == engine.CutEvent {
				shown = append(shown, *e.Cut)
			}
		}
	}
	cut := func(from netip.AddrPort) {
		op, _ := a.Opener().Open(engine.Datagram{Data: make([]byte, 600), Size: 1400, From: from, Iface: 1, OnLink: true})
		a.Receive(a.clock(), op)
		drain()
	}
	one := netip.MustParseAddrPort("10.0.0.9:1")
	for range 1000 {
		cut(one)
	}
	if len(shown) != 1 || shown[0].Count != 1 || shown[0].From != one || shown[0].Received != 600 || shown[0].Size != 1400 {
		t.Fatalf("at once: %+v", shown)
	}
	g.now += time.Second
	a.Advance(a.clock())
	drain()
	if len(shown) != 2 || shown[1].Count != 999 {
		t.Fatalf("after a second: %+v", shown)
	}
	shown = nil
	for i := range 1000 {
		cut(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 1))
	}
	for range 3 {
		g.now += time.Second
		a.Advance(a.clock())
		drain()
	}
	total := 0
	for _, c := range shown {
		total += c.Count
	}
	if len(shown) > 20 || total != 1000 {
		t.Errorf("a thousand sources: %d lines for %d datagrams", len(shown), total)
	}
}

// One noisy member and a disk that has stopped: of 4 MiB that it says 2 MiB wait for the disk, so that what others say
// waits behind no more than that; what was refused of it is counted, and taken when it comes again.
func TestADV_flood_A_noisy_member_leaves_others_served(t *testing.T) {
	g := newSegment(t)
	a, noisy, quiet := g.station(0), g.foe(), g.foe()
	g.wait(time.Second)
	var waiting []engine.Store
	say := func(m *foe, rec *record.Record) wire.Drop {
		frame := wire.Record{Bytes: rec.Bytes()}
		outer, err := m.room.Outer(wire.Prefix(frame.Type()), m.random)
		if err != nil {
			t.Fatal(err)
		}
		data := m.room.Seal(outer, wire.AppendFrame(nil, frame), 0)
		op, drop := a.Opener().Open(engine.Datagram{Data: data, Size: len(data), From: m.addr, Iface: 1, OnLink: true, TTL: 255})
		if drop == "" {
			drop = a.Receive(a.clock(), op)
		}
		var out engine.Output
		a.Drain(&out)
		waiting = append(waiting, out.Store...)
		return drop
	}
	first := quiet.sign(1, 1, 1, nil, "first")
	if drop := say(quiet, first); drop != "" {
		t.Fatal(drop)
	}
	taken, refused := 0, 0
	noise := []*record.Record{nil}
	for seq := uint64(1); seq <= 260; seq++ {
		rec := noisy.sign(1, seq, seq, noise[len(noise)-1], strings.Repeat("x", 16000))
		noise = append(noise, rec)
		if say(noisy, rec) == wire.DropQueueFull {
			refused++
		} else {
			taken += len(rec.Bytes())
		}
	}
	if drop := say(quiet, quiet.sign(1, 2, 2, first, "second")); drop != "" {
		t.Errorf("what another says is refused: %s", drop)
	}
	if taken > 2<<20+20_000 || refused == 0 {
		t.Errorf("%d bytes of the noisy one wait for the disk, %d posts refused", taken, refused)
	}
	for len(waiting) > 0 {
		st := waiting[0]
		waiting = waiting[1:]
		a.Stored(a.clock(), st.Token, nil, nil)
	}
	for _, rec := range noise[1:] {
		if drop := say(noisy, rec); drop != "" {
			t.Fatalf("after the disk caught up: %s", drop)
		}
		for ; len(waiting) > 0; waiting = waiting[1:] {
			a.Stored(a.clock(), waiting[0].Token, nil, nil)
		}
	}
	if stored := a.Rooms(a.clock())[0].Stored; stored < len(noise)-1+2 {
		t.Errorf("%d records stored, %d said", stored, len(noise)-1+2)
	}
}
