package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"bcast/internal/engine"
	"bcast/internal/wire"
)

// Opening (seal and signature) is most of the work on a datagram and needs no state. A reader opens what it got by
// itself, and hands parts of a batch that takes it long, as one full of signatures does, to whoever is idle: so that is
// spread over all cores, ahead of the loop. The batch goes to the engine as a whole, so what one socket received keeps
// its order.

const (
	// openAtOnce is how many datagrams a part has, and openAlone how long a reader opens by itself: to wake another
	// goroutine, and on a busy host another core, costs as much as some twenty datagrams whose signature is known.
	openAtOnce = 8
	openAlone  = 500 * time.Microsecond
)

// ownEach is how often a reader hands on what we sent ourselves.
const ownEach = 100 * time.Millisecond

// arrivals is what a reader got at once. Its memory is used again when the loop has taken it.
type arrivals struct {
	memory  []byte // of the datagrams
	data    []engine.Datagram
	opened  []engine.Opened
	drops   []wire.Drop
	pending sync.WaitGroup // the parts that are not opened yet
}

// fill copies a batch out of the Link's memory. What may be kept for long gets memory of its own.
func (in *arrivals) fill(batch []engine.Datagram) {
	size := 0
	for _, d := range batch {
		size += len(d.Data)
	}
	in.memory = slices.Grow(in.memory[:0], size)
	in.data = append(in.data[:0], batch...)
	for i, d := range batch {
		if kind, _, _ := wire.Classify(d.Data); kind.Presence() {
			in.data[i].Data = slices.Clone(d.Data)
			continue
		}
		in.memory = append(in.memory, d.Data...)
		in.data[i].Data = slices.Clip(in.memory[len(in.memory)-len(d.Data):])
	}
	in.opened = slices.Grow(in.opened[:0], len(batch))[:len(batch)]
	in.drops = slices.Grow(in.drops[:0], len(batch))[:len(batch)]
}

// release lets go of what came of it.
func (in *arrivals) release() {
	clear(in.data)
	clear(in.opened)
}

// part is some of a batch, to be opened.
type part struct {
	in       *arrivals
	from, to int
	opener   *engine.Opener
}

func (p part) open() {
	defer p.in.pending.Done()
	for i := p.from; i < p.to; i++ {
		p.in.opened[i], p.in.drops[i] = p.opener.Open(p.in.data[i])
	}
}

// openers wait for parts until ctx ends.
func (n *Node) openers(ctx context.Context) {
	for {
		select {
		case p := <-n.parts:
			p.open()
		case <-ctx.Done():
			return
		}
	}
}

// read brings what one reader gets to the loop.
func (n *Node) read(ctx context.Context, read func([]engine.Datagram) (int, error)) {
	batch := make([]engine.Datagram, batchSize)
	var ownHeard time.Time
	for {
		count, err := read(batch)
		if err != nil {
			return // the Link is closed
		}
		count = n.withoutOwn(batch[:count], &ownHeard)
		if count == 0 {
			continue
		}
		in := n.blank()
		in.fill(batch[:count])
		n.open(in)
		if n.takeAlone(in) {
			continue
		}
		n.queued.Add(1)
		select {
		case n.inbound <- in:
		case <-ctx.Done():
			return
		default:
			n.queued.Add(-1)
			n.overflow.Add(uint64(count))
		}
	}
}

// takeAlone has the engine take a batch on the spot, if nothing waits that it would overtake and nobody else has the
// turn. To wake the loop for it takes as long as some of the work, and another core from whoever else could use it.
func (n *Node) takeAlone(in *arrivals) bool {
	if !n.takeTurn() {
		return false
	}
	n.receive(in)
	n.finish()
	return true
}

// takeTurn takes the turn if nobody else has it and nothing waits that came before.
func (n *Node) takeTurn() bool {
	if n.queued.Load() > 0 {
		return false
	}
	select {
	case n.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// withoutOwn leaves out of a batch what we sent ourselves, but for one datagram now and then, which tells the engine
// that it comes back: who says much would fill the queue to its own loop with it, and what others ask for is lost. It
// returns how many are left.
func (n *Node) withoutOwn(batch []engine.Datagram, heard *time.Time) int {
	opener, now := n.opener.Load(), time.Now()
	left := 0
	for _, d := range batch {
		switch own := opener.Own(d); {
		case own && now.Sub(*heard) < ownEach:
			n.own.Add(1)
			continue
		case own:
			*heard = now
		default:
			d.Foreign = true
		}
		batch[left] = d
		left++
	}
	return left
}

// open opens a batch, or begins to.
func (n *Node) open(in *arrivals) {
	count, opener, began := len(in.data), n.opener.Load(), time.Now()
	for at := 0; at < count; at += openAtOnce {
		p := part{in, at, min(at+openAtOnce, count), opener}
		in.pending.Add(1)
		if p.to == count || time.Since(began) < n.alone { // the last is the reader's own
			p.open()
			continue
		}
		select {
		case n.parts <- p:
		default: // nobody is idle
			p.open()
		}
	}
}

// receive has the engine take a batch.
func (n *Node) receive(in *arrivals) {
	in.pending.Wait()
	n.engine.ReceiveAll(n.now(), in.opened, in.drops)
	for i, drop := range in.drops {
		if drop == "" {
			n.counters.Received[in.opened[i].Type()]++
			continue
		}
		n.counters.Drops[drop]++
		if n.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
			n.cfg.Log.Debug("datagram refused", "reason", drop, "from", in.opened[i].From())
		}
	}
	in.release()
	select {
	case n.spare <- in:
	default:
	}
}

// blank is the memory for a batch.
func (n *Node) blank() *arrivals {
	select {
	case in := <-n.spare:
		return in
	default:
		return new(arrivals)
	}
}
