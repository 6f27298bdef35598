package sim

import (
	"net/netip"

	"bcast/internal/engine"
)

// six marks the index of an interface where it stands for its IPv6, as in a daemon: to an engine they are two.
const six = 1 << 30

// families gives an interface the addresses of one family, or of both: of those of a segment the first has both, the
// next IPv4 alone, the one after it IPv6 alone, and so on. A member with code of its own has both: it speaks by IPv4.
// Not where some give up what is old: what all gave up who have both, the others cannot get from one another.
func (w *world) families(n *nic) {
	if !w.opt.Families || w.opt.Retain > 0 {
		return
	}
	at := n.segment.hosts % 3
	if n.node.index > 0 && n.node.index <= w.opt.Insiders {
		at = 1
	}
	n.without = at == 0
	if at != 2 {
		w.detach(n)
		i := n.node.index
		n.six = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 13: byte(n.index), 14: byte(i >> 8), 15: byte(i)})
		w.plug(n, w.home(n.node))
	}
}

// source6 is where what leaves by IPv6 comes from.
func (n *nic) source6() netip.AddrPort { return netip.AddrPortFrom(n.six, port) }

// interfaces are n as its engine knows it.
func (n *nic) interfaces(i engine.Interface) []engine.Interface {
	i.Addrs = []netip.Addr{n.addr}
	if !n.six.IsValid() {
		return []engine.Interface{i}
	}
	second := i
	second.Index, second.Addrs, second.MTU = i.Index|six, []netip.Addr{n.six}, i.MTU-20
	if n.without {
		return []engine.Interface{second}
	}
	i.Addrs, i.Other = append(i.Addrs, n.six), second.Index
	second.Other, second.Second = i.Index, true
	return []engine.Interface{i, second}
}

// hears tells whether a broadcast of another comes to n: what who has both families sends by IPv6 is for who has that
// alone.
func (n *nic) hears(from *nic, bySix bool) bool {
	if bySix {
		return n.six.IsValid() && (from.without || n.without)
	}
	return !n.without
}
