package lan

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// shareAddress lets several daemons bind the port: each of them receives every broadcast to it. SO_REUSEPORT would
// spread unicast datagrams over them instead, and locks out programs of other users.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	return setOption(raw, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

func askForControl(p *ipv4.PacketConn) error { return p.SetControlMessage(controlFlags, true) }

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
