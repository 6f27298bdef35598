package node

import (
	"context"
	"net/netip"

	"bcast/identity"
	"bcast/internal/engine"
)

// Pipe carries streams between devices: bytes, in order, between two keys that it has proven.
type Pipe interface {
	// Next waits for what happens next; false once the Pipe is closed. One goroutine calls it, and what it does not ask
	// for waits where it comes from.
	Next() (PipeEvent, bool)
	// Dial, Write and Close never wait. Opened or Closed answers a Dial; Drained comes when all that was written is gone.
	Dial(id uint64, to netip.AddrPort, peer identity.PublicKey)
	Write(id uint64, data []byte)
	Close(id uint64)
	CloseAll() error
}

// PipeEvent is something that happened to a stream. Ids of those that were dialled are odd, of the others even.
type PipeEvent struct {
	ID       uint64
	Kind     PipeKind
	Dialled  bool
	Peer     identity.PublicKey
	Exporter [32]byte // of PipeOpened
	Data     []byte   // of PipeData, 64 KiB at most
	Err      error    // of PipeClosed
}

// PipeKind says what happened to a stream.
type PipeKind uint8

// The kinds of a PipeEvent.
const (
	PipeOpened PipeKind = iota + 1
	PipeData
	PipeDrained
	PipeClosed
)

// attend brings what happens to streams to the loop, one thing at a time: while the loop is busy, nothing is read.
func (n *Node) attend(ctx context.Context) {
	for {
		ev, ok := n.cfg.Pipe.Next()
		if !ok {
			return
		}
		select {
		case n.piped <- ev:
		case <-ctx.Done():
			return
		}
	}
}

// stream tells the engine what happened to a stream.
func (n *Node) stream(ev PipeEvent) {
	switch ev.Kind {
	case PipeOpened:
		n.engine.StreamOpened(n.now(), ev.ID, ev.Peer, ev.Exporter, ev.Dialled)
	case PipeData:
		n.engine.StreamData(n.now(), ev.ID, ev.Data)
	case PipeDrained:
		n.engine.StreamDrained(n.now(), ev.ID)
	case PipeClosed:
		n.cfg.Log.Debug("stream closed", "peer", ev.Peer.ID(), "dialled", ev.Dialled, "err", ev.Err)
		n.engine.StreamClosed(n.now(), ev.ID, ev.Err)
	}
}

// pipe carries out what the engine wants of streams.
func (n *Node) pipe(ops []engine.StreamOp) {
	for _, op := range ops {
		switch op.Kind {
		case engine.StreamDial:
			n.cfg.Pipe.Dial(op.ID, op.To, op.Key)
		case engine.StreamWrite:
			n.cfg.Pipe.Write(op.ID, op.Data)
		case engine.StreamClose:
			n.cfg.Pipe.Close(op.ID)
		}
	}
}
