package lan

import (
	"errors"
	"net"
	"sync"

	"golang.org/x/net/ipv4"
)

// sender sends packets in batches (sendmmsg).
type sender struct {
	conn    *ipv4.PacketConn
	batches sync.Pool // of *sendBatch
}

// sendBatch is the memory of one send, kept for the next.
type sendBatch struct {
	msgs  []ipv4.Message
	addrs []net.UDPAddr
	ips   [][4]byte
	bufs  [][]byte
}

func newSender(conn *ipv4.PacketConn) *sender {
	return &sender{conn: conn, batches: sync.Pool{New: func() any { return new(sendBatch) }}}
}

// send tells done what became of each packet. It gives up only if the socket is closed.
func (s *sender) send(packets []packet, done func(p *packet, err error)) error {
	b := s.batches.Get().(*sendBatch)
	defer s.batches.Put(b)
	msgs := b.fill(packets)
	defer b.release()
	for len(msgs) > 0 {
		n, err := s.conn.WriteBatch(msgs, 0)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // that of the first message: behind what it sent the kernel stops and answers at the next call
			done(&packets[0], err)
			msgs, packets = msgs[1:], packets[1:]
			continue
		}
		for i := range n {
			done(&packets[i], nil)
		}
		msgs, packets = msgs[n:], packets[n:]
	}
	return nil
}

func (b *sendBatch) fill(packets []packet) []ipv4.Message {
	if n := len(packets); cap(b.msgs) < n {
		b.msgs, b.addrs = make([]ipv4.Message, n), make([]net.UDPAddr, n)
		b.ips, b.bufs = make([][4]byte, n), make([][]byte, n)
	}
	msgs := b.msgs[:len(packets)]
	for n, p := range packets {
		b.ips[n], b.bufs[n] = p.to.Addr().As4(), p.data
		b.addrs[n] = net.UDPAddr{IP: b.ips[n][:], Port: int(p.to.Port())}
		msgs[n] = ipv4.Message{Buffers: b.bufs[n : n+1], Addr: &b.addrs[n]}
		if p.by != nil {
			msgs[n].OOB = p.by.oob
		}
	}
	return msgs
}

// release lets go of the senders' buffers.
func (b *sendBatch) release() { clear(b.bufs[:cap(b.bufs)]) }
