package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"bcast/identity"
)

func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		taken := b.Files()
		go func() {
			for {
				c, err := taken.Accept()
				if err != nil {
					return
				}
				if c.(*Conn).Peer() != a.key.Public() {
					t.Error("it is somebody else's")
				}
				go func() {
					io.Copy(c, c)
					c.Close()
				}()
			}
		}()
		var all []*Conn
		for range filesFrom {
			c, err := a.DialFiles(t.Context(), b.addr, b.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			time.Sleep(handshakePace) // no more than so many handshakes a second of an address
		}
		c := all[0]
		time.Sleep(idleTime - filesFrom*handshakePace - time.Second)
		if _, err := c.Write([]byte("text")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "text" {
			t.Errorf("%q, %v", got, err)
		}
		more, err := a.DialFiles(t.Context(), b.addr, b.key.Public())
		if err == nil { // TLS tells the dialler first, the acceptor refuses then
			_, err = more.Read(got)
		}
		if err == nil {
			t.Error("there are more than may be")
		}
		c.Close()
		synctest.Wait()
		time.Sleep(handshakePace)
		again, err := a.DialFiles(t.Context(), b.addr, b.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		again.Write([]byte("more"))
		if _, err := io.ReadFull(again, got); err != nil || string(got) != "more" {
			t.Errorf("%q, %v", got, err)
		}
		synctest.Wait()
		time.Sleep(handshakePace)
		a.Dial(1, b.addr, b.key.Public()) // streams are streams beside them
		a.next(t, Opened)
		b.next(t, Opened)
		taken.Close()
		if _, err := taken.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepted, though it is closed: %v", err)
		}
		b.CloseAll()
		if _, err := again.Read(got); err == nil {
			t.Error("it outlives the streams")
		}
	})
}

// Only the key that is meant is spoken to, and only who serves files.
func TestFilesAreDialledAtOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		if _, err := a.DialFiles(t.Context(), b.addr, deviceKey(3).Public()); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another key: %v", err)
		}
		older := n.listen(address(9))
		go func() {
			raw, _ := older.Accept()
			config := client(deviceCertificate(t, 9))
			config.ClientAuth = tls.RequireAnyClientCert
			tls.Server(raw, config).Handshake()
			raw.Close()
		}()
		if _, err := a.DialFiles(t.Context(), older.addr, deviceKey(9).Public()); !errors.Is(err, ErrNoFiles) {
			t.Errorf("an older device: %v", err)
		}
	})
}

// A key is made in no time, and proves itself: it takes no place unless its device is where it comes from.
func TestADV_files_Made_up_keys_take_no_place(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		b.serves = func(_ context.Context, peer identity.PublicKey, at netip.Addr) bool {
			return peer == a.key.Public() && at == a.addr.Addr()
		}
		go echo(b.Files())
		for range 2 {
			if servesFiles(t, n.start(t, 9, nil), b) {
				t.Error("a key of no device is served")
			}
		}
		b.mu.Lock()
		if b.files != 0 || len(b.filesOf)+len(b.filesAt) != 0 {
			t.Errorf("%d places are taken", b.files)
		}
		b.mu.Unlock()
		if !servesFiles(t, a, b) {
			t.Error("the device itself is not served")
		}
	})
}

// A host that is many devices leaves most places to others.
func TestADV_files_One_host_keeps_nobody_out(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		go echo(b.Files())
		served := 0
		for i := range byte(maxFiles) {
			h := n.start(t, 100+i, nil)
			h.dial = n.dialFrom(address(9))
			if servesFiles(t, h, b) {
				served++
			}
		}
		if served != filesFromAddr {
			t.Errorf("%d connections of one host are served, want %d", served, filesFromAddr)
		}
		if !servesFiles(t, n.start(t, 1, nil), b) {
			t.Error("another is kept out")
		}
	})
}

// echo takes connections for files and sends back what comes.
func echo(from net.Listener) {
	for {
		c, err := from.Accept()
		if err != nil {
			return
		}
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// servesFiles tells whether a device is served by another, and keeps its place. It takes its time.
func servesFiles(t *testing.T, from, by *host) bool {
	t.Helper()
	c, err := from.DialFiles(t.Context(), by.addr, by.key.Public())
	if err == nil {
		if _, err = c.Write([]byte{1}); err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
		}
	}
	synctest.Wait()
	time.Sleep(handshakePace / handshakesFrom)
	return err == nil
}
