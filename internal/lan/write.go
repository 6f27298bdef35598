package lan

import (
	"errors"
	"net"
	"net/netip"
)

// packet is one datagram on its way out of one interface.
type packet struct {
	data []byte
	to   netip.AddrPort
	by   *egress // nil: the routing table chooses
	of   int     // index of the Outgoing
}

// Write sends ms from the private socket and returns how many of them left, by at least one interface. What cannot be
// sent (an interface that went down, a network that is unreachable) is counted in Drops and takes no other datagram
// with it. The only error is net.ErrClosed.
func (l *Link) Write(ms []Outgoing) (int, error) {
	t := l.table.Load()
	left := make([]bool, len(ms))
	var packets []packet
	for n, m := range ms {
		was := len(packets)
		packets = l.route(packets, t, n, m)
		if len(packets) == was {
			l.drops.add(dropSendNoRoute)
		}
	}
	err := l.sender.send(packets, func(p *packet, err error) {
		if err != nil {
			l.drops.add(sendDrop(err))
			return
		}
		left[p.of] = true
	})
	sent := 0
	for _, ok := range left {
		if ok {
			sent++
		}
	}
	if errors.Is(err, net.ErrClosed) {
		return sent, net.ErrClosed
	}
	return sent, nil
}

// route appends the packets that m takes: one to an address, one per subnet for a broadcast, none if no
// interface in use leads there.
func (l *Link) route(packets []packet, t *table, of int, m Outgoing) []packet {
	if m.To.IsValid() {
		to := netip.AddrPortFrom(m.To.Addr().Unmap(), m.To.Port())
		e := t.egressTo(m.Iface, to.Addr())
		if !to.Addr().Is4() || m.Iface != 0 && e == nil {
			return packets
		}
		return append(packets, packet{data: m.Data, to: to, by: e, of: of})
	}
	for n := range t.egresses {
		e := &t.egresses[n]
		if e.broadcast.IsValid() && (m.Iface == 0 || m.Iface == e.iface) {
			to := netip.AddrPortFrom(e.broadcast, uint16(l.port))
			packets = append(packets, packet{data: m.Data, to: to, by: e, of: of})
		}
	}
	return packets
}
