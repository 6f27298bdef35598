package stream

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"bcast/identity"
)

// network is TCP in memory, without any buffer: what is written has been read.
type network struct{ listeners map[netip.AddrPort]*listener }

func newNetwork() *network { return &network{map[netip.AddrPort]*listener{}} }

func address(host byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 27475)
}

type listener struct {
	addr   netip.AddrPort
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// end is one end of a connection that knows where the other is.
type end struct {
	net.Conn
	remote netip.AddrPort
}

func (e end) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(e.remote) }

func (n *network) listen(at netip.AddrPort) *listener {
	l := &listener{addr: at, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[at] = l
	return l
}

func (n *network) dialFrom(from netip.AddrPort) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		l := n.listeners[to]
		if l == nil { // as behind a firewall that drops
			<-ctx.Done()
			return nil, ctx.Err()
		}
		a, b := net.Pipe()
		select {
		case l.conns <- end{b, from}:
			return end{a, to}, nil
		case <-l.closed:
			return nil, errors.New("refused")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// connect is a bare connection.
func (n *network) connect(t *testing.T, from byte, to *host) net.Conn {
	t.Helper()
	conn, err := n.dialFrom(address(from))(t.Context(), to.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// host is one device on the network and its log.
type host struct {
	*Streams
	key  *identity.Key
	addr netip.AddrPort
	said *lines
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) contain(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func deviceKey(n byte) *identity.Key {
	key, err := identity.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return key
}

func (n *network) start(t *testing.T, number byte, allow func(netip.Addr) bool) *host {
	t.Helper()
	h := &host{key: deviceKey(number), addr: address(number), said: &lines{}}
	var err error
	h.Streams, err = New(Config{
		Key: h.key, Listener: n.listen(h.addr), Allow: allow, Dial: n.dialFrom(h.addr),
		Log: slog.New(slog.NewTextHandler(h.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.CloseAll() })
	return h
}

// next is the next event, which has to be of the kind.
func (h *host) next(t *testing.T, kind Kind) Event {
	t.Helper()
	select {
	case e := <-h.Events():
		if e.Kind != kind {
			t.Fatalf("event %d of stream %d (%v), want %d", e.Kind, e.ID, e.Err, kind)
		}
		return e
	case <-time.After(time.Minute):
		t.Fatalf("no event %d", kind)
		return Event{}
	}
}

// silent fails if an event waits.
func (h *host) silent(t *testing.T) {
	t.Helper()
	select {
	case e := <-h.Events():
		t.Fatalf("event %d of stream %d (%v)", e.Kind, e.ID, e.Err)
	default:
	}
}

// collect takes n bytes of Data.
func (h *host) collect(t *testing.T, n int) []byte {
	t.Helper()
	var all []byte
	for len(all) < n {
		all = append(all, h.next(t, Data).Data...)
	}
	return all
}

// pair is two hosts with a stream that a dialled under id 1.
func (n *network) pair(t *testing.T) (a, b *host, there, here Event) {
	t.Helper()
	a, b = n.start(t, 1, nil), n.start(t, 2, nil)
	a.Dial(1, b.addr, b.key.Public())
	return a, b, a.next(t, Opened), b.next(t, Opened)
}

// client is how somebody with this certificate dials.
func client(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: certificates, NextProtos: []string{protocol}, InsecureSkipVerify: true,
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
	}
}

func certificateOf(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func deviceCertificate(t *testing.T, n byte) tls.Certificate {
	t.Helper()
	c, err := certify(deviceKey(n))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
