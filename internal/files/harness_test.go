package files

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bcast/identity"
)

// wire carries connections in memory from one device to the server of another. After cut bytes of an answer, if that is
// not zero, they break.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	cut int
}

type wireEnd struct {
	net.Conn
	key identity.PublicKey
}

func (e wireEnd) Peer() identity.PublicKey { return e.key }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

// breaking is a connection that breaks when so much was read or written as its wire allows.
type breaking struct {
	net.Conn
	wire *wire
}

func (b breaking) spend(n int) error {
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	if b.wire.cut == 0 {
		return nil
	}
	if b.wire.cut -= n; b.wire.cut <= 0 {
		b.wire.cut = 1
		b.Close()
		return errors.New("the cable is out")
	}
	return nil
}

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if cut := b.spend(n); cut != nil {
		return 0, cut
	}
	return n, err
}

func (b breaking) Write(p []byte) (int, error) {
	if cut := b.spend(len(p)); cut != nil {
		return 0, cut
	}
	return b.Conn.Write(p)
}

func (w *wire) breakAfter(bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = bytes
}

// isBroken tells whether the wire broke and was not mended.
func (w *wire) isBroken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut == 1
}

// desk is a device with a share docs, and one that reads it into out.
type desk struct {
	t    *testing.T
	docs string
	out  *os.Root
	at   string // the directory of out
	*Remote
	server *Server
	lib    *Library
	inbox  *Inbox
	held   *Holdings
	who    Visitor
	wire   *wire
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, docs: t.TempDir(), at: t.TempDir(), lib: &Library{}, inbox: &Inbox{}, held: &Holdings{}, wire: newWire()}
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true, Write: true}})
	d.server = NewServer(d.lib, d.inbox, d.held,
		func(context.Context, identity.PublicKey) (Visitor, error) { return d.who, nil }, slog.New(slog.DiscardHandler))
	d.serve(d.server.Handler())
	var err error
	if d.out, err = os.OpenRoot(d.at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.out.Close() })
	return d
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), closed: make(chan struct{})} }

// serve has a handler answer in place of the server.
func (d *desk) serve(handler http.Handler) {
	w := newWire()
	d.wire = w
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerContext{}, identity.PublicKey{1})
		}}
	go server.Serve(w)
	carrier := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case w.conns <- wireEnd{Conn: far}:
			return breaking{near, w}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	d.Remote = &Remote{Do: func(r *http.Request) (*http.Response, error) {
		answer, err := carrier.RoundTrip(r)
		if err != nil {
			err = Broken(err)
		}
		return answer, err
	}}
	d.t.Cleanup(func() {
		carrier.CloseIdleConnections()
		server.Close()
	})
}

// write puts a file into the share.
func (d *desk) write(name string, content []byte) {
	d.t.Helper()
	writeAt(d.t, filepath.Join(d.docs, filepath.FromSlash(name)), content)
}

func writeAt(t *testing.T, at string, content []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(at), 0o755)
	if err == nil {
		err = os.WriteFile(at, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fetch brings what is at p of the share as it is called there.
func (d *desk) fetch(p string, o Options) error {
	name := p[strings.LastIndexByte(p, '/')+1:]
	return d.Fetch(d.t.Context(), "docs", p, d.out, name, o)
}

// has fails unless a file of a directory is there with this content, and nothing unfinished beside it.
func has(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s has %d bytes (%v), want %d", name, len(got), err, len(content))
	}
}

// names are all files below a directory, unfinished ones too.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// dice are n bytes that are the same each time, and are to stay so.
func dice(n int) []byte {
	if n > len(thrown) {
		thrown = make([]byte, n)
		rand.NewChaCha8([32]byte{1}).Read(thrown)
	}
	return thrown[:n:n]
}

var thrown []byte

func wantCode(t *testing.T, what string, err error, want Code) {
	t.Helper()
	if err == nil || codeOf(err) != want {
		t.Errorf("%s: %v (%s), want %s", what, err, codeOf(err), want)
	}
}
