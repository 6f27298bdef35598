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
	wlan := testDevice(3, "wlan0", ethernet, "192.168.1.9/24")
	vpn := testDevice(4, "tap0", ethernet, "10.8.0.2/24")
	vpn.kind = "tun"
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
		{"two networks", []device{wlan, eth}, nil, []string{"eth0", "wlan0"}, ""},
		{"all but one", []device{eth, wlan}, []string{"!w*"}, []string{"eth0"}, "left out by the pattern !w*"},
		{"all that were asked for but one", []device{eth, wlan}, []string{"wlan0", "!wlan0", "*"}, []string{"eth0"},
			"left out by the pattern !wlan0"},
		{"loopback stands in for what is left out", []device{lo, eth}, []string{"!eth0"}, []string{"lo"},
			"left out by the pattern !eth0"},
		{"no loopback either", []device{eth, lo}, []string{"!eth0", "!lo"}, nil, "left out by the pattern !lo"},
		{"VPN", []device{eth, vpn}, nil, []string{"eth0"}, "left out as a VPN or tunnel; --iface tap0 uses it"},
		{"VPN asked for", []device{eth, vpn}, []string{"tap*"}, []string{"tap0"}, ""},
		{"VPN asked for with all", []device{eth, vpn}, []string{"*"}, []string{"eth0", "tap0"}, ""},
		{"VPN not asked for by what is left out", []device{eth, vpn}, []string{"!eth0"}, nil,
			"left out as a VPN or tunnel; --iface tap0 uses it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ifaces, err := choose(test.devices, nil, test.patterns)
			if err != nil {
				t.Fatal(err)
			}
			standIn(ifaces, test.patterns)
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

// What is virtual leads to the network around, or it does not.
func TestLeftOut(t *testing.T) {
	of := func(index int, kind string, master int) device {
		d := testDevice(index, "x", ethernet)
		d.kind, d.master = kind, master
		return d
	}
	const bridge = 9
	tests := []struct {
		name   string
		device device
		ports  []device
		routed bool
		want   string
	}{
		{"hardware", of(2, "", 0), nil, false, ""},
		{"in a container", of(2, "veth", 0), nil, false, ""},
		{"in a container, on its host's wire", of(2, "macvlan", 0), nil, false, ""},
		{"VLAN", of(2, "vlan", 0), nil, false, ""},
		{"two cables as one", of(2, "bond", 0), nil, false, ""},
		{"VPN", of(2, "wireguard", 0), nil, true, tunnel},
		{"overlay", of(2, "vxlan", 0), nil, false, overlay},
		{"dummy", of(2, "dummy", 0), nil, false, nothing},
		{"bridge of the host's cable", of(bridge, "bridge", 0), []device{of(2, "veth", bridge), of(3, "", bridge)}, false, ""},
		{"bridge of a VLAN", of(bridge, "bridge", 0), []device{of(2, "vlan", bridge)}, false, ""},
		{"bridge of containers", of(bridge, "bridge", 0), []device{of(2, "veth", bridge), of(3, "", 0)}, false, guests},
		{"bridge of virtual machines", of(bridge, "bridge", 0), []device{of(2, "tun", bridge)}, false, guests},
		{"bridge without ports", of(bridge, "bridge", 0), nil, false, guests},
		{"bridge in a container", of(bridge, "bridge", 0), []device{of(2, "veth", bridge)}, true, ""},
	}
	for _, test := range tests {
		if got := leftOut(test.device, append(test.ports, test.device), test.routed); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	for name, want := range map[string]string{
		"utun3": "tun", "vmnet8": "guests", "Tailscale": "tun", "vEthernet (Default Switch)": "guests", "vEthernet (LAN)": "",
		"en0": "", "Ethernet 2": "", "eth0": "", "bridge0": "",
	} {
		if got := kindByName(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestChooseRefusesMalformedPattern(t *testing.T) {
	if _, err := choose([]device{testLoopback()}, nil, []string{"eth["}); !errors.Is(err, path.ErrBadPattern) {
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
