package lan

import (
	"net"

	"golang.org/x/sys/unix"
)

// joinOnReceive lets the kernel hand over datagrams of one sender and size joined to one (UDP GRO, udp(7)): at full
// speed that is the difference between a read per datagram and a read per fifty. Only for sockets whose buffers take
// the longest datagram: of joined ones a short buffer keeps the start of the first and loses the others. A kernel
// without it (before 5.0) refuses, and nothing is joined.
func joinOnReceive(conn *net.UDPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = setOption(raw, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	}
}

// appendSplit appends the datagrams joined in d: all of segment bytes but the last, which may be shorter. What they
// share (addresses, interface, TTL) was equal, or the kernel would not have joined them.
func appendSplit(into []Datagram, d Datagram, segment int) []Datagram {
	for rest := d.Data; len(rest) > 0; {
		n := min(segment, len(rest))
		d.Data, d.Size = rest[:n:n], n
		into = append(into, d)
		rest = rest[n:]
	}
	return into
}
