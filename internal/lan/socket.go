package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// queueWanted is the receive queue to ask for: at full speed a 16 MiB queue holds some 100 ms of traffic, the time a
// busy machine may take to get round to us.
const queueWanted = 16 << 20

// listenShared binds addr together with others who share it. Package net itself allows broadcasts on every UDP socket.
func listenShared(addr netip.AddrPort) (*net.UDPConn, error) {
	return listenUDP(net.ListenConfig{Control: shareAddress}, addr)
}

// anyPortTries is how often a port that the system chose for UDP may turn out to be taken for TCP.
const anyPortTries = 16

// listenFirst binds the first port from first to last that is free for both UDP and TCP, for this process alone.
func listenFirst(addr netip.Addr, first, last int) (*net.UDPConn, *net.TCPListener, error) {
	tries := last - first + 1
	if first == 0 {
		tries = anyPortTries
	}
	for n := range tries {
		port := 0
		if first != 0 {
			port = first + n
		}
		conn, listener, err := listenBoth(netip.AddrPortFrom(addr, uint16(port)))
		if _, taken := errors.AsType[*PortTakenError](err); !taken {
			return conn, listener, err
		}
	}
	return nil, nil, &PortTakenError{Port: first, Last: last}
}

// listenBoth binds one port for UDP and, under the same number, for TCP.
func listenBoth(addr netip.AddrPort) (*net.UDPConn, *net.TCPListener, error) {
	conn, err := listenUDP(net.ListenConfig{Control: beforeBind}, addr)
	if err != nil {
		return nil, nil, err
	}
	both := conn.LocalAddr().(*net.UDPAddr)
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: both.IP, Port: both.Port})
	switch {
	case err == nil:
		return conn, listener, nil
	case portTaken(err):
		err = &PortTakenError{Port: both.Port}
	default:
		err = fmt.Errorf("bind TCP %v: %w", both, plain(err))
	}
	return nil, nil, errors.Join(err, conn.Close())
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
