package lan

import (
	"net"
	"slices"
	"strings"
)

// What is behind an interface that is no hardware, in words for people.
const (
	tunnel    = "a VPN or tunnel"
	overlay   = "an overlay network"
	nothing   = "virtual, with nobody behind it"
	guests    = "a bridge of containers or virtual machines"
	peering   = "a link between two devices"
	container = "the end of a container's cable"
)

// foreign are the kinds of interface, as Linux names them (ip-link(8)), that do not lead to the network around this
// host: datagrams for everybody there would go to a company, or to nobody.
var foreign = map[string]string{
	"tun": tunnel, "wireguard": tunnel, "ovpn": tunnel, "ppp": tunnel, "ipip": tunnel, "sit": tunnel, "gre": tunnel,
	"gretap": tunnel, "erspan": tunnel, "ip6tnl": tunnel, "ip6gre": tunnel, "ip6gretap": tunnel, "ip6erspan": tunnel,
	"vti": tunnel, "vti6": tunnel, "xfrm": tunnel, "gtp": tunnel, "bareudp": tunnel, "amt": tunnel,
	"vxlan": overlay, "geneve": overlay,
	"dummy": nothing, "ifb": nothing, "nlmon": nothing, "vcan": nothing, "netdevsim": nothing,
	"guests": guests, "awdl": peering,
}

// kinds are what names stand for where the system does not tell a kind: their beginnings, in lower case.
var kinds = []struct{ prefix, kind string }{
	{"utun", "tun"}, {"tun", "tun"}, {"tap", "tun"}, {"ipsec", "tun"}, {"gif", "tun"}, {"stf", "tun"}, {"wg", "wireguard"},
	{"ppp", "ppp"}, {"zt", "tun"}, {"tailscale", "tun"}, {"wireguard", "wireguard"}, {"zerotier", "tun"},
	{"openvpn", "tun"}, {"awdl", "awdl"}, {"llw", "awdl"}, {"bridge10", "guests"}, {"vmnet", "guests"},
	{"vboxnet", "guests"}, {"vmware", "guests"}, {"virtualbox", "guests"}, {"vethernet (default switch)", "guests"},
	{"vethernet (wsl", "guests"},
}

// kindByName is the kind that the name of an interface stands for, empty if for none.
func kindByName(name string) string {
	name = strings.ToLower(name)
	for _, k := range kinds {
		if strings.HasPrefix(name, k.prefix) {
			return k.kind
		}
	}
	return ""
}

// leftOut says why a device is not used unless it is asked for: not the hosts around are behind it, but the far end of
// a tunnel, or guests of this host. A bridge leads to the network if hardware is among its ports, or a gateway behind
// it (routed): in a container, where everything is virtual, nothing else tells. Empty: it may lead there.
//
// A veth without IPv4 is the host's end of a container's cable, where there is hardware besides; in a container its
// other end may have IPv6 alone.
func leftOut(d device, devices []device, routed bool) string {
	if d.kind == "veth" && len(d.addrs) == 0 && slices.ContainsFunc(devices, hardware) {
		return container
	}
	if d.kind != "bridge" {
		return foreign[d.kind]
	}
	for _, port := range devices {
		if port.master == d.Index && port.kind != "veth" && foreign[port.kind] == "" {
			return ""
		}
	}
	if routed {
		return ""
	}
	return guests
}

// hardware tells whether a device is none that the system made up.
func hardware(d device) bool { return d.kind == "" && d.Flags&net.FlagLoopback == 0 }
