package lan

import (
	"errors"
	"net"
	"net/netip"
	"slices"
)

// packet is one datagram on its way out of one interface.
type packet struct {
	data []byte
	to   netip.AddrPort
	by   *egress // nil: the routing table chooses
	of   int     // index of the Outgoing
	rest int     // how many that follow belong with it
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
	err := l.send(packets, func(p *packet, err error) {
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

// send has each packet leave by the socket of its family.
func (l *Link) send(packets []packet, done func(p *packet, err error)) error {
	six := slices.ContainsFunc(packets, func(p packet) bool { return p.to.Addr().Is6() })
	if !six {
		return l.sender.send(packets, done)
	}
	var families [2][]packet
	for _, p := range packets {
		n := 0
		if p.to.Addr().Is6() {
			n = 1
		}
		families[n] = append(families[n], p)
	}
	return errors.Join(l.sender.send(families[0], done), l.sender6.send(families[1], done))
}

// route appends the packets that m takes: one to an address, one per subnet for a broadcast, none if no
// interface in use leads there.
func (l *Link) route(packets []packet, t *table, of int, m Outgoing) []packet {
	if m.To.IsValid() {
		to := netip.AddrPortFrom(m.To.Addr().Unmap(), m.To.Port())
		e := t.egressTo(m.Iface, to.Addr())
		if e == nil && (m.Iface != 0 || to.Addr().Is6()) {
			return packets
		}
		return append(packets, packet{data: m.Data, to: to, by: e, of: of, rest: m.Rest})
	}
	for n := range t.egresses {
		e := &t.egresses[n]
		address := e.broadcast
		if m.Limited {
			address = e.limited
		}
		if address.IsValid() && m.Six == e.six() && (m.Iface == 0 || m.Iface == e.iface) {
			to := netip.AddrPortFrom(address, uint16(l.port))
			packets = append(packets, packet{data: m.Data, to: to, by: e, of: of, rest: m.Rest})
		}
	}
	return packets
}
