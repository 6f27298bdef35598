package lan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"bcast/internal/fuzztest"
)

const arpTable = `IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
192.0.2.77       0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.78       0x1         0x6         02:fc:00:00:00:06     *        wlan0
`

// hexAddr is how the kernel of this machine prints an address in /proc/net/route.
func hexAddr(addr string) string {
	b := netip.MustParseAddr(addr).As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
}

func routeTable() string {
	const heading = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	line := func(iface, destination, gateway, flags string, metric int, mask string) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t0\t0\t%d\t%s\t0\t0\t0\n", iface,
			hexAddr(destination), hexAddr(gateway), flags, metric, hexAddr(mask))
	}
	return heading +
		line("eth0", "0.0.0.0", "192.0.2.254", "0003", 200, "0.0.0.0") +
		line("eth0", "0.0.0.0", "192.0.2.1", "0003", 100, "0.0.0.0") +
		line("wlan0", "0.0.0.0", "192.0.2.78", "0003", 600, "0.0.0.0") +
		line("tun0", "0.0.0.0", "0.0.0.0", "0001", 50, "0.0.0.0") +
		line("down0", "0.0.0.0", "10.0.0.1", "0002", 0, "0.0.0.0") +
		line("eth0", "192.0.2.0", "0.0.0.0", "0001", 0, "255.255.255.0") +
		line("eth0", "0.0.0.0", "192.0.2.9", "0003", 0, "128.0.0.0")
}

func TestParseARP(t *testing.T) {
	table, err := parseARP(strings.NewReader(arpTable))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"192.0.2.1 02:fc:00:00:00:05 eth0 true", "192.0.2.77  eth0 false", "192.0.2.78 02:fc:00:00:00:06 wlan0 true",
	}
	if len(table) != len(want) {
		t.Fatalf("%d entries, want %d: %v", len(table), len(want), table)
	}
	for n, e := range table {
		if got := fmt.Sprint(e.Addr, " ", e.MAC, " ", e.Iface, " ", e.Complete); got != want[n] {
			t.Errorf("entry %d: %q, want %q", n, got, want[n])
		}
	}
}

func TestGatewaysFromTables(t *testing.T) {
	routes, err := parseDefaultRoutes(strings.NewReader(routeTable()))
	if err != nil {
		t.Fatal(err)
	}
	table, err := parseARP(strings.NewReader(arpTable))
	if err != nil {
		t.Fatal(err)
	}
	got := joinGateways(routes, table)
	want := map[string]string{"eth0": "192.0.2.1 02:fc:00:00:00:05", "wlan0": "192.0.2.78 02:fc:00:00:00:06"}
	if len(got) != len(want) {
		t.Errorf("gateways %v, want %v", got, want)
	}
	for iface, gw := range want {
		if g := got[iface]; fmt.Sprint(g.addr, " ", g.mac) != gw {
			t.Errorf("gateway of %s: %v %v, want %s", iface, g.addr, g.mac, gw)
		}
	}
}

func TestGatewayMACOfTheOtherInterfaceIsNotTaken(t *testing.T) {
	routes := map[string]netip.Addr{"wlan0": netip.MustParseAddr("192.0.2.1")}
	table, err := parseARP(strings.NewReader(arpTable))
	if err != nil {
		t.Fatal(err)
	}
	if gw := joinGateways(routes, table)["wlan0"]; gw.mac != nil {
		t.Errorf("gateway of wlan0 has MAC %v, which eth0 knows", gw.mac)
	}
}

func FuzzParseARP(f *testing.F) {
	f.Add(arpTable)
	f.Add("192.0.2.1 0x1 0x2 02:fc:00:00:00:05 * eth0")
	f.Add("::1 0x1 0x2 zz * eth0\n\n1.2.3.4 1 -1 0 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		var table []Neighbour
		var err error
		fuzztest.Within(t, len(text), 64, 16<<10, func() { table, err = parseARP(strings.NewReader(text)) })
		if err != nil {
			return
		}
		for _, n := range table {
			if !n.Addr.Is4() || n.Iface == "" || n.Complete != (len(n.MAC) > 0) {
				t.Errorf("entry %+v from %q", n, text)
			}
		}
	})
}

func FuzzParseDefaultRoutes(f *testing.F) {
	f.Add(routeTable())
	f.Add("eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0")
	f.Add("eth0 00000000 1FFFFFFFF 0003 0 0 -1 00000000")
	f.Fuzz(func(t *testing.T, text string) {
		var gateways map[string]netip.Addr
		var err error
		fuzztest.Within(t, len(text), 64, 16<<10, func() { gateways, err = parseDefaultRoutes(strings.NewReader(text)) })
		if err != nil {
			return
		}
		for iface, addr := range gateways {
			if iface == "" || !addr.Is4() {
				t.Errorf("gateway %v of %q from %q", addr, iface, text)
			}
		}
	})
}
