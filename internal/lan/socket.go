package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
)

// queueWanted is the receive queue to ask for: at full speed a 16 MiB queue holds some 100 ms of traffic, the time a
// busy machine may take to get round to us.
const queueWanted = 16 << 20

// controlFlags is what each datagram received is to tell beside its bytes.
const controlFlags = ipv4.FlagInterface | ipv4.FlagDst | ipv4.FlagTTL

// listenShared binds addr together with others who share it. Package net itself allows broadcasts on every UDP socket.
func listenShared(addr netip.AddrPort) (*net.UDPConn, error) {
	return listenUDP(net.ListenConfig{Control: shareAddress}, addr)
}

// listenFirst binds the first free port from first to last for this process alone.
func listenFirst(addr netip.Addr, first, last int) (*net.UDPConn, error) {
	for port := first; port <= last; port++ {
		conn, err := listenUDP(net.ListenConfig{}, netip.AddrPortFrom(addr, uint16(port)))
		if _, taken := errors.AsType[*PortTakenError](err); !taken {
			return conn, err
		}
	}
	return nil, &PortTakenError{Port: first, Last: last}
}

func listenUDP(lc net.ListenConfig, addr netip.AddrPort) (*net.UDPConn, error) {
	conn, err := lc.ListenPacket(context.Background(), "udp4", addr.String())
	if err != nil && portTaken(err) {
		return nil, &PortTakenError{Port: int(addr.Port())}
	}
	if err != nil {
		return nil, fmt.Errorf("bind UDP %s: %w", addr, plain(err))
	}
	return conn.(*net.UDPConn), nil
}

// plain leaves of a socket's error what a person can use: that the socket is closed, or the operating system's reason.
func plain(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
