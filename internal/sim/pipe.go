package sim

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"bcast/internal/engine"
)

// pipe is one direction's half of a stream between two devices: reliable and in order as long as it is there. Both ends
// are pipes, each the other's far end.
type pipe struct {
	node  *node
	run   int // the process that it is of
	nic   *nic
	addr  netip.Addr // under which it was when it began: a connection does not survive another
	id    uint64
	far   *pipe
	queue []chunk
	moves bool // the first of the queue is on its way
	stuck time.Duration
	ended bool // nothing more of it is awaited here
}

// chunk is what one write brings to the far end; no data: the end.
type chunk []byte

// Times and sizes of streams.
const (
	dialTime  = 8 * time.Second  // until who dials gives up
	stuckTime = 15 * time.Second // until a connection on which nothing gets through is given up
	segmentTo = 32 << 10         // bytes that come to the engine at once
	wiredPace = 50 << 20         // bytes a second
	wifiPace  = 1 << 20
)

var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset")
	errTimeout = errors.New("connection timed out")
)

// operate does what an engine wants of its streams.
func (n *node) operate(op engine.StreamOp) {
	if op.Kind == engine.StreamDial {
		n.dial(op)
		return
	}
	i := slices.IndexFunc(n.pipes, func(p *pipe) bool { return p.id == op.ID })
	if i < 0 {
		return
	}
	p := n.pipes[i]
	if op.Kind == engine.StreamClose {
		p.end()
		p.push(nil)
		return
	}
	n.w.check.tap.stream(n, p.nic.segment, op.Data)
	for data := range slices.Chunk(op.Data, segmentTo) {
		p.push(data)
	}
}

// dial connects to whoever is under an address, or fails now or after a while.
func (n *node) dial(op engine.StreamOp) {
	w := n.w
	w.count.Streams++
	fail := func(after time.Duration, err error) {
		w.count.Broken++
		w.queue.push(event{at: w.now + after, node: n, run: n.run, call: func() {
			n.engine.StreamClosed(n.now(), op.ID, err)
			n.settle()
		}})
	}
	from, to := n.route(op)
	switch {
	case to == nil || !from.reaches(to) || to.closed || to.node.engine == nil && w.rng.IntN(2) == 0:
		fail(dialTime, errTimeout)
		return
	case to.node.engine == nil || to.node.key.Public() != op.Key || w.rng.Float64() < w.opt.Refused:
		fail(3*w.opt.Delay, errRefused)
		return
	}
	to.node.accepted += 2
	near := &pipe{node: n, run: n.run, nic: from, addr: from.addr, id: op.ID}
	far := &pipe{node: to.node, run: to.node.run, nic: to, addr: to.addr, id: to.node.accepted, far: near}
	near.far = far
	var exporter [32]byte
	for i := range exporter {
		exporter[i] = byte(w.rng.Uint32())
	}
	for i, p := range []*pipe{far, near} {
		p.node.pipes = append(p.node.pipes, p)
		w.queue.push(event{at: w.now + time.Duration(2+i)*w.opt.Delay, node: p.node, run: p.run, call: func() {
			if !p.ended {
				p.node.engine.StreamOpened(p.node.now(), p.id, p.far.node.key.Public(), exporter, p == near)
				p.node.settle()
			}
		}})
	}
}

// route is the interface from which an address is on link, and whose it is there.
func (n *node) route(op engine.StreamOp) (from, to *nic) {
	for _, c := range n.nics {
		if c.segment == nil {
			continue
		}
		for _, o := range c.segment.nics {
			if (o.addr == op.To.Addr() || o.six == op.To.Addr()) && o.node != n {
				return c, o
			}
		}
	}
	return nil, nil
}

// reaches tells whether anything passes between two interfaces now.
func (n *nic) reaches(o *nic) bool {
	return n.segment != nil && n.segment == o.segment && n.part == o.part && !n.clogged && !o.clogged
}

func (p *pipe) push(c chunk) {
	p.queue = append(p.queue, c)
	p.move()
}

// move has the first chunk travel, if none does.
func (p *pipe) move() {
	if p.moves || len(p.queue) == 0 {
		return
	}
	w, pace := p.node.w, wiredPace
	if w.opt.Wifi {
		pace = wifiPace
	}
	takes := w.opt.Delay/2 + time.Duration(w.rng.Int64N(int64(w.opt.Delay))) +
		time.Duration(len(p.queue[0]))*time.Second/time.Duration(pace)
	if w.opt.Stalls > 0 && w.rng.Float64() < w.opt.Stalls {
		takes += w.below(2 * stuckTime)
	}
	p.moves = true
	w.after(takes, p.arrive)
}

// arrive brings the first chunk to the far end, if anything passes; if not, it is sent again until that has no sense.
func (p *pipe) arrive() {
	p.moves = false
	w, far := p.node.w, p.far
	same := p.nic.addr == p.addr && far.nic.addr == far.addr
	switch {
	case far.ended: // it reads no more
		p.queue = nil
		return
	case !same || !p.nic.reaches(far.nic):
		if p.stuck += time.Second; p.stuck > stuckTime {
			p.cut(errTimeout)
			return
		}
		p.moves = true
		w.after(time.Second, p.arrive)
		return
	case far.node.run != far.run || far.node.engine == nil:
		p.cut(errReset)
		return
	case w.opt.Breaks > 0 && w.now < w.opt.Heal && w.rng.Float64() < w.opt.Breaks:
		p.cut(errReset)
		return
	}
	p.stuck = 0
	c := p.queue[0]
	p.queue = p.queue[1:]
	if c == nil {
		far.close(nil)
		return
	}
	far.tell(func(n *node) { n.engine.StreamData(n.now(), far.id, c) })
	if len(p.queue) == 0 {
		p.tell(func(n *node) { n.engine.StreamDrained(n.now(), p.id) })
	}
	p.move()
}

// tell has the process that an end is of do something, when it runs.
func (p *pipe) tell(f func(*node)) {
	n := p.node
	if p.ended || n.run != p.run {
		return
	}
	n.whenAwake(func() {
		if !p.ended {
			f(n)
			n.settle()
		}
	})
}

// cut ends the connection for both.
func (p *pipe) cut(err error) {
	p.node.w.count.Broken++
	p.close(err)
	p.far.close(err)
}

// close tells the engine that the stream is no more.
func (p *pipe) close(err error) {
	p.tell(func(n *node) {
		p.end()
		n.engine.StreamClosed(n.now(), p.id, err)
	})
	p.queue = nil
}

func (p *pipe) end() {
	p.ended = true
	p.node.pipes = slices.DeleteFunc(p.node.pipes, func(o *pipe) bool { return o == p })
}

// hangUp ends the connections of a process that ends while its system goes on.
func (n *node) hangUp() {
	for _, p := range slices.Clone(n.pipes) {
		p.end()
		p.push(nil)
	}
}
