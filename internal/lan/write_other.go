//go:build !linux

package lan

import (
	"errors"
	"net"

	"golang.org/x/net/ipv4"
)

// sender sends packets one by one. Where the operating system takes no interface with a datagram, the routing table
// finds it by the subnet of the destination.
type sender struct{ conn *socket }

func newSender(conn *socket) (*sender, error) { return &sender{conn: conn}, nil }

// send tells done what became of each packet. It gives up only if the socket is closed.
func (s *sender) send(packets []packet, done func(p *packet, err error)) error {
	for n := range packets {
		p := &packets[n]
		var control *ipv4.ControlMessage
		if p.by != nil {
			control = p.by.control
		}
		_, err := s.conn.WriteTo(p.data, control, net.UDPAddrFromAddrPort(p.to))
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		done(p, err)
	}
	return nil
}
