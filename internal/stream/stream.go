// Package stream is TLS between two devices: it carries bytes, for what is too much for datagrams, and knows no
// conversation.
//
// Its invariant: a stream is handed up only after its peer proved to hold the Ed25519 device key that it is said to
// have; what has not proven that costs little, and costs no more when there is more of it.
//
// TLS 1.3 proves the key: each side signs the transcript of this handshake with the key of its certificate. The
// certificate itself proves nothing and is only the way in which TLS carries a key. A dialler knows the acceptor's
// proof when the stream opens, and has sent its own; should the acceptor not take that, the stream closes.
//
// What crypto/tls bounds is left to it: records of more than 16 KiB, more than 16 records in a row that bring no data
// (key updates, empty ones, tickets), messages of more than 64 KiB after the handshake.
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"bcast/identity"
)

// Limits. Each is there because somebody else decides how much comes.
const (
	// handshakeTime is for all from the first byte, or from dialling, to the proof of both keys. On a LAN it takes
	// milliseconds; a host with a firewall that drops costs one of these.
	handshakeTime = 5 * time.Second
	// maxHandshakes accepted connections prove themselves together, handshakesFrom of them from one address; more are
	// closed at once. Whoever was refused comes again, and a stranger ties up no more than this.
	maxHandshakes  = 8
	handshakesFrom = 2
	// handshakeSure is the time that each handshake has for sure; who takes longer makes place for who comes, so that
	// connections that say nothing keep nobody out.
	handshakeSure = 250 * time.Millisecond
	// handshakePace is how long a handshake's place stays taken at least, so that the arithmetic of no more than
	// maxHandshakes a second (handshakesFrom from one address) is done for strangers. It is some 0.3 ms each.
	handshakePace = time.Second
	// handshakeBytes may be read before the peer is proven: 2 KiB do with us, certificates of 256 KiB are let through
	// by crypto/tls.
	handshakeBytes = 16 << 10
	// maxAccepted and maxDialled streams are there together, 16. They have places of their own, so that those who come
	// cannot keep us from going. Accepted ones count from their first byte.
	maxAccepted = 12
	maxDialled  = 4
	// maxFiles connections for files are served together, filesFrom of them to one device and filesFromAddr to one
	// address, since a host can be as many devices as it likes; they count as nothing else once they have proven
	// themselves. A client needs two: one for what it reads, one for what it checks that by.
	maxFiles      = 64
	filesFrom     = 8
	filesFromAddr = 16
	// idleTime without a byte in either direction ends a stream. Time that our own caller takes does not count.
	idleTime = 30 * time.Second
	// stallTime is how long one TLS record (16 KiB at most) may wait for a peer that does not read.
	stallTime = 30 * time.Second
	// partingTime is for telling the peer that the stream ends. The kernel has room for these few bytes or has not.
	partingTime = 200 * time.Millisecond
	// maxQueued bytes of one stream wait to be written; a caller that keeps to its window has a small part of that.
	maxQueued = 4 << 20
	// maxChunk is the size of Data at most: a TLS record, since more never comes at once.
	maxChunk = 16 << 10
	// acceptPause is the wait after a failed accept: the usual reason, too many open files, passes by itself.
	acceptPause = time.Second
)

// Reasons for the end of a stream. io.EOF is the peer's orderly end, nil our own.
var (
	ErrWrongKey = errors.New("the peer has another device key") // it proved one, but not the one that was dialled
	ErrFull     = errors.New("too many streams")
	ErrCut      = errors.New("the connection ended and the peer did not say so")
	ErrIdle     = errors.New("nothing was sent or received for too long")
	ErrStalled  = errors.New("the peer does not read")
	ErrQueue    = errors.New("more was queued than a stream may hold")
)

// errOwn is the end that the caller asked for.
var errOwn = errors.New("closed")

// Config says who takes part and where it is reached.
type Config struct {
	Key      *identity.Key
	Listener net.Listener
	Log      *slog.Logger // nil discards
	// Allow tells whether an address is that of a device that we know; others are refused before any handshake. It is
	// called from a goroutine of Streams. Nil allows all.
	Allow func(netip.Addr) bool
	// Serves tells whether a device is here and proved to be at an address: others get no connection for files. It is
	// called after the handshake, from a goroutine of Streams, until ctx ends. Nil allows all.
	Serves func(ctx context.Context, peer identity.PublicKey, at netip.Addr) bool
	// Dial connects to a peer's listener; nil is TCP.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// Kind is what happened to a stream.
type Kind uint8

const (
	Opened  Kind = iota + 1 // both keys are proven
	Data                    // bytes came
	Drained                 // all that was queued has been handed to the kernel
	Closed                  // the last event of a stream; its id is free again
)

// Event is something that happened to one stream.
type Event struct {
	ID       uint64
	Kind     Kind
	Dialled  bool
	Peer     identity.PublicKey // who is dialled, or who proved to be there
	Exporter [32]byte           // Opened: the same on both sides and on no other connection (RFC 9266 and 8446, 7.5)
	Data     []byte             // Data: the receiver's own
	Err      error              // Closed: why; nil if by Close
}

// Streams are the streams of one device. Its methods may be called from many goroutines.
type Streams struct {
	log      *slog.Logger
	listener net.Listener
	allow    func(netip.Addr) bool
	serves   func(context.Context, identity.PublicKey, netip.Addr) bool
	dial     func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	tls      *tls.Config
	events   chan Event

	ctx     context.Context // ends with CloseAll
	end     context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
	closed  error

	mu         sync.Mutex
	over       bool // CloseAll was called: nothing may start any more
	streams    map[uint64]*stream
	lastID     uint64                     // of an accepted stream
	files      int                        // connections for files
	filesOf    map[identity.PublicKey]int // those of a device
	filesAt    map[netip.Addr]int         // those from an address
	handing    chan net.Conn
	accepted   int
	dialled    int
	handshakes []*handshake       // the first began first
	from       map[netip.Addr]int // handshakes of an address
}

func dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}

// New accepts streams on the listener until CloseAll, which closes it.
func New(cfg Config) (*Streams, error) {
	certificate, err := certify(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate of the device key: %w", err)
	}
	s := &Streams{
		log: cfg.Log, listener: cfg.Listener, allow: cfg.Allow, serves: cfg.Serves, dial: cfg.Dial,
		tls:     configure(certificate),
		events:  make(chan Event),
		streams: map[uint64]*stream{},
		from:    map[netip.Addr]int{},
		filesOf: map[identity.PublicKey]int{},
		filesAt: map[netip.Addr]int{},
		handing: make(chan net.Conn),
	}
	if s.dial == nil {
		s.dial = dialTCP
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Events is where everything is told. Nothing is dropped: each stream waits with one event until it is taken, without
// reading on, and those that wait are served in turn. So a stream that brings much delays an event of another by one
// chunk for each stream at most, and a caller that stops taking events stops all of them: one channel was chosen over
// one for each stream because the caller is one loop with one store, and what holds up that holds up everything. What
// had happened before the caller's Close or Write may still come after it. The channel is closed by CloseAll.
func (s *Streams) Events() <-chan Event { return s.events }

// Dial asks for a stream to the device peer at to. It never waits: Opened and later Closed come, or Closed alone. The
// id is the caller's choice, odd, and free; a Dial under one in use is ignored. Beyond the limit each Dial keeps a
// goroutine until its Closed is taken: how many that are is up to the caller.
func (s *Streams) Dial(id uint64, to netip.AddrPort, peer identity.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if id%2 == 0 || s.streams[id] != nil {
		s.log.Error("stream not dialled: its id is even or in use", "id", id)
		return
	}
	gone := Event{ID: id, Kind: Closed, Dialled: true, Peer: peer}
	if s.dialled >= maxDialled {
		gone.Err = ErrFull
		s.running.Go(func() { s.tell(s.ctx, gone) })
		return
	}
	st := newStream(s.ctx)
	st.id, st.dialled = id, true
	s.streams[id] = st
	s.dialled++
	s.running.Go(func() {
		gone.Err = s.reach(st, to, peer)
		s.leave(st)
		s.tell(s.ctx, gone)
	})
}

// Write queues data, which it copies, to be sent; it never waits. A stream that is gone, or going, loses it. One with
// more than 4 MiB queued is closed: its caller does not wait for Drained.
func (s *Streams) Write(id uint64, data []byte) {
	if st := s.find(id); st != nil {
		st.add(data)
	}
}

// Close ends a stream and forgets what is still queued. The peer may lose what it has not read yet if it has sent more
// than we took: TCP discards then. Who is to have the last word therefore waits for the other to close.
func (s *Streams) Close(id uint64) {
	if st := s.find(id); st != nil {
		st.end(errOwn)
	}
}

func (s *Streams) find(id uint64) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

// CloseAll ends everything that New started, and waits for it. Events that were not taken are lost.
func (s *Streams) CloseAll() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		s.end()
		s.closed = s.listener.Close()
		s.running.Wait()
		close(s.events)
	})
	return s.closed
}

// tell waits until the event is taken or done ends.
func (s *Streams) tell(done context.Context, e Event) (taken bool) {
	select {
	case s.events <- e:
		return true
	case <-done.Done():
		return false
	}
}

// leave frees the place of a stream.
func (s *Streams) leave(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st.id)
	if st.dialled {
		s.dialled--
	} else {
		s.accepted--
	}
}
