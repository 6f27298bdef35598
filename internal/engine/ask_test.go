package engine_test

import (
	"errors"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

// An Ask is answered with what the peer's echo says: its clock, whom it hears, what may be asked for yet; or it fails.
func TestAsk(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	g.wait(3 * time.Second)
	b.ahead = 2 * time.Hour
	ask := func(of identity.DeviceID, way wire.Way, size int) engine.Reply {
		t.Helper()
		a.told = nil
		a.Do(a.clock(), 77, engine.Ask{Peer: of, Way: way, Size: size})
		a.settle()
		g.wait(time.Second)
		if len(a.told) != 1 || a.told[0].Token != 77 {
			t.Fatalf("told %+v", a.told)
		}
		return a.told[0]
	}
	id := c.key.ID()
	left := 10_000
	for _, way := range []wire.Way{wire.WayUnicast, wire.WayDirected, wire.WayLimited} {
		left -= 1400
		r := ask(b.key.ID(), way, 1400)
		if r.Err != nil || r.Answer.Ahead.Round(time.Second) != b.ahead || r.Answer.Left != left ||
			len(r.Answer.Heard) != 1 || r.Answer.Heard[0] != wire.HeardStart(id[:]) {
			t.Errorf("%v: %+v", way, r)
		}
	}
	if r := ask(g.foe().key.ID(), wire.WayUnicast, 512); !errors.Is(r.Err, engine.ErrNotHere) {
		t.Errorf("a stranger: %v", r.Err)
	}
	b.off = true
	if r := ask(b.key.ID(), wire.WayUnicast, 512); !errors.Is(r.Err, engine.ErrSilent) {
		t.Errorf("unplugged: %v", r.Err)
	}
}
