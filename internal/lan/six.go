package lan

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv6"
)

// The multicast groups of IPv6, which has no broadcast: link-local scope, transient (RFC 4291, 2.7), of the dynamic ids
// (RFC 3307, 4.3), that of the well-known port and the next. A device without IPv4 on an interface is in both there and
// sends to the first. One that has IPv4, too, is in the first alone, and sends what it broadcasts by IPv4 to the second
// again: so nobody hears anything twice.
var (
	groupAll     = netip.MustParseAddr("ff12::8000:6b52")
	groupWithout = netip.MustParseAddr("ff12::8000:6b53")
)

// What an IP and a UDP header take of an interface's MTU.
const (
	overhead4 = 28
	overhead6 = 48
)

// membership is a group that a socket is in on an interface.
type membership struct {
	iface int
	group netip.Addr
}

// memberships are the groups to be in.
func memberships(ifaces []Interface) map[membership]bool {
	in := make(map[membership]bool)
	for _, i := range ifaces {
		if !i.Six {
			continue
		}
		in[membership{i.Index, groupAll}] = true
		if !i.Four {
			in[membership{i.Index, groupWithout}] = true
		}
	}
	return in
}

// egress6 is the way out of an interface by IPv6, from its first link-local address.
func egress6(i *Interface) egress {
	from := i.Addrs6[0]
	group := groupAll
	if i.Four {
		group = groupWithout
	}
	control := ipv6.ControlMessage{IfIndex: i.Index, Src: from.AsSlice()}
	return egress{
		iface: i.Index, prefix: netip.PrefixFrom(from, 64), broadcast: group, limited: group, mtu: i.MTU,
		oob: control.Marshal(),
	}
}

// six tells whether e leads out by IPv6.
func (e *egress) six() bool { return e.prefix.Addr().Is6() }

func (e *egress) overhead() int {
	if e.six() {
		return overhead6
	}
	return overhead4
}

// joinGroups has the link be in the groups of the interfaces of t, and in no others.
func (l *Link) joinGroups(t *table) {
	if l.shared6 == nil {
		return
	}
	wanted := memberships(t.ifaces)
	for m := range l.joined {
		if !wanted[m] {
			_ = setMembership(l.shared6, m, false) // if the interface is gone so is the membership
			delete(l.joined, m)
		}
	}
	for m := range wanted {
		if l.joined[m] {
			continue
		}
		if err := setMembership(l.shared6, m, true); err != nil {
			l.log.Warn("multicast group not joined", "iface", m.iface, "group", m.group, "err", err)
			continue
		}
		l.joined[m] = true
	}
}

// listeners takes connections from several listeners as from one.
type listeners struct {
	all    []net.Listener
	taken  chan taken
	closed chan struct{}
	once   sync.Once
}

type taken struct {
	conn net.Conn
	err  error
}

func joinListeners(all ...net.Listener) *listeners {
	l := &listeners{all: all, taken: make(chan taken), closed: make(chan struct{})}
	for _, one := range all {
		go l.take(one)
	}
	return l
}

// take hands over what one of them accepts until all are closed.
func (l *listeners) take(from net.Listener) {
	for {
		conn, err := from.Accept()
		select {
		case l.taken <- taken{conn, err}:
		case <-l.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
	}
}

// Accept implements net.Listener.
func (l *listeners) Accept() (net.Conn, error) {
	select {
	case t := <-l.taken:
		return t.conn, t.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener: that of the first.
func (l *listeners) Addr() net.Addr { return l.all[0].Addr() }

// Close implements net.Listener.
func (l *listeners) Close() error {
	var errs []error
	l.once.Do(func() {
		close(l.closed)
		for _, one := range l.all {
			errs = append(errs, one.Close())
		}
	})
	return errors.Join(errs...)
}
