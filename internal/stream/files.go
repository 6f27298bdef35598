package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"bcast/identity"
)

// ErrNoFiles says that a device took the connection and speaks no bcast-files/1: it is an older one.
var ErrNoFiles = errors.New("the device serves no files")

// Conn is a connection for files between two devices whose keys are proven. Who accepted it sets the limits of time;
// one that was dialled ends when nothing comes and goes for as long as a stream may be silent.
type Conn struct {
	net.Conn // hides the TLS below: net/http would look for a meaning of its own in what was agreed on
	batch    *batch
	writing  sync.Mutex
	peer     identity.PublicKey
	close    func() error
}

// Read reads as much of p as is here, not only one record of TLS.
func (c *Conn) Read(p []byte) (int, error) { return c.batch.fill(p, c.Conn.Read) }

// Write has many records leave together.
func (c *Conn) Write(p []byte) (written int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for more := true; more && err == nil; more = written < len(p) {
		part := p[written:min(len(p), written+batchSize)]
		n := 0
		n, err = c.batch.together(func() (int, error) { return c.Conn.Write(part) })
		written += n
	}
	return written, err
}

// Peer is the device at the other end.
func (c *Conn) Peer() identity.PublicKey { return c.peer }

// Close ends the connection.
func (c *Conn) Close() error { return c.close() }

// connOf makes a Conn of a connection that has proven itself; free is called once, when it is closed.
func connOf(st *stream, g *guard, b *batch, conn *tls.Conn, peer identity.PublicKey, free func()) *Conn {
	var closed atomic.Bool
	c := &Conn{Conn: conn, batch: b, peer: peer}
	c.close = func() error {
		if closed.Swap(true) {
			return nil
		}
		g.part()
		err := conn.Close()
		st.end(nil)
		free()
		return err
	}
	context.AfterFunc(st.ctx, func() { c.Close() })
	return c
}

// hand gives an accepted connection to who takes those for files.
func (s *Streams) hand(st *stream, g *guard, b *batch, conn *tls.Conn, peer identity.PublicKey, from netip.Addr) {
	s.leave(st)
	if err := s.admitFiles(peer, from); err != nil {
		s.log.Debug("connection for files refused", "from", from, "err", err)
		return
	}
	gone := make(chan struct{})
	g.hand()
	c := connOf(st, g, b, conn, peer, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.files--
		release(s.filesOf, peer)
		release(s.filesAt, from)
		close(gone)
	})
	select {
	case s.handing <- c:
		<-gone // the goroutine of an accepted connection ends with it
	case <-s.ctx.Done():
		c.Close()
	}
}

// admitFiles takes a place for a connection for files. A key is made in no time, and any proves itself in a handshake:
// it is served only from where its device is.
func (s *Streams) admitFiles(peer identity.PublicKey, from netip.Addr) error {
	if s.serves != nil && !s.serves(s.ctx, peer, from) {
		return errNotThere
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files >= maxFiles || s.filesOf[peer] >= filesFrom || s.filesAt[from] >= filesFromAddr {
		return ErrFull
	}
	s.files++
	s.filesOf[peer]++
	s.filesAt[from]++
	return nil
}

var errNotThere = errors.New("it is not the key of a device that is at this address")

// release gives back a place of those that one has.
func release[K comparable](places map[K]int, of K) {
	if places[of]--; places[of] == 0 {
		delete(places, of)
	}
}

// Files is where the connections for files are accepted; each is a *Conn. It ends with its Close or CloseAll.
func (s *Streams) Files() net.Listener {
	l := &filesListener{Streams: s}
	l.open, l.shut = context.WithCancel(s.ctx)
	return l
}

type filesListener struct {
	*Streams
	open context.Context
	shut context.CancelFunc
}

// Accept implements net.Listener.
func (l *filesListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.handing:
		return c, nil
	case <-l.open.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: the port stays the streams', and nobody takes what comes for files.
func (l *filesListener) Close() error {
	l.shut()
	return nil
}

// Addr implements net.Listener.
func (l *filesListener) Addr() net.Addr { return l.listener.Addr() }

// DialFiles connects to the files of the device peer at to.
func (s *Streams) DialFiles(ctx context.Context, to netip.AddrPort, peer identity.PublicKey) (*Conn, error) {
	by := time.Now().Add(handshakeTime)
	st := newStream(s.ctx)
	dial, stop := context.WithDeadline(ctx, by)
	defer stop()
	raw, err := s.dial(dial, to)
	if err != nil {
		st.end(nil)
		return nil, fmt.Errorf("dial: %w", err)
	}
	g := watch(st.ctx, raw, by)
	b := &batch{Conn: g}
	conn := tls.Client(b, dialling(peer, filesProtocol, s.tls))
	err = conn.HandshakeContext(dial)
	if err == nil {
		g.carry()
		return connOf(st, g, b, conn, peer, func() {}), nil
	}
	st.end(nil)
	raw.Close()
	if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Err.Error() == noProtocol {
		err = ErrNoFiles
	}
	return nil, fmt.Errorf("handshake: %w", err)
}

// noProtocol is the alert of who speaks nothing of what it is offered (RFC 7301), as crypto/tls says it. Its type is
// crypto/tls's own.
const noProtocol = "tls: no application protocol"
