package lan

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
)

var linkLocal = netip.MustParseAddr("fe80::5")

// withSix is a device that has a link-local address, too.
func withSix(d device) device {
	d.addrs6 = []netip.Addr{linkLocal}
	return d
}

// By which family an interface is used, in which groups we are there, and to which we send.
func TestFamilies(t *testing.T) {
	eth, veth := testDevice(2, "eth0", ethernet, "10.77.0.5/24"), testDevice(2, "veth1", ethernet)
	bare := testDevice(2, "eth0", ethernet)
	port, dumb := withSix(bare), withSix(bare)
	port.master, dumb.Flags, veth.kind = 9, ethernet&^net.FlagMulticast, "veth"
	tests := []struct {
		name    string
		devices []device
		four    bool
		six     bool
		groups  []netip.Addr
		to      netip.Addr // by IPv6
		reason  string
	}{
		{"IPv4 alone", []device{eth}, true, false, nil, netip.Addr{}, ""},
		{"both", []device{withSix(eth)}, true, true, []netip.Addr{groupAll}, groupWithout, ""},
		{"IPv6 alone", []device{withSix(bare)}, false, true, []netip.Addr{groupAll, groupWithout}, groupAll, ""},
		{"neither", []device{bare}, false, false, nil, netip.Addr{}, "no IPv4 address"},
		{"port of a bridge", []device{port}, false, false, nil, netip.Addr{}, "no IPv4 address"},
		{"without multicast", []device{dumb}, false, false, nil, netip.Addr{}, "no IPv4 address"},
		{"in a container", []device{withSix(veth)}, false, true, []netip.Addr{groupAll, groupWithout}, groupAll, ""},
		{"of a container", []device{withSix(veth), testDevice(7, "eth0", ethernet)}, false, false, nil, netip.Addr{},
			"left out as the end of a container's cable; --iface veth1 uses it"},
	}
	for _, test := range tests {
		ifaces, err := choose(test.devices, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		i := ifaces[0]
		if i.Four != test.four || i.Six != test.six || i.Used != (i.Four || i.Six) || i.Reason != test.reason {
			t.Errorf("%s: four %t, six %t, used %t, reason %q", test.name, i.Four, i.Six, i.Used, i.Reason)
		}
		want := map[membership]bool{}
		for _, g := range test.groups {
			want[membership{2, g}] = true
		}
		if got := memberships(ifaces); !maps.Equal(got, want) {
			t.Errorf("%s: in %v, want %v", test.name, got, want)
		}
		l := &Link{port: 27474}
		packets := l.route(nil, newTable(ifaces), 0, Outgoing{Six: true, Iface: 2})
		if to := test.to; to.IsValid() != (len(packets) == 1) || to.IsValid() && packets[0].to.Addr() != to {
			t.Errorf("%s: by IPv6 to %+v, want %v", test.name, packets, to)
		}
		four := l.route(nil, newTable(ifaces), 0, Outgoing{})
		if (len(four) == 1) != test.four {
			t.Errorf("%s: by IPv4 to %+v", test.name, four)
		}
	}
}

func TestAdmitIPv6(t *testing.T) {
	ifaces, err := choose([]device{withSix(testDevice(2, "eth0", ethernet, "10.77.0.5/24")),
		testDevice(3, "eth1", ethernet, "10.78.0.5/24")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		from, to  string
		iface     int
		shared    bool
		admitted  bool
		broadcast bool
		onLink    bool
	}{
		{"to all", "fe80::9", "ff12::8000:6b52", 2, true, true, true, true},
		{"to those without IPv4", "fe80::9", "ff12::8000:6b53", 2, true, true, true, true},
		{"to us", "fe80::9", "fe80::5", 2, false, true, false, true},
		{"to another group", "fe80::9", "ff02::1", 2, true, true, false, true},
		{"to all, by the private port", "fe80::9", "ff12::8000:6b52", 2, false, true, false, true},
		{"from beyond the link", "2001:db8::9", "ff12::8000:6b52", 2, true, true, true, false},
		{"on an interface that has no IPv6", "fe80::9", "ff12::8000:6b52", 3, true, false, false, false},
		{"on no interface in use", "fe80::9", "ff12::8000:6b52", 4, true, false, false, false},
	} {
		d := Datagram{From: netip.AddrPortFrom(netip.MustParseAddr(test.from), 27475), Iface: test.iface,
			To: netip.MustParseAddr(test.to)}
		admitted := newTable(ifaces).admit(&d, test.shared)
		if admitted != test.admitted || admitted && (d.Broadcast != test.broadcast || d.OnLink != test.onLink) {
			t.Errorf("%s: admitted %t, broadcast %t, on link %t", test.name, admitted, d.Broadcast, d.OnLink)
		}
		if admitted && d.From.Addr().Zone() != "eth0" {
			t.Errorf("%s: from %v, which does not say where", test.name, d.From)
		}
	}
}

// Addresses of IPv6 come before those of IPv4, or in their place for a while.
func TestGenerationWithoutIPv4(t *testing.T) {
	g := newGenerations("", &counting{})
	bare, both := testDevice(2, "eth0", ethernet), testDevice(2, "eth0", ethernet, "192.168.1.20/24")
	jolted := both
	jolted.carrierDowns = 1
	first := networksOf(t, g, []device{withSix(bare)}, nil)
	later := networksOf(t, g, []device{withSix(both)}, nil)
	if len(first) != 1 || len(later) != 2 || later[0] != first[0] {
		t.Errorf("IPv4 came: %x, then %x; want the first to hold", first, later)
	}
	if again := networksOf(t, g, []device{withSix(both)}, nil); !slices.Equal(again, later) {
		t.Errorf("nothing happened: %x, then %x", later, again)
	}
	if other := networksOf(t, g, []device{withSix(bare)}, nil); slices.Contains(later, other[0]) {
		t.Errorf("IPv4 went: still %x", other)
	}
	if other := networksOf(t, g, []device{withSix(jolted)}, nil); len(other) != 1 {
		t.Errorf("the cable was out when IPv4 came: %x", other)
	}
}

// Connections come from several listeners as from one, until it is closed.
func TestListeners(t *testing.T) {
	var all []net.Listener
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	l := joinListeners(all...)
	for _, one := range all {
		conn, err := net.Dial("tcp", one.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		taken, err := l.Accept()
		if err != nil || taken.RemoteAddr().String() != conn.LocalAddr().String() {
			t.Fatalf("took %v, %v", taken, err)
		}
		taken.Close()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
}
