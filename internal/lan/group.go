package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Segment is an interface of this host that multicast goes by.
type Segment struct {
	Name  string
	Addrs []netip.Prefix // of both families
	iface net.Interface
}

// Segments lists the interfaces that are up and can multicast, without loopback.
func Segments() ([]Segment, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	const needed = net.FlagUp | net.FlagRunning | net.FlagMulticast
	var segments []Segment
	for _, i := range ifaces {
		if i.Flags&needed != needed || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away since it was listed
		}
		s := Segment{Name: i.Name, iface: i}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				s.Addrs = append(s.Addrs, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
			}
		}
		if len(s.Addrs) > 0 {
			segments = append(segments, s)
		}
	}
	return segments, nil
}

// Has reports whether the segment has an address of the family of another.
func (s Segment) Has(like netip.Addr) bool {
	for _, p := range s.Addrs {
		if p.Addr().Is4() == like.Is4() {
			return true
		}
	}
	return false
}

// onLink reports whether an address is of the segment.
func (s Segment) onLink(addr netip.Addr) bool {
	bare := addr.WithZone("")
	for _, p := range s.Addrs {
		if p.Contains(bare) {
			return true
		}
	}
	return false
}

// Group is a socket that sends to a multicast group by one segment and hears what comes by it from the link: what is
// for the group, if it joined, and what is for the socket alone. One goroutine may receive; many may send.
type Group struct {
	segment Segment
	to      *net.UDPAddr
	conn    *net.UDPConn
	four    *ipv4.PacketConn // one of the two
	six     *ipv6.PacketConn
}

// OpenGroup opens a socket for a group. If join is set it is bound to the group's port, which it shares with other
// programs that agree to, else to any port. What it sends lives for so many hops.
func (s Segment) OpenGroup(group netip.AddrPort, join bool, hops int) (*Group, error) {
	network, port := "udp4", 0
	if group.Addr().Is6() {
		network = "udp6"
	}
	lc := net.ListenConfig{}
	if join {
		port, lc.Control = int(group.Port()), shareAddress
	}
	packets, err := lc.ListenPacket(context.Background(), network, ":"+strconv.Itoa(port))
	if err != nil && portTaken(err) {
		return nil, &PortTakenError{Port: port}
	}
	if err != nil {
		return nil, fmt.Errorf("bind UDP port %d: %w", port, plain(err))
	}
	g := &Group{segment: s, conn: packets.(*net.UDPConn), to: net.UDPAddrFromAddrPort(group)}
	if group.Addr().Is6() {
		g.six = ipv6.NewPacketConn(packets)
		g.to.Zone = s.Name
		err = errors.Join(g.six.SetMulticastInterface(&s.iface), g.six.SetMulticastHopLimit(hops))
		_ = g.six.SetControlMessage(ipv6.FlagInterface, true) // without it the addresses decide
		if join {
			err = errors.Join(err, g.six.JoinGroup(&s.iface, g.to))
		}
	} else {
		g.four = ipv4.NewPacketConn(packets)
		err = errors.Join(g.four.SetMulticastInterface(&s.iface), g.four.SetMulticastTTL(hops))
		_ = g.four.SetControlMessage(ipv4.FlagInterface, true)
		if join {
			err = errors.Join(err, g.four.JoinGroup(&s.iface, g.to))
		}
	}
	if err != nil {
		packets.Close()
		return nil, fmt.Errorf("join %s on %s: %w", group.Addr(), s.Name, plain(err))
	}
	return g, nil
}

// Receive waits for a datagram; what came by another interface, or from beyond the link, is passed over.
func (g *Group) Receive(buf []byte) (int, netip.AddrPort, error) {
	for {
		n, iface, source, err := g.read(buf)
		if err != nil {
			return 0, netip.AddrPort{}, plain(err)
		}
		from, ok := source.(*net.UDPAddr)
		if !ok || iface != 0 && iface != g.segment.iface.Index {
			continue
		}
		at := from.AddrPort()
		if at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port()); g.segment.onLink(at.Addr()) {
			return n, at, nil
		}
	}
}

func (g *Group) read(buf []byte) (n, iface int, source net.Addr, err error) {
	if g.six != nil {
		var control *ipv6.ControlMessage
		if n, control, source, err = g.six.ReadFrom(buf); control != nil {
			iface = control.IfIndex
		}
		return n, iface, source, err
	}
	var control *ipv4.ControlMessage
	if n, control, source, err = g.four.ReadFrom(buf); control != nil {
		iface = control.IfIndex
	}
	return n, iface, source, err
}

// Send sends a datagram to the group.
func (g *Group) Send(datagram []byte) error { return g.send(datagram, g.to) }

// SendTo sends a datagram to one address of the segment.
func (g *Group) SendTo(datagram []byte, to netip.AddrPort) error {
	if !g.segment.onLink(to.Addr()) {
		return fmt.Errorf("send to %s on %s: it is not on the link", to, g.segment.Name)
	}
	return g.send(datagram, net.UDPAddrFromAddrPort(to))
}

func (g *Group) send(datagram []byte, to *net.UDPAddr) error {
	if _, err := g.conn.WriteTo(datagram, to); err != nil {
		return fmt.Errorf("send to %s on %s: %w", to.IP, g.segment.Name, plain(err))
	}
	return nil
}

// Close ends Receive.
func (g *Group) Close() error { return g.conn.Close() }
