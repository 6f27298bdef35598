package lan

import (
	"net"
	"net/netip"
	"testing"
)

// openLoopback opens a Link on loopback with one private port to choose from first to last.
func openLoopback(t *testing.T, first, last int) *Link {
	t.Helper()
	l, err := Open(Config{
		Port: freePort(t), UnicastFirst: first, UnicastLast: last, RecvBuffer: 512, Ifaces: []string{loopbackName(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestStreamsAndDatagramsShareAPortNumber(t *testing.T) {
	for _, first := range []int{0, freePort(t)} {
		l := openLoopback(t, first, first)
		addr := l.StreamListener().Addr().(*net.TCPAddr)
		if addr.Port != l.UnicastPort() || first != 0 && addr.Port != first {
			t.Errorf("streams on port %d, datagrams on %d, asked for %d", addr.Port, l.UnicastPort(), first)
		}
		conn, err := net.Dial("tcp4", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(addr.Port)).String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestPortTakenForTCPIsPassedOver(t *testing.T) {
	taken, err := net.ListenTCP("tcp4", &net.TCPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if p := openLoopback(t, port, min(port+50, 65535)).UnicastPort(); p == port {
		t.Errorf("private port %d, where no stream can be had", p)
	}
}

func TestListenerMayBeClosedByWhoAccepts(t *testing.T) {
	l := openLoopback(t, 0, 0)
	if err := l.StreamListener().Close(); err != nil {
		t.Fatal(err)
	} // Close of the Link, at the end, must not fail of it
}
