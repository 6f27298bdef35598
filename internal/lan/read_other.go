//go:build !linux

package lan

import (
	"fmt"
	"net"
	"net/netip"
)

// source reads one datagram at a time into a buffer that takes the longest, and cuts it itself: here no system call
// tells how long a datagram was that did not fit.
type source struct {
	conn *socket
	data []byte
	keep int
	lost uint32 // always 0: nobody tells
}

// cutBy names who cuts a datagram that is too long.
const cutBy = "bcast"

func newSource(conn *socket, buffer, _ int) (*source, error) {
	return &source{conn: conn, data: make([]byte, MaxDatagram), keep: buffer}, nil
}

// read blocks for one datagram and appends it. Data is valid until the next read.
func (s *source) read(into []Datagram) ([]Datagram, error) {
	n, control, from, err := s.conn.ReadFrom(s.data)
	for err != nil && passing(err) {
		n, control, from, err = s.conn.ReadFrom(s.data)
	}
	if err != nil {
		return into, fmt.Errorf("receive: %w", plain(err))
	}
	kept := min(n, s.keep)
	d := Datagram{Data: s.data[:kept:kept], Size: n, TTL: -1}
	if a, ok := from.(*net.UDPAddr); ok {
		d.From = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	}
	if control != nil {
		d.Iface, d.TTL = control.IfIndex, control.TTL
		if to, ok := netip.AddrFromSlice(control.Dst); ok {
			d.To = to.Unmap()
		}
	}
	return append(into, d), nil
}
