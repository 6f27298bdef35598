package bcast

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/lan"
	"bcast/internal/node"
	"bcast/internal/push"
	"bcast/internal/virtual"
	"bcast/internal/wire"
)

const (
	// bulkOffset is from the shared port to that of pushes: 27490, which the one firewall rule lets in. A device that had
	// it as its own would keep all others of its host from pushes.
	bulkOffset = 16
	// bulkBatch is how many datagrams are read at once.
	bulkBatch = 128
	// hopLimit is the TTL of what passed no router (PROTOCOL.md, N5).
	hopLimit = 255
	// aroundFor is how long it holds who is around.
	aroundFor = 200 * time.Millisecond
)

// bulk is the way of what is pushed: sockets of its own, open while there is something on it. A flood of shards fills
// no queue in which people talk, and who takes no part in a push does not even read it.
type bulk struct {
	node  *Node
	start time.Time

	pushes, pushedBytes atomic.Uint64 // from here, that are over, and what was broadcast for them

	mu       sync.Mutex
	link     network
	sessions map[[8]byte]session
	users    int
	drops    map[string]uint64

	helpMu sync.Mutex // taken last
	help   *push.Help

	aroundMu sync.Mutex
	around   map[identity.DeviceID]discovery.Peer
	aroundAt time.Time
}

// session is one push, as its sender or a receiver sees it.
type session interface {
	// take takes a datagram of it, on the goroutine that reads; the reason why it is refused is counted.
	take(d *lan.Datagram) push.Drop
	// wake is called after some were taken.
	wake()
}

func newBulk(n *Node) *bulk {
	return &bulk{
		node: n, start: time.Now(), sessions: map[[8]byte]session{}, drops: map[string]uint64{}, help: push.NewHelp(),
	}
}

func (b *bulk) now() time.Duration { return time.Since(b.start) }

// enter has a session get what is of these pushes, and opens the sockets if it is the first.
func (b *bulk) enter(s session, ids ...[8]byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil {
		link, err := b.node.openBulk()
		if err != nil {
			return err
		}
		b.link = link
		for _, read := range link.Readers() {
			go b.read(read) // until the link is closed
		}
	}
	for _, id := range ids {
		b.sessions[id] = s
	}
	b.users++
	return nil
}

// leave ends what enter began.
func (b *bulk) leave(s session, ids ...[8]byte) error {
	b.mu.Lock()
	for _, id := range ids {
		if b.sessions[id] == s {
			delete(b.sessions, id)
		}
	}
	b.users--
	link := b.link
	if b.users > 0 {
		link = nil
	} else {
		b.link = nil
		addCounts(b.drops, link.Drops())
	}
	b.mu.Unlock()
	if link == nil {
		return nil
	}
	return link.Close()
}

func (b *bulk) read(read func([]lan.Datagram) (int, error)) {
	batch := make([]lan.Datagram, bulkBatch)
	touched := map[session]struct{}{}
	for {
		count, err := read(batch)
		if err != nil {
			return // the link is closed
		}
		for i := range batch[:count] {
			if s := b.take(&batch[i]); s != nil {
				touched[s] = struct{}{}
			}
		}
		for s := range touched {
			s.wake()
		}
		clear(touched)
	}
}

// take has its session take a datagram, and tells which, or counts why not.
func (b *bulk) take(d *lan.Datagram) session {
	id, ours := push.ID(d.Data)
	b.mu.Lock()
	s := b.sessions[id]
	b.mu.Unlock()
	drop := push.Drop("")
	switch {
	case d.Cut():
		drop = push.Drop(wire.DropCut)
	case !d.OnLink:
		drop = push.Drop(wire.DropOffLink)
	case d.TTL >= 0 && d.TTL != hopLimit:
		drop = push.Drop(wire.DropHops)
	case !ours:
		drop = push.Drop(wire.DropNotBcast)
	case s == nil:
		drop = push.Drop(wire.DropUnknownRoom) // of another room, or of a push that is none of ours
	default:
		if drop = s.take(d); drop == "" {
			return s
		}
	}
	b.drop(string(drop))
	return nil
}

func (b *bulk) drop(reason string) {
	b.mu.Lock()
	b.drops[reason]++
	b.mu.Unlock()
}

// addDrops adds what was refused, and lost on the way out or in, of what is pushed.
func (b *bulk) addDrops(to map[string]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for reason, count := range b.drops {
		to[reason] += count
	}
	if b.link != nil {
		addCounts(to, b.link.Drops())
	}
}

func addCounts(to, counts map[string]uint64) {
	for reason, count := range counts {
		if count > 0 {
			to[reason] += count
		}
	}
}

// send sends a batch: to one address by the interface that it was heard by, or, if to is not valid, as broadcast.
func (b *bulk) send(datagrams [][]byte, to netip.AddrPort, iface int) {
	b.mu.Lock()
	link := b.link
	b.mu.Unlock()
	if link == nil || len(datagrams) == 0 {
		return
	}
	out := make([]lan.Outgoing, len(datagrams))
	for i, d := range datagrams {
		out[i] = lan.Outgoing{Data: d, To: to, Iface: iface}
	}
	link.Write(out)
}

// peer is a device that is here, as lately as it matters.
func (b *bulk) peer(id identity.DeviceID) (discovery.Peer, bool) {
	b.aroundMu.Lock()
	defer b.aroundMu.Unlock()
	if time.Since(b.aroundAt) > aroundFor {
		b.aroundAt = time.Now()
		b.around = map[identity.DeviceID]discovery.Peer{}
		b.node.view(b.node.files.arrivals.ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
			for _, p := range e.Peers() {
				if p.Present() {
					b.around[p.ID] = p
				}
			}
		})
	}
	p, here := b.around[id]
	return p, here
}

// speaker checks who says what a receiver says: a device that is here, in its present run. Only an address that it
// proved is sent to: whoever can sign could have others flooded.
func (b *bulk) speaker(n *push.Need, from netip.AddrPort) (p discovery.Peer, answerable bool, drop push.Drop) {
	p, here := b.peer(n.Key.ID())
	if !here || p.Key != n.Key || b.node.blocks(p.ID) {
		return p, false, push.DropStranger
	}
	if p.Instance != n.Instance {
		return p, false, push.DropOldInstance
	}
	return p, p.Addr.Addr().Unmap() == from.Addr().Unmap(), ""
}

// openBulk opens the sockets of pushes.
func (n *Node) openBulk() (network, error) {
	port := n.bulkPort()
	if link, inMemory := n.lan.(*virtual.Link); inMemory {
		return link.Beside(port, lan.MaxDatagram), nil
	}
	cfg := n.cfg
	cfg.Port, cfg.RecvBuffer = port, lan.MaxDatagram
	link, _, err := openNetwork(cfg)
	if err != nil {
		return nil, err
	}
	link.StreamListener().Close() // connections come where presence says
	return link, nil
}

// bulkPort is the shared port of pushes.
func (n *Node) bulkPort() int { return n.cfg.Port + bulkOffset }

// blocks tells whether a device is blocked.
func (n *Node) blocks(id identity.DeviceID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trusted.blocks(id)
}

// pushFailure is why nothing can be pushed.
func pushFailure(err error) error {
	return control.NewError(control.CodeUnsupported, err, "this device cannot take part in pushes: "+err.Error(), "")
}
