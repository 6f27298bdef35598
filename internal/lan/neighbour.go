package lan

import (
	"net"
	"net/netip"
)

// Neighbour is one entry of the host's neighbour (ARP) table.
type Neighbour struct {
	Addr     netip.Addr
	MAC      net.HardwareAddr // nil unless Complete
	Iface    string
	Complete bool // it answered; otherwise it was only asked for
}
