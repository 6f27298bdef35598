package lan

import (
	"errors"
	"net"
	"net/netip"
	"path"
	"slices"
	"testing"
)

const ethernet = net.FlagUp | net.FlagRunning | net.FlagBroadcast | net.FlagMulticast

func testDevice(index int, name string, flags net.Flags, addrs ...string) device {
	d := device{Interface: net.Interface{Index: index, Name: name, MTU: 1500, Flags: flags}}
	for _, a := range addrs {
		d.addrs = append(d.addrs, netip.MustParsePrefix(a))
	}
	return d
}

func testLoopback() device {
	return testDevice(1, "lo", net.FlagUp|net.FlagRunning|net.FlagLoopback, "127.0.0.1/8")
}

func TestChoose(t *testing.T) {
	lo := testLoopback()
	eth := testDevice(2, "eth0", ethernet, "10.77.0.5/24")
	tests := []struct {
		name     string
		devices  []device
		patterns []string
		used     []string
		reason   string // of the last device
	}{
		{"network", []device{lo, eth}, nil, []string{"eth0"}, ""},
		{"no network at all", []device{lo}, nil, []string{"lo"}, ""},
		{"loopback named too", []device{eth, lo}, []string{"eth*", "lo"}, []string{"lo", "eth0"}, ""},
		{"loopback only matched", []device{eth, lo}, []string{"*"}, []string{"eth0"},
			"loopback is used only when named, or when there is nothing else"},
		{"loopback does not stand in for what was asked for", []device{lo}, []string{"eth0"}, nil,
			"not among the interfaces asked for"},
		{"other one asked for", []device{lo, eth}, []string{"wlan?"}, nil, "not among the interfaces asked for"},
		{"down", []device{lo, testDevice(2, "eth0", net.FlagBroadcast, "10.77.0.5/24")}, nil,
			[]string{"lo"}, "it is down"},
		{"cable out", []device{lo, testDevice(2, "eth0", net.FlagUp|net.FlagBroadcast, "10.77.0.5/24")}, nil,
			[]string{"lo"}, "no carrier: no cable, no access point or nobody at the other end"},
		{"no address", []device{lo, testDevice(2, "eth0", ethernet)}, nil, []string{"lo"}, "no IPv4 address"},
		{"tunnel", []device{lo, testDevice(2, "tun0", net.FlagUp|net.FlagRunning|net.FlagPointToPoint, "10.8.0.2/24")},
			nil, []string{"lo"}, "it cannot broadcast"},
		{"loopback without a subnet", []device{testDevice(1, "lo", lo.Flags, "127.0.0.1/32")}, []string{"lo"}, nil,
			"no IPv4 subnet to broadcast to"},
		{"loopback that is down", []device{testDevice(1, "lo", net.FlagLoopback, "127.0.0.1/8")}, nil, nil,
			"it is down"},
		{"two networks", []device{testDevice(3, "wlan0", ethernet, "192.168.1.9/24"), eth}, nil,
			[]string{"eth0", "wlan0"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ifaces, err := choose(test.devices, test.patterns)
			if err != nil {
				t.Fatal(err)
			}
			var used []string
			last := test.devices[len(test.devices)-1].Name
			for _, i := range ifaces {
				if i.Used {
					used = append(used, i.Name)
				}
				if i.Name == last && i.Reason != test.reason {
					t.Errorf("reason of %s: %q, want %q", last, i.Reason, test.reason)
				}
				if i.Used == (i.Reason != "") {
					t.Errorf("%s: used %t with reason %q", i.Name, i.Used, i.Reason)
				}
			}
			if !slices.Equal(used, test.used) {
				t.Errorf("used %v, want %v", used, test.used)
			}
		})
	}
}

func TestChooseRefusesMalformedPattern(t *testing.T) {
	if _, err := choose([]device{testLoopback()}, []string{"eth["}); !errors.Is(err, path.ErrBadPattern) {
		t.Errorf("got %v, want path.ErrBadPattern", err)
	}
}

func TestBroadcastAddresses(t *testing.T) {
	tests := []struct {
		name  string
		flags net.Flags
		addrs []string
		want  []string
	}{
		{"/24", ethernet, []string{"10.77.0.5/24"}, []string{"10.77.0.255"}},
		{"/8 of loopback", net.FlagLoopback, []string{"127.0.0.1/8"}, []string{"127.255.255.255"}},
		{"/20", ethernet, []string{"172.16.33.7/20"}, []string{"172.16.47.255"}},
		{"/30", ethernet, []string{"10.0.0.1/30"}, []string{"10.0.0.3"}},
		{"no subnet", ethernet, []string{"10.0.0.1/32"}, []string{"255.255.255.255"}},
		{"pair", ethernet, []string{"10.0.0.0/31"}, []string{"255.255.255.255"}},
		{"two subnets", ethernet, []string{"10.1.0.1/24", "10.0.0.1/24"}, []string{"10.0.0.255", "10.1.0.255"}},
		{"two addresses of one subnet", ethernet, []string{"10.0.0.1/24", "10.0.0.2/24"}, []string{"10.0.0.255"}},
		{"subnet and single address", ethernet, []string{"10.0.0.1/24", "10.9.9.9/32"}, []string{"10.0.0.255"}},
		{"no broadcast", net.FlagUp, []string{"10.0.0.1/24"}, nil},
		{"no address", ethernet, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := describe(testDevice(2, "eth0", test.flags, test.addrs...))
			var got []string
			for _, b := range i.Broadcast {
				got = append(got, b.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestBroadcastAddrsOfLoopback(t *testing.T) {
	name := loopbackName(t)
	addrs, err := BroadcastAddrs(name)
	if want := netip.MustParseAddr("127.255.255.255"); err != nil || !slices.Contains(addrs, want) {
		t.Errorf("BroadcastAddrs(%q) = %v, %v; want %v among them", name, addrs, err, want)
	}
	if _, err := BroadcastAddrs("no-such-iface"); !errors.Is(err, ErrNoInterface) {
		t.Errorf("unknown interface: %v, want ErrNoInterface", err)
	}
}
