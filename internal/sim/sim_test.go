package sim

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What scripts/sim asks for.
var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed alone and tell its story")
	seedsFlag = flag.Int("sim.seeds", 0, "run this many seeds at full length")
	fromFlag  = flag.Uint64("sim.from", 1, "the first of them")
	longFlag  = flag.Bool("sim.long", false, "run the long measurements")
)

// Liveness as the project promises it: of all pairs of a post and a member, in times without faults.
const (
	soon      = 3 * time.Second
	soonShare = 0.999
)

// brief shortens a run to a minute with half a minute of faults.
func brief(o Options) Options {
	o.Duration, o.Heal = time.Minute, 30*time.Second
	o.Faults /= 6
	o.Together = min(o.Together, 5*time.Second)
	o.Nodes = min(o.Nodes, 12)
	o.Small = min(o.Small, 3)
	o.Posts = max(o.Posts, 0.5)
	return o
}

// Some short seeds with every test run; the gate runs many long ones.
func TestSeeds(t *testing.T) {
	for seed := range uint64(12) {
		if r := Run(brief(Draw(seed))); r.Err != nil {
			t.Errorf("brief %v", r.Err)
		}
	}
}

// The same seed gives the same trace, another seed another one.
func TestSameSeedSameTrace(t *testing.T) {
	traces := map[uint64]bool{}
	for seed := range uint64(4) {
		opt := brief(Draw(seed))
		a, b := Run(opt), Run(opt)
		if a.Trace != b.Trace || a.Count.Sent != b.Count.Sent || a.Count.Sent == 0 {
			t.Errorf("seed %d: %016x after %d datagrams, then %016x after %d",
				seed, a.Trace, a.Count.Sent, b.Trace, b.Count.Sent)
		}
		traces[a.Trace] = true
	}
	if len(traces) != 4 {
		t.Errorf("4 seeds, %d traces", len(traces))
	}
}

// TestSeed is `scripts/sim seed N`.
func TestSeed(t *testing.T) {
	if *seedFlag == 0 {
		t.Skip("run by scripts/sim seed N")
	}
	start := time.Now()
	r := Run(Draw(*seedFlag))
	took := time.Since(start)
	t.Logf("%v\n%s", r.Options, strings.Join(r.Story, "\n"))
	c := r.Count
	t.Logf("%d datagrams (%d B) sent, %d received, %d lost, %d posts, %d faults\nbroadcast %v\nunicast %v\ndropped %v",
		c.Sent, c.Bytes, c.Received, c.Lost, c.Posts, c.Faults, c.Broadcasts, c.Unicasts, c.Drops)
	report(t, "seed %d: trace %016x, level %v after the heal, %v; %.2f node-hours in %v",
		*seedFlag, r.Trace, r.Converged, r.Latency, c.NodeTime.Hours(), took.Round(time.Millisecond))
	if again := Run(Draw(*seedFlag)); again.Trace != r.Trace {
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

// sum is what many runs together showed.
type sum struct {
	mu       sync.Mutex
	nodeTime time.Duration
	latency  latencies
	worst    Result
	failed   int
}

func (s *sum) add(t *testing.T, r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodeTime += r.Count.NodeTime
	s.latency = append(s.latency, r.Latency...)
	if r.Options.Faults > 0 && r.Converged > s.worst.Converged {
		s.worst = r
	}
	if r.Err != nil {
		s.failed++
		t.Errorf("%v\n  replay: scripts/sim seed %d", r.Err, r.Options.Seed)
	}
}

// twiceEach: one seed in so many is run twice by the gate, to compare the traces.
const twiceEach = 50

// TestGate is `scripts/sim gate`: many seeds at full length on all cores.
func TestGate(t *testing.T) {
	if *seedsFlag == 0 {
		t.Skip("run by scripts/sim gate")
	}
	var s sum
	var next atomic.Uint64
	next.Store(*fromFlag)
	start := time.Now()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1) - 1; seed < *fromFlag+uint64(*seedsFlag); seed = next.Add(1) - 1 {
				r := Run(Draw(seed))
				s.add(t, r)
				if seed%twiceEach == 0 && Run(Draw(seed)).Trace != r.Trace {
					t.Errorf("I10 violated: two runs of seed %d have different traces", seed)
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(start)
	perCore := s.nodeTime.Hours() / took.Seconds() / float64(runtime.GOMAXPROCS(0))
	report(t, "%d seeds, %d failed, %.0f node-hours in %v (%.2f a core-second); "+
		"level at worst %v after the heal (seed %d); %v", *seedsFlag, s.failed, s.nodeTime.Hours(), took.Round(time.Second), perCore, s.worst.Converged, s.worst.Options.Seed,
		s.latency)
	if late := s.latency.late(soon); float64(late) > (1-soonShare)*float64(len(s.latency)) {
		t.Errorf("L1 violated: %d of %d pairs took longer than %v", late, len(s.latency), soon)
	}
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
