package sim

import (
	"hash/crc64"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"bcast/internal/wire"
)

// outsider is somebody on the link who has the room's key but no device's: it records what goes over the air, says it
// again later and elsewhere, floods, and lies about where it is.
type outsider struct {
	w       *world
	segment *segment
	rng     *rand.Rand
	addr    netip.AddrPort
	heard   [][]byte // at most maxHeard, of all times
}

const maxHeard = 300

// intrude has an outsider be on the first segment until the heal.
func (w *world) intrude() {
	o := &outsider{w: w, segment: w.segments[0], rng: rand.New(rand.NewChaCha8(seedOf(w.opt.Seed, "outsider")))}
	o.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 255, 254}), port)
	w.outsider = o
	o.next()
}

func (o *outsider) next() {
	o.w.after(time.Duration(o.rng.ExpFloat64()/o.w.opt.Outsider*float64(time.Second)), func() {
		if o.w.now < o.w.opt.Heal {
			o.act()
			o.next()
		}
	})
}

// hear keeps some of what is on the air, the older the rarer.
func (o *outsider) hear(data []byte) {
	if len(o.heard) < maxHeard {
		o.heard = append(o.heard, data)
	} else if at := o.rng.IntN(8 * maxHeard); at < maxHeard {
		o.heard[at] = data
	}
}

func (o *outsider) act() {
	from := o.addr
	if len(o.segment.nics) > 0 && o.rng.IntN(2) == 0 { // somebody else's address
		from = o.segment.nics[o.rng.IntN(len(o.segment.nics))].source()
	}
	switch o.rng.IntN(8) {
	case 0: // a flood
		for range 100 {
			o.send(from, o.noise(o.rng.IntN(1500)))
		}
	case 1:
		o.send(from, nil)
	case 2:
		o.send(from, o.noise(65507))
	case 3: // a flood of what was once right
		for range 20 {
			o.replay(from)
		}
	default:
		o.replay(from)
	}
}

// replay says again what was heard, as it was, with another end, or with a byte changed.
func (o *outsider) replay(from netip.AddrPort) {
	if len(o.heard) == 0 {
		return
	}
	data := o.heard[o.rng.IntN(len(o.heard))]
	switch o.rng.IntN(7) {
	case 6: // of another version, or of a type that it is not
		data = slices.Clone(data)
		if at := 2 + o.rng.IntN(2); len(data) > at {
			data[at]++
		}
	case 0:
		data = data[:o.rng.IntN(len(data)+1)]
	case 1:
		data = append(slices.Clone(data), o.noise(o.rng.IntN(100))...)
	case 2:
		data = slices.Clone(data)
		if len(data) == 0 {
			return
		}
		data[o.rng.IntN(len(data))] ^= byte(1 + o.rng.IntN(255))
	}
	o.send(from, data)
}

// noise begins like a datagram of ours, or not.
func (o *outsider) noise(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(o.rng.Uint32())
	}
	if len(o.heard) > 0 && o.rng.IntN(2) == 0 {
		copy(b, o.heard[0][:min(len(o.heard[0]), wire.PrefixSize)])
	}
	return b
}

// send puts a datagram on the air: to all, or to one.
func (o *outsider) send(from netip.AddrPort, data []byte) {
	o.w.count.Hostile++
	p := &packet{data: data, from: from, segment: o.segment, broadcast: o.rng.IntN(2) == 0, damaged: true}
	p.source = o.w.number(from)
	if len(o.segment.nics) == 0 {
		return
	}
	at := o.rng.IntN(len(o.segment.nics))
	for i, to := range o.segment.nics {
		if (p.broadcast || i == at) && to.node.engine != nil {
			o.w.arrive(to, p, 0)
		}
	}
}

// once checks that a process takes what its sender signed with a counter once, however often it is said (P12): who says
// again what the dead said would keep them here.
func (c *checker) once(n *node, p *packet) {
	again := c.w.outsider != nil || c.w.opt.Duplicate > 0
	if t, _, _ := wire.Classify(p.data); !again || !t.Presence() && !t.Signed() {
		return
	}
	if p.sum == 0 {
		p.sum = crc64.Checksum(p.data, datagrams)
	}
	if n.ledger.took[p.sum] {
		c.w.violate("P12", "%v takes a datagram from %v again", n, p.from)
	}
	n.ledger.took[p.sum] = true
}

var datagrams = crc64.MakeTable(crc64.ECMA)
