package lan

import (
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"
)

// table is what sending and receiving need to know of the interfaces. It is made anew when they change and never
// altered.
type table struct {
	ifaces   []Interface
	used     map[int]*Interface // by index
	egresses []egress           // in order of interface and address
}

// egress is one address of an interface in use, and the way out to its subnet.
type egress struct {
	iface     int
	prefix    netip.Prefix
	broadcast netip.Addr // invalid if an earlier egress broadcasts to the same subnet; of IPv6 a group
	limited   netip.Addr // 255.255.255.255 for the first address of an interface, else invalid; of IPv6 the group
	mtu       int
	control   *ipv4.ControlMessage // of IPv4
	oob       []byte               // control as the system call takes it
}

func newTable(ifaces []Interface) *table {
	t := &table{ifaces: ifaces, used: make(map[int]*Interface)}
	for n := range ifaces {
		if i := &ifaces[n]; i.Used {
			t.used[i.Index] = i
			if i.Four {
				t.egresses = append(t.egresses, egressesOf(i)...)
			}
			if i.Six {
				t.egresses = append(t.egresses, egress6(i))
			}
		}
	}
	return t
}

func egressesOf(i *Interface) []egress {
	left := slices.Clone(i.Broadcast)
	var egresses []egress
	for n, prefix := range i.Addrs {
		e := egress{iface: i.Index, prefix: prefix, mtu: i.MTU}
		if n == 0 {
			e.limited = limitedBroadcast
		}
		e.control = &ipv4.ControlMessage{IfIndex: i.Index, Src: net.IP(prefix.Addr().AsSlice())}
		e.oob = e.control.Marshal()
		b, ok := directedBroadcast(prefix)
		if !ok {
			b = limitedBroadcast
		}
		if n := slices.Index(left, b); n >= 0 {
			e.broadcast = b
			left = slices.Delete(left, n, n+1)
		}
		egresses = append(egresses, e)
	}
	return egresses
}

// egressTo is how an interface reaches a unicast address: by its address in the same subnet, else by its first.
func (t *table) egressTo(iface int, to netip.Addr) *egress {
	var first *egress
	for n := range t.egresses {
		e := &t.egresses[n]
		if e.iface != iface || e.six() != to.Is6() {
			continue
		}
		if e.prefix.Contains(to) {
			return e
		}
		if first == nil {
			first = e
		}
	}
	return first
}

// admit completes what is known of a datagram received, and reports whether it came in on an interface in use.
func (t *table) admit(d *Datagram, shared bool) bool {
	i := t.arrival(d)
	if i == nil {
		return false
	}
	d.Iface = i.Index
	if d.From.Addr().Is6() {
		d.OnLink = d.From.Addr().IsLinkLocalUnicast()
		d.Broadcast = shared && (d.To == groupAll || d.To == groupWithout)
		d.From = netip.AddrPortFrom(d.From.Addr().WithZone(i.Name), d.From.Port())
		return true
	}
	d.OnLink = i.onLink(d.From.Addr())
	d.Broadcast = shared &&
		(!d.To.IsValid() || d.To == limitedBroadcast || slices.Contains(i.Broadcast, d.To))
	return true
}

// arrival is the interface in use on which a datagram counts as received; nil if there is none. What one program of a
// host sends to another comes in by the loopback device, whatever the address: it belongs to the interface that owns
// the address. Where the operating system names no interface, the addresses decide.
func (t *table) arrival(d *Datagram) *Interface {
	i := t.used[d.Iface]
	if d.From.Addr().Is6() {
		if i == nil || !i.Six {
			return nil
		}
		return i
	}
	if i != nil && !i.Four {
		return nil
	}
	if i != nil && !i.Loopback {
		return i
	}
	if d.Iface == 0 || t.loopback(d.Iface) {
		for _, e := range t.egresses {
			if e.prefix.Addr() == d.To || d.Iface == 0 && e.prefix.Contains(d.From.Addr()) {
				return t.used[e.iface]
			}
		}
	}
	return i
}

func (t *table) loopback(index int) bool {
	return slices.ContainsFunc(t.ifaces, func(i Interface) bool { return i.Index == index && i.Loopback })
}
