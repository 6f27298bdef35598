// Package lan is the way to the network: UDP sockets on the interfaces of this host that can broadcast, which
// interfaces those are, and which network each of them is on.
//
// A Link has two sockets, and on Linux two more for IPv6. The shared one is bound to the well-known port of all
// addresses with SO_REUSEADDR, so that every daemon of a host hears every broadcast (a socket bound to one address
// hears none). The private one has a port to itself, because a unicast datagram to a shared port reaches only the
// socket bound last. Everything is sent from the private socket: the source port of a datagram is where its answer
// goes.
//
// The invariant: what a Link hands up came in on an interface in use, carries the size it was sent with, and says so
// when the receive buffer cut it.
//
// The package never looks into a datagram, never sends one on its own, never retries, and imports nothing of bcast.
// What differs between operating systems is in files named after them. Linux is supported; macOS works as far as its
// sockets go; FreeBSD and Windows build and are untested.
package lan

import (
	"errors"
	"fmt"
	"net/netip"
)

// hopLimit is the TTL of everything sent. No router forwards a datagram without lowering it, so a receiver that sees
// 255 knows that the sender is on its own link (RFC 5082).
const hopLimit = 255

// MaxDatagram is the largest receive buffer in bytes: the 16-bit length of the UDP header bounds every datagram.
const MaxDatagram = 65535

// ErrNoInterface tells that no interface of the host, or none of those asked for, is up with an IPv4 address and able
// to broadcast, or with a link-local IPv6 address and able to multicast.
var ErrNoInterface = errors.New("no network interface that can broadcast")

// PortTakenError tells that another program holds the port, or, with Last, all ports from Port to Last.
type PortTakenError struct {
	Port int
	Last int // 0: only Port was tried
}

func (e *PortTakenError) Error() string {
	if e.Last > e.Port {
		return fmt.Sprintf("ports %d to %d are all taken by other programs, for UDP or TCP", e.Port, e.Last)
	}
	return fmt.Sprintf("UDP port %d is taken by another program", e.Port)
}

// Datagram is one datagram received, or as much of it as the receive buffer took.
type Datagram struct {
	Data      []byte         // what the buffer took; empty for an empty datagram, which is legal
	Size      int            // bytes sent; more than len(Data) if the buffer cut it
	From      netip.AddrPort // source; of IPv6 with the interface's name as its zone
	To        netip.Addr     // destination address of the IP header; invalid where the OS does not tell
	Iface     int            // index of the interface it came in on, always one in use
	TTL       int            // of the IP header; -1 where the OS does not tell
	Broadcast bool           // came by the shared socket, to a broadcast address or a group
	OnLink    bool           // the source is within a subnet of Iface, or link-local
}

// Cut reports whether the receive buffer lost the end of the datagram.
func (d Datagram) Cut() bool { return d.Size > len(d.Data) }

// Outgoing is one datagram to send.
type Outgoing struct {
	Data []byte
	// To is where it goes. The zero value is the directed broadcast address of each subnet of Iface, at the shared
	// port.
	To netip.AddrPort
	// Limited sends a broadcast to 255.255.255.255 instead, once by each interface.
	Limited bool
	// Six sends a broadcast by IPv6, to a group.
	Six bool
	// Iface is the index of the interface to leave by, with a source address of its own; 0 lets the routing table
	// choose, and for a broadcast means every interface in use.
	Iface int
	// Rest is how many of those that follow belong with it, and go by one system call with it if that is possible.
	Rest int
}
