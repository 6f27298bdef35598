package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

var errLongHandshake = errors.New("the peer's handshake is too long")

// stage is how far a connection has come.
type stage uint8

const (
	proving stage = iota
	carrying
	handed // to who has limits of time of its own
	ending
)

// guard is the connection below TLS. All limits of time and size are kept here, where every byte passes, also those
// that crypto/tls sends and reads by itself.
type guard struct {
	net.Conn
	mu     sync.Mutex
	stage  stage
	unread int // bytes that the handshake may still read
}

// watch guards conn, whose keys are to be proven at by, until ctx ends: then whoever waits in it is set free.
func watch(ctx context.Context, conn net.Conn, by time.Time) *guard {
	g := &guard{Conn: conn, unread: handshakeBytes}
	conn.SetDeadline(by)
	context.AfterFunc(ctx, g.cut)
	return g
}

// carry begins the time after the handshake.
func (g *guard) carry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage == proving {
		g.stage = carrying
		g.Conn.SetReadDeadline(time.Now().Add(idleTime))
	}
}

// hand ends our limits of time: whoever has the connection now sets them.
func (g *guard) hand() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage == proving {
		g.stage = handed
		g.Conn.SetDeadline(time.Time{})
	}
}

// cut frees whoever reads or writes now and lets nobody read or write later.
func (g *guard) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage != ending {
		g.stage = ending
		g.Conn.SetDeadline(time.Unix(1, 0))
	}
}

// part gives a moment to what is to be said at the end.
func (g *guard) part() {
	g.cut() // should it still be to come, it would take back this moment
	g.Conn.SetWriteDeadline(time.Now().Add(partingTime))
}

func (g *guard) Read(p []byte) (int, error) {
	p, err := g.beforeRead(p)
	if err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage == proving {
		g.unread -= n
	} else if errors.Is(err, io.EOF) {
		err = ErrCut // crypto/tls would take it for an orderly end if it comes between two records
	}
	return n, err
}

func (g *guard) beforeRead(p []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch g.stage {
	case proving:
		if g.unread <= 0 {
			return nil, errLongHandshake
		}
		return p[:min(len(p), g.unread)], nil
	case carrying:
		g.Conn.SetReadDeadline(time.Now().Add(idleTime))
	}
	return p, nil
}

func (g *guard) Write(p []byte) (int, error) {
	g.renew(g.Conn.SetWriteDeadline, stallTime)
	n, err := g.Conn.Write(p)
	if n > 0 {
		g.renew(g.Conn.SetReadDeadline, idleTime) // a peer that listens is not idle
	}
	return n, err
}

func (g *guard) renew(set func(time.Time) error, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage == carrying {
		set(time.Now().Add(after))
	}
}

// SetWriteDeadline changes nothing while the limits are ours: crypto/tls would give its last words five seconds.
func (g *guard) SetWriteDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stage != handed {
		return nil
	}
	return g.Conn.SetWriteDeadline(t)
}

// unlessLate is err, or late if err says that a deadline passed.
func unlessLate(err, late error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return late
	}
	return err
}
