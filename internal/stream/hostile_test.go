package stream

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/identity"
)

// tlsClient is the connection of somebody who is not of our making, after the handshake.
func (n *network) tlsClient(t *testing.T, from byte, to *host, config *tls.Config) *tls.Conn {
	t.Helper()
	conn := tls.Client(n.connect(t, from, to), config)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// nobody signs for the neutral point, under which one signature fits every message.
type nobody struct{}

func (nobody) Public() crypto.PublicKey {
	return ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...))
}

func (nobody) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return append([]byte{1}, make([]byte, 63)...), nil
}

// thief has the certificate of a device and not its key.
type thief struct{ signer }

func (thief) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 64), nil }

// strangers are those that no side may open a stream with, and what it says of them as acceptor and as dialler.
func strangers(t *testing.T) map[string]struct {
	config          *tls.Config
	accepts, dialls string
} {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := deviceCertificate(t, 9)
	with := func(change func(*tls.Config)) *tls.Config {
		c := client(own)
		change(c)
		return c
	}
	two, stolen := own, own
	two.Certificate = append(two.Certificate[:1:1], deviceCertificate(t, 1).Certificate...)
	stolen.PrivateKey = thief{signer{deviceKey(9)}}
	const noEd25519 = "not an Ed25519 key"
	return map[string]struct {
		config          *tls.Config
		accepts, dialls string
	}{
		"no certificate":   {client(), "didn't provide a certificate", "unrecognized name"},
		"TLS 1.2":          {with(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "versions", "version"},
		"RSA":              {client(certificateOf(t, rsaKey)), noEd25519, noEd25519},
		"ECDSA":            {client(certificateOf(t, ecKey)), noEd25519, noEd25519},
		"a key of nobody":  {client(certificateOf(t, nobody{})), "anybody can sign", "anybody can sign"},
		"a stolen one":     {client(stolen), "signature", "signature"},
		"two certificates": {client(two), "2 certificates", "2 certificates"},
		"no protocol":      {with(func(c *tls.Config) { c.NextProtos = nil }), "does not speak", "does not speak"},
		"another protocol": {with(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), "unsupported application",
			"no application protocol"},
	}
}

func TestADV_04_An_accepted_peer_proves_a_key(t *testing.T) {
	for name, stranger := range strangers(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				b := n.start(t, 2, nil)
				conn := tls.Client(n.connect(t, 9, b), stranger.config)
				if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("it reads: %v", err)
				}
				synctest.Wait()
				b.silent(t)
				if !b.said.contain(stranger.accepts) {
					t.Errorf("no %q in %s", stranger.accepts, &b.said.text)
				}
			})
		})
	}
}

// CVE-2025-66270 (KDE Connect): the device of the datagrams and that of the stream are one key, or nothing is said.
func TestADV_04_A_dialled_peer_proves_its_key(t *testing.T) {
	cases := strangers(t)
	wrong := cases["no certificate"]
	wrong.config, wrong.dialls = client(deviceCertificate(t, 8)), ErrWrongKey.Error()
	cases["another device"] = wrong
	delete(cases, "no certificate") // a server without one does not even begin
	for name, stranger := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				a, l := n.start(t, 1, nil), n.listen(address(9))
				go func() {
					conn, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					tls.Server(conn, stranger.config).Read(make([]byte, 1))
				}()
				a.Dial(1, l.addr, deviceKey(9).Public())
				e := a.next(t, Closed)
				if e.Err == nil || !strings.Contains(e.Err.Error(), stranger.dialls) || e.Peer != deviceKey(9).Public() {
					t.Errorf("%v, want %q", e.Err, stranger.dialls)
				}
			})
		})
	}
}

// CVE-2025-54792 (LocalSend): who announces to be another device is not taken for it; the key that was dialled is.
func TestADV_02_Only_the_pinned_key_is_dialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		a.Dial(1, b.addr, deviceKey(3).Public())
		if e := a.next(t, Closed); !errors.Is(e.Err, ErrWrongKey) || e.Exporter != [32]byte{} {
			t.Errorf("%+v", e)
		}
		synctest.Wait()
		b.silent(t)
	})
}

// tickets counts what it is asked to keep.
type tickets struct{ puts int }

func (*tickets) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (c *tickets) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.puts++
	}
}

// CVE-2025-68121 (crypto/tls): a resumed session would skip the check of the key.
func TestADV_34_No_session_is_resumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		config, cache := client(deviceCertificate(t, 9)), &tickets{}
		config.ClientSessionCache, config.ServerName = cache, "b"
		conn := n.tlsClient(t, 9, b, config)
		id := b.next(t, Opened).ID
		b.Write(id, []byte("after any ticket"))
		if _, err := conn.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if cache.puts > 0 {
			t.Error("a ticket came")
		}
		b.next(t, Drained)
	})
}

// closedAfter is how long the other end keeps a connection.
func closedAfter(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	begun := time.Now()
	conn.SetReadDeadline(begun.Add(time.Minute))
	for {
		if _, err := conn.Read(make([]byte, 1024)); errors.Is(err, io.EOF) {
			return time.Since(begun)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// CVE-2020-26164 (KDE Connect): connections that say nothing take eight places, and give them back.
func TestADV_03_Half_open_connections_are_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		synctest.Wait()
		before := runtime.NumGoroutine()
		var conns []net.Conn
		for i := range 200 {
			conns = append(conns, n.connect(t, byte(100+i%20), b))
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > maxHandshakes {
			t.Errorf("%d goroutines more", more)
		}
		b.mu.Lock()
		if len(b.handshakes) != maxHandshakes || b.accepted != maxHandshakes || len(b.from) > maxHandshakes {
			t.Errorf("%d handshakes, %d streams, %d addresses", len(b.handshakes), b.accepted, len(b.from))
		}
		b.mu.Unlock()
		kept := 0
		for _, c := range conns {
			if closedAfter(t, c) > 0 {
				kept++
			}
		}
		if kept != 1 { // the first of those that were kept: with it the others' time is over
			t.Errorf("%d waits", kept)
		}
		synctest.Wait()
		a := n.start(t, 100, nil)
		a.Dial(1, b.addr, b.key.Public())
		b.next(t, Opened)
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.handshakes) != 1 || b.accepted != 1 || len(b.from) != 1 {
			t.Errorf("%d handshakes, %d streams, %d addresses stay", len(b.handshakes), b.accepted, len(b.from))
		}
	})
}

func TestHandshakesOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		for range handshakesFrom {
			n.connect(t, 9, b).Close() // a place stays taken although it is over
		}
		synctest.Wait()
		if after := closedAfter(t, n.connect(t, 9, b)); after != 0 {
			t.Errorf("one more is refused after %v", after)
		}
		if after := closedAfter(t, n.connect(t, 10, b)); after != handshakeTime {
			t.Errorf("another address has %v", after)
		}
		time.Sleep(handshakePace)
		n.tlsClient(t, 9, b, client(deviceCertificate(t, 9)))
		b.next(t, Opened)
	})
}

func TestStrangersAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, func(a netip.Addr) bool { return a == address(9).Addr() })
		if after := closedAfter(t, n.connect(t, 10, b)); after != 0 {
			t.Errorf("refused after %v", after)
		}
		n.tlsClient(t, 9, b, client(deviceCertificate(t, 9)))
		b.next(t, Opened)
	})
}

// drip sends one byte a second.
type drip struct{ net.Conn }

func (d drip) Write(p []byte) (int, error) {
	for i := range p {
		time.Sleep(time.Second)
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestADV_34_A_handshake_has_a_deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		begun := time.Now()
		err := tls.Client(drip{n.connect(t, 9, b)}, client(deviceCertificate(t, 9))).Handshake()
		if took := time.Since(begun); err == nil || took > handshakeTime+time.Second {
			t.Errorf("%v after %v", err, took)
		}
		b.silent(t)
	})
}

func TestGarbage(t *testing.T) {
	long := []byte{1, 0, 0xff, 0xff} // a ClientHello of 64 KiB, in records of 16 KiB
	var hello []byte
	for range 4 {
		record := append([]byte{22, 3, 1, 0x40, 0}, make([]byte, 16<<10)...)
		copy(record[5:], long)
		hello, long = append(hello, record...), nil
	}
	cases := map[string]struct {
		bytes []byte
		taken int // at most
	}{
		"HTTP":              {[]byte("GET / HTTP/1.1\r\nHost: b\r\n\r\n" + strings.Repeat("x", 5000)), 1024},
		"zeros":             {make([]byte, 5000), 1024},
		"a long handshake":  {hello, handshakeBytes},
		"an endless record": {append([]byte{22, 3, 1, 0xff, 0xff}, make([]byte, 70_000)...), 1024},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				b := n.start(t, 2, nil)
				conn := n.connect(t, 9, b)
				go io.Copy(io.Discard, conn) // the alert
				taken, err := conn.Write(c.bytes)
				if err == nil || taken > c.taken {
					t.Errorf("%d bytes were read, at most %d wanted: %v", taken, c.taken, err)
				}
				synctest.Wait()
				b.silent(t)
			})
		})
	}
}

func TestDialledGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, l := n.start(t, 1, nil), n.listen(address(9))
		go func() {
			conn, _ := l.Accept()
			go io.Copy(io.Discard, conn)
			conn.Write([]byte("220 mail.example ESMTP\r\n"))
		}()
		a.Dial(1, l.addr, deviceKey(9).Public())
		if e := a.next(t, Closed); e.Err == nil {
			t.Error("it passes for an end of ours")
		}
	})
}

// A peer that is cut off does not look like one that has ended.
func TestPeerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		raw := n.connect(t, 9, b)
		conn := tls.Client(raw, client(deviceCertificate(t, 9)))
		go conn.Write([]byte("half a sent"))
		b.next(t, Opened)
		b.next(t, Data)
		raw.Close()
		if e := b.next(t, Closed); !errors.Is(e.Err, ErrCut) {
			t.Errorf("%v", e.Err)
		}
	})
}

// A handshake that waits ends with its stream.
func TestCloseWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, l := n.start(t, 1, nil), n.listen(address(9))
		a.Dial(1, l.addr, deviceKey(9).Public())
		conn, err := l.Accept() // and nothing follows
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		begun := time.Now()
		a.Close(1)
		if e := a.next(t, Closed); e.Err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v", e.Err, time.Since(begun))
		}
	})
}

// CVE-2025-55293 (Meshtastic): an empty or small-order key is nobody's.
//
// For each key that is refused there is a signature that nobody had to have a secret for.
func TestADV_24_Keys_that_anybody_can_sign_for(t *testing.T) {
	for _, y := range small {
		for _, sign := range []byte{0, 0x80} {
			key := y
			key[31] |= sign
			if !isSmall(key) {
				t.Errorf("%x passes", key)
			}
			if !forgeable(key) {
				t.Errorf("%x is in the table for no reason", key)
			}
		}
	}
	for n := byte(1); n < 20; n++ {
		if isSmall(deviceKey(n).Public()) {
			t.Errorf("key %d is refused", n)
		}
	}
}

// forgeable tells whether R, 0 is a signature by key for some R of small order and some short message.
func forgeable(key identity.PublicKey) bool {
	for message := range byte(64) {
		for _, r := range small {
			for _, sign := range []byte{0, 0x80} {
				sig := make([]byte, identity.SignatureSize)
				copy(sig, r[:])
				sig[31] |= sign
				if key.Verify([]byte{message}, sig) {
					return true
				}
			}
		}
	}
	return false
}

func TestCertificateSaysNothing(t *testing.T) {
	c := deviceCertificate(t, 1)
	leaf := c.Leaf
	if leaf == nil {
		t.Fatal("crypto/tls would have to parse it for each stream")
	}
	if leaf.Subject.String() != "" || leaf.Issuer.String() != "" || len(leaf.Extensions) > 1 {
		t.Errorf("%v, %v, %v", leaf.Subject, leaf.Issuer, leaf.Extensions)
	}
	if key := deviceKey(1).Public(); !key.Verify(leaf.RawTBSCertificate, leaf.Signature) {
		t.Error("it is not of the device's key")
	}
	if again := deviceCertificate(t, 1); string(again.Certificate[0]) != string(c.Certificate[0]) {
		t.Error("it tells when it was made")
	}
}
