package lan

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// source reads datagrams in batches (recvmmsg) into buffers of exactly the size asked for, so that it is the kernel
// that cuts and no byte beyond is ever seen.
type source struct {
	conn *ipv4.PacketConn
	msgs []ipv4.Message
}

// cutBy names who cuts a datagram that is too long.
const cutBy = "kernel"

func newSource(conn *ipv4.PacketConn, buffer, batch int) *source {
	// in_pktinfo, TTL and the segment size of joined datagrams.
	control := unix.CmsgSpace(unix.SizeofInet4Pktinfo) + 2*unix.CmsgSpace(4)
	data, oob := make([]byte, batch*buffer), make([]byte, batch*control)
	s := &source{conn: conn, msgs: make([]ipv4.Message, batch)}
	for n := range s.msgs {
		s.msgs[n].Buffers = [][]byte{data[n*buffer : (n+1)*buffer : (n+1)*buffer]}
		s.msgs[n].OOB = oob[n*control : (n+1)*control : (n+1)*control]
	}
	return s
}

// read blocks for at least one datagram and appends what came. Data is valid until the next read.
func (s *source) read(into []Datagram) ([]Datagram, error) {
	// MSG_TRUNC asks for the true length, also of what does not fit: recv(2).
	n, err := s.conn.ReadBatch(s.msgs, unix.MSG_TRUNC)
	if err != nil {
		return into, fmt.Errorf("receive: %w", plain(err))
	}
	for i := range s.msgs[:n] {
		into = appendDatagrams(into, &s.msgs[i])
	}
	return into, nil
}

// appendDatagrams appends the datagram of one message, or the several that the kernel joined to it.
func appendDatagrams(into []Datagram, m *ipv4.Message) []Datagram {
	d, segment := parseControl(m.OOB[:m.NN])
	d.Data = m.Buffers[0][:min(m.N, len(m.Buffers[0]))]
	d.Size = m.N
	if from, ok := m.Addr.(*net.UDPAddr); ok {
		d.From = netip.AddrPortFrom(from.AddrPort().Addr().Unmap(), uint16(from.Port))
	}
	if segment == 0 {
		return append(into, d)
	}
	return appendSplit(into, d, segment)
}

// parseControl reads the control messages of one datagram: where it came in, where it was sent to, its TTL, and the
// size of each datagram if the kernel joined several (0: it did not). Malformed ones leave what is not known.
func parseControl(oob []byte) (d Datagram, segment int) {
	d.TTL = -1
	for len(oob) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		oob = rest
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			d.Iface = int(int32(binary.NativeEndian.Uint32(data)))
			d.To = netip.AddrFrom4([4]byte(data[8:12]))
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_TTL && len(data) >= 4:
			d.TTL = int(int32(binary.NativeEndian.Uint32(data)))
		case header.Level == unix.IPPROTO_UDP && header.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(int32(binary.NativeEndian.Uint32(data)))
		}
	}
	return d, max(segment, 0)
}
