package lan

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
)

func TestSocketOn(t *testing.T) {
	const line = "  411: 00000000:6B52 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 123456 2 0000 0\n"
	if inode, found := socketOn(line, 27474); !found || inode != "123456" {
		t.Errorf("%q, %v", inode, found)
	}
	for _, other := range []string{"", "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid\n", line} {
		if inode, found := socketOn(other, 27475); found {
			t.Errorf("%q in %q", inode, other)
		}
	}
}

func TestHolders(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	holders := Holders(conn.LocalAddr().(*net.UDPAddr).Port)
	if !slices.ContainsFunc(holders, func(h Holder) bool { return h.PID == os.Getpid() && h.Name != "" }) {
		t.Errorf("held by %+v, not by us", holders)
	}
}

func TestSourceFor(t *testing.T) {
	if got := SourceFor(netip.MustParseAddr("127.0.0.2")); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("from %v", got)
	}
}
