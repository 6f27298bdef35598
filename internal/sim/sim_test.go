package sim

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	_ "bcast/internal/fuzztest" // collects less
)

// What scripts/sim asks for.
var (
	seedFlag     = flag.Uint64("sim.seed", 0, "run this seed alone and tell its story")
	seedsFlag    = flag.Int("sim.seeds", 0, "run this many seeds at full length")
	fromFlag     = flag.Uint64("sim.from", 1, "the first of them")
	nodesFlag    = flag.Int("sim.nodes", 0, "have every seed be of so many devices")
	timeFlag     = flag.Duration("sim.time", 0, "and so long, two thirds of it with faults")
	nameFlag     = flag.String("sim.profile", "", "have every seed be of that scenario alone")
	crowdsFlag   = flag.Bool("sim.crowds", false, "and before them those of 200 and 500 devices")
	progressFlag = flag.Int("sim.progress", 0, "tell how it stands each time that so many seeds are begun")
	briefFlag    = flag.Bool("sim.brief", false, "run seeds as short as TestSeeds does")
	longFlag     = flag.Bool("sim.long", false, "run the long measurements")
)

// Liveness as the project promises it: of all pairs of a post and a member, in times without faults.
const (
	soon      = 3 * time.Second
	soonShare = 0.999
)

// calmEach: one brief run in so many is without faults and lively, and all its posts are timed.
const calmEach = 5

// brief shortens a run to half a minute of faults and the time in which all must be level after it. Where devices give up
// what is old, more is said for longer.
func brief(o Options) Options {
	o.Heal = 30 * time.Second
	if o.Retain > 0 {
		o.Heal, o.Posts, o.Retain = 2*time.Minute, max(o.Posts, 2), min(o.Retain, 20)
	}
	o.Duration = o.Heal + convergence + quiet
	o.Faults /= 12
	o.Together = min(o.Together, 5*time.Second)
	o.Nodes = min(o.Nodes, 12)
	o.Small = min(o.Small, 3)
	o.Posts = max(o.Posts, 0.3)
	if o.Seed%calmEach == 0 {
		o.Faults, o.Posts = 0, max(o.Posts, 2)
	}
	return o
}

// draw is what a seed asks for, at the length that is asked for.
func draw(seed uint64) Options {
	o := Draw(seed)
	if *nameFlag != "" {
		o.Profiles = nil
		if o.Faults, o.Only = 0, nil; !o.With(*nameFlag) {
			panic("no scenario is called " + *nameFlag)
		}
	}
	if *briefFlag {
		o = brief(o)
	}
	return o
}

// Some short seeds with every test run, of few devices or little said: calm and with faults, on wire and Wi-Fi, with
// bursts and black holes; the gate runs many long ones. The same seed gives the same trace, another seed another one.
func TestSeeds(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, 4, 5, 8}
	traces := map[uint64]bool{}
	for _, seed := range seeds {
		r := Run(brief(Draw(seed)))
		if r.Err != nil {
			t.Errorf("brief %v", r.Err)
		}
		traces[r.Trace] = true
	}
	if len(traces) != len(seeds) {
		t.Errorf("%d seeds, %d traces", len(seeds), len(traces))
	}
	if again := Run(brief(Draw(seeds[1]))); !traces[again.Trace] || again.Count.Sent == 0 {
		t.Errorf("seed %d: the second run has another trace: %016x", seeds[1], again.Trace)
	}
}

// TestSeed is `scripts/sim seed N`.
func TestSeed(t *testing.T) {
	if *seedFlag == 0 {
		t.Skip("run by scripts/sim seed N")
	}
	opt := trial{*seedFlag, *nodesFlag, *timeFlag}.options()
	start := time.Now()
	r := Run(opt)
	took := time.Since(start)
	t.Logf("%v\n%s", r.Options, strings.Join(r.Story, "\n"))
	c := r.Count
	t.Logf("%d datagrams (%d B) sent, %d received, %d lost, %d posts, %d faults\nbroadcast %v\nunicast %v\ndropped %v",
		c.Sent, c.Bytes, c.Received, c.Lost, c.Posts, c.Faults, c.Broadcasts, c.Unicasts, c.Drops)
	report(t, "seed %d: trace %016x, level %v after the heal, %v; %.2f node-hours in %v",
		*seedFlag, r.Trace, r.Converged, r.Latency, c.NodeTime.Hours(), took.Round(time.Millisecond))
	if again := Run(opt); again.Trace != r.Trace {
		t.Errorf("the second run has another trace: %016x", again.Trace)
	}
	if r.Err != nil {
		t.Error(r.Err)
	}
}

// report writes a line that scripts/sim shows.
func report(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Log("sim: " + fmt.Sprintf(format, args...))
}

// TestQueueOrder: what is planned for one moment happens in the order in which it was planned.
func TestQueueOrder(t *testing.T) {
	var q queue
	var got []int
	for i := range 1000 {
		q.push(event{at: time.Duration(i * 7919 % 100), call: func() { got = append(got, i) }})
	}
	for {
		e, ok := q.pop()
		if !ok {
			break
		}
		e.call()
	}
	ordered := slices.IsSortedFunc(got, func(a, b int) int {
		if x, y := a*7919%100, b*7919%100; x != y {
			return x - y
		}
		return a - b
	})
	if !ordered || len(got) != 1000 {
		t.Errorf("%d events, in order: %v", len(got), ordered)
	}
}

// TestPlanted is `scripts/sim planted`: the core has a bug, and a seed finds it.
func TestPlanted(t *testing.T) {
	if *seedsFlag == 0 {
		t.Skip("run by scripts/sim planted")
	}
	for seed := *fromFlag; seed < *fromFlag+uint64(*seedsFlag); seed++ {
		r := Run(draw(seed))
		if r.Err == nil && Run(draw(seed)).Trace != r.Trace {
			r.Err = errors.New("I10 violated")
		}
		if r.Err != nil {
			rule, _, _ := strings.Cut(r.Err.Error(), " ")
			report(t, "found by %s after %d seeds", rule, seed-*fromFlag+1)
			return
		}
	}
	t.Errorf("not found by %d seeds", *seedsFlag)
}
