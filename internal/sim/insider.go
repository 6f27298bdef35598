package sim

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// insider is what a member with code of its own does beside what its engine does: it has a device's key and the room's.
// What it says it may say of itself: it forges nobody's signature.
type insider struct {
	n       *node
	rng     *rand.Rand
	extra   uint64 // signed frames of its own, which all later counters are raised by
	counter uint64 // the last one used
	at      time.Duration
	tale    tale
}

// tale is what an insider says of somebody's feed, now and then for a while, to all but its author.
type tale struct {
	of          *feed
	claim       wire.FeedClaim
	next, until time.Duration
}

// taleEach is how often it is told.
const taleEach = 2 * time.Second

// insiderEach and restlessEach are the mean times between two things that an insider does.
const (
	insiderEach  = 30 * time.Second
	restlessEach = 2 * time.Second
)

func newInsider(n *node) *insider {
	seed := seedOf(n.w.opt.Seed, "insider"+n.key.ID().String())
	return &insider{n: n, rng: rand.New(rand.NewChaCha8(seed))}
}

// subvert changes what the engine of an insider wants to send, and adds to it.
func (in *insider) subvert(out *engine.Output) {
	w := in.n.w
	lying := w.now < w.opt.Heal
	for i := range out.Send {
		s := &out.Send[i]
		switch {
		case s.Type.Presence():
			p, err := wire.ParsePresence(s.Data)
			if err != nil {
				panic(err) // an engine made it
			}
			in.counter = p.Counter + in.extra
			p.Counter = in.counter
			s.Data = wire.SealPresence(*p, in.n.signer())
		case s.Type.Signed():
			in.resign(s, lying)
		}
	}
	if lying && w.now < in.tale.until && w.now >= in.tale.next {
		in.tell(out)
	}
	if !lying || w.now < in.at || len(in.n.nics) == 0 || in.n.nics[0].segment == nil || !in.n.in(lobby) {
		return
	}
	each := insiderEach
	if w.opt.Restless {
		each = restlessEach
	}
	in.at = w.now + time.Duration(in.rng.ExpFloat64()*float64(each))
	w.count.Hostile++
	in.act(out)
}

// resign signs a frame anew, with what is to be said instead of it.
func (in *insider) resign(s *engine.Send, lying bool) {
	keys := in.n.w.check.tap.keys
	inner, err := keys.Unseal(s.Data)
	if err != nil {
		return // of another room
	}
	signed, err := wire.ParseSigned(s.Type, inner)
	if err != nil {
		panic(err) // an engine made it
	}
	frame := signed.Frame
	if digest, ok := frame.(wire.Digest); ok && lying {
		frame = in.lie(digest)
	}
	in.counter = signed.Sender.Counter + in.extra
	signed.Sender.Counter = in.counter
	outer := slices.Clone(s.Data[:seal.OuterSize])
	s.Data = keys.Seal(outer, wire.AppendSigned(nil, frame, signed.Sender, in.n.signer(), keys.ID, outer), len(s.Data))
}

// lie claims more or less than there is.
func (in *insider) lie(d wire.Digest) wire.Frame {
	claims := append([]wire.FeedClaim(nil), d.Claims...)
	switch in.rng.IntN(5) {
	case 0: // nothing
		return wire.Digest{}
	case 4: // that it goes on where it does not
		for i, c := range claims {
			claims[i].Low, claims[i].High = in.stretch(c.Low, c.High)
		}
	case 1: // everything and more
		for i := range claims {
			claims[i].High += 1 + in.rng.Uint64N(1<<40)
		}
	case 2: // what nobody ever heard of
		for i := range claims {
			copy(claims[i].Feed[:], in.noise(8))
		}
	default: // a sum that fits nothing
		copy(d.Root[:], in.noise(32))
	}
	d.Claims = claims
	return d
}

func (in *insider) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(in.rng.Uint32())
	}
	return b
}

// act does one hostile thing.
func (in *insider) act(out *engine.Output) {
	switch in.rng.IntN(10) {
	case 0:
		in.fork(out)
	case 1: // many feeds
		for range 10 {
			in.say(out, record.Header{Feed: in.newFeed(), Seq: 1, Order: in.order()})
		}
	case 2: // far in the future, after records that nobody has
		h := record.Header{Feed: in.newFeed(), Seq: 1, Order: record.MaxOrder}
		h.Parents = []record.ID{record.ID(in.noise(len(record.ID{}))), record.ID(in.noise(len(record.ID{})))}
		in.say(out, h)
	case 3: // a feed without its beginning
		h := record.Header{Feed: in.newFeed(), Seq: min(max(in.number(), 1), most), Order: in.order()}
		copy(h.Prev[:], in.noise(len(h.Prev)))
		claim := wire.FeedClaim{Feed: h.Feed.Short(), Low: h.Seq, High: h.Seq}
		in.send(out, wire.Receipt{Stored: []wire.FeedClaim{claim}}, netip.AddrPort{})
		in.send(out, wire.Digest{Root: [32]byte{1}, Claims: []wire.FeedClaim{claim}}, netip.AddrPort{})
		in.say(out, h)
	case 4: // pieces of what never becomes whole
		for range 30 {
			f := wire.Frag{Total: 60000, Offset: uint16(in.rng.IntN(50000)), Data: in.noise(300)}
			copy(f.Record[:], in.noise(len(f.Record)))
			in.send(out, f, netip.AddrPort{})
		}
	case 5: // asking everybody for everything, again and again
		var want wire.Want
		want.Limit = wire.MaxDatagram
		for _, f := range in.n.w.check.order[:min(len(in.n.w.check.order), 8)] {
			want.Ranges = append(want.Ranges, wire.SeqRange{Feed: f.id.Short(), From: 1, To: in.number(1 << 40)})
		}
		for range 20 {
			in.send(out, want, netip.AddrPort{})
		}
	case 6: // wants in the name of nobody's need, to whom they cost most
		for _, c := range in.n.nics[0].segment.nics {
			want := wire.Want{Limit: 1, Ranges: []wire.SeqRange{{
				Feed: in.anyFeed(), From: in.number(1), To: in.number(1 << 60),
			}}}
			in.send(out, want, c.source())
		}
	case 7: // what a later version may say: a type that nobody knows
		in.raw(out, wire.Type(100+in.rng.IntN(100)), in.noise(1+in.rng.IntN(200)))
	case 8: // a tale
		if here := in.feedsHere(); len(here) > 0 {
			f := here[in.rng.IntN(len(here))]
			in.tale = tale{of: f, claim: wire.FeedClaim{Feed: f.id.Short()}, until: in.n.w.now + time.Minute}
			in.tale.claim.Low, in.tale.claim.High = in.stretch(uint64(len(f.records)), uint64(len(f.records)+10))
		}
	default: // receipts for what nobody said
		claim := wire.FeedClaim{Feed: in.anyFeed(), Low: 1, High: in.number(1 << 50)}
		in.send(out, wire.Receipt{Stored: []wire.FeedClaim{claim}}, netip.AddrPort{})
	}
}

// most is the last number of a feed, and edges are others at which something ends.
const most = 1 << 62

var edges = []uint64{0, 1, 2, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, most - 1, most, most + 1, 1 << 63, 1<<64 - 1}

// number is an edge, or one of those that are known or next to it.
func (in *insider) number(known ...uint64) uint64 {
	if len(known) > 0 && in.rng.IntN(2) == 0 {
		return known[in.rng.IntN(len(known))] + in.rng.Uint64N(3) - 1
	}
	return edges[in.rng.IntN(len(edges))]
}

// stretch is from where to where something may be claimed, near what is known.
func (in *insider) stretch(known ...uint64) (low, high uint64) {
	low, high = min(max(in.number(known...), 1), most), min(max(in.number(known...), 1), most)
	return min(low, high), max(low, high)
}

// anyFeed is one that was said where the insider is, or a new one of its own.
func (in *insider) anyFeed() record.ShortFeed {
	if here := in.feedsHere(); len(here) > 0 && in.rng.IntN(4) > 0 {
		return here[in.rng.IntN(len(here))].id.Short()
	}
	return in.newFeed().Short()
}

func (in *insider) feedsHere() (here []*feed) {
	for _, f := range in.n.w.check.order {
		if f.home == in.n.nics[0].segment {
			here = append(here, f)
		}
	}
	return here
}

// tell says the tale once more.
func (in *insider) tell(out *engine.Output) {
	in.tale.next = in.n.w.now + taleEach
	if len(in.n.nics) == 0 || in.n.nics[0].segment != in.tale.of.home || !in.n.in(lobby) {
		return
	}
	digest := wire.Digest{Root: [32]byte{1}, Feeds: 100, Claims: []wire.FeedClaim{in.tale.claim}}
	for _, c := range in.tale.of.home.nics {
		if c.node != in.tale.of.author && c.node != in.n {
			in.send(out, digest, c.source())
		}
	}
}

func (in *insider) order() uint64 { return uint64(epoch.Add(in.n.w.now).UnixMilli()) }

func (in *insider) newFeed() record.Feed {
	return record.Feed{Author: in.n.key.Public(), Epoch: in.rng.Uint64()}
}

// fork says two things with one number, and goes on with both.
func (in *insider) fork(out *engine.Output) {
	feed := in.newFeed()
	first := in.say(out, record.Header{Feed: feed, Seq: 1, Order: in.order()})
	for range 2 {
		prev := first
		for seq := uint64(2); seq < 5; seq++ {
			prev = in.say(out, record.Header{Feed: feed, Seq: seq, Prev: prev.ID, Order: prev.Header.Order + 1})
		}
	}
}

// say signs a record and sends it to all, or to some as if it were lost for the others.
func (in *insider) say(out *engine.Output, h record.Header) *record.Record {
	text := strings.Repeat(string(rune('A'+in.rng.IntN(26))), 1+in.rng.IntN(300))
	body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: text}})
	if err != nil {
		panic(err) // it is short
	}
	room := record.RoomID(in.n.w.check.tap.keys.ID)
	rec := record.Sign(in.n.signer(), room, []record.Draft{{Header: h, Body: body}})[0]
	in.n.w.check.crafted[rec.ID] = rec
	in.n.w.check.byID[rec.ID] = rec
	nics := in.n.nics[0].segment.nics
	if in.rng.IntN(2) == 0 {
		in.send(out, wire.Record{Bytes: rec.Bytes()}, netip.AddrPort{})
	} else {
		for _, c := range nics {
			if in.rng.IntN(2) == 0 {
				in.send(out, wire.Record{Bytes: rec.Bytes()}, c.source())
			}
		}
	}
	return rec
}

// raw seals what is no frame.
func (in *insider) raw(out *engine.Output, t wire.Type, inner []byte) {
	keys := in.n.w.check.tap.keys
	outer, err := keys.Outer(wire.Prefix(t), rand.NewChaCha8([32]byte(in.noise(32))))
	if err != nil {
		panic(err) // ChaCha8 does not fail
	}
	out.Send = append(out.Send, engine.Send{
		Data: keys.Seal(outer, inner, 256), Iface: in.n.nics[0].index, Type: t,
	})
}

// send seals a frame, signed if its kind asks for it.
func (in *insider) send(out *engine.Output, f wire.Frame, to netip.AddrPort) {
	keys := in.n.w.check.tap.keys
	outer, err := keys.Outer(wire.Prefix(f.Type()), rand.NewChaCha8([32]byte(in.noise(32))))
	if err != nil {
		panic(err) // ChaCha8 does not fail
	}
	inner := wire.AppendFrame(nil, f)
	if f.Type().Signed() {
		in.extra++
		in.counter++
		_, _, instance := in.n.engine.Own()
		sender := wire.Sender{Key: in.n.key.Public(), Instance: instance, Counter: in.counter}
		inner = wire.AppendSigned(nil, f, sender, in.n.signer(), keys.ID, outer)
	}
	out.Send = append(out.Send, engine.Send{
		Data: keys.Seal(outer, inner, wire.MaxDatagram), To: to, Iface: in.n.nics[0].index, Type: f.Type(),
	})
}
