//go:build !linux

package lan

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
)

// beforeBind does nothing: askForControl asks, when there is a connection to ask by.
func beforeBind(string, string, syscall.RawConn) error { return nil }

// askForControl asks for what the operating system can tell; Windows tells nothing and admit then infers it.
func askForControl(p *ipv4.PacketConn) error {
	_ = p.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst|ipv4.FlagTTL, true)
	return nil
}

// Of IPv6 nothing is made here: only Linux has it.
func listenShared6(uint16) (*net.UDPConn, error) { return nil, errors.ErrUnsupported }
func listenBoth6(uint16) (*net.UDPConn, *net.TCPListener, error) {
	return nil, nil, errors.ErrUnsupported
}
func setMembership(*net.UDPConn, membership, bool) error { return errors.ErrUnsupported }

// growQueue enlarges the receive queue as far as the host allows: over its limit the request fails as a whole.
func growQueue(conn *net.UDPConn) int {
	for size := queueWanted; size >= 64<<10; size /= 2 {
		if conn.SetReadBuffer(size) == nil {
			return size
		}
	}
	return 0
}

// askForLosses does nothing: only Linux tells.
func askForLosses(*net.UDPConn) {}

// joinOnReceive does nothing: only Linux joins datagrams.
func joinOnReceive(*net.UDPConn) {}
