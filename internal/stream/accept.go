package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Why a connection is refused before its first byte is read.
var (
	errStranger   = errors.New("no known device is at this address")
	errHandshakes = errors.New("too many handshakes")
)

// handshake is an accepted connection that proves itself, or did so within handshakePace.
type handshake struct {
	st    *stream
	from  netip.Addr
	begun time.Time
	over  bool // it proved itself, or failed
}

// accept takes connections until the listener closes.
func (s *Streams) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			s.meet(conn)
		case s.ctx.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed):
			s.log.Error("no more streams are accepted", "err", err)
			return
		default:
			s.log.Warn("stream not accepted", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
			}
		}
	}
}

// meet gives a connection a place, or none.
func (s *Streams) meet(conn net.Conn) {
	from := source(conn)
	h, err := s.admit(from)
	if err != nil {
		s.log.Debug("stream refused", "from", from, "err", err)
		refuse(conn)
		return
	}
	s.running.Go(func() { s.serve(conn, h) })
}

// source is the address that conn comes from.
func source(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// refuse closes conn so that the kernel keeps nothing of it either.
func refuse(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// admit takes a place for a handshake and one for the stream that it may become.
func (s *Streams) admit(from netip.Addr) (*handshake, error) {
	if s.allow != nil && !s.allow(from) {
		return nil, errStranger
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.accepted >= maxAccepted:
		return nil, ErrFull
	case s.from[from] >= handshakesFrom || len(s.handshakes) >= maxHandshakes && !s.makePlace():
		return nil, errHandshakes
	}
	h := &handshake{st: newStream(s.ctx), from: from, begun: time.Now()}
	s.handshakes = append(s.handshakes, h)
	s.accepted++
	s.from[from]++
	return h, nil
}

// makePlace ends the handshake that has taken longest, if it has had the time that an honest one takes.
func (s *Streams) makePlace() bool {
	i := slices.IndexFunc(s.handshakes, func(h *handshake) bool { return !h.over })
	if i < 0 || time.Since(s.handshakes[i].begun) < handshakeSure {
		return false
	}
	s.handshakes[i].st.end(errHandshakes)
	s.handshakes = slices.Delete(s.handshakes, i, i+1)
	return true
}

// done frees the place of a handshake, but not before its time.
func (s *Streams) done(h *handshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.over = true
	time.AfterFunc(handshakePace-time.Since(h.begun), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.handshakes = slices.DeleteFunc(s.handshakes, func(o *handshake) bool { return o == h })
		release(s.from, h.from)
	})
}

// serve carries an accepted stream until its end. Of one whose key is not proven nobody is told.
func (s *Streams) serve(raw net.Conn, h *handshake) {
	st := h.st
	defer st.end(nil)
	defer raw.Close()
	g := watch(st.ctx, raw, h.begun.Add(handshakeTime))
	b := &batch{Conn: g}
	conn := tls.Server(b, s.tls)
	opened, err := prove(conn)
	s.done(h)
	if err != nil {
		s.leave(st)
		s.log.Debug("stream refused", "from", h.from, "err", err)
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == filesProtocol {
		s.hand(st, g, b, conn, opened.Peer, h.from)
		return
	}
	s.enter(st)
	opened.ID = st.id
	gone := Event{ID: st.id, Kind: Closed, Peer: opened.Peer}
	gone.Err = s.carry(st, g, conn, opened)
	s.leave(st)
	s.tell(s.ctx, gone)
}

// enter names a stream that has proven itself.
func (s *Streams) enter(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID += 2
	st.id = s.lastID
	s.streams[st.id] = st
}
