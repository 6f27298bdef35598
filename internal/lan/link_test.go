package lan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come; nothing waits for it when all is well.
const patience = 10 * time.Second

func loopbackName(t *testing.T) string {
	t.Helper()
	ifaces, err := Interfaces(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(ifaces, func(i Interface) bool { return i.Loopback })
	if n < 0 {
		t.Skip("this host has no loopback interface")
	}
	return ifaces[n].Name
}

// freePort is a UDP port that nobody holds.
func freePort(t *testing.T) int {
	t.Helper()
	conn, err := listenUDP(net.ListenConfig{}, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// testLink is a Link on loopback whose datagrams come by channels.
type testLink struct {
	*Link
	shared, private <-chan Datagram
}

func openTestLink(t *testing.T, port, buffer int) testLink {
	t.Helper()
	l, err := Open(Config{Port: port, RecvBuffer: buffer, Ifaces: []string{loopbackName(t)}})
	if err != nil {
		t.Fatal(err)
	}
	readers := l.Readers()
	link := testLink{Link: l, shared: receive(t, readers[0]), private: receive(t, readers[1])}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for range link.shared { // until the reader ends
		}
		for range link.private {
		}
	})
	return link
}

func receive(t *testing.T, read func([]Datagram) (int, error)) <-chan Datagram {
	out := make(chan Datagram, 64)
	go func() {
		defer close(out)
		ms := make([]Datagram, 3)
		for {
			n, err := read(ms)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("read: %v", err)
				}
				return
			}
			for _, m := range ms[:n] {
				m.Data = bytes.Clone(m.Data)
				out <- m
			}
		}
	}()
	return out
}

func await(t *testing.T, from <-chan Datagram) Datagram {
	t.Helper()
	select {
	case d := <-from:
		return d
	case <-time.After(patience):
		t.Fatal("no datagram came")
		return Datagram{}
	}
}

func mustWrite(t *testing.T, l *Link, ms ...Outgoing) {
	t.Helper()
	if n, err := l.Write(ms); n != len(ms) || err != nil {
		t.Fatalf("wrote %d of %d: %v; drops %v", n, len(ms), err, l.Drops())
	}
}

func (l testLink) address() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.UnicastPort()))
}

func TestTwoLinksOfOneHostHearABroadcast(t *testing.T) {
	port := freePort(t)
	alice, bob := openTestLink(t, port, MaxDatagram), openTestLink(t, port, MaxDatagram)
	mustWrite(t, alice.Link, Outgoing{Data: []byte("hello")})
	for _, l := range []testLink{alice, bob} {
		d := await(t, l.shared)
		if string(d.Data) != "hello" || d.Size != 5 || d.Cut() {
			t.Errorf("got %q of %d bytes", d.Data, d.Size)
		}
		if d.From != alice.address() || d.To != netip.MustParseAddr("127.255.255.255") {
			t.Errorf("from %v to %v, want from %v to 127.255.255.255", d.From, d.To, alice.address())
		}
		if !d.Broadcast || !d.OnLink || d.TTL != 255 {
			t.Errorf("broadcast %t, on link %t, TTL %d; want true, true, 255", d.Broadcast, d.OnLink, d.TTL)
		}
		if i := l.Interfaces()[0]; d.Iface != i.Index || !i.Used || len(i.Networks) == 0 {
			t.Errorf("interface %d, want %+v", d.Iface, i)
		}
	}
}

func TestLimitedGoesOnceByEachInterface(t *testing.T) {
	l := &Link{port: 27474}
	table := newTable([]Interface{
		{Index: 1, Used: true, Four: true, Addrs: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.1.1/24"),
		}},
		{Index: 2, Used: true, Four: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.2.1/24")}},
	})
	for by, want := range []int{2, 1, 1} {
		packets := l.route(nil, table, 0, Outgoing{Limited: true, Iface: by})
		if len(packets) != want {
			t.Errorf("by interface %d: %d packets, want %d", by, len(packets), want)
		}
		for _, p := range packets {
			if p.to.Addr() != limitedBroadcast || p.by == nil {
				t.Errorf("by interface %d: %+v", by, p)
			}
		}
	}
}

func TestUnicastReachesTheOneAddressed(t *testing.T) {
	port := freePort(t)
	alice, bob := openTestLink(t, port, MaxDatagram), openTestLink(t, port, MaxDatagram)
	index := alice.Interfaces()[0].Index
	for _, by := range []int{0, index} {
		mustWrite(t, alice.Link, Outgoing{Data: []byte("psst"), To: bob.address(), Iface: by})
		d := await(t, bob.private)
		if string(d.Data) != "psst" || d.From != alice.address() || d.Broadcast || !d.OnLink {
			t.Errorf("by interface %d: %q from %v, broadcast %t, on link %t", by, d.Data, d.From, d.Broadcast, d.OnLink)
		}
	}
}

func TestCut(t *testing.T) {
	for _, buffer := range []int{16, 600} {
		t.Run(fmt.Sprint(buffer), func(t *testing.T) {
			l := openTestLink(t, freePort(t), buffer)
			long := bytes.Repeat([]byte("0123456789"), 140)
			fits := long[:buffer]
			mustWrite(t, l.Link, Outgoing{Data: long}, Outgoing{Data: fits}, Outgoing{Data: long, To: l.address()})
			for _, from := range []<-chan Datagram{l.shared, l.private} {
				d := await(t, from)
				if !d.Cut() || d.Size != len(long) || !bytes.Equal(d.Data, fits) {
					t.Errorf("cut %t, %d of %d bytes; want true, %d of %d",
						d.Cut(), len(d.Data), d.Size, buffer, len(long))
				}
			}
			if d := await(t, l.shared); d.Cut() || d.Size != buffer || !bytes.Equal(d.Data, fits) {
				t.Errorf("what just fits: cut %t, %d of %d bytes", d.Cut(), len(d.Data), d.Size)
			}
		})
	}
}

func TestEmptyAndLargestDatagram(t *testing.T) {
	l := openTestLink(t, freePort(t), MaxDatagram)
	largest := bytes.Repeat([]byte{7}, 65507)
	mustWrite(t, l.Link, Outgoing{}, Outgoing{Data: largest}, Outgoing{Data: []byte("after")})
	for _, want := range [][]byte{{}, largest, []byte("after")} {
		if d := await(t, l.shared); !bytes.Equal(d.Data, want) || d.Size != len(want) || d.Cut() {
			t.Errorf("got %d of %d bytes, cut %t; want %d", len(d.Data), d.Size, d.Cut(), len(want))
		}
	}
}

func TestOneBadDestinationDoesNotLoseTheRest(t *testing.T) {
	l := openTestLink(t, freePort(t), MaxDatagram)
	n, err := l.Write([]Outgoing{
		{Data: []byte("first"), To: l.address()},
		{Data: []byte("nowhere"), To: netip.MustParseAddrPort("[2001:db8::1]:9")},
		{Data: make([]byte, 65508), To: l.address()},
		{Data: []byte("no such interface"), Iface: 1 << 20},
		{Data: []byte("last"), To: l.address()},
	})
	if n != 2 || err != nil {
		t.Errorf("wrote %d, %v; want 2", n, err)
	}
	for _, want := range []string{"first", "last"} {
		if d := await(t, l.private); string(d.Data) != want {
			t.Errorf("got %q, want %q", d.Data, want)
		}
	}
	if drops := l.Drops(); drops["send_no_route"] != 2 || drops["send_too_large"] != 1 {
		t.Errorf("drops %v, want send_no_route 2 and send_too_large 1", drops)
	}
}

func TestPortTaken(t *testing.T) {
	alone, err := listenUDP(net.ListenConfig{}, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	port := alone.LocalAddr().(*net.UDPAddr).Port
	lo := []string{loopbackName(t)}

	_, err = Open(Config{Port: port, RecvBuffer: 512, Ifaces: lo})
	if taken, ok := errors.AsType[*PortTakenError](err); !ok || taken.Port != port {
		t.Errorf("shared port: %v, want PortTakenError of %d", err, port)
	}
	_, err = Open(Config{Port: freePort(t), UnicastFirst: port, UnicastLast: port, RecvBuffer: 512, Ifaces: lo})
	if taken, ok := errors.AsType[*PortTakenError](err); !ok || taken.Port != port || taken.Last != port {
		t.Errorf("private port: %v, want PortTakenError of %d", err, port)
	}
	_, err = OpenRaw(RawConfig{Port: port, Buffer: 512})
	if taken, ok := errors.AsType[*PortTakenError](err); !ok || taken.Port != port {
		t.Errorf("raw: %v, want PortTakenError of %d", err, port)
	}
}

func TestPrivatePortIsTheFirstFree(t *testing.T) {
	alone, err := listenUDP(net.ListenConfig{}, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	held := alone.LocalAddr().(*net.UDPAddr).Port
	last := min(held+50, 65535)
	l, err := Open(Config{
		Port: freePort(t), UnicastFirst: held, UnicastLast: last, RecvBuffer: 512, Ifaces: []string{loopbackName(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if p := l.UnicastPort(); p <= held || p > last {
		t.Errorf("private port %d, want one of %d to %d", p, held+1, last)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(Config{Port: 27474, RecvBuffer: 512, Ifaces: []string{"no-such*"}})
	if !errors.Is(err, ErrNoInterface) {
		t.Errorf("no such interface: %v, want ErrNoInterface", err)
	}
	for _, cfg := range []Config{
		{Port: 0, RecvBuffer: 512},
		{Port: 65536, RecvBuffer: 512},
		{Port: 27474, RecvBuffer: 0},
		{Port: 27474, RecvBuffer: 65536},
		{Port: 27474, RecvBuffer: 512, UnicastFirst: 2, UnicastLast: 1},
		{Port: 27474, RecvBuffer: 512, Ifaces: []string{"["}},
	} {
		if l, err := Open(cfg); err == nil {
			l.Close()
			t.Errorf("opened %+v", cfg)
		}
	}
}

func TestCloseUnblocksReadersAndWriters(t *testing.T) {
	l, err := Open(Config{Port: freePort(t), RecvBuffer: 512, Ifaces: []string{loopbackName(t)}})
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error)
	for _, read := range l.Readers() {
		go func() {
			_, err := read(make([]Datagram, 1))
			ends <- err
		}()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for range l.Readers() {
		if err := <-ends; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read ended with %v, want net.ErrClosed", err)
		}
	}
	if n, err := l.Write([]Outgoing{{Data: []byte("late")}}); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %d, %v", n, err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// The interfaces of a running Link follow the host's: here eth0 is added to lo, then lo goes.
func TestFollowsInterfaces(t *testing.T) {
	lo, eth := testLoopback(), testDevice(2, "eth0", ethernet, "10.77.0.5/24")
	var devices atomic.Pointer[[]device]
	var asleep atomic.Int64
	asleep.Store(int64(time.Hour)) // before we were there
	devices.Store(&[]device{lo})
	announcer := make(chan chan<- struct{}, 1)
	l, err := open(Config{Port: freePort(t), RecvBuffer: 512}, host{
		devices:  func() ([]device, error) { return *devices.Load(), nil },
		gateways: func() (map[string]gateway, error) { return nil, errors.New("not told") },
		watch: func(ctx context.Context, events chan<- struct{}) {
			announcer <- events
			<-ctx.Done()
		},
		asleep: func() time.Duration { return time.Duration(asleep.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if i := l.Interfaces(); len(i) != 1 || !i[0].Used {
		t.Errorf("at first %+v, want lo in use", i)
	}
	devices.Store(&[]device{lo, eth})
	announce(<-announcer)
	select {
	case <-l.Changed():
	case <-time.After(patience):
		t.Fatal("the change was not told")
	}
	i := l.Interfaces()
	if len(i) != 2 || i[0].Used || !i[1].Used {
		t.Errorf("then %+v, want eth0 in use and lo not", i)
	}
	if changed, err := l.refresh(); changed || err != nil {
		t.Errorf("nothing happened, yet changed %t, %v", changed, err)
	}
	devices.Store(&[]device{lo})
	if changed, err := l.refresh(); !changed || err != nil || l.Interfaces()[0].Used {
		t.Errorf("lo stands in for a network that went: %+v, changed %t, %v", l.Interfaces(), changed, err)
	}
	asleep.Add(int64(napNoticed / 2))
	if changed, _ := l.refresh(); changed || l.Slept() != 0 {
		t.Errorf("a busy moment counts as sleep: changed %t, slept %v", changed, l.Slept())
	}
	asleep.Add(int64(time.Minute))
	if changed, _ := l.refresh(); !changed || l.Slept() != time.Minute {
		t.Errorf("after a minute of sleep changed %t, slept %v", changed, l.Slept())
	}
}
