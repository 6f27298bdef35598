package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"bcast/identity"
)

// stream is one connection, from dialling or accepting to its end.
type stream struct {
	id      uint64 // none while an accepted one proves itself
	dialled bool
	ctx     context.Context // its cause is why the stream ends
	end     context.CancelCauseFunc
	wake    chan struct{} // something is queued

	mu      sync.Mutex
	queue   []byte
	sending int // bytes taken from the queue that the kernel does not have yet
}

func newStream(ctx context.Context) *stream {
	st := &stream{wake: make(chan struct{}, 1)}
	st.ctx, st.end = context.WithCancelCause(ctx)
	return st
}

// add queues data.
func (st *stream) add(data []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ctx.Err() != nil {
		return
	}
	if st.sending+len(st.queue)+len(data) > maxQueued {
		st.end(ErrQueue)
		return
	}
	st.queue = append(st.queue, data...)
	select {
	case st.wake <- struct{}{}:
	default: // it will see this, too
	}
}

// next is all that is queued, when what it gave before has been sent.
func (st *stream) next() []byte {
	st.mu.Lock()
	defer st.mu.Unlock()
	data := st.queue
	st.queue, st.sending = nil, len(data)
	return data
}

// unsent tells whether something was queued that the kernel did not get.
func (st *stream) unsent() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sending+len(st.queue) > 0
}

// because is why the stream has ended, if it has, and else err.
func (st *stream) because(err error) error {
	switch cause := context.Cause(st.ctx); {
	case cause == nil:
		return err
	case errors.Is(cause, errOwn):
		return nil
	default:
		return cause
	}
}

// reach dials and carries a stream until its end, and returns why it ended.
func (s *Streams) reach(st *stream, to netip.AddrPort, peer identity.PublicKey) error {
	defer st.end(nil)
	by := time.Now().Add(handshakeTime)
	ctx, stop := context.WithDeadline(st.ctx, by)
	defer stop()
	raw, err := s.dial(ctx, to)
	if err != nil {
		return st.because(fmt.Errorf("dial: %w", err))
	}
	defer raw.Close()
	g := watch(st.ctx, raw, by)
	conn := tls.Client(g, dialling(peer, protocol, s.tls))
	opened, err := prove(conn)
	if err != nil {
		return st.because(err)
	}
	opened.ID, opened.Dialled = st.id, true
	return s.carry(st, g, conn, opened)
}

// prove makes the handshake. What it returns is who the peer is and the exporter.
func prove(conn *tls.Conn) (Event, error) {
	if err := conn.Handshake(); err != nil {
		return Event{}, fmt.Errorf("handshake: %w", err)
	}
	state := conn.ConnectionState()
	key, err := peerKey(state)
	if err != nil {
		return Event{}, fmt.Errorf("handshake: %w", err)
	}
	secret, err := state.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return Event{}, fmt.Errorf("export keying material: %w", err)
	}
	return Event{Kind: Opened, Peer: key, Exporter: [32]byte(secret)}, nil
}

// carry moves bytes both ways until the stream ends, and returns why it ended. The connection is closed then.
func (s *Streams) carry(st *stream, g *guard, conn *tls.Conn, opened Event) error {
	g.carry()
	if s.tell(st.ctx, opened) {
		var writer sync.WaitGroup
		writer.Go(func() { s.write(st, conn, opened) })
		s.read(st, conn, opened)
		writer.Wait()
	}
	why := st.because(nil)
	if (why == nil || errors.Is(why, context.Canceled)) && !st.unsent() { // only then is the end an orderly one
		g.part()
		conn.CloseWrite()
	}
	g.Close()
	return why
}

// read tells what comes. It reads on when that has been taken, so a peer that is faster than the caller has to wait.
func (s *Streams) read(st *stream, conn *tls.Conn, opened Event) {
	chunk := make([]byte, maxChunk)
	for {
		n, err := conn.Read(chunk)
		if n > 0 {
			data := bytes.Clone(chunk[:n])
			s.tell(st.ctx, Event{ID: st.id, Kind: Data, Dialled: st.dialled, Peer: opened.Peer, Data: data})
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			st.end(io.EOF)
		case st.unsent():
			st.end(fmt.Errorf("read: %w", unlessLate(err, ErrStalled))) // both limits pass together
		default:
			st.end(fmt.Errorf("read: %w", unlessLate(err, ErrIdle)))
		}
		if st.ctx.Err() != nil {
			return
		}
	}
}

// write sends what is queued and tells when nothing is queued any more.
func (s *Streams) write(st *stream, conn *tls.Conn, opened Event) {
	for {
		select {
		case <-st.wake:
		case <-st.ctx.Done():
			return
		}
		sent := false
		for data := st.next(); len(data) > 0; data = st.next() {
			if _, err := conn.Write(data); err != nil {
				st.end(fmt.Errorf("write: %w", unlessLate(err, ErrStalled)))
				return
			}
			sent = true
		}
		if !sent { // what woke us went with what was there before
			continue
		}
		if !s.tell(st.ctx, Event{ID: st.id, Kind: Drained, Dialled: st.dialled, Peer: opened.Peer}) {
			return
		}
	}
}
