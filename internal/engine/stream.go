package engine

import (
	"crypto/hmac"
	"errors"
	"net/netip"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// A stream carries bytes between two devices whose keys it has proven. What is said on it is said here:
//
//	who pulls ──────────────────── who serves
//	Proof                  ──────▶
//	                       ◀────── Proof
//	StreamClaims           ──────▶
//	                       ◀────── Offer, or Busy
//	Take                   ──────▶
//	                       ◀────── Entry … End     and again from Take on, until nothing is left
//
// Who pulls has dialled. It takes no more than it has place for, and closes the stream.

// Limits of streams: each with what happens when it is reached.
const (
	// maxStreams are there together, whatever they are for, and one of them that a device dialled: more are closed, of
	// one device the older ones, for who dials again has lost those. (The carrier has limits of its own, for
	// connections that have not proven anything.)
	maxStreams = 16
	// maxServed members are served together, each by one stream; others are told to come back. One pull at a time, of
	// all rooms, is our own.
	maxServed = 2
	busyMin   = time.Second
	busyMax   = 5 * time.Second
	// streamQuiet is how long a stream may bring nothing that goes forward, serveQuiet how long one that we serve may
	// ask for nothing: its store may be slow.
	streamQuiet = 10 * time.Second
	serveQuiet  = 20 * time.Second
	// takeTime is for all that was taken at once, so that nobody keeps us from others drop by drop: 3 KB/s of ordinary
	// posts, 150 of the longest. serveTime is for all that one stream is served; who lacks more then comes again.
	takeTime  = 30 * time.Second
	serveTime = 5 * time.Minute
	// loadRecords are read from the store together for one that we serve: 2.2 MiB of the largest. writeBytes of them
	// are on their way at once.
	loadRecords = 128
	writeBytes  = 128 << 10
	// pullBacklog bytes on their way to the store make a pull wait: the other half is for what is being said.
	pullBacklog = maxBacklog / 2
)

// StreamOp is one thing to do with a stream.
type StreamOp struct {
	Kind StreamKind
	ID   uint64
	To   netip.AddrPort     // of StreamDial
	Key  identity.PublicKey // of StreamDial: who has to be there
	Data []byte             // of StreamWrite
}

// StreamKind says what to do with a stream.
type StreamKind uint8

// StreamDial is answered by StreamOpened or StreamClosed; ids of streams that the engine dials are odd, others even.
// After StreamClose nothing about the stream is awaited any more.
const (
	StreamDial StreamKind = iota + 1
	StreamWrite
	StreamClose
)

// step is how far a stream has come: what may be said next.
type step uint8

const (
	dialling  step = iota
	proving        // we wait for the peer's proof
	claiming       // we pull and wait for the offer
	taking         // we pull and wait for records
	choosing       // we pull, all that was taken is here, and what is next depends on our store
	listening      // we serve and wait for claims
	offering       // we serve and wait for a take
	serving        // we serve what was taken
	refusing       // we said busy
)

// expected is what the peer may say at each step. While it is served it has nothing to say.
var expected = [...]wire.Kinds{
	dialling: 0, proving: wire.KindsOf(wire.KindProof),
	claiming: wire.KindsOf(wire.KindOffer, wire.KindBusy), taking: wire.KindsOf(wire.KindEntry, wire.KindEnd), choosing: 0,
	listening: wire.KindsOf(wire.KindClaims), offering: wire.KindsOf(wire.KindTake), serving: 0, refusing: 0,
}

// stream is one stream.
type stream struct {
	id       uint64
	peer     identity.DeviceID
	key      identity.PublicKey
	exporter [32]byte
	dialled  bool
	step     step
	room     *room  // once the peer has proven to know it; of a stream that we dialled, from the beginning
	scope    *scope // the one that is served where the peer is
	in       []byte // the front of a message
	quietAt  time.Duration
	endAt    time.Duration // it is closed then, whatever is going on

	asked []wire.SeqRange // what may still come of a take

	untaken map[record.ShortFeed]wire.SeqRange // what was offered, of each chain behind what was taken

	spans    []record.Span  // what is still to be read of a take
	fetching []record.Span  // what the store is asked for now
	loaded   []record.Entry // read, and not yet written
}

// What ends a stream from our side. Nobody is told: a wrong proof, an unknown room and a stranger look alike.
var (
	errProof    = errors.New("no room has this proof")
	errNotHere  = errors.New("the peer is not proven where the room is served")
	errUnasked  = errors.New("a record that was not asked for")
	errUnsigned = errors.New("a record that its author did not sign")
)

// StreamOpened says that a stream is open: the peer holds the key. exporter is the connection's (RFC 8446, 7.5).
func (e *Engine) StreamOpened(now Now, id uint64, peer identity.PublicKey, exporter [32]byte, dialled bool) {
	st := e.stream(id)
	switch {
	case dialled && st != nil && st.key == peer && st.step == dialling:
		st.exporter, st.step, st.quietAt = exporter, proving, now.Mono+streamQuiet
		e.write(st, wire.Proof{MAC: st.room.keys.StreamProof(seal.Dialler, exporter, e.id, st.peer)})
	case dialled || st != nil || !e.accept(now, id, peer, exporter):
		e.out.Streams = append(e.out.Streams, StreamOp{Kind: StreamClose, ID: id})
	}
	e.settleOut(now)
}

// accept makes place for a stream that a device has dialled, if it is proven here and there is place.
func (e *Engine) accept(now Now, id uint64, key identity.PublicKey, exporter [32]byte) bool {
	p, known := e.discovery.Peer(key.ID())
	if !known || !p.Proven || e.cfg.StreamPort == 0 || e.Watching() {
		return false
	}
	for _, other := range slices.Clone(e.streams) {
		if other.peer == p.ID && !other.dialled {
			e.breakOff(now, other)
		}
	}
	if len(e.streams) >= maxStreams {
		return false
	}
	e.streams = append(e.streams, &stream{
		id: id, peer: p.ID, key: key, exporter: exporter, step: proving, quietAt: now.Mono + streamQuiet,
		endAt: now.Mono + serveTime,
	})
	return true
}

// StreamData brings bytes of a stream, 64 KiB at most: so many take some 17 ms, most of it for signatures.
func (e *Engine) StreamData(now Now, id uint64, data []byte) {
	if st := e.stream(id); st != nil {
		st.in = append(st.in, data...)
		if err := e.messages(now, st); err != nil {
			e.breakOff(now, st)
		}
	}
	e.settleOut(now)
}

// StreamDrained says that all that was written to a stream is on its way.
func (e *Engine) StreamDrained(now Now, id uint64) {
	if st := e.stream(id); st != nil && st.step == serving {
		st.quietAt = now.Mono + streamQuiet
		e.serve(now, st)
	}
	e.settleOut(now)
}

// StreamClosed says that a stream has ended, or did not come about.
func (e *Engine) StreamClosed(now Now, id uint64, _ error) {
	if st := e.stream(id); st != nil {
		if e.pulling == st && st.step == proving {
			st.scope.chat.PullRefused(now)
		}
		e.forgetStream(now, st)
	}
	e.settleOut(now)
}

func (e *Engine) stream(id uint64) *stream {
	i := slices.IndexFunc(e.streams, func(st *stream) bool { return st.id == id })
	if i < 0 {
		return nil
	}
	return e.streams[i]
}

func (e *Engine) write(st *stream, m wire.Message) { e.writeBytes(st, wire.AppendMessage(nil, m)) }

func (e *Engine) writeBytes(st *stream, b []byte) {
	e.out.Streams = append(e.out.Streams, StreamOp{Kind: StreamWrite, ID: st.id, Data: b})
}

// breakOff closes a stream that we are done with, for better or worse.
func (e *Engine) breakOff(now Now, st *stream) {
	e.out.Streams = append(e.out.Streams, StreamOp{Kind: StreamClose, ID: st.id})
	e.forgetStream(now, st)
}

func (e *Engine) forgetStream(now Now, st *stream) {
	e.streams = slices.DeleteFunc(e.streams, func(o *stream) bool { return o == st })
	if e.pulling == st {
		e.pulling = nil
		st.scope.chat.PullBroken(now) // nothing, if the pull was done
	}
}

func (e *Engine) streamDeadline() time.Duration {
	at := never
	for _, st := range e.streams {
		at = min(at, st.quietAt, st.endAt)
	}
	return at
}

// endOverdue closes the streams whose time is up, or that have lost the reason for which they are there.
func (e *Engine) endOverdue(now Now) {
	for _, st := range slices.Clone(e.streams) {
		if min(st.quietAt, st.endAt) <= now.Mono || st.room != nil && !e.entitled(st) {
			e.breakOff(now, st)
		}
	}
}

// entitled tells whether the peer is proven now where the stream's scope is served (N1). It knows the room, or has it
// still to prove that.
func (e *Engine) entitled(st *stream) bool {
	p, known := e.discovery.Peer(st.peer)
	return known && p.Proven && e.rooms[st.room.name] == st.room && e.scopeOn(st.room, p.Iface) == st.scope
}

// messages takes what has come of a stream.
func (e *Engine) messages(now Now, st *stream) error {
	for taken := false; ; taken = true {
		m, rest, err := wire.CutMessage(st.in, expected[st.step])
		if err != nil {
			return err
		}
		if m == nil {
			if taken { // else it would be copied with each byte that comes
				st.in = slices.Clone(rest)
			}
			return nil
		}
		st.in = rest
		if st.room != nil && !e.entitled(st) {
			return errNotHere
		}
		if err := e.message(now, st, m); err != nil {
			return err
		}
		if e.stream(st.id) != st {
			return nil // that was its end
		}
	}
}

func (e *Engine) message(now Now, st *stream, m wire.Message) error {
	switch m := m.(type) {
	case wire.Proof:
		if st.dialled {
			return e.provenAcceptor(now, st, m)
		}
		return e.provenDialler(now, st, m)
	case wire.Offer:
		st.scope.chat.Offered(now, m)
		e.choose(now, st)
	case wire.Busy:
		e.beenRefused(now, st, m)
	case wire.Entry:
		return e.pulled(now, st, m)
	case wire.End:
		e.choose(now, st)
	case wire.StreamClaims:
		e.offer(now, st, m)
	case wire.Take:
		st.spans, st.loaded = st.scope.chat.Spans(st.untake(m)), nil
		st.step, st.quietAt = serving, now.Mono+streamQuiet
		e.serve(now, st)
	}
	return nil
}

// provenDialler looks for the room that the proof is of, and proves it in turn. All rooms are tried, so that the time
// it takes does not tell which it was.
func (e *Engine) provenDialler(now Now, st *stream, proof wire.Proof) error {
	for _, r := range e.ordered {
		mac := r.keys.StreamProof(seal.Dialler, st.exporter, st.peer, e.id)
		if hmac.Equal(mac[:], proof.MAC[:]) {
			st.room = r
		}
	}
	if st.room == nil {
		return errProof
	}
	if p, known := e.discovery.Peer(st.peer); known && p.Proven {
		st.scope = e.scopeOn(st.room, p.Iface)
	}
	if st.scope == nil {
		return errNotHere
	}
	st.step, st.quietAt = listening, now.Mono+streamQuiet
	e.write(st, wire.Proof{MAC: st.room.keys.StreamProof(seal.Acceptor, st.exporter, st.peer, e.id)})
	return nil
}

// provenAcceptor sees that the one we dialled knows the room, and says what we have.
func (e *Engine) provenAcceptor(now Now, st *stream, proof wire.Proof) error {
	mac := st.room.keys.StreamProof(seal.Acceptor, st.exporter, e.id, st.peer)
	if !hmac.Equal(mac[:], proof.MAC[:]) {
		return errProof
	}
	st.step, st.quietAt = claiming, now.Mono+streamQuiet
	e.write(st, st.scope.chat.PullClaims())
	return nil
}
