package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ago(d time.Duration) *time.Time {
	t := now.Add(-d)
	return &t
}

// all is what a peer sends back to whom everything reaches.
func all() []control.Echo {
	return []control.Echo{
		{Way: "unicast", Size: 512, Asked: 1, Heard: true}, {Way: "unicast", Size: 1400, Asked: 1, Heard: true},
		{Way: "directed", Size: 512, Asked: 1, Heard: true}, {Way: "directed", Size: 1400, Asked: 1, Heard: true},
		{Way: "limited", Size: 512, Asked: 1, Heard: true}, {Way: "unicast", Size: 4000, Asked: 1, Heard: true},
	}
}

// sound is a host with one interface and two peers and nothing wrong.
func sound() Facts {
	peer := func(id, nick, addr string) control.Peer {
		return control.Peer{ID: id, Nick: nick, Addr: addr + ":27475", Iface: "eth0", Status: "here", Unicast: "ok", Link: "wired",
			FirstSeen: now.Add(-time.Hour), LastSeen: now, LastBroadcast: ago(4 * time.Second), LastUnicast: ago(time.Hour)}
	}
	probed := func(nick string, heard ...string) control.Probed {
		return control.Probed{Nick: nick, Iface: "eth0", Answers: true, Echoes: all(), AheadS: 0.2, Heard: heard}
	}
	return Facts{
		Now: now, Daemon: true,
		Status: control.Status{ID: "aaaaaaaaaa", Port: 27474, Unicast: 27475, RecvBuffer: 65535, RecvQueue: 16 << 20,
			Interfaces: []control.Interface{
				{Name: "eth0", Addrs: []string{"10.77.0.1/24"}, Broadcast: []string{"10.77.0.255"}, MTU: 1500, Link: "wired",
					Up: true, Used: true, OwnHeard: ago(time.Second)},
				{Name: "tun0", Addrs: []string{"10.8.0.2/24"}, Link: "wired", Reason: "it cannot broadcast"},
				{Name: "eth1", Link: "wired", Reason: "it is down"},
			},
			Rooms: []control.Room{{Name: "lobby", DatagramLimit: 1400}}},
		Peers:  []control.Peer{peer("bbbbbbbbbb", "bob", "10.77.0.2"), peer("cccccccccc", "carol", "10.77.0.3")},
		Probed: []control.Probed{probed("bob", "cccccccc"), probed("carol", "bbbbbbbb", "aaaaaaaa")},
		Host: Host{Root: true, Listened: true, Tools: map[string]Output{"nft": {Text: `{"nftables":[]}`}},
			Overheard: []Frame{{"eth0", netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.255")}},
			Routes:    []Route{{"eth0", netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.1")}}},
	}
}

func eth0(f *Facts) *control.Interface { return &f.Status.Interfaces[0] }

func overhear(from, to string) func(*Facts) {
	return func(f *Facts) {
		f.Host.Overheard = append(f.Host.Overheard, Frame{"eth0", netip.MustParseAddr(from), netip.MustParseAddr(to)})
	}
}

// deny has echoes of a size stay away.
func deny(f *Facts, size int, ways ...string) {
	for p := range f.Probed {
		f.Probed[p].Echoes = all()
		for i := range f.Probed[p].Echoes {
			if e := &f.Probed[p].Echoes[i]; e.Size == size && slices.Contains(ways, e.Way) {
				e.Asked, e.Heard = 3, false
			}
		}
	}
}

func failed(code control.Code, message, hint string) func(*Facts) {
	return func(f *Facts) {
		f.Failed = control.NewError(code, nil, message, hint)
		f.Daemon, f.Peers, f.Probed = false, nil, nil
		f.Status = control.Status{Interfaces: f.Status.Interfaces}
	}
}

func TestExamine(t *testing.T) {
	for _, test := range []struct {
		name     string
		change   func(*Facts)
		code     string // of the finding expected
		severity Severity
		verdict  string // in the verdict
		command  string // of the verdict
	}{
		{"sound", func(*Facts) {}, "peer", OK, "All is well: 2 other devices are here", ""},
		{"alone", func(f *Facts) { f.Peers, f.Probed, f.Host.Overheard = nil, nil, nil }, "own_heard", OK, "no other bcast device", ""},
		{"lost peers", func(f *Facts) { f.Peers[0].Status, f.Peers[1].Status = "lost", "left" }, "ports", OK, "no other bcast", ""},
		{"each interface", func(*Facts) {}, "interface_unused", OK, "well", ""},
		{"no daemon", func(f *Facts) { f.Daemon = false }, "no_daemon", Warning, "It works, but: no daemon runs", "bcast daemon"},

		{"port taken", failed(control.CodePortTaken, "UDP port 27474 is taken", ""), "port_taken", Problem, "UDP port 27474 is taken.",
			"sudo ss -ulpn"},
		{"port taken by", func(f *Facts) {
			failed(control.CodePortTaken, "UDP port 27474 is taken", "")(f)
			f.Host.Holders = []Holder{{42, "squatter"}}
		}, "port_taken", Problem, "squatter (process 42)", "kill 42"},
		{"home", failed(control.CodeHome, "the home is a file", "--home names another"), "no_start", Problem, "the home is a file",
			"--home names another"},
		{"no network", func(f *Facts) {
			failed(control.CodeNoNetwork, "none", "")(f)
			eth0(f).Used, eth0(f).Reason = false, "it is down"
		}, "no_interface", Problem, "No interface", "ip link set dev eth0 up"},
		{"no address", func(f *Facts) {
			eth0(f).Used, eth0(f).Reason = false, "no IPv4 address"
		}, "no_interface", Problem, "No interface", "ip addr add ADDRESS/24 brd + dev eth0"},
		{"loopback", func(f *Facts) { eth0(f).Link = "loopback" }, "only_loopback", Warning, "nobody outside", "bcast ifaces"},
		{"no broadcast", func(f *Facts) {
			eth0(f).Addrs, eth0(f).Broadcast = []string{"10.77.0.1/32"}, []string{"255.255.255.255"}
			f.Host.Overheard = nil
		}, "no_broadcast", Problem, "10.77.0.1/32", "ip addr replace 10.77.0.1/24 brd + dev eth0"},
		{"no broadcast among /22", func(f *Facts) {
			eth0(f).Addrs, eth0(f).Broadcast = []string{"10.77.0.1/32"}, []string{"255.255.255.255"}
			f.Host.Overheard = nil
			overhear("10.77.0.9", "10.77.3.255")(f)
		}, "no_broadcast", Problem, "10.77.0.1/32", "ip addr replace 10.77.0.1/22 brd + dev eth0"},

		{"own never heard", func(f *Facts) { eth0(f).OwnHeard = nil }, "own_unheard", Problem, "on eth0 do not come back",
			"nft list ruleset"},
		{"own no longer heard", func(f *Facts) { eth0(f).OwnHeard, f.Host.Root = ago(11*time.Second), false }, "own_unheard", Problem,
			"on eth0 do not come back", "sudo bcast doctor"},
		{"own heard lately on Wi-Fi", func(f *Facts) { eth0(f).OwnHeard, eth0(f).Link = ago(11*time.Second), "wifi" }, "own_heard", OK,
			"well", ""},
		{"sending refused", func(f *Facts) {
			eth0(f).OwnHeard, f.Status.Drops = nil, map[string]uint64{"send_blocked": 7}
		}, "send_blocked", Problem, "refused 7 datagrams", "nft list ruleset"},

		{"two subnets", overhear("10.79.0.9", "10.79.0.255"), "two_subnets", Problem, "10.79.0.9 (10.79.0.0/24)",
			"ip addr add ADDRESS/24 brd + dev eth0"},
		{"two subnets, limited", overhear("10.79.0.9", "255.255.255.255"), "two_subnets", Problem, "10.79.0.9 broadcasts on eth0",
			"ip addr add ADDRESS/MASK brd + dev eth0"},
		{"two families", func(f *Facts) {
			eth0(f).Addrs = nil
			overhear("10.79.0.9", "10.79.0.255")(f)
		}, "own_heard", OK, "well", ""},
		{"off link", func(f *Facts) { f.Status.Drops = map[string]uint64{"off_link": 3} }, "off_link", Warning, "3 datagrams",
			"bcast ifaces"},
		{"one way", overhear("10.77.0.9", "10.77.0.255"), "unmet", Warning, "broadcasts of 10.77.0.9 reach eth0", "bcast doctor"},
		{"a VPN", func(f *Facts) { f.Host.Routes[0].Source = netip.MustParseAddr("10.8.0.2") }, "route_taken", Warning,
			"tun0 leads to 10.77.0.0/24", "ip rule add to 10.77.0.0/24 lookup main priority 100"},

		{"Docker's bridge", func(f *Facts) { eth0(f).Name, f.Host.Overheard, f.Host.Routes = "docker0", nil, nil }, "docker_bridge", OK, "well", ""},
		{"Docker's forwarding", func(f *Facts) {
			f.Host.NfCall, f.Host.Bridges = true, []Bridge{{"br0", false, false}}
			f.Host.Tools["iptables"] = Output{Text: "-P INPUT ACCEPT\n-P FORWARD DROP\n"}
		}, "bridge_filtered", Warning, "frames between", "sysctl -w net.bridge.bridge-nf-call-iptables=0"},
		{"in a container", func(f *Facts) {
			f.Host.Container, eth0(f).Addrs, f.Host.Overheard, f.Host.Routes = true, []string{"172.17.0.2/16"}, nil, nil
		}, "container", Warning, "this is a container", "docker run --network host IMAGE"},
		{"snooping", func(f *Facts) { f.Host.Bridges = []Bridge{{"br0", true, false}} }, "igmp_snooping", OK, "well", ""},

		{"isolated", func(f *Facts) { f.Probed[1].Heard = []string{"dddddddd"} }, "isolated", Problem,
			"carol hears a device (dddddddd)", "bridge link set dev PORT isolated off"},
		{"lost, but heard there", func(f *Facts) {
			f.Peers[0].Status, f.Peers[0].LastSeen = "lost", now.Add(-time.Minute)
		}, "isolated", Problem, "(bbbbbbbb)", "bridge link set dev PORT isolated off"},
		{"lost just now", func(f *Facts) { f.Peers[0].Status = "lost" }, "probe", OK, "well", ""},

		{"unicast blocked", func(f *Facts) { f.Peers[0].Unicast = "blocked" }, "unicast_blocked", Problem,
			"Unicast to bob (10.77.0.2:27475) is blocked", "nft list ruleset"},
		{"never a broadcast", func(f *Facts) { f.Peers[0].LastBroadcast = nil }, "broadcast_silent", Problem, "No broadcast of bob",
			"bcast ifaces"},
		{"no more broadcasts", func(f *Facts) { f.Peers[0].LastBroadcast = ago(2 * time.Minute) }, "broadcast_silent", Problem,
			"No broadcast of bob", "bcast ifaces"},
		{"just met", func(f *Facts) { f.Peers[0].LastBroadcast, f.Peers[0].FirstSeen = nil, now }, "peer", OK, "well", ""},
		{"never a unicast", func(f *Facts) { f.Peers[0].LastUnicast = nil }, "unicast_unheard", Warning, "no unicast of bob",
			"bcast doctor"},
		{"no probes", func(f *Facts) { f.Probed[0].Answers = false }, "probe_silent", OK, "well", ""},
		{"narrow path", func(f *Facts) { deny(f, 1400, "unicast", "directed") }, "path_mtu", Problem, "less than either end thinks",
			"ip link set dev eth0 mtu 1280"},
		{"narrow interface", func(f *Facts) {
			deny(f, 1400, "unicast", "directed")
			eth0(f).MTU = 1280
		}, "path_mtu", Problem, "eth0 here takes only 1280 bytes", "ip link set dev eth0 mtu 1500"},
		{"small pieces", func(f *Facts) { eth0(f).MTU = 1400 }, "mtu_small", OK, "well", ""},
		{"not asked for much", func(f *Facts) {
			f.Probed[0].Echoes = []control.Echo{{Way: "unicast", Size: 512, Asked: 1, Heard: true}, {Way: "unicast", Size: 1400}}
		}, "probe", OK, "well", ""},
		{"fragments", func(f *Facts) { deny(f, 4000, "unicast") }, "fragments_lost", OK, "well", ""},
		{"directed", func(f *Facts) { deny(f, 512, "directed") }, "directed_lost", Warning, "bob sends back", "bcast loss"},
		{"limited", func(f *Facts) { deny(f, 512, "limited") }, "limited_lost", OK, "well", ""},

		{"watch", func(f *Facts) { f.Status.RecvBuffer, f.Status.Watch = 100, true }, "buffer_tiny", Problem, "100 bytes is too small", bufferFix},
		{"short buffer", func(f *Facts) { f.Status.RecvBuffer = 600 }, "buffer_short", Warning, "is 600 bytes", bufferFix},
		{"limited room", func(f *Facts) {
			f.Status.Rooms[0] = control.Room{Name: "lobby", DatagramLimit: 600, LimitedBy: "carol-k7f2"}
		}, "room_limited", Warning, "buffer of carol-k7f2", bufferFix},
		{"short queue", func(f *Facts) { f.Status.RecvQueue = 212992 }, "queue_short", Warning, "208 KiB",
			"sysctl -w net.core.rmem_max=16777216"},
		{"short queues here", func(f *Facts) { f.Status.RecvQueue, f.Host.RmemMax = 0, 4<<20 }, "queue_short", Warning, "4096 KiB",
			"sysctl -w net.core.rmem_max=16777216"},
		{"unknown queue", func(f *Facts) { f.Status.RecvQueue = 0 }, "ports", OK, "well", ""},
		{"cuts", func(f *Facts) {
			f.Status.Cuts, f.Status.CutFrom = 5, []control.CutSource{{Addr: "10.77.0.2:27474", Nick: "bob", Count: 4}}
		}, "cuts", Warning, "cut, 4 of them from bob", bufferFix},

		{"a clock", func(f *Facts) { f.Probed[0].AheadS = -7200 }, "clock_apart", Warning, "clock of bob is 2h0m0s behind", clockCommand},
		{"own clock", func(f *Facts) { f.Probed[0].AheadS, f.Probed[1].AheadS = 7200, 7201 }, "clock_here", Warning,
			"clock of this host is 2h0m0s behind", clockCommand},
		{"two clocks", func(f *Facts) { f.Probed[0].AheadS, f.Probed[1].AheadS = 7200, -7200 }, "clock_apart", Warning,
			"clock of bob is 2h0m0s ahead", clockCommand},
		{"clocks", func(*Facts) {}, "clock", OK, "well", ""},

		{"the cause before its effects", func(f *Facts) {
			eth0(f).OwnHeard = nil
			f.Peers[0].Unicast = "blocked"
		}, "unicast_blocked", Problem, "on eth0 do not come back", "nft list ruleset"},
		{"a problem before warnings", func(f *Facts) {
			f.Status.RecvBuffer, f.Status.Watch = 100, true
			overhear("10.77.0.9", "10.77.0.255")(f)
		}, "unmet", Warning, "100 bytes", bufferFix},
	} {
		facts := sound()
		test.change(&facts)
		report := Examine(facts)
		if !strings.Contains(report.Verdict, test.verdict) || report.Command != test.command {
			t.Errorf("%s: verdict %q, try %q", test.name, report.Verdict, report.Command)
		}
		if !slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Code == test.code && f.Severity == test.severity }) {
			t.Errorf("%s: no %s finding %s in %+v", test.name, test.severity, test.code, report.Findings)
		}
		problem := slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Severity == Problem })
		if report.Healthy == problem {
			t.Errorf("%s: healthy %v", test.name, report.Healthy)
		}
		for _, f := range report.Findings {
			if f.Severity != OK && f.Command == "" || !strings.HasSuffix(f.Sentence, ".") {
				t.Errorf("%s: %+v", test.name, f)
			}
		}
	}
}
