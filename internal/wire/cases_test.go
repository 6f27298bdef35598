package wire_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// studio makes the vectors: two devices, one room, nonces that follow from a vector's name.
type studio struct {
	t          *testing.T
	alice, bob *identity.Key
	room       *seal.Room
	all        []*vector
}

var (
	aliceRun = identity.Instance{Boot: 7, Nonce: 0x1111111111111111}
	bobRun   = identity.Instance{Boot: 3, Nonce: 0x2222222222222222}
)

const (
	aliceEpoch = 0xa11ce
	bobEpoch   = 0xb0b
	vectorWall = 1_790_000_000_123_456_789 // some second of 2026
	vectorMS   = vectorWall / 1_000_000
)

func seedOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func keyOf(tb testing.TB, b byte) *identity.Key {
	tb.Helper()
	key, err := identity.KeyFromSeed(seedOf(b))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func roomOf(tb testing.TB, name identity.RoomName) *seal.Room {
	tb.Helper()
	room, err := seal.Open(seal.PublicSecret(name), 0, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return room
}

func makeVectors(t *testing.T) []*vector {
	s := &studio{t: t, alice: keyOf(t, 0x0a), bob: keyOf(t, 0x0b), room: roomOf(t, "lobby")}
	s.keys()
	s.presence()
	s.records()
	s.proving()
	s.fragments()
	s.signed()
	s.unknown()
	s.refusedOutside()
	s.refusedInside()
	s.refusedRecords()
	return s.all
}

// begin starts a vector; sections are PROTOCOL.md's.
func (s *studio) begin(name, sections, expect string) *vector {
	v := &vector{name: name}
	v.set("name", "%s", name)
	v.set("spec", "PROTOCOL.md %s", sections)
	v.set("seeds", "alice=%x bob=%x", s.alice.Seed(), s.bob.Seed())
	v.set("room", "lobby")
	v.set("expect", "%s", expect)
	s.all = append(s.all, v)
	return v
}

// setCBOR says in JSON what the CBOR of a vector is: map keys as text, byte strings as h'hex'.
func (s *studio) setCBOR(v *vector, b []byte) {
	var decoded any
	if err := cbor.Unmarshal(b, &decoded); err != nil {
		s.t.Fatal(err)
	}
	text, err := json.Marshal(plain(decoded))
	if err != nil {
		s.t.Fatal(err)
	}
	v.set("cbor", "%s", text)
}

func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("h'%x'", v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case map[any]any:
		m := map[string]any{}
		for key, value := range v {
			m[fmt.Sprint(key)] = plain(value)
		}
		return m
	}
	return v
}

// addPresence adds a presence datagram and its claims in JSON.
func (s *studio) addPresence(v *vector, b []byte) {
	s.setCBOR(v, b[70:][:binary.BigEndian.Uint16(b[68:])])
	v.add("datagram", b)
}

func (v *vector) add(kind string, b []byte) { v.sections = append(v.sections, section{kind, b}) }

// outer is the outside of a datagram of v: its nonce is the front of SHA-256(name ‖ 0x00 ‖ number of datagrams before).
func (s *studio) outer(v *vector, t wire.Type) []byte {
	n := 0
	for _, sec := range v.sections {
		if sec.kind == "datagram" {
			n++
		}
	}
	nonce := sha256.Sum256(append([]byte(v.name), 0, byte(n)))
	outer, err := s.room.Outer(wire.Prefix(t), bytes.NewReader(nonce[:]))
	if err != nil {
		s.t.Fatal(err)
	}
	return outer
}

// seal adds a datagram and, if it is to be shown, its inside.
func (s *studio) seal(v *vector, outer, inner []byte, size int, show bool) {
	datagram := s.room.Seal(outer, inner, size)
	v.add("datagram", datagram)
	if show {
		inside := make([]byte, len(datagram)-seal.OuterSize-16)
		binary.BigEndian.PutUint16(inside, uint16(len(inner)))
		copy(inside[2:], inner)
		v.add("inside", inside)
	}
}

// padded is the size that a datagram of so many bytes inside is padded to in a room of that limit.
func padded(inner, limit int) int {
	for _, size := range []int{256, 512, 1024} {
		if inner+seal.Overhead <= size && size <= limit {
			return size
		}
	}
	return limit
}

func (s *studio) prove(v *vector, f wire.Frame, limit int, show bool) {
	inner := wire.AppendFrame(nil, f)
	s.seal(v, s.outer(v, f.Type()), inner, padded(len(inner), limit), show)
}

// say adds a frame signed by alice, to bob if it is not for everyone.
func (s *studio) say(v *vector, f wire.Frame, to identity.Instance, counter uint64, extra ...byte) {
	outer := s.outer(v, f.Type())
	inner := s.sign(outer, f, to, counter, extra)
	s.seal(v, outer, inner, padded(len(inner), wire.MaxDatagram), true)
}

// sign is AppendSigned, but for bytes that a later version may add behind the fields known today.
func (s *studio) sign(outer []byte, f wire.Frame, to identity.Instance, counter uint64, extra []byte) []byte {
	sender := wire.Sender{Key: s.alice.Public(), Instance: aliceRun, Counter: counter, To: to}
	inner := wire.AppendSigned(nil, f, sender, s.alice, s.room.ID, outer)
	if len(extra) == 0 {
		return inner
	}
	inner = append(inner[:len(inner)-identity.SignatureSize], extra...)
	message := bytes.Join([][]byte{[]byte("bcast/1 frame\x00"), s.room.ID[:], outer, inner}, nil)
	return append(inner, s.alice.Sign(message)...)
}

func (s *studio) keys() {
	v := s.begin("keys", "4, 5", "ok")
	secret := sha256.Sum256([]byte("bcast/1 public room\x00lobby"))
	v.set("room-secret", "%x", secret)
	for _, k := range []struct {
		name, label string
		size        int
	}{{"room-id", "room id", 16}, {"datagram-key", "datagram key", 32}, {"tag-key", "tag key", 32},
		{"range-key", "range key", 32}} {
		key, err := hkdf.Key(sha256.New, secret[:], nil, "bcast/1 "+k.label+"\x00\x00\x00\x00\x00", k.size)
		if err != nil {
			s.t.Fatal(err)
		}
		v.set(k.name, "%x", key)
	}
	if v.value("room-id") != fmt.Sprintf("%x", s.room.ID) {
		s.t.Errorf("room id %x, HKDF by hand says %s", s.room.ID, v.value("room-id"))
	}
	for _, who := range []struct {
		name string
		key  *identity.Key
	}{{"alice", s.alice}, {"bob", s.bob}} {
		public := who.key.Public()
		id := who.key.ID()
		v.set(who.name, "key=%x id=%x text=%s", public, id[:], id)
	}
}

func vectorClaims() wire.Claims {
	return wire.Claims{
		Nick: "alice", Addrs: []netip.Addr{netip.MustParseAddr("192.168.1.20"), netip.MustParseAddr("fe80::1")},
		UnicastPort: 27475, StreamPort: 27475, RecvBuffer: 65535, MaxVersion: 1, NextBeat: 4 * time.Second,
		Rooms: []identity.RoomName{"lobby", "küche"},
	}
}

func (s *studio) presence() {
	challenge, echo := wire.Challenge(seedOf(0xc1)[:16]), wire.Challenge(seedOf(0xec)[:16])
	for _, c := range []struct {
		t      wire.Type
		to     identity.Instance
		change func(*wire.Claims)
	}{
		{wire.TypeHello, identity.Instance{}, func(c *wire.Claims) { c.Challenge = challenge }},
		{wire.TypeAnswer, bobRun, func(c *wire.Claims) { c.Challenge, c.Echo = challenge, echo }},
		{wire.TypeAck, bobRun, func(c *wire.Claims) { c.Echo = echo }},
		{wire.TypeBeat, identity.Instance{}, func(c *wire.Claims) { c.NextBeat = 12500 * time.Millisecond }},
		{wire.TypeProbe, bobRun, func(c *wire.Claims) { c.Challenge = challenge }},
		{wire.TypeBye, identity.Instance{}, func(c *wire.Claims) { c.NextBeat, c.Rooms = 0, nil }},
		{wire.TypeEcho, bobRun, func(c *wire.Claims) {
			c.Wifi, c.Watch, c.RecvBuffer, c.StreamPort = true, true, 400, 0
		}},
	} {
		v := s.begin(c.t.String(), "4", "ok")
		claims := vectorClaims()
		c.change(&claims)
		p := wire.Presence{Type: c.t, Instance: aliceRun, Counter: 42, To: c.to, Claims: claims}
		s.addPresence(v, wire.SealPresence(p, s.alice))
	}
	offering := vectorClaims()
	offering.Services = []wire.Service{{Name: "Käse", Type: "_http._tcp", Port: 80, Text: []string{"path=/", "v"}},
		{Name: "alice", Type: "_bcast._udp", Port: 27475}}
	offering.MoreServices = true
	s.addPresence(s.begin("hello-services", "4", "ok"), wire.SealPresence(wire.Presence{Type: wire.TypeHello, Instance: aliceRun,
		Counter: 42, Claims: offering}, s.alice))
	question := wire.Probe{Way: wire.WayDirected, Size: 600, Clock: vectorMS}
	answer := question
	answer.Left, answer.Heard = 9000, []wire.HeardStart{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}}
	s.echo("echo-question", "ok", wire.Claims{Nick: "alice", Challenge: challenge, Probe: question}, 600)
	s.echo("echo-answer", "ok", wire.Claims{Nick: "alice", Echo: echo, Probe: answer}, 600)
	s.echo("echo-shorter", "drop malformed", wire.Claims{Nick: "alice", Challenge: challenge, Probe: question}, 599)
	question.Size = wire.MaxProbe + 1
	s.echo("echo-too-long", "drop malformed", wire.Claims{Nick: "alice", Challenge: challenge, Probe: question}, 600)
}

// echo is a question or its answer, cut to size.
func (s *studio) echo(name, expect string, claims wire.Claims, size int) {
	claims.Addrs = []netip.Addr{netip.MustParseAddr("192.168.1.20")}
	p := wire.Presence{Type: wire.TypeEcho, Instance: aliceRun, Counter: 43, To: bobRun, Claims: claims}
	b := wire.SealPresence(p, s.alice)[:size]
	if expect == "ok" {
		s.addPresence(s.begin(name, "4, 9", expect), b)
	} else {
		s.begin(name, "4, 8", expect).add("datagram", b)
	}
}

// flight is n records of alice that say one thing each.
func (s *studio) flight(n int, text func(i int) string) []*record.Record {
	drafts := make([]record.Draft, n)
	for i := range drafts {
		body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: text(i)}})
		if err != nil {
			s.t.Fatal(err)
		}
		drafts[i] = record.Draft{Body: body, Header: record.Header{
			Feed: record.Feed{Author: s.alice.Public(), Epoch: aliceEpoch}, Seq: uint64(5 + i),
			Prev: record.ID(seedOf(byte(0x50 + i))), Order: vectorMS + uint64(i), Wall: vectorWall,
		}}
	}
	return record.Sign(s.alice, s.room.ID, drafts)
}

// alone is a record of every field: flags, a rekeyed room, two parents, posts of several kinds.
func (s *studio) alone() *record.Record {
	target := record.Ref{Record: record.ID(seedOf(0x77)), Index: 258}
	body, err := record.EncodePosts([]record.Post{
		{Kind: record.KindJoin, Nick: "alice"}, {Kind: record.KindText, Text: "hello, lobby"},
		{Kind: record.KindReply, Text: "grüße", Target: target}, {Kind: record.KindReaction, Text: "👍", Target: target},
		{Kind: record.KindDelete, Target: target},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return record.Sign(s.alice, s.room.ID, []record.Draft{{Body: body, Header: record.Header{
		Flags: record.FlagAckWanted | record.FlagEphemeral, KeyEpoch: 2,
		Feed: record.Feed{Author: s.alice.Public(), Epoch: aliceEpoch}, Seq: 4, Prev: record.ID(seedOf(0x44)),
		Order: vectorMS, Wall: vectorWall, Parents: []record.ID{record.ID(seedOf(0x61)), record.ID(seedOf(0x62))},
	}}})[0]
}

func (s *studio) hello() *record.Record {
	return s.flight(1, func(int) string { return "hello, lobby" })[0]
}

func (s *studio) records() {
	r := s.alone()
	v := s.begin("record-alone", "6", "ok")
	v.set("record-id", "%x text=%s", r.ID[:], r.ID)
	feed := r.Header.Feed.Short()
	v.set("feed", "%x", feed)
	s.setCBOR(v, r.Body)
	v.add("record", r.Bytes())

	v = s.begin("flight-3", "6", "ok")
	for _, r := range s.flight(3, func(i int) string { return fmt.Sprint("post ", i) }) {
		v.add("record", r.Bytes())
	}
	v = s.begin("flight-48", "6", "ok")
	big := s.flight(48, func(i int) string { return fmt.Sprint("post ", i) })
	for _, i := range []int{0, 31, 32, 47} {
		v.add("record", big[i].Bytes())
	}
}

func (s *studio) proving() {
	r := s.hello()
	s.prove(s.begin("record", "5, 6, 7", "ok"), wire.Record{Bytes: r.Bytes()}, wire.MaxDatagram, true)
	s.prove(s.begin("head", "5, 6, 7", "ok"), wire.Head{Bytes: r.Head()}, wire.MaxDatagram, true)
	other := s.flight(1, func(int) string { return "never said that" })[0]
	s.prove(s.begin("fork", "5, 6, 7", "ok"), wire.Fork{A: r.Head(), B: other.Head()}, wire.MaxDatagram, true)
	s.prove(s.begin("frag", "5, 6, 7", "ok"),
		wire.Frag{Record: r.ID, Total: uint16(len(r.Bytes())), Offset: 100, Data: r.Bytes()[100:150]}, 1400, true)
}

// fragments are the pieces of a post of the largest text there is.
func (s *studio) fragments() {
	r := s.flight(1, func(int) string { return strings.Repeat("0123456789abcdef", record.MaxText/16) })[0]
	for _, limit := range []int{wire.MinDatagram, wire.MaxDatagram} {
		v := s.begin(fmt.Sprint("fragments-", limit), "5, 6, 7", "ok")
		sum := sha256.Sum256(r.Bytes())
		v.set("assembled", "%x", sum)
		piece := limit - seal.Overhead - wire.FragOverhead
		for at := 0; at < len(r.Bytes()); at += piece {
			data := r.Bytes()[at:min(at+piece, len(r.Bytes()))]
			f := wire.Frag{Record: r.ID, Total: uint16(len(r.Bytes())), Offset: uint16(at), Data: data}
			s.prove(v, f, limit, at == 0)
		}
	}
}

func claimOf(feed byte, low, high uint64, head byte) wire.FeedClaim {
	return wire.FeedClaim{Feed: [8]byte(seedOf(feed)), Low: low, High: high, Head: [4]byte(seedOf(head))}
}

func vectorFeeds() []wire.FeedClaim {
	return []wire.FeedClaim{claimOf(0xf1, 1, 9, 0x91), claimOf(0xf2, 3, 70000, 0x92)}
}

// claimBytes is what root and fingerprint take of a claim: the whole id of its last record, not the front.
func claimBytes(c wire.FeedClaim) []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(c.Feed[:]), c.Low)
	b = binary.BigEndian.AppendUint64(b, c.High)
	return append(b, bytes.Repeat(c.Head[:1], 16)...)
}

// rootOf is the digest root, by the book.
func rootOf(claims []wire.FeedClaim) [32]byte {
	sum := new(big.Int)
	for _, c := range claims {
		one := sha256.Sum256(append([]byte("bcast/1 claim\x00"), claimBytes(c)...))
		sum.Add(sum, new(big.Int).SetBytes(one[:]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
	var root [32]byte
	sum.FillBytes(root[:])
	return root
}

func (v *vector) setClaims(claims []wire.FeedClaim) {
	var texts []string
	for _, c := range claims {
		texts = append(texts, hex.EncodeToString(claimBytes(c)))
	}
	v.set("claims", "%s", strings.Join(texts, " "))
}

func (s *studio) signed() {
	claims := vectorFeeds()
	v := s.begin("digest", "5, 7", "ok")
	v.setClaims(claims)
	s.say(v, wire.Digest{Root: rootOf(claims), Feeds: 2, Claims: claims}, identity.Instance{}, 1)

	v = s.begin("range", "5, 7", "ok")
	v.setClaims(claims)
	all := append(claimBytes(claims[0]), claimBytes(claims[1])...)
	s.say(v, wire.Range{Spans: []wire.Span{
		{To: [8]byte(seedOf(0xff)), Fingerprint: s.room.Fingerprint(all)},
		{From: [8]byte(seedOf(0xf1)), To: [8]byte(seedOf(0xf2)), Listed: true, Claims: claims},
		{From: [8]byte(seedOf(0xf3)), To: [8]byte(seedOf(0xff)), Listed: true},
	}}, bobRun, 2)
	r := s.hello()
	for i, f := range []wire.Frame{
		wire.Want{
			Limit: 600, Ranges: []wire.SeqRange{{Feed: r.Header.Feed.Short(), From: 2, To: 4}},
			IDs: [][16]byte{r.ID}, Parts: []wire.Part{{Record: r.ID, From: 100, To: 150}},
		},
		wire.Receipt{Stored: claims[:1], Loss: 6553, Drops: 3},
		wire.Cut{Nonce: [24]byte(seedOf(0xaa)), Received: 600, Size: 1400},
		wire.Signal{Kind: 2, Text: "à bientôt"},
		wire.Busy{RetryMillis: 250},
	} {
		s.say(s.begin(f.Type().String(), "5, 7", "ok"), f, bobRun, uint64(3+i))
	}
}

// unknown is what a later version may send and this one takes or passes over without harm.
func (s *studio) unknown() {
	s.say(s.begin("later-bytes", "7, 11", "ok"), wire.Busy{RetryMillis: 250}, bobRun, 9, 0xde, 0xad, 0xbe, 0xef)
	v := s.begin("later-post", "6, 11", "ok")
	body := unhex(s.t, "82 a4 00 1864 01 613f 09 820102 6178 f5 a2 00 01 01 65706c61696e")
	s.setCBOR(v, body)
	s.prove(v, wire.Record{Bytes: s.withBody(body)}, wire.MaxDatagram, true)
	v = s.begin("offer", "6", "ok")
	hash := append(seedOf(7), seedOf(8)...)[:32]
	offer := record.AppendOffer(nil, record.Offer{Hash: [32]byte(hash), Size: 2_100_000, Name: "photo.jpg"})
	body, err := record.EncodePosts([]record.Post{{Kind: record.KindOffer, Text: "from the roof", Data: offer}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.setCBOR(v, body)
	s.prove(v, wire.Record{Bytes: s.withBody(body)}, wire.MaxDatagram, true)

	p := wire.SealPresence(wire.Presence{Type: wire.TypeHello, Instance: aliceRun, Counter: 43, Claims: vectorClaims()},
		s.alice)
	size := int(binary.BigEndian.Uint16(p[68:]))
	p[70] += 2 // pairs in the map
	for _, c := range []struct{ name, claims string }{
		{"later-claims", "1863 a1616182f5f6 1903e8 6474776f21"}, // 99: {"a": [true, null]}, 1000: "two!"
		{"later-values", "1863 f93e00 1862 1b0000000000000001"}, // 99: 1.5, 98: 1; none of it deterministic
	} {
		later := append(bytes.Clone(p[:70+size]), unhex(s.t, c.claims)...)
		binary.BigEndian.PutUint16(later[68:], uint16(len(later)-70))
		s.addPresence(s.begin(c.name, "4, 11", "ok"), s.signPresence(later))
	}

	for _, t := range []wire.Type{31, 47, 63, 64} {
		prefix := wire.Prefix(t)
		s.begin(fmt.Sprint("unknown-type-", int(t)), "3, 11", "drop unknown_type").
			add("datagram", append(prefix[:], seedOf(byte(t))...))
	}
	prefix := wire.Prefix(wire.TypeHello)
	prefix[2] = 2
	s.begin("version-2", "3, 8", "drop version").add("datagram", append(prefix[:], seedOf(2)...))
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// signPresence pads and signs a presence datagram made by hand.
func (s *studio) signPresence(front []byte) []byte {
	b := append(bytes.Clone(front), make([]byte, wire.PresenceSize-len(front))...)
	end := len(b) - identity.SignatureSize
	copy(b[end:], s.alice.Sign(append([]byte("bcast/1 presence\x00"), b[:end]...)))
	return b
}

func (s *studio) withBody(body []byte) []byte {
	return record.Sign(s.alice, s.room.ID, []record.Draft{{Body: body, Header: record.Header{
		Feed: record.Feed{Author: s.alice.Public(), Epoch: aliceEpoch}, Seq: 1, Order: vectorMS, Wall: vectorWall,
	}}})[0].Bytes()
}
