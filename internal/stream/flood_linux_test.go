package stream

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// CVE-2020-26164, over TCP: 500 connections of twenty addresses that say nothing take eight places, and a device still
// opens a stream long before they have to go. (Each address of 127.0.0.0/8 is one of a Linux host.)
func TestADV_03_Half_open_connections_keep_nobody_out(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &host{key: deviceKey(2)}
	if b.Streams, err = New(Config{Key: b.key, Listener: l}); err != nil {
		t.Fatal(err)
	}
	defer b.CloseAll()
	before, begun := runtime.NumGoroutine(), time.Now()
	for i := range 500 {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%20))}}
		if conn, err := from.Dial("tcp4", l.Addr().String()); err == nil { // else it was refused so soon that we see it
			defer conn.Close()
		}
	}
	ownEnd, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &host{key: deviceKey(1)}
	if a.Streams, err = New(Config{Key: a.key, Listener: ownEnd}); err != nil {
		t.Fatal(err)
	}
	defer a.CloseAll()
	for runtime.NumGoroutine()-before > maxAccepted+2 { // those that made place go when the scheduler lets them
		if time.Since(begun) > handshakeTime/2 {
			t.Fatalf("%d goroutines more", runtime.NumGoroutine()-before)
		}
		time.Sleep(time.Millisecond)
	}
	opened := false
	for id := uint64(1); !opened; id += 2 {
		a.Dial(id, l.Addr().(*net.TCPAddr).AddrPort(), b.key.Public())
		e := <-a.Events()
		if opened = e.Kind == Opened; !opened && time.Since(begun) > handshakeTime/2 {
			t.Fatal(e.Err)
		}
		time.Sleep(20 * time.Millisecond) // refused until those that say nothing had their time
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.handshakes) > maxHandshakes || b.accepted > maxAccepted || len(b.from) > 5*maxHandshakes {
		t.Errorf("%d handshakes, %d streams, %d addresses", len(b.handshakes), b.accepted, len(b.from))
	}
}
