package node_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/engine"
	"bcast/internal/wire"
)

// A host that was held up takes what came meanwhile before it does what became due: it asks for nothing that is there.
func TestWhatCameIsTakenBeforeWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg, a, b, tap := tapped(t)
		var asked uint64
		count := func(_ engine.Now, _ *engine.Engine, c nodeCounters) { asked = c.Sent[wire.TypeWant] }
		b.View(context.Background(), count)
		before := asked
		for round := range 16 { // of two things that are ready either may be taken
			seg.unplug(1, true)
			a.say(t, fmt.Sprint("lost ", round))
			seg.unplug(1, false)
			lost := recordIn(tap)
			a.say(t, fmt.Sprint("after it ", round))
			b.View(context.Background(), func(engine.Now, *engine.Engine, nodeCounters) {
				seg.links[1].inbox <- lost
				time.Sleep(4 * time.Millisecond) // the loop is held up until the first want is due
			})
			time.Sleep(3 * time.Second)
			recordIn(tap)
			if !b.saw(posted(fmt.Sprint("lost ", round))) {
				t.Fatal("what came while the loop was held up is not shown")
			}
		}
		b.View(context.Background(), count)
		if asked != before {
			t.Errorf("asked %d times for what was there", asked-before)
		}
	})
}

// tapped is two hosts that have met in the lobby, and a link that hears what they say.
func tapped(t *testing.T) (seg *segment, a, b *host, tap *link) {
	seg = &segment{}
	a, b = start(t, seg, 1), start(t, seg, 2)
	for _, h := range []*host{a, b} {
		t.Cleanup(func() { h.Close() })
		h.do(t, engine.Join{Room: "lobby"})
	}
	time.Sleep(10 * time.Second)
	return seg, a, b, seg.plug(3)
}

// say says words in the lobby, until all have taken it.
func (h *host) say(t *testing.T, words string) {
	t.Helper()
	h.do(t, engine.Say{Room: "lobby", Posts: text(words)})
	synctest.Wait()
}

// recordIn empties a link's inbox and returns the last record in it.
func recordIn(l *link) (last engine.Datagram) {
	for len(l.inbox) > 0 {
		d := <-l.inbox
		if kind, _, _ := wire.Classify(d.Data); kind == wire.TypeRecord {
			last = d
		}
	}
	return last
}
