package lan

import (
	"net/netip"
	"slices"
	"testing"
)

// testTable has eth0 with two subnets and wlan0 in use, beside tun0 and lo, which are not.
func testTable(t *testing.T) *table {
	t.Helper()
	ifaces, err := choose([]device{
		testLoopback(),
		testDevice(2, "eth0", ethernet, "10.77.0.5/24", "10.78.0.5/24", "10.77.0.6/24"),
		testDevice(3, "wlan0", ethernet, "192.168.1.9/24"),
		testDevice(4, "tun0", 0, "10.8.0.2/24"),
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return newTable(ifaces)
}

func TestAdmit(t *testing.T) {
	lan := testTable(t)
	tests := []struct {
		name      string
		iface     int
		from, to  string
		shared    bool
		want      int // interface; 0: refused
		broadcast bool
		onLink    bool
	}{
		{"directed broadcast", 2, "10.77.0.9", "10.77.0.255", true, 2, true, true},
		{"second subnet", 2, "10.78.0.9", "10.78.0.255", true, 2, true, true},
		{"limited broadcast", 3, "192.168.1.7", "255.255.255.255", true, 3, true, true},
		{"unicast to the shared port", 2, "10.77.0.9", "10.77.0.5", true, 2, false, true},
		{"unicast", 2, "10.77.0.9", "10.77.0.5", false, 2, false, true},
		{"broadcast to the private port", 2, "10.77.0.9", "10.77.0.255", false, 2, false, true},
		{"from beyond a router", 2, "8.8.8.8", "10.77.0.5", false, 2, false, false},
		{"address of the other interface", 3, "192.168.1.7", "10.77.0.5", false, 3, false, true},
		{"interface not in use", 4, "10.8.0.1", "10.8.0.2", false, 0, false, false},
		{"our address, by an interface not in use", 4, "10.8.0.1", "10.77.0.5", false, 0, false, false},
		{"this host to itself", 1, "10.77.0.5", "10.77.0.5", false, 2, false, true},
		{"loopback", 1, "127.0.0.1", "127.0.0.1", false, 0, false, false},
		{"nothing told, source known", 0, "192.168.1.7", "", true, 3, true, true},
		{"nothing told, source foreign", 0, "8.8.8.8", "", true, 0, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Datagram{Iface: test.iface, From: netip.AddrPortFrom(netip.MustParseAddr(test.from), 27475)}
			if test.to != "" {
				d.To = netip.MustParseAddr(test.to)
			}
			admitted := lan.admit(&d, test.shared)
			if admitted != (test.want != 0) {
				t.Fatalf("admitted %t", admitted)
			}
			if admitted && (d.Iface != test.want || d.Broadcast != test.broadcast || d.OnLink != test.onLink) {
				t.Errorf("interface %d, broadcast %t, on link %t; want %d, %t, %t",
					d.Iface, d.Broadcast, d.OnLink, test.want, test.broadcast, test.onLink)
			}
		})
	}
}

// With lo in use beside a network, what this host sends to its own address of the network counts there.
func TestAdmitWithLoopbackInUse(t *testing.T) {
	devices := []device{testLoopback(), testDevice(2, "eth0", ethernet, "10.77.0.5/24")}
	ifaces, err := choose(devices, nil, []string{"lo", "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]int{"10.77.0.5": 2, "127.0.0.1": 1, "127.255.255.255": 1} {
		addr := netip.MustParseAddr(to)
		d := Datagram{Iface: 1, From: netip.AddrPortFrom(addr, 27475), To: addr}
		if !newTable(ifaces).admit(&d, true) || d.Iface != want || !d.OnLink {
			t.Errorf("to %s: interface %d, on link %t; want %d, true", to, d.Iface, d.OnLink, want)
		}
	}
}

func TestRoute(t *testing.T) {
	lan, link := testTable(t), &Link{port: 27474}
	peer := netip.MustParseAddrPort("10.78.0.9:27475")
	tests := []struct {
		name string
		to   netip.AddrPort
		by   int
		want []string // source>destination
	}{
		{"broadcast everywhere, once per subnet", netip.AddrPort{}, 0, []string{
			"10.77.0.5>10.77.0.255:27474", "10.78.0.5>10.78.0.255:27474", "192.168.1.9>192.168.1.255:27474"}},
		{"broadcast by one", netip.AddrPort{}, 3, []string{"192.168.1.9>192.168.1.255:27474"}},
		{"broadcast by one not in use", netip.AddrPort{}, 4, nil},
		{"unicast takes the address of the subnet", peer, 2, []string{"10.78.0.5>10.78.0.9:27475"}},
		{"unicast as the routing table says", peer, 0, []string{"any>10.78.0.9:27475"}},
		{"unicast to no subnet of it", peer, 3, []string{"192.168.1.9>10.78.0.9:27475"}},
		{"unicast by one not in use", peer, 4, nil},
		{"IPv4 in IPv6", netip.MustParseAddrPort("[::ffff:10.78.0.9]:27475"), 0, []string{"any>10.78.0.9:27475"}},
		{"IPv6", netip.MustParseAddrPort("[2001:db8::1]:27475"), 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range link.route(nil, lan, 0, Outgoing{To: test.to, Iface: test.by}) {
				source := "any"
				if p.by != nil {
					source = p.by.prefix.Addr().String()
				}
				got = append(got, source+">"+p.to.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
