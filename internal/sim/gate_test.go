package sim

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// trial is one run of a gate.
type trial struct {
	seed  uint64
	nodes int           // 0: as many as the seed draws
	time  time.Duration // 0: as long as all
}

// crowds are the runs of many devices. They come first: they take longest.
func crowds(from uint64) []trial {
	jobs := []trial{{from, 500, 5 * time.Minute}}
	for i := range uint64(5) {
		jobs = append(jobs, trial{from + i, 200, crowdTime})
	}
	return jobs
}

// crowdTime is how long two hundred devices run: most of the work is in the first minute, when all come.
const crowdTime = 3 * time.Minute

func (j trial) options() Options {
	o := draw(j.seed)
	if j.nodes > 0 {
		o.crowd(j.nodes)
	}
	if j.time > 0 {
		o.Duration, o.Heal = j.time, j.time*2/3
	}
	return o
}

// replay is how to run it again alone.
func (j trial) replay() string {
	s := fmt.Sprintf("scripts/sim seed %d", j.seed)
	if *nameFlag != "" {
		s += fmt.Sprintf(" -sim.profile=%q", *nameFlag)
	}
	if j.nodes > 0 {
		s += fmt.Sprintf(" -sim.nodes=%d", j.nodes)
	}
	if j.time > 0 {
		s += fmt.Sprintf(" -sim.time=%v", j.time)
	}
	if *briefFlag {
		s += " -sim.brief"
	}
	return s
}

// sum is what many runs together showed.
type sum struct {
	mu       sync.Mutex
	runs     int
	count    Count
	time     time.Duration // simulated
	latency  latencies
	worst    Result
	failed   int
	violated map[string]int // runs that ended by a violation of a rule
}

func (s *sum) add(t *testing.T, j trial, r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.count.add(&r.Count)
	s.time += r.Time
	if r.Options.plain() {
		s.latency = append(s.latency, r.Latency...)
	}
	if r.Options.Faults > 0 && r.Converged > s.worst.Converged {
		s.worst = r
	}
	if r.Err != nil {
		s.failed++
		rule, _, _ := strings.Cut(r.Err.Error(), " ")
		s.violated[rule]++
		t.Errorf("%v\n  replay: %s", r.Err, j.replay())
	}
}

// tell reports all of it: the figures of RESULTS.md.
func (s *sum) tell(t *testing.T, took time.Duration) {
	c := &s.count
	perCore := c.NodeTime.Hours() / took.Seconds() / float64(runtime.GOMAXPROCS(0))
	report(t, "%d runs, %d failed, %.1f simulated hours, %.0f node-hours in %v (%.2f a core-second)", s.runs, s.failed,
		s.time.Hours(), c.NodeTime.Hours(), took.Round(time.Second), perCore)
	report(t, "%d events, %d datagrams sent, %d received, %d lost on the way; %d streams dialled, %d of them broken",
		c.Events, c.Sent, c.Received, c.Lost, c.Streams, c.Broken)
	report(t, "%d posts said; %d (post, member) pairs owed: %d lost, %d doubled, %d forged; %d forked feeds shown alike", c.Posts,
		c.Owed, c.Missing, s.violated["I3"], s.violated["I2"], c.Forks)
	report(t, "level at worst %v after the heal (seed %d); %v", s.worst.Converged, s.worst.Options.Seed, s.latency)
	faults := 0
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(c.Kinds)) {
		faults += c.Kinds[kind]
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, c.Kinds[kind]))
	}
	report(t, "%d hostile acts; %d faults: %s", c.Hostile, faults, strings.Join(kinds, ", "))
}

// twiceEach: one seed in so many is run twice by the gate, to compare the traces.
const twiceEach = 50

// TestGate is `scripts/sim gate` and `scripts/sim long`: many seeds at full length on all cores.
func TestGate(t *testing.T) {
	if *seedsFlag == 0 {
		t.Skip("run by scripts/sim gate")
	}
	var jobs []trial
	if *crowdsFlag {
		jobs = crowds(*fromFlag)
	}
	for i := range uint64(*seedsFlag) {
		jobs = append(jobs, trial{*fromFlag + i, *nodesFlag, *timeFlag})
	}
	s := sum{count: newCount(), violated: map[string]int{}}
	start := time.Now()
	next := make(chan trial)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range next {
				r := Run(j.options())
				s.add(t, j, r)
				if j.nodes == 0 && j.seed%twiceEach == 0 && Run(j.options()).Trace != r.Trace {
					t.Errorf("I10 violated: two runs of seed %d have different traces", j.seed)
				}
			}
		})
	}
	for i, j := range jobs {
		if i > 0 && *progressFlag > 0 && i%*progressFlag == 0 {
			s.mu.Lock()
			s.tell(t, time.Since(start))
			s.mu.Unlock()
			report(t, "after a break go on from seed %d", j.seed-uint64(runtime.GOMAXPROCS(0)))
		}
		next <- j
	}
	close(next)
	workers.Wait()
	s.tell(t, time.Since(start))
	if late := s.latency.late(soon); float64(late) > (1-soonShare)*float64(len(s.latency)) {
		t.Errorf("L1 violated: %d of %d pairs took longer than %v", late, len(s.latency), soon)
	}
}
