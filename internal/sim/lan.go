package sim

import (
	"hash/crc32"
	"math"
	"net/netip"
	"slices"
	"time"

	"bcast/internal/engine"
	"bcast/internal/wire"
)

// port is where every device has its private unicast socket.
const port = 27475

// packet is a datagram on its way.
type packet struct {
	data      []byte
	from      netip.AddrPort
	source    int // number of from
	segment   *segment
	broadcast bool
	bySix     bool // by IPv6
	damaged   bool
	lied      bool // of a member that lies

	// What one receiver found out is found out for all: see node.open and signatures.verify.
	opened   engine.Opened
	drop     wire.Drop
	openedBy int // the interface's number; 0: not yet
	sig      []byte
	valid    bool
	sum      uint64 // of data; 0: not yet known
}

// segment is one broadcast domain.
type segment struct {
	index   int
	gateway engine.NetworkID
	nics    []*nic // in the order in which they came
	at      map[netip.AddrPort]*nic
	beacon  time.Duration // phase of the access point's DTIM
	hosts   int           // addresses given out
}

// nic is a device's interface. A nil segment is one without carrier.
type nic struct {
	node    *node
	index   int
	addr    netip.Addr
	six     netip.Addr // of IPv6; invalid: it has none
	without bool       // it has no IPv4
	segment *segment
	network engine.NetworkID // since the carrier came
	mtu     int
	part    int           // nics of different parts of a segment do not hear each other
	deaf    float64       // share of what comes that is lost here in addition
	mute    float64       // of what is sent
	closed  bool          // a firewall drops unicast
	clogged bool          // nothing passes in either direction
	hole    int           // longer datagrams vanish without a word; 0: none
	burst   bool          // in a bad period
	turns   time.Duration // end of that period, or of the good one
}

// burstLength is the mean length of a bad period.
const burstLength = 150 * time.Millisecond

func (n *nic) source() netip.AddrPort { return netip.AddrPortFrom(n.addr, port) }

// attach brings n onto a segment, under a new address of it if n has none there.
func (w *world) attach(n *nic, s *segment) {
	w.detach(n)
	s.hosts++
	n.addr = netip.AddrFrom4([4]byte{10, byte(77 + s.index), byte(s.hosts >> 8), byte(s.hosts)})
	w.plug(n, s)
}

// plug connects n under the address it has.
func (w *world) plug(n *nic, s *segment) {
	n.segment = s
	n.network = w.networkID()
	s.nics = append(s.nics, n)
	s.at[n.source()] = n
	if n.six.IsValid() {
		s.at[n.source6()] = n
	}
}

func (w *world) detach(n *nic) {
	if s := n.segment; s != nil {
		s.nics = slices.DeleteFunc(s.nics, func(o *nic) bool { return o == n })
		delete(s.at, n.source())
		delete(s.at, n.source6())
		n.segment = nil
	}
}

// carry puts what a node sends on its way.
func (w *world) carry(from *node, s *engine.Send) {
	i := slices.IndexFunc(from.nics, func(n *nic) bool { return n.index == s.Iface&^six })
	if i < 0 || from.nics[i].segment == nil {
		return
	}
	n := from.nics[i]
	w.count.Sent++
	w.count.Bytes += len(s.Data)
	if w.outsider != nil && n.segment == w.outsider.segment {
		w.outsider.hear(s.Data)
	}
	p := &packet{
		data: s.Data, from: n.source(), segment: n.segment, broadcast: !s.To.IsValid(), bySix: s.Iface&six != 0,
		lied: from.insider != nil,
	}
	if p.bySix {
		p.from = n.source6()
	}
	p.source = w.number(p.from)
	if !p.broadcast {
		w.count.Unicasts[s.Type]++
		w.count.Air += airOf(len(s.Data), unicastRate)
		if to := n.segment.at[s.To]; to != nil {
			w.transmit(n, to, p, w.unicastDelay())
		}
		return
	}
	w.count.Broadcasts[s.Type]++
	w.count.Air += airOf(len(s.Data), broadcastRate)
	delay := w.beaconDelay(n.segment)
	for _, to := range n.segment.nics {
		if !to.hears(n, p.bySix) {
			continue
		}
		if to != n {
			w.transmit(n, to, p, delay)
		} else if w.opt.Echo {
			w.arrive(to, p, delay)
		}
	}
}

// What a radio sends at, in bits a second: a broadcast at the lowest rate of 2.4 GHz, a unicast at a middling one. Each
// datagram costs frameAir besides: waiting, preamble and, of a unicast, its acknowledgement.
const (
	broadcastRate = 1e6
	unicastRate   = 24e6
	frameAir      = 250 * time.Microsecond
)

// airOf is how long a datagram keeps others from sending.
func airOf(bytes int, rate float64) time.Duration {
	return frameAir + time.Duration(float64(bytes+ip+udp+34)*8/rate*float64(time.Second))
}

// beaconDelay is how long the access point keeps a broadcast for devices that sleep.
func (w *world) beaconDelay(s *segment) time.Duration {
	if w.opt.DTIM == 0 {
		return 0
	}
	return w.opt.DTIM - (w.now+s.beacon)%w.opt.DTIM
}

// unicastDelay is what a sleeping device's unicast waits for: sometimes a beacon interval of 102.4 ms.
func (w *world) unicastDelay() time.Duration {
	if w.opt.DTIM == 0 || w.rng.IntN(4) > 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(102400 * time.Microsecond)))
}

// transmit takes p to one receiver, or loses, damages, doubles or delays it.
func (w *world) transmit(from, to *nic, p *packet, delay time.Duration) {
	if from.part != to.part || from.clogged || to.clogged || !p.broadcast && to.closed || to.node.engine == nil {
		return
	}
	if hole := max(from.hole, to.hole); hole > 0 && len(p.data) > hole {
		w.count.Lost++
		return
	}
	loss := w.opt.Loss
	if p.broadcast && w.opt.Wifi || !w.opt.Wifi {
		loss = 1 - (1-loss)*(1-to.deaf)*(1-from.mute)
	} else {
		loss /= 10 // the link layer repeats unicast
	}
	if parts := from.fragments(len(p.data)); parts > 1 {
		loss = 1 - math.Pow(1-loss, float64(parts))
	}
	if loss > 0 && w.rng.Float64() < loss || p.broadcast && w.inBurst(to, w.now+delay) {
		w.count.Lost++
		return
	}
	if w.opt.Corrupt > 0 && w.rng.Float64() < w.opt.Corrupt {
		p = w.damage(p)
	}
	w.arrive(to, p, delay)
	if w.opt.Duplicate > 0 && w.rng.Float64() < w.opt.Duplicate {
		for range max(w.opt.Copies, 1) {
			w.arrive(to, p, delay)
		}
	}
}

// What goes before a datagram, in bytes.
const ip, udp = 20, 8

// limit is the largest datagram in bytes that may leave by n, whoever it is for.
func (n *nic) limit() int { return max(min(wire.MaxDatagram, n.mtu-ip-udp), wire.MinDatagram) }

// fragments is in how many pieces IP sends a datagram: one that is lost takes all with it.
func (n *nic) fragments(size int) int {
	return (size + udp + n.mtu - ip - 1) / (n.mtu - ip)
}

// inBurst tells whether a receiver is in a bad period when a broadcast goes out (Gilbert–Elliott).
func (w *world) inBurst(n *nic, at time.Duration) bool {
	if w.opt.Bursty == 0 {
		return false
	}
	for at >= n.turns {
		n.burst = !n.burst
		mean := float64(burstLength)
		if !n.burst {
			mean *= (1 - w.opt.Bursty) / w.opt.Bursty
		}
		n.turns = max(n.turns, at-time.Minute) + time.Duration(w.rng.ExpFloat64()*mean) + 1
	}
	return n.burst
}

func (w *world) damage(p *packet) *packet {
	d := packet{
		data: slices.Clone(p.data), from: p.from, source: p.source, segment: p.segment, broadcast: p.broadcast,
		bySix: p.bySix, damaged: true,
	}
	d.data[w.rng.IntN(len(d.data))] ^= byte(1 + w.rng.IntN(255))
	return &d
}

// arrive plans that p reaches the socket of to.
func (w *world) arrive(to *nic, p *packet, delay time.Duration) {
	delay += w.opt.Delay/2 + time.Duration(w.rng.Int64N(int64(w.opt.Delay)))
	if w.opt.Reorder > 0 && w.rng.Float64() < w.opt.Reorder {
		delay += time.Duration(w.rng.Int64N(int64(w.opt.ReorderBy)))
	}
	w.queue.push(event{at: w.now + delay, node: to.node, run: to.node.run, nic: to, packet: p})
}

// note adds what happened to the trace.
func (w *world) note(n *node, what uint32, data []byte) {
	x := w.trace ^ uint64(crc32.Update(what, castagnoli, data)) ^ uint64(n.index)<<32 ^ uint64(w.now)<<13
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 29
	w.trace = x
}

// members are those that take part in the lobby on a segment, but for those with code of their own.
func (s *segment) members() []*node {
	var all []*node
	for _, c := range s.nics {
		if c.node.takesPart() && c.node.joined() && c.node.insider == nil && !slices.Contains(all, c.node) {
			all = append(all, c.node)
		}
	}
	return all
}
