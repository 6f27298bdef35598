package control_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"bcast/internal/control"
)

var quiet = slog.New(slog.DiscardHandler)

// memory is a listener whose connections are pipes.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (m *memory) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.conns <- far:
		return near, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// served is an API behind a server in memory.
type served struct {
	*control.Client
	stop func() error // stops the server and returns what Serve did
}

// serve runs inside a synctest bubble: time is the test's.
func serve(t *testing.T, api control.API) served {
	ctx, cancel := context.WithCancel(t.Context())
	ln := newMemory()
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, ln, api, quiet) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	client := control.NewClientDial(ln.dial)
	t.Cleanup(func() {
		client.Close()
		stop()
	})
	return served{client, stop}
}
