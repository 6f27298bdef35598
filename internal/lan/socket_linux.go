package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// shareAddress lets several daemons bind the port: each of them receives every broadcast to it. SO_REUSEPORT would
// spread unicast datagrams over them instead, and locks out programs of other users.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	return errors.Join(setOption(raw, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), beforeBind("", "", raw))
}

// beforeBind asks for what each datagram received is to tell beside its bytes: on which interface it came, where it was
// sent to, and its TTL. The kernel notes the interface when it queues a datagram, and for nobody who asks later: what
// came between bind and the question would have come from nowhere.
func beforeBind(_, _ string, raw syscall.RawConn) error {
	return errors.Join(setOption(raw, unix.IPPROTO_IP, unix.IP_PKTINFO, 1),
		setOption(raw, unix.IPPROTO_IP, unix.IP_RECVTTL, 1))
}

// beforeBind6 asks for the same of IPv6, and that a socket hears no group but those that it joined itself.
func beforeBind6(_, _ string, raw syscall.RawConn) error {
	return errors.Join(setOption(raw, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
		setOption(raw, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1),
		setOption(raw, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0), // since 4.20
		setOption(raw, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, hopLimit),
		setOption(raw, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hopLimit))
}

// listenShared6 binds the port of all IPv6 addresses together with others who share it.
func listenShared6(port uint16) (*net.UDPConn, error) {
	return listenUDP6(func(network, address string, raw syscall.RawConn) error {
		return errors.Join(setOption(raw, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), beforeBind6(network, address, raw))
	}, port)
}

// listenBoth6 binds a port of IPv6 for UDP and TCP, for this process alone.
func listenBoth6(port uint16) (*net.UDPConn, *net.TCPListener, error) {
	conn, err := listenUDP6(beforeBind6, port)
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.ListenTCP("tcp6", &net.TCPAddr{Port: int(port)})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("bind TCP [::]:%d: %w", port, plain(err)), conn.Close())
	}
	return conn, listener, nil
}

func listenUDP6(control func(_, _ string, raw syscall.RawConn) error, port uint16) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: control}
	addr := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	conn, err := lc.ListenPacket(context.Background(), "udp6", addr.String())
	if err != nil {
		return nil, fmt.Errorf("bind UDP %s: %w", addr, plain(err))
	}
	return conn.(*net.UDPConn), nil
}

// setMembership has a socket join a group, or leave it.
func setMembership(conn *net.UDPConn, m membership, in bool) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	name := unix.IPV6_LEAVE_GROUP
	if in {
		name = unix.IPV6_JOIN_GROUP
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, name, &unix.IPv6Mreq{
			Multiaddr: m.group.As16(), Interface: uint32(m.iface),
		})
	})
	return errors.Join(err, failed)
}

func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// askForControl has nothing left to ask: see beforeBind.
func askForControl(*ipv4.PacketConn) error { return nil }

// askForLosses has the kernel tell with each datagram how many the socket's queue has lost so far.
func askForLosses(conn *net.UDPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = setOption(raw, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // since 2.6.33
	}
}

// growQueue enlarges the receive queue, past the host's limit (net.core.rmem_max) if we may, and returns its size.
func growQueue(conn *net.UDPConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	if setOption(raw, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queueWanted) != nil {
		_ = setOption(raw, unix.SOL_SOCKET, unix.SO_RCVBUF, queueWanted) // granted up to the limit
	}
	doubled, err := option(raw, unix.SOL_SOCKET, unix.SO_RCVBUF) // the kernel adds as much for its own needs: socket(7)
	if err != nil {
		return 0
	}
	return doubled / 2
}

func setOption(raw syscall.RawConn, level, name, value int) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, name, value) })
	return errors.Join(err, failed)
}

func option(raw syscall.RawConn, level, name int) (value int, err error) {
	var failed error
	err = raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, name) })
	return value, errors.Join(err, failed)
}
