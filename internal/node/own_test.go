package node_test

import (
	"context"
	"testing"
	"testing/synctest"

	"bcast/internal/engine"
	"bcast/internal/wire"
)

// What a node says comes back to it. However much that is while its loop is held up, what others say has a place.
func TestOwnDatagramsFillNoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg, a, b, tap := tapped(t)
		a.say(t, "mine")
		own := recordIn(tap)
		const many = 5000
		var before, after nodeCounters
		a.View(context.Background(), func(_ engine.Now, _ *engine.Engine, c nodeCounters) {
			before = nodeCounters{Drops: map[wire.Drop]uint64{wire.DropOwn: c.Drops[wire.DropOwn]}}
			for range many {
				seg.links[0].inbox <- own
			}
			synctest.Wait()
		})
		b.say(t, "another's")
		a.View(context.Background(), func(_ engine.Now, _ *engine.Engine, c nodeCounters) { after = c })
		if lost := after.Drops[wire.DropQueueFull]; lost > 0 {
			t.Errorf("%d lost because the queue was full of our own", lost)
		}
		if n := after.Drops[wire.DropOwn] - before.Drops[wire.DropOwn]; n != many {
			t.Errorf("%d own ones counted of %d", n, many)
		}
		if !a.saw(posted("another's")) {
			t.Error("what another said is not shown")
		}
	})
}
