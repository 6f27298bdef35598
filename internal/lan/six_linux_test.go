package lan

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

// What the kernel tells of a datagram of IPv6 is what it tells of others: where from and to, by which interface, the hop
// limit, and how much the buffer cut.
func TestCutIPv6(t *testing.T) {
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("this host has no IPv6:", err)
	}
	probe.Close()
	conn, streams, err := listenBoth6(0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer streams.Close()
	source, err := newSource(&socket{udp: conn}, 16, 4)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := newSender(&socket{udp: conn})
	if err != nil {
		t.Fatal(err)
	}
	here := netip.AddrPortFrom(netip.IPv6Loopback(), conn.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	var failed error
	err = sender.send([]packet{{data: bytes.Repeat([]byte("x"), 64), to: here}}, func(_ *packet, err error) { failed = err })
	if err != nil || failed != nil {
		t.Fatal("nothing goes to ::1 here:", err, failed)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	got, err := source.read(nil)
	if err != nil || len(got) != 1 {
		t.Fatalf("read %d: %v", len(got), err)
	}
	d := got[0]
	if d.Size != 64 || len(d.Data) != 16 || d.From != here || d.To != here.Addr() || d.Iface == 0 || d.TTL != hopLimit {
		t.Errorf("%d of %d bytes from %v to %v on %d, hop limit %d", len(d.Data), d.Size, d.From, d.To, d.Iface, d.TTL)
	}
}
