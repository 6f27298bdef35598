package lan

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// loopback is the loopback interface, which Segments leaves out, as a segment with every address on its link: which one
// the system sends from there depends on what else the host has.
func loopback(t *testing.T) Segment {
	t.Helper()
	ifaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifaces {
		if i.Flags&net.FlagLoopback != 0 {
			return Segment{Name: i.Name, iface: i, Addrs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
		}
	}
	t.Fatal("no loopback interface")
	return Segment{}
}

func TestAGroupIsHeardByAllWhoJoined(t *testing.T) {
	segment, group := loopback(t), netip.MustParseAddrPort("239.255.77.77:37474")
	open := func(join bool) *Group {
		g, err := segment.OpenGroup(group, join, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		g.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		return g
	}
	first, second, asking := open(true), open(true), open(false)
	if err := asking.Send([]byte("who is there?")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, g := range []*Group{first, second} {
		n, _, err := g.Receive(buf)
		if err != nil || string(buf[:n]) != "who is there?" {
			t.Errorf("%q: %v", buf[:n], err)
		}
	}
	answer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(asking.conn.LocalAddr().(*net.UDPAddr).Port))
	if err := first.SendTo([]byte("I am"), answer); err != nil {
		t.Fatal(err)
	}
	if n, from, err := asking.Receive(buf); err != nil || string(buf[:n]) != "I am" || from.Port() != group.Port() {
		t.Errorf("%q from %v: %v", buf[:n], from, err)
	}
	if !segment.Has(group.Addr()) || segment.Has(netip.IPv6LinkLocalAllNodes()) {
		t.Error("the families of the segment")
	}
}

func TestAGroupHearsNobodyBeyondTheLink(t *testing.T) {
	segment, group := loopback(t), netip.MustParseAddrPort("239.255.77.78:37475")
	segment.Addrs = []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}
	g, err := segment.OpenGroup(group, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Send([]byte("from elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := g.SendTo([]byte("to elsewhere"), netip.MustParseAddrPort("127.0.0.1:9")); err == nil {
		t.Error("an address beyond the link was sent to")
	}
	g.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, from, err := g.Receive(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes from %v", n, from)
	}
}
