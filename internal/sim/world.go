package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// lobby is the room that all are in, on every segment.
const lobby identity.RoomName = "lobby"

// lobbySecret is the secret of that room where it is private.
var lobbySecret = seal.Secret{1}

// world is one run.
type world struct {
	opt        Options
	rng        *rand.Rand
	now        time.Duration
	queue      queue
	segments   []*segment
	numbers    map[netip.AddrPort]int
	nodes      []*node
	signatures *signatures
	check      *checker
	outsider   *outsider
	trace      uint64
	spare      *engine.Output // for whoever settles next
	count      Count
	err        error
	tamper     func(*node, *engine.Output) // what a test breaks on purpose
	watch      func(*node, engine.Event)   // what a test wants to see
	story      []string                    // faults, for who looks into one run
}

// Count is what happened in a run.
type Count struct {
	Events                      int
	Sent, Bytes, Received, Lost int           // datagrams
	Air                         time.Duration // what all that was sent took, were the link a radio
	Presence                    int           // received of presence: each is a signature to check
	Streams, Broken             int           // dialled, and of these cut off or refused
	Posts, Faults, Hostile      int
	Forks                       int            // feeds that copies of one device went on with, shown alike in the end
	Owed, Missing               int            // pairs of a post and a member: to be there in the end, and not there
	Kinds                       map[string]int // of faults
	Drops                       map[wire.Drop]int
	Broadcasts, Unicasts        map[wire.Type]int
	NodeTime                    time.Duration // of all processes together
}

func newCount() Count {
	return Count{
		Kinds: map[string]int{}, Drops: map[wire.Drop]int{}, Broadcasts: map[wire.Type]int{}, Unicasts: map[wire.Type]int{},
	}
}

// add sums up.
func (c *Count) add(o *Count) {
	c.Events += o.Events
	c.Sent, c.Bytes, c.Received, c.Lost = c.Sent+o.Sent, c.Bytes+o.Bytes, c.Received+o.Received, c.Lost+o.Lost
	c.Presence, c.Air = c.Presence+o.Presence, c.Air+o.Air
	c.Streams, c.Broken = c.Streams+o.Streams, c.Broken+o.Broken
	c.Posts, c.Faults, c.Hostile = c.Posts+o.Posts, c.Faults+o.Faults, c.Hostile+o.Hostile
	c.Owed, c.Missing, c.Forks = c.Owed+o.Owed, c.Missing+o.Missing, c.Forks+o.Forks
	c.NodeTime += o.NodeTime
	addEach(c.Kinds, o.Kinds)
	addEach(c.Drops, o.Drops)
	addEach(c.Broadcasts, o.Broadcasts)
	addEach(c.Unicasts, o.Unicasts)
}

func addEach[K comparable](sum, more map[K]int) {
	for k, n := range more {
		sum[k] += n
	}
}

// Result is what a run showed.
type Result struct {
	Options   Options
	Count     Count
	Trace     uint64
	Time      time.Duration // how far it came
	Converged time.Duration // from the heal until all members were level
	Latency   latencies
	Story     []string
	Err       error // the first violation
}

// Run simulates what the options ask for.
func Run(opt Options) Result { return newWorld(opt).run() }

func newWorld(opt Options) *world {
	w := &world{
		opt: opt, rng: rand.New(rand.NewChaCha8(seedOf(opt.Seed, "world"))),
		signatures: &signatures{real: opt.Verify, known: map[signature]bool{}}, count: newCount(),
		numbers: map[netip.AddrPort]int{},
	}
	w.check = newChecker(w)
	for i := range 2 {
		s := &segment{index: i, at: map[netip.AddrPort]*nic{}, gateway: w.networkID()}
		s.beacon = time.Duration(w.rng.Int64N(int64(max(opt.DTIM, 1))))
		w.segments = append(w.segments, s)
	}
	keys := rand.NewChaCha8(seedOf(opt.Seed, "keys"))
	for i := range opt.Nodes {
		w.add(i, keys)
	}
	return w
}

// add makes a device. The last Small ones have short receive buffers; one in five has a clock that is off.
func (w *world) add(i int, keys *rand.ChaCha8) {
	key, err := identity.NewKey(keys)
	if err != nil {
		panic(err) // ChaCha8 does not fail
	}
	n := &node{w: w, index: i, key: key, nick: identity.Nick(fmt.Sprintf("n%d", i)), buffer: 65535}
	n.disk = newDisk(w.rng.IntN(2) == 0)
	n.rooms = []identity.RoomName{lobby}
	n.keys = engine.Keys{Secret: lobbySecret}
	if i >= w.opt.Nodes-w.opt.Small {
		n.buffer = 600
	}
	if w.opt.Clocks || w.rng.IntN(5) == 0 {
		n.clock = w.anyClock()
	}
	if w.opt.Retain > 0 && i%2 == 0 {
		n.keep.Count = w.opt.Retain/2 + w.rng.IntN(w.opt.Retain)
	}
	if i == w.opt.Nodes-1 {
		n.deaf = w.opt.Deaf
	}
	ports, mtu := 1, 1500
	if i%3 == 0 {
		ports = max(ports, w.opt.Ports)
	}
	if len(w.opt.MTUs) > 0 {
		mtu = w.opt.MTUs[w.rng.IntN(len(w.opt.MTUs))]
	}
	for p := range ports {
		c := &nic{node: n, index: p + 1, mtu: mtu, deaf: n.deaf}
		n.nics = append(n.nics, c)
		w.attach(c, w.home(n))
		w.families(c)
	}
	if i > 0 && i <= w.opt.Insiders {
		n.insider = newInsider(n)
	}
	w.nodes = append(w.nodes, n)
}

// home is the segment that a node belongs to: a few strangers live on the second one.
func (w *world) home(n *node) *segment {
	if w.opt.Strangers && w.opt.Nodes >= strangersFrom && n.index%strangersEach == 1 {
		return w.segments[1]
	}
	return w.segments[0]
}

// One in strangersEach lives on the second segment, if there are at least strangersFrom.
const (
	strangersFrom = 5
	strangersEach = 5
)

// number is the number of an address: every receiver of a datagram counts by it.
func (w *world) number(a netip.AddrPort) int {
	n, known := w.numbers[a]
	if !known {
		n = len(w.numbers)
		w.numbers[a] = n
	}
	return n
}

func (w *world) networkID() (id engine.NetworkID) {
	binary.BigEndian.PutUint64(id[:], w.rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], w.rng.Uint64())
	return id
}

// at plans a call of the world.
func (w *world) at(t time.Duration, f func()) { w.queue.push(event{at: t, call: f}) }

// after plans a call after a while.
func (w *world) after(d time.Duration, f func()) { w.at(w.now+d, f) }

// below draws a time from [0, d).
func (w *world) below(d time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(max(d, 1))))
}

// tell adds a line to the story of the run.
func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf("%12v ", w.now.Round(time.Microsecond))+fmt.Sprintf(format, args...))
}

// violate ends the run: a checker found what must not be.
func (w *world) violate(rule, format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%s violated at %v: %s\n  %v", rule, w.now, fmt.Sprintf(format, args...), w.opt)
	}
}

func (w *world) run() (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = w.result(fmt.Errorf("I10 violated at %v: panic: %v\n  %v\n%s", w.now, p, w.opt, debug.Stack()))
		}
	}()
	w.plan()
	w.until(w.opt.Duration)
	if w.err == nil {
		w.check.all()
		w.check.repairs()
	}
	w.check.count()
	return w.result(w.err)
}

// until goes from event to event.
func (w *world) until(end time.Duration) {
	for w.err == nil {
		e, ok := w.queue.pop()
		if !ok || e.at > end {
			if ok {
				w.queue.push(e)
			}
			w.now = end
			return
		}
		w.now = e.at
		w.count.Events++
		if e.node != nil {
			e.node.take(&e)
		} else {
			e.call()
		}
	}
}

func (w *world) result(err error) Result {
	for _, n := range w.nodes {
		if n.engine != nil {
			w.count.NodeTime += w.now - n.since
		}
	}
	return Result{
		Options: w.opt, Count: w.count, Trace: w.trace, Time: w.now, Converged: w.check.converged, Latency: w.check.latency,
		Story: w.story, Err: err,
	}
}
