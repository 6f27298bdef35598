//go:build !linux

package lan

import (
	"net"

	"golang.org/x/net/ipv4"
)

// askForControl asks for what the operating system can tell; Windows tells nothing and admit then infers it.
func askForControl(p *ipv4.PacketConn) error {
	_ = p.SetControlMessage(controlFlags, true)
	return nil
}

// growQueue enlarges the receive queue as far as the host allows: over its limit the request fails as a whole.
func growQueue(conn *net.UDPConn) int {
	for size := queueWanted; size >= 64<<10; size /= 2 {
		if conn.SetReadBuffer(size) == nil {
			return size
		}
	}
	return 0
}

// joinOnReceive does nothing: only Linux joins datagrams.
func joinOnReceive(*net.UDPConn) {}
