package sim

import (
	"testing"
	"time"

	"bcast/chat"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

// TestLoss is `scripts/sim loss`: ten devices on a wire, one of which says fifty posts a second, while the link loses
// nothing, then a tenth, then 30 %, as bench/run does it with real ones. So what is measured holds from the first post on,
// whatever was believed of the link.
func TestLoss(t *testing.T) {
	if !*longFlag {
		t.Skip("run by scripts/sim loss")
	}
	losses := []float64{0, 0.1, 0.3}
	phases := make([]phase, len(losses))
	for i := range phases {
		phases[i].count = newCount()
	}
	const seeds = 5
	for seed := range uint64(seeds) {
		for i, p := range losing(t, losses, seed+1, 10*time.Second) {
			phases[i].all = append(phases[i].all, p.all...)
			phases[i].worst += p.worst / seeds
			phases[i].count.add(&p.count)
		}
	}
	for i, p := range phases {
		of := func(n int) float64 { return float64(n) / float64(p.count.Posts) }
		report(t, "%.0f %% loss: %v, p99 of the worst receiver %v; a post: %.0f bytes in %.2f datagrams, of them "+
			"records %.2f, heads %.2f, wants %.2f, answers %.2f",
			100*losses[i], p.all, p.worst.Round(10*time.Microsecond), of(p.count.Bytes), of(p.count.Sent),
			of(p.count.Broadcasts[wire.TypeRecord]), of(p.count.Broadcasts[wire.TypeHead]),
			of(p.count.Unicasts[wire.TypeWant]), of(p.count.Unicasts[wire.TypeRecord]))
	}
}

// phase is what was measured while a link lost so much.
type phase struct {
	all   latencies
	worst time.Duration // the 99th percentile of the receiver of whom it is highest
	count Count
}

// losing measures one link that loses so much, one after the other, each for so long.
func losing(t *testing.T, losses []float64, seed uint64, each time.Duration) []phase {
	const rest, pause = 3 * time.Second, 20 * time.Millisecond
	opt := steady(10)
	opt.Seed, opt.Posts, opt.Delay = seed, 0, 200*time.Microsecond
	begin := opt.Together + warmUp
	opt.Duration = begin + time.Duration(len(losses))*(each+rest)
	w := newWorld(opt)
	phases := make([]phase, len(losses))
	receivers := make([]map[*node]latencies, len(losses))
	now := func() int { return min(int((w.now-begin)/(each+rest)), len(losses)-1) }
	w.watch = func(n *node, e engine.Event) {
		if e.Kind != engine.RoomEvent || e.Chat.Kind != chat.Posted || w.check.expected[e.Chat.Record.ID] == nil {
			return
		}
		d := w.now - w.check.expected[e.Chat.Record.ID].said
		phases[now()].all = append(phases[now()].all, d)
		receivers[now()][n] = append(receivers[now()][n], d)
	}
	for i, loss := range losses {
		start := begin + time.Duration(i)*(each+rest)
		receivers[i] = map[*node]latencies{}
		w.at(start, func() { w.opt.Loss, w.count = loss, newCount() })
		for at := start; at < start+each; at += pause {
			w.at(at, func() { w.nodes[0].say("two hundred bytes of text, or nearly so", false) })
		}
		w.at(start+each+rest-1, func() { phases[i].count = w.count })
	}
	if r := w.run(); r.Err != nil {
		t.Fatal(r.Err)
	}
	for i := range phases {
		for _, l := range receivers[i] {
			phases[i].worst = max(phases[i].worst, l.at(0.99))
		}
	}
	return phases
}

// A steady author's posts are shown soon at 10 % loss, from the first one that is lost on.
func TestLossIsShort(t *testing.T) {
	t.Parallel()
	if p := losing(t, []float64{0.1}, 1, 3*time.Second)[0]; p.all.at(0.99) > 10*time.Millisecond || p.worst > 30*time.Millisecond {
		t.Errorf("%v, p99 of the worst receiver %v", p.all, p.worst)
	}
}
