package lan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// source reads datagrams in batches (recvmmsg) into buffers of exactly the size asked for, so that it is the kernel
// that cuts and no byte beyond is ever seen.
type source struct {
	conn    syscall.RawConn
	msgs    []message
	regions []region
	filled  int           // of msgs, by the last call
	failed  syscall.Errno // of it
	attempt func(fd uintptr) bool
	lost    uint32 // datagrams for which the socket's queue had no place, modulo 2³²
}

// region is the memory for one message.
type region struct {
	data, oob []byte
	from      sockaddr
	vector    unix.Iovec
}

// cutBy names who cuts a datagram that is too long.
const cutBy = "kernel"

func newSource(conn *socket, buffer, batch int) (*source, error) {
	raw, err := conn.udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	// in6_pktinfo or in_pktinfo, TTL, the segment size of joined datagrams, and what the queue lost.
	control := unix.CmsgSpace(unix.SizeofInet6Pktinfo) + 3*unix.CmsgSpace(4)
	data, oob := make([]byte, batch*buffer), make([]byte, batch*control)
	s := &source{conn: raw, msgs: make([]message, batch), regions: make([]region, batch)}
	for n := range s.regions {
		r := &s.regions[n]
		r.data, r.oob = data[n*buffer:(n+1)*buffer:(n+1)*buffer], oob[n*control:(n+1)*control:(n+1)*control]
		r.from.size = unix.SizeofSockaddrInet6
		s.msgs[n].set(&r.from, r.data, &r.vector, r.oob)
	}
	s.attempt = s.receive
	return s, nil
}

// receive asks the kernel once; false: there is nothing, and the runtime is to wait. It is a raw call, which tells the
// scheduler nothing: it never waits, and to tell would wake the runtime's monitor for each datagram of a quiet room.
func (s *source) receive(fd uintptr) bool {
	// MSG_TRUNC asks for the true length, also of what does not fit: recv(2).
	s.filled, s.failed = multiple(unix.SYS_RECVMMSG, fd, s.msgs, unix.MSG_TRUNC, true)
	return s.failed != unix.EAGAIN
}

// read blocks for at least one datagram and appends what came. Data is valid until the next read.
func (s *source) read(into []Datagram) ([]Datagram, error) {
	err := s.conn.Read(s.attempt)
	if err == nil && s.failed != 0 {
		err = s.failed
	}
	if err != nil {
		return into, fmt.Errorf("receive: %w", plain(err))
	}
	for n := range s.msgs[:s.filled] {
		m, r := &s.msgs[n], &s.regions[n]
		into = s.appendDatagrams(into, r.from.addrPort(), r.data, int(m.size), r.oob[:m.header.Controllen])
		m.set(&r.from, r.data, &r.vector, r.oob)
	}
	return into, nil
}

// appendDatagrams appends the datagram of one message, or the several that the kernel joined to it.
func (s *source) appendDatagrams(into []Datagram, from netip.AddrPort, data []byte, size int, oob []byte) []Datagram {
	d, told := parseControl(oob)
	if told.lost != 0 { // the kernel tells only once there is something to tell
		s.lost = told.lost
	}
	d.Data, d.Size, d.From = data[:min(size, len(data))], size, from
	if told.segment == 0 {
		return append(into, d)
	}
	return appendSplit(into, d, told.segment)
}

// told is what the kernel tells beside where a datagram came from: the size of each if it joined several (0: it did
// not), and how many the socket lost so far because its queue was full.
type told struct {
	segment int
	lost    uint32
}

// parseControl reads the control messages of one datagram: where it came in, where it was sent to, its TTL, and what is
// told beside. Malformed ones leave what is not known.
func parseControl(oob []byte) (d Datagram, t told) {
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
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			d.To = netip.AddrFrom16([16]byte(data[:16]))
			d.Iface = int(int32(binary.NativeEndian.Uint32(data[16:])))
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			d.TTL = int(int32(binary.NativeEndian.Uint32(data)))
		case header.Level == unix.IPPROTO_UDP && header.Type == unix.UDP_GRO && len(data) >= 4:
			t.segment = max(int(int32(binary.NativeEndian.Uint32(data))), 0)
		case header.Level == unix.SOL_SOCKET && header.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			t.lost = binary.NativeEndian.Uint32(data)
		}
	}
	return d, t
}
