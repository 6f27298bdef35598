package bcast

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"

	"bcast/internal/roster"
	"bcast/internal/virtual"
	"bcast/internal/zeroconf"
)

// virtualHost is a host of a LAN in memory, with its one segment.
type virtualHost struct{ link *virtual.Link }

// virtual is the host of this Node in memory; nil if it is on this host's networks.
func (n *Node) virtual() *virtualHost {
	if link, is := n.lan.(*virtual.Link); is {
		return &virtualHost{link}
	}
	return nil
}

// name is one for each address: host-1, host-2 …
func (h *virtualHost) name() string {
	addr := h.Addrs()[0].As4()
	return fmt.Sprintf("host-%d", int(addr[2])<<8|int(addr[3]))
}

// Segments implements zeroconf.Host.
func (h *virtualHost) Segments() ([]zeroconf.Segment, error) { return []zeroconf.Segment{h}, nil }

// Neighbours implements zeroconf.Host: nobody keeps a table.
func (h *virtualHost) Neighbours() ([]roster.Sighting, error) { return nil, nil }

// Fetch implements zeroconf.Host.
func (h *virtualHost) Fetch(ctx context.Context, from netip.Addr, url, post string, limit int) ([]byte, error) {
	return zeroconf.Fetch(ctx, h.link.Dial, from, url, post, limit)
}

// Seed implements zeroconf.Host.
func (h *virtualHost) Seed() (seed [32]byte) {
	rand.Read(seed[:])
	return seed
}

// Name implements zeroconf.Segment.
func (h *virtualHost) Name() string { return h.link.Interfaces()[0].Name }

// Addrs implements zeroconf.Segment.
func (h *virtualHost) Addrs() []netip.Addr {
	return []netip.Addr{h.link.Interfaces()[0].Addrs[0].Addr()}
}

// Subnets implements zeroconf.Segment.
func (h *virtualHost) Subnets() []netip.Prefix { return h.link.Interfaces()[0].Addrs }

// Has implements zeroconf.Segment.
func (h *virtualHost) Has(like netip.Addr) bool { return like.Is4() }

// Open implements zeroconf.Segment.
func (h *virtualHost) Open(group netip.AddrPort, join bool, hops int) (zeroconf.Link, error) {
	return h.link.OpenGroup(group, join, hops)
}

// Listen implements zeroconf.Segment, by a link beside that hears no broadcast.
func (h *virtualHost) Listen(netip.Addr) (net.Listener, error) {
	return h.link.Beside(0, 0).StreamListener(), nil
}
