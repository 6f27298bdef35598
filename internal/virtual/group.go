package virtual

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Ports of sockets that only ask begin here.
const firstAsking = 40000

// Group is a link's socket for a multicast group. It has the methods of lan.Group.
type Group struct {
	link    *Link
	group   netip.AddrPort
	joined  bool
	addr    netip.AddrPort
	inbox   chan groupDatagram
	closed  chan struct{}
	closing sync.Once
}

type groupDatagram struct {
	data []byte
	from netip.AddrPort
}

// OpenGroup opens a socket for a group of IPv4: bound to its port, which it shares, if join is set, else to one of its
// own. Nothing passes a router here, whatever the hops.
func (l *Link) OpenGroup(group netip.AddrPort, join bool, _ int) (*Group, error) {
	if !group.Addr().Is4() {
		return nil, fmt.Errorf("join %s: there is no IPv6 here", group.Addr())
	}
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	port := group.Port()
	if !join {
		port = firstAsking + l.lan.asking
		l.lan.asking++
	}
	g := &Group{link: l, group: group, joined: join, addr: netip.AddrPortFrom(l.addr.Addr(), port),
		inbox: make(chan groupDatagram, maxQueue), closed: make(chan struct{})}
	l.lan.groups = append(l.lan.groups, g)
	return g, nil
}

// Receive waits for a datagram.
func (g *Group) Receive(buf []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-g.inbox:
		return copy(buf, d.data), d.from, nil
	case <-g.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

// Send sends a datagram to all who joined the group, this link included.
func (g *Group) Send(datagram []byte) error {
	g.deliver(datagram, func(to *Group) bool { return to.joined && to.group == g.group })
	return nil
}

// SendTo sends a datagram to one address. Of those that share a port there the last one gets it, as with a kernel.
func (g *Group) SendTo(datagram []byte, at netip.AddrPort) error {
	var last *Group
	g.deliver(nil, func(to *Group) bool {
		if to.addr == at {
			last = to
		}
		return false
	})
	g.deliver(datagram, func(to *Group) bool { return to == last })
	return nil
}

func (g *Group) deliver(datagram []byte, wanted func(*Group) bool) {
	g.link.lan.mu.Lock()
	defer g.link.lan.mu.Unlock()
	for _, to := range g.link.lan.groups {
		if g.link.off || to.link.off || !wanted(to) {
			continue
		}
		select {
		case to.inbox <- groupDatagram{slices.Clone(datagram), g.addr}:
		default:
			to.link.lost.Add(1)
		}
	}
}

// Close ends Receive.
func (g *Group) Close() error {
	g.closing.Do(func() {
		g.link.lan.mu.Lock()
		defer g.link.lan.mu.Unlock()
		g.link.lan.groups = slices.DeleteFunc(g.link.lan.groups, func(other *Group) bool { return other == g })
		close(g.closed)
	})
	return nil
}
