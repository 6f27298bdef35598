package node_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/node"
	"bcast/internal/record"
)

// conduits connect the pipes of hosts: reliable, in order, with the keys that they were made for.
type conduits struct {
	mu    sync.Mutex
	pipes map[netip.Addr]*pipe
	dials int
}

// pipe is one host's end of all its streams.
type pipe struct {
	all    *conduits
	key    identity.PublicKey
	events chan node.PipeEvent
	closed chan struct{}
	peers  map[uint64]far // guarded by all.mu
}

// far is the other end of a stream.
type far struct {
	pipe *pipe
	id   uint64
}

func (c *conduits) plug(addr netip.Addr, key identity.PublicKey) *pipe {
	p := &pipe{
		all: c, key: key, events: make(chan node.PipeEvent, 1024), closed: make(chan struct{}), peers: map[uint64]far{},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pipes[addr] = p
	return p
}

func (p *pipe) Next() (node.PipeEvent, bool) {
	select {
	case ev := <-p.events:
		return ev, true
	case <-p.closed:
		return node.PipeEvent{}, false
	}
}

func (p *pipe) Dial(id uint64, to netip.AddrPort, peer identity.PublicKey) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.dials++
	other := p.all.pipes[to.Addr()]
	if other == nil || other.key != peer || to.Port() != privatePort {
		p.events <- node.PipeEvent{ID: id, Kind: node.PipeClosed, Dialled: true, Peer: peer}
		return
	}
	theirs := uint64(2 * p.all.dials)
	p.peers[id], other.peers[theirs] = far{other, theirs}, far{p, id}
	exporter := [32]byte{byte(p.all.dials)}
	p.events <- node.PipeEvent{ID: id, Kind: node.PipeOpened, Dialled: true, Peer: peer, Exporter: exporter}
	other.events <- node.PipeEvent{ID: theirs, Kind: node.PipeOpened, Peer: p.key, Exporter: exporter}
}

func (p *pipe) Write(id uint64, data []byte) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	to, open := p.peers[id]
	if !open {
		return
	}
	for part := range slices.Chunk(data, 16<<10) {
		to.pipe.events <- node.PipeEvent{ID: to.id, Kind: node.PipeData, Peer: p.key, Data: slices.Clone(part)}
	}
	p.events <- node.PipeEvent{ID: id, Kind: node.PipeDrained, Peer: to.pipe.key}
}

func (p *pipe) Close(id uint64) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	to, open := p.peers[id]
	if !open {
		return
	}
	delete(p.peers, id)
	delete(to.pipe.peers, to.id)
	p.events <- node.PipeEvent{ID: id, Kind: node.PipeClosed, Peer: to.pipe.key}
	to.pipe.events <- node.PipeEvent{ID: to.id, Kind: node.PipeClosed, Peer: p.key}
}

func (p *pipe) CloseAll() error {
	close(p.closed)
	return nil
}

// pulled tells that a pull is over, and how many records it brought.
func (h *host) pulled() (have int, done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Synced && e.Chat.Done {
			return e.Chat.Have, true
		}
	}
	return 0, false
}

func TestNodeCatchesUpByStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 600
		seg := &segment{conduits: &conduits{pipes: map[netip.Addr]*pipe{}}}
		a := start(t, seg, 1)
		a.do(t, engine.Join{Room: "lobby"})
		for i := range n {
			a.do(t, engine.Say{Room: "lobby", Posts: []record.Post{{Kind: record.KindText, Text: fmt.Sprint("post ", i)}}})
		}
		b := start(t, seg, 2)
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(10 * time.Second)
		for i := range n {
			if !b.saw(posted(fmt.Sprint("post ", i))) {
				t.Fatalf("post %d is not shown", i)
			}
		}
		if have, done := b.pulled(); !done || have < n/2 {
			t.Errorf("%d records pulled, done %t", have, done)
		}
		if seg.conduits.dials != 1 {
			t.Errorf("%d streams", seg.conduits.dials)
		}
		for _, h := range []*host{a, b} {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
