package lan

import (
	"net"
	"net/netip"
)

// Overheard is where a datagram that passed by came from and went to. It need not have been for this host, nor have got
// through its firewall.
type Overheard struct {
	Iface    int
	From, To netip.Addr
}

// Holder is a process that has a UDP port.
type Holder struct {
	PID  int
	Name string
}

// SourceFor is the address from which this host would send to another; invalid if nothing leads there.
func SourceFor(to netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9))) // nothing is sent
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
