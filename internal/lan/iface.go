package lan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
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
	Broadcast []netip.Addr   // directed broadcast address of each IPv4 subnet
	Up        bool           // administratively up, with carrier
	Loopback  bool
	Wifi      bool
	Virtual   bool // no hardware behind it: bridge, veth, tun, VLAN. For people only; decides nothing
	Used      bool
	Reason    string // why it is not used, in words for people
	// Networks says which network a used interface is on: the link's generation and, once known, the gateway's id.
	// Only Link.Interfaces fills it.
	Networks []NetworkID
}

func (i *Interface) onLink(addr netip.Addr) bool {
	return slices.ContainsFunc(i.Addrs, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Interfaces lists the interfaces of the host in order of index, each with whether it is used or why not. Used are
// those that are up, have an IPv4 address, can broadcast, and, if there are patterns (path.Match), match one by name.
// A loopback interface is used only when a pattern is exactly its name, or when there are no patterns and nothing else
// is usable.
func Interfaces(patterns []string) ([]Interface, error) {
	devices, err := readDevices()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return choose(devices, patterns)
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
	wifi         bool
	virtual      bool
	carrierDowns uint64 // how often the carrier was lost, where the OS counts
}

// choose decides which devices are used. It fails only on a malformed pattern.
func choose(devices []device, patterns []string) ([]Interface, error) {
	ifaces := make([]Interface, 0, len(devices))
	for _, d := range devices {
		i := describe(d)
		selected, named, err := match(patterns, i.Name)
		if err != nil {
			return nil, err
		}
		i.Reason = reason(&i, d.Flags, selected, named)
		i.Used = i.Reason == ""
		ifaces = append(ifaces, i)
	}
	slices.SortFunc(ifaces, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	if len(patterns) == 0 && !slices.ContainsFunc(ifaces, func(i Interface) bool { return i.Used }) {
		fallBackToLoopback(ifaces)
	}
	return ifaces, nil
}

// fallBackToLoopback lets the programs of one host talk when it has no network.
func fallBackToLoopback(ifaces []Interface) {
	for n := range ifaces {
		if i := &ifaces[n]; i.Loopback && i.Up && len(i.Broadcast) > 0 {
			i.Used, i.Reason = true, ""
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
		Up:       d.Flags&net.FlagUp != 0 && d.Flags&net.FlagRunning != 0,
		Loopback: d.Flags&net.FlagLoopback != 0,
		Wifi:     d.wifi,
		Virtual:  d.virtual,
	}
	slices.SortFunc(i.Addrs, netip.Prefix.Compare)
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

// match reports whether name is selected by patterns, and whether one of them is the name itself.
func match(patterns []string, name string) (selected, named bool, err error) {
	selected = len(patterns) == 0
	for _, p := range patterns {
		ok, err := path.Match(p, name)
		if err != nil {
			return false, false, fmt.Errorf("interface pattern %q: %w", p, err)
		}
		selected = selected || ok
		named = named || p == name
	}
	return selected, named, nil
}

// reason says why an interface is not used; empty if it is.
func reason(i *Interface, flags net.Flags, selected, named bool) string {
	switch {
	case !selected:
		return "not among the interfaces asked for"
	case flags&net.FlagUp == 0:
		return "it is down"
	case flags&net.FlagRunning == 0:
		return "no carrier: no cable, no access point or nobody at the other end"
	case i.Loopback && !named:
		return "loopback is used only when named, or when there is nothing else"
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
