package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bcast/discovery"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

// "Discovery traffic of the whole subnet stays flat however many join": ten idle devices send at most 3 datagrams a
// second together after half a minute. "A crash is seen within 5 s (N ≤ 32, no loss), 8 s at 30 %": by everybody,
// whenever it happens. Crowds of 32 and 50 are for `scripts/sim gate`: to meet costs N², and discovery alone has them.
func TestIdleCrowd(t *testing.T) {
	crowds := []struct {
		nodes int
		loss  float64
		most  float64 // datagrams a second of all together
		seen  time.Duration
	}{
		{2, 0, 1, 5 * time.Second}, {10, 0, 3, 5 * time.Second}, {10, 0.3, 20, 8 * time.Second}, {32, 0, 9, 5 * time.Second},
		{50, 0, 9, 8 * time.Second},
	}
	if !*longFlag {
		crowds = crowds[:3]
	}
	for _, c := range crowds {
		t.Run(fmt.Sprintf("%d devices, %.0f %% loss", c.nodes, 100*c.loss), func(t *testing.T) {
			t.Parallel()
			rate, seen := idle(t, c.nodes, c.loss)
			report(t, "%d idle devices send %.2f datagrams a second; all see a crash after %v", c.nodes, rate, seen)
			if rate > c.most || seen > c.seen {
				t.Errorf("want at most %.0f datagrams a second and %v", c.most, c.seen)
			}
		})
	}
}

// idle has devices come together, counts what they send a second of the next half minute, and has one crash then.
func idle(t *testing.T, nodes int, loss float64) (rate float64, last time.Duration) {
	t.Helper()
	const from, to = 30 * time.Second, 60 * time.Second
	opt := steady(nodes)
	opt.Loss, opt.Posts, opt.Duration = loss, 0, to+15*time.Second
	w := newWorld(opt)
	before, sent := 0, 0
	w.at(from, func() { before = w.count.Sent })
	w.at(to, func() { sent = w.count.Sent - before })
	victim := w.nodes[1]
	crashed, seen := to+w.below(4*time.Second), map[*node]bool{}
	w.at(crashed, victim.kill)
	w.watch = func(n *node, e engine.Event) {
		if e.Kind == engine.PeerEvent && e.Peer.ID == victim.key.ID() && e.Peer.Status == discovery.Lost {
			seen[n], last = true, w.now-crashed
		}
	}
	if r := w.run(); r.Err != nil {
		t.Fatal(r.Err)
	}
	if neighbours := len(victim.nics[0].segment.nics) - 1; len(seen) != neighbours {
		t.Errorf("%d of %d saw the crash", len(seen), neighbours)
	}
	return float64(sent) / (to - from).Seconds(), last
}

// A device moved to strangers hands over nothing, and its carrier back it is in its old conversation within a second
// or two, by its neighbours alone: no gateway is known.
func TestMovedAndBack(t *testing.T) {
	opt := steady(10)
	opt.Strangers = true
	w := newWorld(opt)
	n := w.nodes[0]
	c := n.nics[0]
	w.at(20*time.Second, func() { w.relocate(c, w.segments[1]) })
	w.at(30*time.Second, func() { w.relocate(c, w.segments[0]) })
	var before, after int
	stored := func() (records int) {
		for _, f := range w.check.order {
			if f.home == w.segments[0] && f.author != n {
				records += int(w.check.high(n, f))
			}
		}
		return records
	}
	w.at(20*time.Second-1, func() { before = stored() })
	w.at(32*time.Second, func() { after = stored() })
	if r := w.run(); r.Err != nil {
		t.Fatal(r.Err)
	}
	if before == 0 || after < before {
		t.Errorf("%d records of others before, %d two seconds after the return", before, after)
	}
}

// Resumed after a suspended process: level within 2 s.
func TestResumedIsLevel(t *testing.T) {
	opt := steady(5)
	w := newWorld(opt)
	n := w.nodes[0]
	w.at(15*time.Second, func() { n.asleep = true })
	w.at(35*time.Second, n.wake)
	w.at(37*time.Second, func() {
		if f, m, _ := w.check.apart(35 * time.Second); f != nil {
			t.Errorf("%v is not level 2 s after %v resumed", m, n)
		}
	})
	if r := w.run(); r.Err != nil {
		t.Fatal(r.Err)
	}
}

// wifi is a radio link: broadcasts wait for the next beacon, and a share of them is lost in bursts.
func wifi(nodes int, bursty float64, dtim time.Duration) Options {
	opt := steady(nodes)
	opt.Wifi, opt.Bursty, opt.DTIM = true, bursty, dtim
	opt.Posts, opt.Duration, opt.Together = 0.5, 5*time.Minute, 10*time.Second
	return opt
}

// TestWifi is `scripts/sim wifi`.
func TestWifi(t *testing.T) {
	if !*longFlag {
		t.Skip("run by scripts/sim wifi")
	}
	for _, nodes := range []int{10, 100} {
		for _, link := range []struct {
			bursty float64
			dtim   time.Duration
			p50    time.Duration
			p99    time.Duration
		}{
			{0.05, 100 * time.Millisecond, 150 * time.Millisecond, 600 * time.Millisecond},
			{0.075, 200 * time.Millisecond, 150 * time.Millisecond, 600 * time.Millisecond},
			{0.1, 300 * time.Millisecond, 150 * time.Millisecond, 600 * time.Millisecond},
		} {
			w := newWorld(wifi(nodes, link.bursty, link.dtim))
			calm := w.opt.Together + warmUp
			w.at(calm, func() { w.count = newCount() })
			r := w.run()
			if r.Err != nil {
				t.Error(r.Err)
			}
			posts := time.Duration(r.Count.Posts)
			report(t, "Wi-Fi, %d devices, DTIM %v, %.1f %% lost in bursts: %v; %v of air a post, %.1f %% of all air, presence "+
				"included", nodes, link.dtim, 100*link.bursty, r.Latency, (r.Count.Air / posts).Round(100*time.Microsecond),
				100*r.Count.Air.Seconds()/(r.Options.Duration-calm).Seconds())
			if r.Latency.at(0.5) > link.p50 || r.Latency.at(0.99) > link.p99 {
				t.Errorf("want p50 ≤ %v and p99 ≤ %v", link.p50, link.p99)
			}
		}
	}
}

// TestHour is `scripts/sim hour`: ten hosts at 30 % loss, at most one falsely lost in an hour.
func TestHour(t *testing.T) {
	if !*longFlag {
		t.Skip("run by scripts/sim hour")
	}
	const hours = 5
	falsely := 0
	for seed := range uint64(hours) {
		opt := steady(10)
		opt.Seed, opt.Loss, opt.Posts, opt.Duration = seed+1, 0.3, 0, time.Hour
		w := newWorld(opt)
		w.watch = func(n *node, e engine.Event) {
			if e.Kind == engine.PeerEvent && e.Peer.Status == discovery.Lost {
				falsely++
			}
		}
		r := w.run()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		report(t, "hour %d: %d falsely lost so far, %d beats, %d probes", seed+1, falsely,
			r.Count.Broadcasts[wire.TypeBeat], r.Count.Unicasts[wire.TypeProbe])
	}
	if falsely > hours {
		t.Errorf("%d falsely lost in %d hours", falsely, hours)
	}
}

// Whom no unicast reaches is told all by broadcast, and that is within the budget too: on Wi-Fi a latecomer with a
// firewall gets a long history at 12 KB/s.
func TestFirewalledLatecomerStaysWithinBudget(t *testing.T) {
	opt := wifi(3, 0.05, 100*time.Millisecond)
	opt.Posts, opt.Largest, opt.Duration = 4, 16000, 3*time.Minute
	opt.Faults, opt.Heal = 1000*time.Hour, opt.Duration // one long fault: nobody expects to be level soon
	w := newWorld(opt)
	n := w.nodes[2]
	n.nics[0].closed = true
	w.at(20*time.Second, n.kill)
	w.at(100*time.Second, n.start)
	if r := w.run(); r.Err != nil {
		t.Error(r.Err)
	}
	if stored := len(w.check.shownOrder(n)); stored < 100 {
		t.Errorf("the latecomer has %d records", stored)
	}
}

// One member on Wi-Fi puts a room of wired ones on its budget: what they broadcast, its access point sends at the lowest
// rate. What it does not carry in time comes by unicast and stream.
func TestMixedRoomKeepsTheWifiBudget(t *testing.T) {
	opt := steady(5)
	opt.Posts, opt.Duration = 0, 30*time.Second
	opt.Faults, opt.Heal = 1000*time.Hour, opt.Duration // nobody expects posts at once
	w := newWorld(opt)
	w.nodes[4].radio = true
	const from, to = 10 * time.Second, 20 * time.Second
	sent := map[*node]int{}
	w.tamper = func(n *node, out *engine.Output) {
		for _, s := range out.Send {
			if !s.To.IsValid() && !s.Type.Presence() && w.now >= from && w.now < to {
				sent[n] += len(s.Data)
			}
		}
	}
	for at := from; at < to; at += 200 * time.Millisecond {
		w.at(at, func() { w.nodes[0].say(strings.Repeat("x", 16000), false) })
	}
	if r := w.run(); r.Err != nil {
		t.Fatal(r.Err)
	}
	for n, bytes := range sent {
		if most := int((to-from).Seconds()*wifiRate) + wifiBurst + wire.MaxDatagram; bytes > most {
			t.Errorf("%v broadcast %d bytes in %v, want at most %d", n, bytes, to-from, most)
		}
	}
	if least := int((to - from).Seconds() * wifiRate / 2); sent[w.nodes[0]] < least {
		t.Errorf("who says 80 kB a second broadcast %d bytes: nothing is measured", sent[w.nodes[0]])
	}
	for _, n := range w.nodes[1:] {
		if shown := len(w.check.shownOrder(n)); shown < 50 {
			t.Errorf("%v shows %d records", n, shown)
		}
	}
}
