package lan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// limitedBroadcast serves an interface whose addresses have no subnet to broadcast to (/31, /32).
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Interface is one network interface of the host and whether it is used.
type Interface struct {
	Index     int
	Name      string
	MAC       net.HardwareAddr
	MTU       int
	Addrs     []netip.Prefix // IPv4 only, in ascending order
	Addrs6    []netip.Addr   // link-local IPv6, without zone, in ascending order
	Broadcast []netip.Addr   // directed broadcast address of each IPv4 subnet
	Up        bool           // administratively up, with carrier
	Loopback  bool
	Wifi      bool
	// Kind is what the system has behind it: bridge, veth, vlan, tun, wireguard and so on; empty for hardware.
	Kind   string
	Used   bool   // by either family
	Four   bool   // used by IPv4
	Six    bool   // used by IPv6
	Reason string // why it is not used, in words for people
	// Networks says which network a used interface is on: the link's generation and, once known, the gateway's id.
	// Only Link.Interfaces fills it.
	Networks []NetworkID
}

func (i *Interface) onLink(addr netip.Addr) bool {
	return slices.ContainsFunc(i.Addrs, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Interfaces lists the interfaces of the host in order of index, each with whether it is used or why not. Used are
// those that are up, have an IPv4 address and can broadcast, or a link-local IPv6 address and can multicast. A pattern
// (path.Match) asks for those whose names match it, and for no others; one behind a ! leaves those out that match it,
// whatever else asks for them. What is not asked for is not used if other hosts of the network cannot be behind it: see
// leftOut. A loopback interface is used only when a pattern is exactly its name, or when none asks for any and nothing
// else is usable.
func Interfaces(patterns []string) ([]Interface, error) {
	devices, err := readDevices()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	gateways, _ := readGateways() // they can only help
	ifaces, err := choose(devices, gateways, patterns)
	if err == nil {
		standIn(ifaces, patterns)
	}
	return ifaces, err
}

// BroadcastAddrs lists the directed broadcast addresses of the interface named, or of all in use if iface is empty.
func BroadcastAddrs(iface string) ([]netip.Addr, error) {
	var patterns []string
	if iface != "" {
		patterns = []string{iface}
	}
	ifaces, err := Interfaces(patterns)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, i := range ifaces {
		if i.Used {
			addrs = append(addrs, i.Broadcast...)
		}
	}
	if len(addrs) == 0 && iface != "" {
		return nil, fmt.Errorf("interface %s: %w", iface, refusal(ifaces, iface))
	}
	if len(addrs) == 0 {
		return nil, ErrNoInterface
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// refusal says why the interface named is not used; errors.Is finds ErrNoInterface in it.
func refusal(ifaces []Interface, name string) error {
	for _, i := range ifaces {
		if i.Name == name && i.Used {
			return fmt.Errorf("%w: it has no IPv4 address", ErrNoInterface)
		}
		if i.Name == name {
			return fmt.Errorf("%w: it is not used: %s", ErrNoInterface, i.Reason)
		}
	}
	return fmt.Errorf("%w: this host has no interface of that name", ErrNoInterface)
}

// device is an interface as the operating system describes it, before it is decided whether it is used.
type device struct {
	net.Interface
	addrs        []netip.Prefix
	addrs6       []netip.Addr // link-local
	wifi         bool
	kind         string // as in Interface
	master       int    // index of the bridge or bond that it is a port of; 0: of none
	carrierDowns uint64 // how often the carrier was lost, where the OS counts
}

// choose decides which devices are used. It fails only on a malformed pattern.
func choose(devices []device, gateways map[string]gateway, patterns []string) ([]Interface, error) {
	ifaces := make([]Interface, 0, len(devices))
	for _, d := range devices {
		i := describe(d)
		wish, err := match(patterns, i.Name)
		if err != nil {
			return nil, err
		}
		_, routed := gateways[i.Name]
		i.Reason = reason(&i, d.Flags, wish, leftOut(d, devices, routed))
		i.take(d)
		ifaces = append(ifaces, i)
	}
	slices.SortFunc(ifaces, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return ifaces, nil
}

// take notes by which families an interface is used that nothing speaks against, if by any. A port of a bridge or bond
// is not used by IPv6: it is the whole that is on the network.
func (i *Interface) take(d device) {
	if i.Reason != "" {
		return
	}
	four := lacks(i, d.Flags)
	i.Four = four == ""
	i.Six = len(i.Addrs6) > 0 && d.Flags&net.FlagMulticast != 0 && !i.Loopback && d.master == 0
	if i.Used = i.Four || i.Six; !i.Used {
		i.Reason = four
	}
}

// standIn has the loopback interface used if no other is, so that the programs of one host can talk without a network;
// not if patterns ask for others, or leave it out.
func standIn(ifaces []Interface, patterns []string) {
	if slices.ContainsFunc(ifaces, func(i Interface) bool { return i.Used }) {
		return
	}
	for n := range ifaces {
		i := &ifaces[n]
		wish, err := match(patterns, i.Name)
		if err == nil && !wish.asking && wish.refused == "" && i.Loopback && i.Up && len(i.Broadcast) > 0 {
			i.Used, i.Four, i.Reason = true, true, ""
		}
	}
}

func describe(d device) Interface {
	i := Interface{
		Index:    d.Index,
		Name:     d.Name,
		MAC:      d.HardwareAddr,
		MTU:      d.MTU,
		Addrs:    slices.Clone(d.addrs),
		Addrs6:   slices.Clone(d.addrs6),
		Up:       d.Flags&net.FlagUp != 0 && d.Flags&net.FlagRunning != 0,
		Loopback: d.Flags&net.FlagLoopback != 0,
		Wifi:     d.wifi,
		Kind:     d.kind,
	}
	slices.SortFunc(i.Addrs, netip.Prefix.Compare)
	slices.SortFunc(i.Addrs6, netip.Addr.Compare)
	if d.Flags&(net.FlagBroadcast|net.FlagLoopback) == 0 {
		return i
	}
	for _, p := range i.Addrs {
		if b, ok := directedBroadcast(p); ok && !slices.Contains(i.Broadcast, b) {
			i.Broadcast = append(i.Broadcast, b)
		}
	}
	if len(i.Broadcast) == 0 && len(i.Addrs) > 0 && !i.Loopback {
		i.Broadcast = []netip.Addr{limitedBroadcast}
	}
	return i
}

// wish is what patterns say of one interface.
type wish struct {
	asking  bool   // some patterns ask for interfaces: what none of them names is not wanted
	asked   bool   // one matches this one
	named   bool   // one is its name
	refused string // the pattern that leaves it out; empty: none
}

func match(patterns []string, name string) (w wish, err error) {
	for _, p := range patterns {
		bare, out := strings.CutPrefix(p, "!")
		ok, err := path.Match(bare, name)
		switch {
		case err != nil:
			return w, fmt.Errorf("interface pattern %q: %w", p, err)
		case out && ok:
			w.refused = p
		case !out:
			w.asking = true
			w.asked = w.asked || ok
			w.named = w.named || p == name
		}
	}
	return w, nil
}

// reason says why an interface is not to be used, whatever its addresses. left is why it is left out unless it is asked
// for.
func reason(i *Interface, flags net.Flags, w wish, left string) string {
	switch {
	case w.refused != "":
		return "left out by the pattern " + w.refused
	case w.asking && !w.asked:
		return "not among the interfaces asked for"
	case !w.asked && left != "":
		return "left out as " + left + "; --iface " + i.Name + " uses it"
	case flags&net.FlagUp == 0:
		return "it is down"
	case flags&net.FlagRunning == 0:
		return "no carrier: no cable, no access point or nobody at the other end"
	case i.Loopback && !w.named:
		return "loopback is used only when named, or when there is nothing else"
	}
	return ""
}

// lacks says what keeps an interface from being used by IPv4; empty if nothing does.
func lacks(i *Interface, flags net.Flags) string {
	switch {
	case !i.Loopback && flags&net.FlagBroadcast == 0:
		return "it cannot broadcast"
	case len(i.Addrs) == 0:
		return "no IPv4 address"
	case len(i.Broadcast) == 0:
		return "no IPv4 subnet to broadcast to"
	}
	return ""
}

// directedBroadcast is the last address of the subnet; a subnet of one or two addresses has none (RFC 3021).
func directedBroadcast(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b), true
}
