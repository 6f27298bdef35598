package engine_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/fuzztest"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// Tests named TestADV hold what SECURITY.md promises against an advisory: each fails when its guard is taken out
// (scripts/guards).

// open has a station take a datagram and tells why it was refused, and what the station sent at once.
func (s *station) open(d engine.Datagram) (wire.Drop, []engine.Send) {
	s.settle()
	before := len(s.seg.sent)
	op, drop := s.Opener().Open(d)
	if drop == "" {
		drop = s.Receive(s.clock(), op)
	}
	s.settle()
	s.seg.queue = nil // what it answers goes nowhere
	return drop, s.seg.sent[before:]
}

func arriving(data []byte, from netip.AddrPort) engine.Datagram {
	return engine.Datagram{Data: data, Size: len(data), From: from, Iface: 1, TTL: 255, OnLink: true}
}

// sealed is a room datagram of the foe's, signed to an instance if its kind asks for a signature; zero: to all.
func (f *foe) sealed(frame wire.Frame, to identity.Instance, size int) []byte {
	f.seg.t.Helper()
	outer, err := f.room.Outer(wire.Prefix(frame.Type()), f.random)
	if err != nil {
		f.seg.t.Fatal(err)
	}
	inner := wire.AppendFrame(nil, frame)
	if frame.Type().Signed() {
		f.counter++
		sender := wire.Sender{Key: f.key.Public(), Instance: f.instance, Counter: f.counter, To: to}
		inner = wire.AppendSigned(nil, frame, sender, f.key, f.room.ID, outer)
	}
	return f.room.Seal(outer, inner, size)
}

// every is one datagram of each type, said to come from addr: presence with a challenge and with what echo gives, and
// frames that ask for all there is of rec's feed.
func (f *foe) every(from netip.AddrPort, echo wire.Challenge, rec *record.Record) [][]byte {
	var all [][]byte
	f.instance.Nonce += 1000
	for _, t := range []wire.Type{
		wire.TypeHello, wire.TypeAnswer, wire.TypeAck, wire.TypeBeat, wire.TypeProbe, wire.TypeEcho,
	} {
		all = append(all, f.presence(t, from.Addr(), wire.Challenge{byte(t), 1}, echo))
	}
	own := f.sign(9, 1, 1, nil, "x")
	other := f.sign(9, 1, 2, nil, "y")
	feed := feedOf(rec)
	span := wire.Span{To: [8]byte(bytes.Repeat([]byte{255}, 8)), Listed: true}
	for _, frame := range []wire.Frame{
		wire.Record{Bytes: own.Bytes()}, wire.Head{Bytes: own.Head()}, wire.Fork{A: own.Head(), B: other.Head()},
		wire.Frag{Record: own.ID, Total: uint16(len(own.Bytes())), Data: own.Bytes()},
		wire.Digest{Root: [32]byte{1}, Feeds: 1, Claims: []wire.FeedClaim{{Feed: feed, Low: 1, High: 1 << 40}}},
		wire.Range{Spans: []wire.Span{span}},
		wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: feed, From: 1, To: 1000}}},
		wire.Receipt{Stored: []wire.FeedClaim{{Feed: feed, Low: 1, High: 1}}},
		wire.Cut{Received: 300, Size: 600}, wire.Signal{Kind: 1}, wire.Busy{RetryMillis: 1},
	} {
		all = append(all, f.sealed(frame, identity.Instance{}, 256))
	}
	return append(all, f.presence(wire.TypeBye, from.Addr(), wire.Challenge{}, echo))
}

// CVE-2020-26164, CVE-2011-1002 and their like begin with a datagram that costs more than it should. TA14-017A: with one
// that is answered by more. Whatever type comes from an address that did not echo what was sent to it alone, no more bytes
// go there than came from it.
func TestADV_16_No_type_is_answered_by_more(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	var rec *record.Record
	for range 50 {
		rec = a.say(strings.Repeat("x", 1000))
	}
	g.wait(5 * time.Second)
	victim := netip.MustParseAddrPort("10.0.0.250:9")
	in, out := 0, 0
	g.sent = nil
	for round := range 6 {
		echo := wire.Challenge{}
		if round >= 3 { // it hears the link, and forges its address
			echo = m.challenges[a.addr]
		}
		for _, data := range m.every(victim, echo, rec) {
			in += len(data)
			m.sendFrom(victim, a.addr, data)
			g.wait(50 * time.Millisecond)
			for _, s := range g.sent {
				if s.To == victim {
					out += len(s.Data)
				}
			}
			g.sent = nil
			if out > in {
				t.Fatalf("%d bytes to who sent %d, after type %d", out, in, data[3])
			}
		}
	}
	if out == 0 {
		t.Error("nobody was answered at all")
	}
}

// CVE-2025-32900 (KDE Connect): what another key signed, or nobody, changes nothing that is shown of a device.
func TestADV_06_A_forged_nick_is_not_shown(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	_, _, m.instance = b.Own()
	m.counter = 1 << 40
	for range 3 {
		forged := m.presence(wire.TypeBeat, b.addr.Addr(), wire.Challenge{1}, wire.Challenge{})
		key := b.key.Public()
		copy(forged[wire.PrefixSize:], key[:])
		if drop, _ := a.open(arriving(forged, b.addr)); drop != wire.DropBadSignature {
			t.Errorf("drop %q", drop)
		}
	}
	if p, _ := a.Peer(b.key.ID()); p.Nick != "host2" {
		t.Errorf("it is called %s now", p.Nick)
	}
}

// CVE-2025-32901 (KDE Connect): no id crashes anything, whatever is in it.
func TestADV_07_Odd_ids_are_harmless(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	g.wait(time.Second)
	ids := [][]byte{make([]byte, 32), bytes.Repeat([]byte{255}, 32), append([]byte{1}, make([]byte, 31)...),
		bytes.Repeat([]byte("%n"), 16), []byte("../../../../etc/passwd\x00\n\r\x1b[2J      ")[:32]}
	for _, id := range ids {
		for _, at := range []int{4, 36, 56, 68, 448} { // key, instance, to, claims, signature
			for kind := wire.TypeHello; kind <= wire.TypeEcho; kind++ {
				data := m.presence(kind, m.addr.Addr(), wire.Challenge{1}, wire.Challenge{})
				copy(data[at:], id)
				if drop, _ := a.open(arriving(data, m.addr)); drop == "" {
					t.Errorf("%x at %d of a %v passes", id, at, kind)
				}
			}
		}
	}
	if n := len(a.Peers()); n > 0 {
		t.Errorf("%d peers", n)
	}
}

// CVE-2009-0758 (Avahi): a device knows what it sent itself, wherever it comes back from: no storm.
func TestADV_13_Own_datagrams_cause_nothing(t *testing.T) {
	run := func(reflect bool) (sent int) {
		g := newSegment(t)
		a, m := g.station(0), g.foe()
		m.meet()
		bridge := netip.MustParseAddrPort("10.0.0.200:27475")
		for range 10 {
			rec := a.say("said once")
			m.tell(a, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: feedOf(rec), From: 1, To: 100}}}, 0)
			g.wait(time.Second)
			own := slices.Clone(g.sent)
			sent += len(own)
			for _, s := range own {
				for _, from := range []netip.AddrPort{a.addr, bridge} {
					if !reflect {
						continue
					}
					if drop, _ := a.open(arriving(s.Data, from)); drop != wire.DropOwn {
						t.Errorf("a %v of its own is %q", s.Type, drop)
					}
				}
			}
			sent, g.sent = sent+len(g.sent)-len(own), nil
		}
		g.wait(10 * time.Second)
		return sent + len(g.sent)
	}
	if quiet, loud := run(false), run(true); loud != quiet {
		t.Errorf("%d datagrams sent, %d with a bridge that sends them back", quiet, loud)
	}
}

// CVE-2017-6519 (Avahi): what comes from another link, or passed a router, is not answered.
func TestADV_14_Off_link_is_not_answered(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	rec := a.say("x")
	m.meet()
	for _, c := range []struct {
		onLink bool
		ttl    int
		want   wire.Drop
	}{{false, 255, wire.DropOffLink}, {true, 254, wire.DropHops}, {true, 0, wire.DropHops}} {
		for _, data := range m.every(m.addr, wire.Challenge{}, rec) {
			d := arriving(data, m.addr)
			d.OnLink, d.TTL = c.onLink, c.ttl
			if drop, sent := a.open(d); drop != c.want || len(sent) > 0 {
				t.Errorf("type %d: %q, answered by %d datagrams", data[3], drop, len(sent))
			}
		}
	}
}

// CVE-2020-12695 (CallStranger): nothing is sent to an address or port that only a payload names.
func TestADV_17_Nothing_goes_where_a_payload_says(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	m.meeting = true
	hello := wire.SealPresence(wire.Presence{
		Type: wire.TypeHello, Instance: m.instance, Counter: 1 << 20,
		Claims: wire.Claims{
			Nick: "mallory", Challenge: wire.Challenge{1}, RecvBuffer: 65535, MaxVersion: 1, NextBeat: time.Minute,
			Addrs:       []netip.Addr{netip.MustParseAddr("10.0.0.250"), m.addr.Addr(), netip.MustParseAddr("8.8.8.8")},
			UnicastPort: 53, StreamPort: 25, Rooms: []identity.RoomName{square},
		},
	}, m.key)
	m.send(a.addr, hello)
	m.counter = 1 << 21
	g.wait(5 * time.Second)
	for range 20 {
		a.say("something to repair")
	}
	g.wait(20 * time.Second)
	for _, s := range g.sent {
		if s.To.IsValid() && s.To != m.addr {
			t.Fatalf("a %v to %v", s.Type, s.To)
		}
	}
}

// CVE-2024-2169 (Loop DoS): one datagram with the address of another causes at most one answer, and that none.
func TestADV_18_Two_devices_do_not_answer_each_other(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	rec := a.say("x")
	g.wait(20 * time.Second)
	for _, echo := range []wire.Challenge{{}, m.challenges[a.addr]} {
		for _, data := range m.every(b.addr, echo, rec) {
			g.sent = nil
			m.sendFrom(b.addr, a.addr, data)
			g.pump()
			if n := len(g.sent); n > 1 {
				t.Errorf("type %d causes %d datagrams", data[3], n)
			}
			g.wait(time.Second)
		}
	}
	g.wait(time.Minute)
	g.sent = nil
	g.wait(time.Minute)
	if n := len(g.sent); n > 100 {
		t.Errorf("%d datagrams a minute go on", n)
	}
}

// CVE-2020-26164 (KDE Connect): garbage with our magic costs no signature, no answer and next to no memory: a room's tag
// is looked at before anything is decrypted.
func TestADV_03_Garbage_takes_nothing(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	g.wait(time.Second)
	const count = 5000
	junk := make([]byte, 1400)
	m.random.Read(junk)
	g.checks = 0
	took := fuzztest.Allocated(func() {
		for i := range count {
			prefix := wire.Prefix(wire.TypeRecord + wire.Type(i%3))
			copy(junk, prefix[:])
			junk[10] = byte(i)
			if drop, sent := a.open(arriving(junk, m.addr)); drop != wire.DropUnknownRoom || len(sent) > 0 {
				t.Fatalf("drop %q, %d sent", drop, len(sent))
			}
		}
	})
	if g.checks > 0 || took > count*1024 {
		t.Errorf("%d signatures checked, %d bytes taken for %d datagrams", g.checks, took, count)
	}
}

// CVE-2011-1002 (Avahi): empty datagrams are one reason to refuse, and no loop.
func TestADV_12_Empty_datagrams(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	for range 100_000 {
		if drop, _ := a.open(arriving(nil, m.addr)); drop != wire.DropEmpty {
			t.Fatalf("drop %q", drop)
		}
	}
}

// CVE-2025-30472 (corosync): the largest datagram there is, of every type, random and with a right tag, and pieces of
// what nobody could have said: nothing is answered, and nothing kept.
func TestADV_22_Largest_datagrams(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	data := make([]byte, wire.MaxUDP)
	m.random.Read(data)
	for kind := range 256 {
		prefix := wire.Prefix(wire.Type(kind))
		copy(data, prefix[:])
		if drop, sent := a.open(arriving(data, m.addr)); drop == "" || len(sent) > 0 {
			t.Errorf("type %d: drop %q, %d sent", kind, drop, len(sent))
		}
		if t := wire.Type(kind); !t.Known() || t.Presence() {
			continue
		}
		outer, err := m.room.Outer(wire.Prefix(wire.Type(kind)), m.random)
		if err != nil {
			t.Fatal(err)
		}
		inner := m.room.Seal(outer, data[:wire.MaxUDP-62], wire.MaxUDP)
		if drop, sent := a.open(arriving(inner, m.addr)); drop == "" || len(sent) > 0 {
			t.Errorf("sealed type %d: drop %q, %d sent", kind, drop, len(sent))
		}
	}
	var pieces [][]byte
	for n := range byte(100) {
		frag := wire.Frag{Record: [16]byte{n}, Total: math.MaxUint16, Data: data[:1000]}
		pieces = append(pieces, m.sealed(frag, identity.Instance{}, 0))
	}
	took := fuzztest.Allocated(func() {
		for _, piece := range pieces {
			a.open(arriving(piece, m.addr))
		}
	})
	if took > 1<<20 {
		t.Errorf("%d bytes taken for 100 pieces of 1000", took)
	}
}

// CVE-2016-2141 (JGroups): a frame without its seal, or with an empty one, is nothing.
func TestADV_23_Nothing_is_taken_in_the_clear(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	m.meet()
	rec := m.sign(1, 1, 1, nil, "in the clear")
	frame := wire.AppendFrame(nil, wire.Record{Bytes: rec.Bytes()})
	prefix := wire.Prefix(wire.TypeRecord)
	outer, err := m.room.Outer(prefix, m.random)
	if err != nil {
		t.Fatal(err)
	}
	length := []byte{byte(len(frame) >> 8), byte(len(frame))}
	for name, data := range map[string][]byte{
		"no seal":     slices.Concat(prefix[:], frame),
		"empty seal":  slices.Concat(prefix[:], make([]byte, 40), length, frame),
		"only a tag":  slices.Concat(outer, length, frame),
		"tag, no mac": slices.Concat(outer, length, frame, make([]byte, 16)),
	} {
		if drop, _ := a.open(arriving(data, m.addr)); drop == "" {
			t.Errorf("%s passes", name)
		}
	}
	if slices.Contains(a.shown, "in the clear") {
		t.Error("it is shown")
	}
}

// CVE-2025-52464 (Meshtastic): a device whose key runs elsewhere, too, says so, and begins new feeds.
func TestADV_25_A_cloned_key_is_noticed(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	before := a.say("before").Header.Feed
	m.key = a.key
	for _, c := range []struct {
		boot uint32
		told int
	}{{0, 0}, {2, 1}, {2, 0}} { // a recording of our past; a copy; the same copy again
		m.instance = identity.Instance{Boot: c.boot, Nonce: 77}
		op, _ := a.Opener().Open(arriving(m.presence(wire.TypeBeat, m.addr.Addr(), wire.Challenge{1}, wire.Challenge{}), m.addr))
		drop := a.Receive(a.clock(), op)
		var out engine.Output
		a.Drain(&out)
		told := 0
		for _, e := range out.Events {
			if e.Kind == engine.TwinEvent {
				told++
			}
		}
		if drop != wire.DropOwn || told != c.told || len(out.Send) > 0 {
			t.Errorf("boot %d: %q, told %d times, %d sent", c.boot, drop, told, len(out.Send))
		}
	}
	if a.say("after").Header.Feed == before {
		t.Error("the numbers of the copy may be the same")
	}
}

// Bridgefy (Albrecht and others, 2021: one crafted message shuts the network down): a record whose body nobody can read is
// kept and passed on like any other, and what follows it is shown.
func TestADV_27_A_poison_record_stops_nothing(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	poison := record.Sign(m.key, record.RoomID(m.room.ID), []record.Draft{{
		Header: record.Header{Feed: record.Feed{Author: m.key.Public(), Epoch: 1}, Seq: 1, Order: 1},
		Body:   bytes.Repeat([]byte{0x9f, 0xff, 0x1f, 0x8b}, 100),
	}})[0]
	m.tell(a, wire.Record{Bytes: poison.Bytes()}, 0)
	m.tell(a, wire.Record{Bytes: m.sign(1, 2, 2, poison, "after the poison").Bytes()}, 0)
	b := g.station(0)
	g.wait(10 * time.Second)
	a.wantShown("after the poison")
	b.wantShown("after the poison")
}

// CVE-2021-4239 (flynn/noise): what does not verify moves no counter: a forged one would shut out all that follow.
func TestADV_36_A_forgery_moves_no_counter(t *testing.T) {
	g := newSegment(t)
	a, b, m := g.station(0), g.station(0), g.foe()
	g.wait(3 * time.Second)
	_, _, m.instance = b.Own()
	key := b.key.Public()
	m.counter = math.MaxUint64 - 10
	forged := m.presence(wire.TypeBeat, b.addr.Addr(), wire.Challenge{1}, wire.Challenge{})
	copy(forged[wire.PrefixSize:], key[:])
	a.open(arriving(forged, b.addr))
	sender := wire.Sender{Key: key, Instance: m.instance, Counter: math.MaxUint64 - 5}
	outer, err := m.room.Outer(wire.Prefix(wire.TypeDigest), m.random)
	if err != nil {
		t.Fatal(err)
	}
	inner := wire.AppendSigned(nil, wire.Digest{}, sender, m.key, m.room.ID, outer)
	if drop, _ := a.open(arriving(m.room.Seal(outer, inner, 256), b.addr)); drop != wire.DropBadSignature {
		t.Errorf("drop %q", drop)
	}
	g.wait(20 * time.Second)
	if p, _ := a.Peer(b.key.ID()); p.Status != discovery.Here || p.LastSeen < g.now-5*time.Second {
		t.Errorf("%v, last heard at %v of %v", p.Status, p.LastSeen, g.now)
	}
}

// Replay: all that was on the air, once more and in any order, is refused or changes nothing.
func TestADV_replay_A_recording_changes_nothing(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.say("once")
	b.say("twice")
	g.wait(10 * time.Second)
	air := slices.Clone(g.sent)
	random := rand.New(rand.NewPCG(1, 1))
	random.Shuffle(len(air), func(i, j int) { air[i], air[j] = air[j], air[i] })
	seen := len(a.shown)
	passed := map[wire.Type]int{}
	for _, s := range air {
		if drop, _ := a.open(arriving(s.Data, b.addr)); drop == "" {
			passed[s.Type]++
		}
	}
	for kind, n := range passed {
		if kind.Presence() || kind.Signed() {
			t.Errorf("%d of type %v pass", n, kind)
		}
	}
	if len(a.shown) != seen || passed[wire.TypeRecord] == 0 {
		t.Errorf("%d posts shown, %d before; %v", len(a.shown), seen, passed)
	}
}
