package node

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

// newEngine is one of a device of its own, that nothing drives.
func newEngine(t *testing.T) *engine.Engine {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	key, err := identity.NewKey(random)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Now{}, engine.Config{
		Key: key, Random: random, Timing: rand.New(random), RecvBuffer: 65535, Verify: identity.PublicKey.Verify,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// However many open a batch, here from its first part on, each datagram's result is in its place, and none of the
// reader's memory is kept.
func TestOpenKeepsTheOrder(t *testing.T) {
	e := newEngine(t)
	n := &Node{parts: make(chan part), cores: 4}
	n.opener.Store(e.Opener())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range n.cores - 1 {
		go n.openers(ctx)
	}
	hello := make([]byte, 8)
	prefix := wire.Prefix(wire.TypeHello)
	copy(hello, prefix[:])
	in := new(arrivals)
	for count := range 40 {
		batch := make([]engine.Datagram, count)
		for i := range batch {
			batch[i] = engine.Datagram{From: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i)), OnLink: true, TTL: 255}
			switch i % 3 {
			case 0:
				batch[i].Data = []byte("noise, not from bcast")
			case 1:
				batch[i].Data = bytes.Clone(hello)
			}
			batch[i].Size = len(batch[i].Data)
		}
		in.fill(batch)
		for i := range batch {
			clear(batch[i].Data)
		}
		n.open(in)
		in.pending.Wait()
		for i := range batch {
			want := []wire.Drop{wire.DropNotBcast, wire.DropMalformed, wire.DropEmpty}[i%3]
			op := &in.opened[i]
			if in.drops[i] != want || op.From().Port() != uint16(i) || (op.Type() == wire.TypeHello) != (i%3 == 1) {
				t.Errorf("%d of %d: %s from %v, want %s", i, count, in.drops[i], op.From(), want)
			}
		}
		in.release()
	}
}
