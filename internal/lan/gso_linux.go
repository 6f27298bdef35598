package lan

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of what goes out by one system call as a train of datagrams of one size (UDP GSO, udp(7)). The kernel takes
// 128 segments and 65,507 bytes in newer versions; of older ones it refuses more than 64, and beyond 65,000 bytes it
// falls on a slow path.
const (
	maxTrain      = 50
	maxTrainBytes = 65_000
)

// train is datagrams to one address by one way out, all of one size but the last, which may be shorter.
type train struct {
	to      netip.AddrPort
	by      *egress
	vectors []unix.Iovec
	members []int // indexes of its packets
	size    int   // of its first packet
	bytes   int
	ended   bool
	oob     []byte
}

// couple divides packets into trains, in the memory of trains. What goes to one address keeps its order. Without
// joining every packet is a train of its own.
func couple(trains []train, packets []packet, joining bool) []train {
	trains = trains[:0]
	open := 0 // trains before it have ended
	for n := range packets {
		p := &packets[n]
		for open < len(trains) && trains[open].ended {
			open++
		}
		t := waitingFor(trains[open:], p)
		if t != nil && !t.takes(p) {
			t.ended = true
			t = nil
		}
		if t == nil {
			trains = slices.Grow(trains, 1)[:len(trains)+1]
			t = &trains[len(trains)-1]
			t.begin(p, joining)
		}
		t.add(n, p)
	}
	return trains
}

// waitingFor is the train that goes where p goes and has not ended.
func waitingFor(trains []train, p *packet) *train {
	for i := range trains {
		if t := &trains[i]; !t.ended && t.by == p.by && t.to == p.to {
			return t
		}
	}
	return nil
}

// begin makes t an empty train for p.
func (t *train) begin(p *packet, joining bool) {
	t.to, t.by, t.size, t.bytes, t.ended = p.to, p.by, len(p.data), 0, !joining || !joinable(p)
	t.vectors, t.members, t.oob = t.vectors[:0], t.members[:0], t.oob[:0]
}

// control is the control messages to send t with.
func (t *train) control() []byte {
	if t.by == nil {
		return nil
	}
	t.oob = append(t.oob, t.by.oob...)
	if len(t.vectors) > 1 {
		t.oob = segmentControl(t.oob, t.size)
	}
	return t.oob
}

// joinable tells whether a packet may go in a train: the kernel cuts trains to whole datagrams only if each fits the
// interface, and an empty datagram has no place in one.
func joinable(p *packet) bool {
	return p.by != nil && len(p.data) > 0 && len(p.data) <= p.by.mtu-p.by.overhead()
}

// takes tells whether p may go in t: not if what belongs with it had no place there, but would have in another one.
// Between two trains the kernel may let others run, and what is held up in the middle is asked for.
func (t *train) takes(p *packet) bool {
	together := 1 + p.rest
	if together > maxTrain || together*len(p.data) > maxTrainBytes {
		together = 1
	}
	return len(p.data) <= t.size && len(p.data) > 0 && len(t.vectors)+together <= maxTrain &&
		t.bytes+together*len(p.data) <= maxTrainBytes
}

func (t *train) add(n int, p *packet) {
	t.vectors, t.members, t.bytes = append(t.vectors, vectorOf(p.data)), append(t.members, n), t.bytes+len(p.data)
	t.ended = t.ended || len(p.data) < t.size
}

// segmentControl appends to control messages that what is sent is to be cut into datagrams of size bytes: cmsg(3).
func segmentControl(oob []byte, size int) []byte {
	start := len(oob)
	oob = append(oob, make([]byte, unix.CmsgSpace(2))...)
	header := (*unix.Cmsghdr)(unsafe.Pointer(&oob[start]))
	header.Level, header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	header.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[start+unix.CmsgLen(0):], uint16(size))
	return oob
}

// refusesTrains tells whether an error means that the kernel, or the interface's driver, cannot cut trains.
func refusesTrains(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.EMSGSIZE)
}
