package engine_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// intruder is a member whose address is proven and whose signatures are right, and who says what a script draws.
type intruder struct {
	draws
	*foe
	g       *segment
	a, b    *station // whom it attacks, and whom nobody may keep from being heard
	names   []record.ShortFeed
	records []*record.Record
	numbers []uint64 // near which something of the station's ends
	wanted  []wire.SeqRange
	pipes   []*pipe
	dialled uint64
	where   identity.RoomName // a private room, or the public one
	ring    *seal.Ring        // of the private room: the keys that the intruder has
}

// feedsEach is how many feeds it begins.
const feedsEach = 3

// pipe is a stream between the intruder and the station, and what was asked for on it.
type pipe struct {
	id    uint64
	began bool // the proof was said
	asked []wire.SeqRange
}

func newIntruder(t testing.TB, script []byte) *intruder {
	g := newSegment(t)
	g.streamPort = 27475
	in := &intruder{draws: draws{script}, g: g}
	in.a, in.b, in.foe, in.where = g.station(0), g.station(0), g.foe(), square
	g.wait(100 * time.Millisecond)
	in.meet()
	if in.odds(4) {
		in.enterCrew()
	}
	for _, text := range []string{"one", "two", "three"} {
		in.says(in.a, text, false)
	}
	in.says(in.b, "one", false)
	trunk := in.sign(1, 1, 1, nil, "one")
	in.utter(trunk)
	for _, text := range []string{"this", "that"} {
		rec := in.sign(1, 2, 2, trunk, text)
		in.utter(rec)
		in.names = append(in.names, record.Chain{Feed: rec.Header.Feed, Branch: rec.ID}.Short())
	}
	in.utter(in.sign(2, 1, 3, nil, "another"))
	for epoch := uint64(1); epoch <= feedsEach; epoch++ {
		in.names = append(in.names, record.Feed{Author: in.key.Public(), Epoch: epoch}.Short())
	}
	g.wait(100 * time.Millisecond)
	return in
}

// enterCrew has all be in the private room.
func (in *intruder) enterCrew() {
	enter(in.a, in.b)
	ring, err := seal.NewRing(crewSecret, nil)
	if err != nil {
		in.g.t.Fatal(err)
	}
	in.where, in.ring, in.room = crew, ring, ring.Current()
}

// says has a station say something, and knows the record if it is kept.
func (in *intruder) says(s *station, text string, ack bool) {
	s.Do(s.clock(), 2, engine.Say{Room: in.where, Posts: []record.Post{{Kind: record.KindText, Text: text}}, Ack: ack})
	s.settle()
	in.g.pump()
	for _, e := range slices.Backward(s.kept[uint64(s.Serving(in.where)[0])]) {
		if e.Header.Feed.Author == s.key.Public() {
			in.know(e.Record)
			return
		}
	}
}

// rekey is a post that gives some of the room new keys, and shuts out others. The intruder goes on with them, or not.
func (in *intruder) rekey() record.Post {
	members := []identity.PublicKey{in.a.key.Public(), in.b.key.Public(), in.key.Public()}
	p := record.Post{Kind: record.KindRekey}
	for range in.below(3) {
		p.Text += members[in.below(3)].ID().String() + " "
	}
	epoch := uint32(in.number(uint64(in.ring.Epoch())+1, uint64(in.ring.Epoch())+1024))
	secret := seal.Secret{1 + in.byte()}
	bodies, _, err := seal.SealRekey(in.random, in.ring.RoomID(), epoch, in.key.Public(), secret, members[:1+in.below(3)])
	if err != nil {
		return p // of no epoch
	}
	if p.Data = bodies[0]; in.odds(2) {
		if in.ring, err = in.ring.Add(epoch, secret); err != nil {
			in.g.t.Fatal(err)
		}
		in.room = in.ring.Current()
	}
	return p
}

// know notes a record that it may speak of.
func (in *intruder) know(rec *record.Record) {
	in.records = append(in.records, rec)
	if name := rec.Header.Feed.Short(); !slices.Contains(in.names, name) {
		in.names = append(in.names, name)
	}
	if seq := rec.Header.Seq; !slices.Contains(in.numbers, seq) {
		in.numbers = append(in.numbers, seq)
	}
}

// utter says a record to the station.
func (in *intruder) utter(rec *record.Record) {
	in.know(rec)
	in.tell(in.a, wire.Record{Bytes: rec.Bytes()}, 0)
}

// given is a record that the station asked for lately, if the intruder can sign it; else any.
func (in *intruder) given() *record.Record {
	for _, s := range in.g.sent[max(0, len(in.g.sent)-64):] {
		if inner, err := in.room.Unseal(s.Data); s.Type == wire.TypeWant && s.To == in.addr && err == nil {
			signed, err := wire.ParseSigned(s.Type, inner)
			if err != nil {
				in.g.t.Fatal(err)
			}
			in.wanted = append(in.wanted, signed.Frame.(wire.Want).Ranges...)
		}
	}
	in.g.sent = nil
	if len(in.wanted) == 0 {
		return in.record()
	}
	return in.asked(in.wanted[len(in.wanted)-1-in.below(min(len(in.wanted), 8))])
}

// asked is a record of those that are asked for, if the intruder can sign it; else any.
func (in *intruder) asked(ask wire.SeqRange) *record.Record {
	for epoch := uint64(1); epoch <= feedsEach; epoch++ {
		if feed := (record.Feed{Author: in.key.Public(), Epoch: epoch}); feed.Short() == ask.Feed {
			rec := in.sign(epoch, min(max(in.number(ask.From+1, ask.To), ask.From, 1), ask.To), 1, nil, "asked for")
			in.know(rec)
			return rec
		}
	}
	return in.record()
}

// record signs what may be no record that anybody would make.
func (in *intruder) record() *record.Record {
	author := in.key
	if in.odds(16) {
		author = in.a.key // it has a copy of the key
	}
	h := record.Header{
		Flags: in.byte(), KeyEpoch: uint32(in.number()),
		Feed: record.Feed{Author: author.Public(), Epoch: uint64(1 + in.below(feedsEach))},
		Seq:  in.number(in.numbers...), Order: min(in.number(), record.MaxOrder), Wall: int64(in.number()),
	}
	last := in.records[len(in.records)-1-in.below(len(in.records))]
	if in.odds(2) { // it goes on with what was said
		if h.Seq, h.Prev = last.Header.Seq+1, last.ID; last.Header.Feed.Author == author.Public() {
			h.Feed = last.Header.Feed
		}
	} else {
		h.Prev = in.id(in.records)
	}
	for range in.below(record.MaxParents + 1) {
		h.Parents = append(h.Parents, in.id(in.records))
	}
	body := in.posts(in.records)
	if in.ring != nil && in.odds(2) {
		var err error
		if body, err = record.EncodePosts([]record.Post{in.rekey()}); err != nil {
			in.g.t.Fatal(err)
		}
	}
	if body == nil {
		body = []byte{0}
	}
	rec := record.Sign(author, record.RoomID(in.room.ID), []record.Draft{{Header: h, Body: body}})[0]
	in.know(rec)
	return rec
}

func (in *intruder) claims(most int) []wire.FeedClaim {
	claims := make([]wire.FeedClaim, in.few(most))
	for i := range claims {
		claims[i] = in.claimed(in.names, in.records, in.numbers...)
		if in.odds(4) && len(in.numbers) < 64 { // and goes on from there
			in.numbers = append(in.numbers, claims[i].Low, claims[i].High)
		}
	}
	return claims
}

func (in *intruder) ranges() []wire.SeqRange {
	ranges := make([]wire.SeqRange, in.few(wire.MaxWants))
	for i := range ranges {
		from, to := in.number(in.numbers...), in.number(in.numbers...)
		if !in.odds(8) { // mostly one that may be
			from, to = min(max(from, 1), 1<<62), min(max(to, 1), 1<<62)
			from, to = min(from, to), max(from, to)
		}
		ranges[i] = wire.SeqRange{Feed: in.name(in.names), From: from, To: to}
	}
	return ranges
}

func (in *intruder) want() wire.Want {
	w := wire.Want{Limit: in.small(), Ranges: in.ranges()}
	for range in.below(3) {
		w.IDs = append(w.IDs, in.id(in.records))
	}
	for range in.below(3) {
		w.Parts = append(w.Parts, wire.Part{Record: in.id(in.records), From: in.small(), To: in.small()})
	}
	return w
}

func (in *intruder) comparison() wire.Range {
	spans := make([]wire.Span, in.few(wire.MaxSpans))
	for i := range spans {
		s := &spans[i]
		s.From, s.To = in.name(in.names), in.name(in.names)
		if s.Listed = in.odds(2); s.Listed {
			s.Claims = in.claims(4)
		}
	}
	return wire.Range{Spans: spans}
}

// act says one thing.
func (in *intruder) act() {
	switch in.below(16) {
	case 0, 1:
		in.tell(in.a, in.want(), 0)
	case 2:
		claims := in.claims(20)
		d := wire.Digest{Feeds: uint32(len(claims)), Claims: claims}
		if copy(d.Root[:], in.bytes(2)); in.odds(2) {
			d.Feeds = uint32(in.number())
		}
		in.tell(in.a, d, 0)
	case 3:
		in.tell(in.a, in.comparison(), 0)
	case 4:
		in.tell(in.a, wire.Receipt{Stored: in.claims(20), Loss: in.small(), Drops: uint32(in.number())}, 0)
	case 5:
		in.reportCut()
	case 6:
		in.tell(in.a, wire.Signal{Kind: in.byte(), Text: "x"}, 0)
		in.tell(in.a, wire.Busy{RetryMillis: in.small()}, 0)
	case 7:
		in.tell(in.a, wire.Record{Bytes: in.record().Bytes()}, 0)
	case 8:
		in.tell(in.a, wire.Record{Bytes: in.given().Bytes()}, 0)
	case 9:
		in.tell(in.a, wire.Head{Bytes: in.record().Head()}, 0)
	case 10:
		in.piece()
	case 11:
		x, y := in.record(), in.records[len(in.records)-1-in.below(len(in.records))]
		in.tell(in.a, wire.Fork{A: x.Head(), B: y.Head()}, 0)
	case 12:
		in.fate()
	case 13:
		in.appear()
	case 14:
		in.streamOn()
	default:
		in.g.wait([]time.Duration{time.Millisecond, 50 * time.Millisecond, time.Second, 11 * time.Second}[in.below(4)])
	}
	in.serve()
}

// fate is what happens to the station meanwhile: it speaks, its store is full for a while, or gives up what is old.
func (in *intruder) fate() {
	switch in.below(4) {
	case 0:
		in.a.full = !in.a.full
	case 1:
		in.a.keep = 1 + in.below(8)
	case 2:
		if in.ring == nil {
			in.says(in.a, "more", true)
			break
		}
		var without []identity.DeviceID
		if in.odds(2) {
			without = append(without, in.key.ID())
		}
		in.a.Do(in.a.clock(), 2, engine.Rekey{Room: in.where, Without: without})
		in.a.settle()
		in.g.pump()
	default:
		in.says(in.a, "more", in.odds(2))
	}
	in.a.Rooms(in.a.clock())
}

// piece says one of a record, which may be longer or shorter than that is.
func (in *intruder) piece() {
	rec := in.record()
	b := rec.Bytes()
	from := in.below(len(b))
	f := wire.Frag{Record: rec.ID, Total: uint16(len(b)), Offset: uint16(from), Data: b[from:]}
	switch in.below(4) {
	case 0:
		f.Total = in.small(uint64(len(b)), uint64(record.MaxSize))
	case 1:
		f.Offset, f.Data = 0, b
	case 2:
		f.Offset, f.Data = in.small(uint64(from)), b[:1+in.below(len(b))]
	default:
		if in.odds(2) {
			f.Offset, f.Data = 0, b[:min(len(b), 400)]
		}
	}
	in.tell(in.a, f, 0)
}

// reportCut says that a datagram of the station's was cut.
func (in *intruder) reportCut() {
	cut := wire.Cut{Received: in.small(), Size: uint32(in.number())}
	for _, s := range slices.Backward(in.g.sent) {
		if s.Type == wire.TypeRecord || s.Type == wire.TypeFrag {
			cut.Nonce = [24]byte(s.Data[seal.PrefixSize:])
			break
		}
	}
	in.tell(in.a, cut, 0)
}

// appear says presence, with an instance or counter that may be at its end.
func (in *intruder) appear() {
	instance, counter := in.instance, in.counter
	switch in.below(4) {
	case 0:
		in.instance.Boot = uint32(in.number())
	case 1:
		in.counter = in.number(in.counter) - 1
	}
	t := wire.TypeHello + wire.Type(in.below(int(wire.TypeEcho-wire.TypeHello)+1))
	in.send(in.a.addr, in.presence(t, in.addr.Addr(), wire.Challenge(in.bytes(16)), in.challenges[in.a.addr]))
	in.g.pump()
	if in.instance, in.counter = instance, counter+1; t == wire.TypeBye || in.odds(2) {
		in.instance.Boot++ // as if it began anew
		in.send(in.a.addr, in.presence(wire.TypeHello, in.addr.Addr(), wire.Challenge{2}, in.challenges[in.a.addr]))
		in.g.pump()
	}
}

// serve does what the station wants of streams: it dials, writes and closes.
func (in *intruder) serve() {
	for len(in.a.streams) > 0 {
		op := in.a.streams[0]
		in.a.streams = in.a.streams[1:]
		switch op.Kind {
		case engine.StreamDial:
			if op.Key != in.key.Public() {
				in.a.StreamClosed(in.a.clock(), op.ID, nil)
				break
			}
			in.pipes = append(in.pipes, &pipe{id: op.ID})
			in.a.StreamOpened(in.a.clock(), op.ID, op.Key, [32]byte{7}, true)
		case engine.StreamWrite:
			for b := op.Data; len(b) > 0; {
				m, rest, err := wire.CutMessage(b, ^wire.Kinds(0))
				if err != nil || m == nil {
					in.g.t.Fatalf("half a message was written: %v", err)
				}
				if take, ok := m.(wire.Take); ok {
					in.pipe(op.ID).asked = take.Ranges
				}
				b = rest
			}
			in.a.StreamDrained(in.a.clock(), op.ID)
		case engine.StreamClose:
			in.pipes = slices.DeleteFunc(in.pipes, func(p *pipe) bool { return p.id == op.ID })
		}
		in.a.settle()
		in.g.pump()
	}
}

func (in *intruder) pipe(id uint64) *pipe {
	i := slices.IndexFunc(in.pipes, func(p *pipe) bool { return p.id == id })
	if i < 0 {
		return &pipe{}
	}
	return in.pipes[i]
}

// streamOn dials the station, or says the next thing on a stream that there is.
func (in *intruder) streamOn() {
	if len(in.pipes) == 0 || in.odds(8) {
		in.dialled += 2
		p := &pipe{id: in.dialled}
		in.pipes = append(in.pipes, p)
		in.a.StreamOpened(in.a.clock(), p.id, in.key.Public(), [32]byte{7}, false)
	}
	for range 1 + in.below(4) {
		in.a.settle()
		if in.serve(); len(in.pipes) == 0 {
			return
		}
		p := in.pipes[in.below(len(in.pipes))]
		b := wire.AppendMessage(nil, in.message(p))
		if in.odds(16) {
			b = append(b, in.bytes(in.below(20))...)
		}
		in.a.StreamData(in.a.clock(), p.id, b)
		in.a.settle()
		in.g.pump()
	}
}

// message is mostly what is expected now.
func (in *intruder) message(p *pipe) wire.Message {
	serving := p.id%2 == 1 // the station pulls
	if !p.began {
		p.began = true
		end, dialler, acceptor := byte(seal.Dialler), in.key.ID(), in.a.key.ID()
		if serving {
			end, dialler, acceptor = seal.Acceptor, acceptor, dialler
		}
		return wire.Proof{MAC: in.room.StreamProof(end, [32]byte{7}, dialler, acceptor)}
	}
	kinds := []func() wire.Message{
		func() wire.Message { return wire.StreamClaims{All: in.odds(2), Claims: in.claims(20)} },
		func() wire.Message { return wire.Take{Ranges: in.ranges()} },
		func() wire.Message { return wire.Take{Ranges: in.ranges()} },
		func() wire.Message { return wire.Offer{Claims: in.claims(20)} },
		func() wire.Message { return in.entry(p) },
		func() wire.Message { return wire.End{} },
		func() wire.Message { return wire.Busy{RetryMillis: in.small()} },
	}
	switch {
	case in.odds(8):
		return kinds[in.below(len(kinds))]()
	case serving && p.asked != nil:
		return kinds[4+in.below(2)]()
	case serving:
		return kinds[3]()
	}
	return kinds[in.below(2)]()
}

// entry is a record, of those that were asked for if it can sign it.
func (in *intruder) entry(p *pipe) wire.Message {
	rec := in.record()
	if len(p.asked) > 0 && !in.odds(4) {
		rec = in.asked(p.asked[in.below(len(p.asked))])
	}
	e := wire.Entry{Bytes: rec.Bytes()}
	if in.odds(4) {
		e.Branch = in.id(in.records)
	}
	return e
}

// FuzzMember has a member say whatever can be signed and sealed, with numbers near all the ends that there are, to a
// station that has a feed of its own, others' and a forked one, in a public room or a private one. Whatever it says in
// the public one, who is honest is heard.
func FuzzMember(f *testing.F) {
	for seed := range uint64(memberSeeds) {
		f.Add(randomScript(seed, 600))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4000 {
			return
		}
		attack(t, script)
	})
}

func attack(t *testing.T, script []byte) {
	in := newIntruder(t, script)
	for range 400 {
		if len(in.script) == 0 {
			break
		}
		in.act()
	}
	in.a.full = false
	if in.ring != nil {
		return // a member may split a private room
	}
	in.b.say("still heard")
	for range 60 {
		if slices.Contains(in.a.shown, "still heard") {
			return
		}
		in.g.wait(time.Second)
	}
	t.Error("who is honest is not heard any more")
}

// memberSeeds is how many scripts every test run tries.
const memberSeeds = 64

func randomScript(seed uint64, size int) []byte {
	script := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(script)
	return script
}
