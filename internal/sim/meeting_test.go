package sim

import (
	"testing"
	"time"

	"bcast/discovery"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

// meeting is what a run of devices that start together shows: when the last one knew the last other, and what all
// of them received of presence till then and within two seconds, each of which takes a signature check.
type meeting struct {
	met              time.Duration
	checked, settled int // by all together
	sent             Count
}

func meet(t *testing.T, nodes int, loss float64, together time.Duration, seed uint64) meeting {
	t.Helper()
	opt := steady(nodes)
	opt.Seed, opt.Loss, opt.Posts, opt.Delay, opt.Together = seed, loss, 0, 200*time.Microsecond, together
	opt.Duration = 2 * time.Second
	w := newWorld(opt)
	var m meeting
	known := map[[2]int]bool{}
	index := map[string]int{}
	for _, n := range w.nodes {
		index[string(n.nick)] = n.index
	}
	w.watch = func(n *node, e engine.Event) {
		if e.Kind != engine.PeerEvent || e.Peer.Status != discovery.Here {
			return
		}
		if pair := [2]int{n.index, index[string(e.Peer.Nick)]}; !known[pair] {
			known[pair] = true
			if len(known) == nodes*(nodes-1) {
				m.met, m.checked = w.now, w.count.Presence
			}
		}
	}
	r := w.run()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if m.met == 0 {
		t.Errorf("%d of %d pairs met", len(known), nodes*(nodes-1))
	}
	m.settled, m.sent = r.Count.Presence, r.Count
	return m
}

// TestMeeting is `scripts/sim meeting`.
func TestMeeting(t *testing.T) {
	if !*longFlag {
		t.Skip("run by scripts/sim meeting")
	}
	for _, c := range []struct {
		nodes    int
		loss     float64
		together time.Duration
	}{
		{10, 0, 10 * time.Millisecond}, {10, 0.1, 10 * time.Millisecond}, {10, 0.3, 10 * time.Millisecond},
		{40, 0, 10 * time.Millisecond}, {40, 0, 400 * time.Millisecond}, {40, 0.1, 400 * time.Millisecond},
		{200, 0, time.Second},
	} {
		const seeds = 20
		var all latencies
		checked, settled, sent := 0, 0, newCount()
		runs := max(seeds/max(1, c.nodes/20), 1)
		for seed := range uint64(runs) {
			m := meet(t, c.nodes, c.loss, c.together, seed+1)
			all = append(all, m.met)
			checked, settled = checked+m.checked, settled+m.settled
			sent.add(&m.sent)
		}
		each := float64(runs * c.nodes)
		report(t, "%d devices started within %v, %.0f %% loss: met after %v in the median, %v at worst; a device checked "+
			"%.0f datagrams till then, %.0f in two seconds; it sent hellos %.1f, answers %.1f, acks %.1f, beats %.1f",
			c.nodes, c.together, 100*c.loss, all.at(0.5).Round(time.Millisecond), all.at(1).Round(time.Millisecond),
			float64(checked)/each, float64(settled)/each, float64(sent.Broadcasts[wire.TypeHello])/each,
			float64(sent.Unicasts[wire.TypeAnswer])/each, float64(sent.Unicasts[wire.TypeAck])/each,
			float64(sent.Broadcasts[wire.TypeBeat])/each)
	}
}

// Of devices that start together each checks little more than the four datagrams that two take to meet (P9a).
func TestMeetingIsCheap(t *testing.T) {
	t.Parallel()
	const nodes = 12
	m := meet(t, nodes, 0, 10*time.Millisecond, 1)
	if each := m.settled / nodes; each > 3*nodes || m.met > 50*time.Millisecond {
		t.Errorf("%d devices met after %v and checked %d datagrams each", nodes, m.met, each)
	}
}
