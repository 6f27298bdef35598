package lan

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// briefSend is up to how many bytes in one message a send is brief: one datagram of a quiet room, not a train.
const briefSend = 4096

// sender sends packets in batches (sendmmsg), those of one size and way as trains (UDP GSO).
type sender struct {
	conn    syscall.RawConn
	single  atomic.Bool // trains were refused here: every datagram goes by itself
	batches sync.Pool   // of *sendBatch
}

// sendBatch is the memory of one send, kept for the next.
type sendBatch struct {
	trains []train
	msgs   []message
	addrs  []sockaddr
}

func newSender(conn *socket) (*sender, error) {
	raw, err := conn.udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &sender{conn: raw, batches: sync.Pool{New: func() any { return new(sendBatch) }}}, nil
}

// send tells done what became of each packet. It gives up only if the socket is closed.
func (s *sender) send(packets []packet, done func(p *packet, err error)) error {
	b := s.batches.Get().(*sendBatch)
	defer s.batches.Put(b)
	defer b.release()
	b.trains = couple(b.trains, packets, !s.single.Load())
	msgs, trains := b.fill(), b.trains
	for len(msgs) > 0 {
		n, err := s.write(msgs, len(msgs) == 1 && trains[0].bytes <= briefSend)
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err == nil:
			for i := range trains[:n] {
				trains[i].each(packets, nil, done)
			}
		case len(trains[0].members) > 1 && refusesTrains(err):
			if err := s.sendApart(&trains[0], packets, done); err != nil {
				return err
			}
			n = 1
		default: // that of the first message: behind what it sent the kernel stops and answers at the next call
			trains[0].each(packets, err, done)
			n = 1
		}
		msgs, trains = msgs[n:], trains[n:]
	}
	return nil
}

// sendApart sends the packets of a train that was refused one by one. If that goes, there are no trains any more.
func (s *sender) sendApart(t *train, packets []packet, done func(p *packet, err error)) error {
	was := s.single.Swap(true)
	any := false
	for _, n := range t.members {
		err := s.send(packets[n:n+1], func(p *packet, err error) {
			any = any || err == nil
			done(p, err)
		})
		if err != nil {
			return err
		}
	}
	if !any {
		s.single.Store(was) // it was not the train's fault
	}
	return nil
}

// each tells done of every packet of a train.
func (t *train) each(packets []packet, err error, done func(p *packet, err error)) {
	for _, n := range t.members {
		done(&packets[n], err)
	}
}

// write hands messages to the kernel and tells how many it took; the error is that of the first.
func (s *sender) write(msgs []message, brief bool) (n int, err error) {
	var failed syscall.Errno
	err = s.conn.Write(func(fd uintptr) bool {
		n, failed = multiple(unix.SYS_SENDMMSG, fd, msgs, 0, brief)
		return failed != unix.EAGAIN
	})
	if err == nil && failed != 0 {
		err = failed
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (b *sendBatch) fill() []message {
	if n := len(b.trains); cap(b.msgs) < n {
		b.msgs, b.addrs = make([]message, n), make([]sockaddr, n)
	}
	msgs := b.msgs[:len(b.trains)]
	for n := range b.trains {
		t := &b.trains[n]
		iface := 0
		if t.by != nil {
			iface = t.by.iface
		}
		b.addrs[n].put(t.to, iface)
		msgs[n].gather(&b.addrs[n], t.vectors, t.control())
	}
	return msgs
}

// release lets go of the senders' buffers.
func (b *sendBatch) release() {
	for n := range b.trains {
		clear(b.trains[n].vectors)
	}
}

// vectorOf is where the kernel finds data.
func vectorOf(data []byte) unix.Iovec {
	v := unix.Iovec{Base: unsafe.SliceData(data)}
	v.SetLen(len(data))
	return v
}
