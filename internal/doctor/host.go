package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bcast/internal/control"
)

const (
	// firewallLook shows what a firewall that could not be judged does.
	firewallLook = "nft list ruleset"
	firewallAs   = "sudo bcast doctor"
	// wholeMTU carries the largest datagram that bcast sends, with its headers.
	wholeMTU = 1428
)

// checkStart looks at why no participant could be started.
func checkStart(f *Facts) []Finding {
	switch {
	case f.Failed == nil:
		return []Finding{ok("ports", "Ports %d (shared) and %d (own) are bound.", f.Status.Port, f.Status.Unicast)}
	case f.Failed.Code == control.CodeNoNetwork:
		return nil // the interfaces tell
	case f.Failed.Code != control.CodePortTaken:
		return []Finding{problem("no_start", f.Failed.Hint, "bcast cannot start: %s.", f.Failed.Message)}
	case len(f.Host.Holders) == 0:
		return []Finding{problem("port_taken", "sudo ss -ulpn", "%s.", upper(f.Failed.Message))}
	}
	h := f.Host.Holders[0]
	return []Finding{problem("port_taken", fmt.Sprintf("kill %d", h.PID),
		"%s: %s (process %d), which does not share it.", upper(f.Failed.Message), h.Name, h.PID)}
}

func checkDaemon(f *Facts) []Finding {
	if f.Daemon {
		return []Finding{ok("daemon", "The daemon runs.")}
	}
	if f.Failed != nil {
		return nil
	}
	return []Finding{warning("no_daemon", "bcast daemon",
		"No daemon runs on this home: others reach you only while a command of bcast runs.")}
}

// checkInterfaces tells of each interface why it is used or not, and whether those used can broadcast.
func checkInterfaces(f *Facts) []Finding {
	var all []Finding
	for _, i := range f.Status.Interfaces {
		switch {
		case !i.Used:
			all = append(all, ok("interface_unused", "%s is not used: %s.", i.Name, i.Reason))
		case i.Link != "loopback" && slices.Equal(i.Broadcast, []string{"255.255.255.255"}):
			own := prefixes(i)[0]
			all = append(all, problem("no_broadcast", fmt.Sprintf("ip addr replace %s/%d brd + dev %s", own.Addr(),
				f.mask(i), i.Name), "%s has %s, a subnet without a broadcast address: what others answer is refused as if it "+
				"came from another network.", i.Name, list(i.Addrs)))
		case len(i.Addrs) == 0:
			all = append(all, ok("interface", "%s is used by IPv6 alone: %s, MTU %d.", i.Name, list(i.Addrs6), i.MTU))
		default:
			all = append(all, ok("interface", "%s is used: %s, broadcasts to %s, MTU %d.", i.Name, list(i.Addrs),
				list(i.Broadcast), i.MTU))
		}
	}
	used := f.used()
	for _, i := range used {
		if i.MTU > 0 && i.MTU < wholeMTU {
			all = append(all, ok("mtu_small", "%s carries %d bytes at once: datagrams of 1,400 bytes travel in two pieces.",
				i.Name, i.MTU))
		}
	}
	switch {
	case len(used) == 0:
		command := "bcast ifaces"
		for _, i := range f.Status.Interfaces {
			if raise(i) != "" {
				command = raise(i)
				break
			}
		}
		all = append(all, problem("no_interface", command, "No interface of this host can broadcast."))
	case !slices.ContainsFunc(used, func(i control.Interface) bool { return i.Link != "loopback" }):
		all = append(all, warning("only_loopback", "bcast ifaces",
			"Only the loopback interface is used: nobody outside of this host is reached."))
	}
	return all
}

// raise is the command that may make an unused interface usable.
func raise(i control.Interface) string {
	switch {
	case i.Used || i.Link == "loopback":
		return ""
	case i.Reason == "it is down":
		return "ip link set dev " + i.Name + " up"
	case i.Reason == "no IPv4 address":
		return "ip addr add ADDRESS/24 brd + dev " + i.Name
	}
	return ""
}

// mask is the length of the prefix that others on the wire of an interface seem to have: 24 if nobody was heard.
func (f *Facts) mask(i control.Interface) int {
	for _, frame := range f.Host.Overheard {
		if bits, known := spans(frame); frame.Iface == i.Name && known {
			return bits
		}
	}
	return 24
}

// spans finds the subnet of a sender from where it broadcasts to: the longest prefix of which that is the last address.
func spans(frame Frame) (bits int, known bool) {
	if !frame.From.Is4() || !frame.To.Is4() || frame.To == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return 0, false
	}
	for bits = 30; bits > 0; bits-- {
		if p := netip.PrefixFrom(frame.From, bits); p.Contains(frame.To) {
			_, last := ends(p)
			return bits, last == frame.To
		}
	}
	return 0, false
}

// checkBroadcast looks whether what we send to all comes back: what hears nobody hears not even itself.
func checkBroadcast(f *Facts) []Finding {
	if f.Failed != nil {
		return nil
	}
	var all []Finding
	for _, i := range f.used() {
		switch {
		case f.hearsItself(i):
			all = append(all, ok("own_heard", "Own broadcasts come back on %s.", i.Name))
		case f.Status.Drops["send_blocked"] > 0:
			all = append(all, problem("send_blocked", f.look(), "A firewall of this host refused %d datagrams that bcast sent.",
				f.Status.Drops["send_blocked"]))
		default:
			all = append(all, problem("own_unheard", f.look(),
				"Own broadcasts on %s do not come back: something on this host drops them.", i.Name))
		}
	}
	return all
}

// hearsItself tells whether the last beat that we broadcast by an interface came back.
func (f *Facts) hearsItself(i control.Interface) bool {
	return i.OwnHeard != nil && f.Now.Sub(*i.OwnHeard) <= f.beatWithin(i)
}

// look is the command that tells more of a firewall.
func (f *Facts) look() string {
	if f.Host.Root {
		return firewallLook
	}
	return firewallAs
}

// checkSubnets looks for others on the wire that have another subnet: neither side's broadcasts are taken by the other.
func checkSubnets(f *Facts) []Finding {
	var all []Finding
	var told []netip.Addr
	for _, frame := range f.Host.Overheard {
		i := f.iface(frame.Iface)
		if i.Link == "loopback" || holds(i, frame.From) || slices.Contains(told, frame.From) || !i.Used ||
			len(i.Addrs) == 0 { // a host of IPv6 alone has no subnet that another one could differ from
			continue
		}
		told = append(told, frame.From)
		subnet, command := frame.From.String(), "ip addr add ADDRESS/MASK brd + dev "+frame.Iface
		if bits, known := spans(frame); known {
			p := netip.PrefixFrom(frame.From, bits).Masked()
			subnet = fmt.Sprintf("%s (%s)", frame.From, p)
			command = fmt.Sprintf("ip addr add ADDRESS/%d brd + dev %s", bits, frame.Iface)
		}
		all = append(all, problem("two_subnets", command,
			"Two subnets are on one wire: %s broadcasts on %s, where this host has %s; give one of them an address of the "+
				"other's subnet.", subnet, frame.Iface, list(i.Addrs)))
	}
	if n := f.Status.Drops["off_link"]; n > 0 && len(all) == 0 {
		all = append(all, warning("off_link", "bcast ifaces",
			"%d datagrams came from addresses of no subnet of this host: another subnet may be on the same wire.", n))
	}
	return all
}

// checkUnmet looks for devices whose broadcasts reach this host, and which are not here all the same.
func checkUnmet(f *Facts) []Finding {
	var all []Finding
	var told []netip.Addr
	for _, frame := range f.Host.Overheard {
		i := f.iface(frame.Iface)
		known := slices.ContainsFunc(f.Peers, func(p control.Peer) bool {
			a, err := netip.ParseAddrPort(p.Addr)
			return err == nil && a.Addr() == frame.From
		})
		if !i.Used || !holds(i, frame.From) || known || owns(i, frame.From) || slices.Contains(told, frame.From) ||
			f.Failed != nil {
			continue
		}
		told = append(told, frame.From)
		all = append(all, warning("unmet", "bcast doctor",
			"Broadcasts of %s reach %s, but it is not here: a firewall on one of the two may let only one way pass; "+
				"examine it there, too.", frame.From, frame.Iface))
	}
	return all
}

// checkRoutes looks whether something, mostly a VPN, took the way to a subnet.
func checkRoutes(f *Facts) []Finding {
	var all []Finding
	for _, r := range f.Host.Routes {
		i := f.iface(r.Iface)
		if owns(i, r.Source) || !r.Source.IsValid() {
			continue
		}
		by := "another interface"
		for _, other := range f.Status.Interfaces {
			if owns(other, r.Source) {
				by = other.Name
			}
		}
		for _, p := range prefixes(i) {
			if p.Contains(r.To) {
				all = append(all, warning("route_taken", fmt.Sprintf("ip rule add to %s lookup main priority 100", p.Masked()),
					"%s leads to %s, not %s, where it belongs: a VPN may have taken the route, and streams do not arrive.", by,
					p.Masked(), r.Iface))
			}
		}
	}
	return all
}

// checkBridges looks at what Docker and other bridges do with broadcasts and multicasts.
func checkBridges(f *Facts) []Finding {
	var all []Finding
	inside := f.Host.Container
	for _, i := range f.used() {
		private := netip.MustParsePrefix("172.16.0.0/12")
		inside = inside && slices.ContainsFunc(prefixes(i), func(p netip.Prefix) bool { return private.Contains(p.Addr()) })
		if i.Name == "docker0" || strings.HasPrefix(i.Name, "br-") {
			all = append(all, ok("docker_bridge",
				"%s is a bridge of containers: they and this host hear each other, but the LAN does not hear them.", i.Name))
		}
	}
	if inside && len(f.used()) > 0 {
		all = append(all, warning("container", "docker run --network host IMAGE",
			"This is a container on a bridge of its host: the LAN behind it is not heard."))
	}
	if rules := parseIptables(f.Host.Tools["iptables"].Text); f.Host.NfCall && len(f.Host.Bridges) > 0 {
		for _, c := range rules {
			if c.name == "FORWARD" && c.drops {
				all = append(all, warning("bridge_filtered", "sysctl -w net.bridge.bridge-nf-call-iptables=0",
					"Frames between the ports of a bridge of this host go through iptables, which drops what is forwarded, as "+
						"Docker sets it: who is behind different ports may not hear each other."))
			}
		}
	}
	for _, b := range f.Host.Bridges {
		if b.Snooping && !b.Querier {
			all = append(all, Finding{"igmp_snooping", OK, fmt.Sprintf("%s passes multicasts only to who asked for them, and "+
				"nobody on it asks again: mDNS and the like may stop after minutes; bcast does not need them.", b.Name),
				"ip link set dev " + b.Name + " type bridge mcast_querier 1"})
		}
	}
	return all
}

func upper(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
