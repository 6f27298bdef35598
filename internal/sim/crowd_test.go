//go:build linux

package sim

import (
	"cmp"
	"flag"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"bcast/discovery"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

var (
	crowdFlag   = flag.Int("sim.crowd", 0, "have so many devices come together and be idle")
	membersFlag = flag.Int("sim.members", 0, "how many of a crowd are in the room; 0: all")
	withinFlag  = flag.Duration("sim.within", 0, "within which a crowd comes; 0: a hundred devices a second")
	idleFlag    = flag.Duration("sim.idle", 5*time.Minute, "how long a crowd is idle")
	largeFlag   = flag.Int("sim.large", 0, "GiB of memory to be had in large pages")
)

// TestCrowd is `scripts/sim crowd N`: what so many devices on one wire, all or some of them in one room, cost.
func TestCrowd(t *testing.T) {
	if *crowdFlag == 0 {
		t.Skip("run by scripts/sim crowd N")
	}
	nodes := *crowdFlag
	members := cmp.Or(*membersFlag, nodes)
	askLargePages(t, *largeFlag)
	opt := steady(nodes)
	opt.Posts, opt.Together = 0, cmp.Or(*withinFlag, max(time.Second, time.Duration(nodes)*10*time.Millisecond))
	settled := opt.Together + 2*time.Minute
	opt.Duration = settled + *idleFlag
	w := newWorld(opt)
	for _, n := range w.nodes[members:] {
		n.left()
	}
	pairs, met := 0, time.Duration(0)
	w.watch = func(_ *node, e engine.Event) {
		if e.Kind == engine.PeerEvent && e.Peer.Status == discovery.Here && e.Peer.FirstSeen == e.Peer.LastSeen {
			pairs, met = pairs+1, w.now
		}
	}
	began := spent()
	var level time.Duration
	var early int // datagrams until then
	var look func()
	look = func() {
		if w.now > opt.Together {
			if f, _, _ := w.check.apart(0); f == nil {
				level, early = w.now, w.count.Sent
				return
			}
		}
		t.Logf("at %v %d pairs met, %v of CPU", w.now, pairs, (spent() - began).Round(time.Second))
		w.after(time.Second, look)
	}
	w.at(time.Second, look)
	var coming Count
	var came time.Duration
	w.at(settled, func() {
		coming, w.count = w.count, newCount()
		came = spent() - began
	})
	r := w.run()
	if r.Err != nil {
		t.Error(r.Err)
	}
	idle, idled := (opt.Duration - settled).Seconds(), spent()-began-came
	report(t, "%d devices, %d in the room, started within %v: %d pairs met, the last after %v, all level after %v; %d "+
		"datagrams sent, %d received; %v of CPU", nodes, members, opt.Together, pairs, met.Round(time.Millisecond),
		level.Round(time.Millisecond), coming.Sent, coming.Received, came.Round(time.Millisecond))
	report(t, "until all were level %.0f datagrams a second together, %.0f a device; until 2m later broadcast %v, unicast "+
		"%v; trace %x", float64(early)/max(level.Seconds(), 1), float64(early)/float64(nodes), coming.Broadcasts,
		coming.Unicasts, r.Trace)
	digests := float64(r.Count.Broadcasts[wire.TypeDigest]+r.Count.Unicasts[wire.TypeDigest]) / idle
	report(t, "then idle: %.2f datagrams a second together, of them beats %.2f, digests %.2f; %v of CPU a simulated hour and "+
		"device; broadcast %v, unicast %v", float64(r.Count.Sent)/idle, float64(r.Count.Broadcasts[wire.TypeBeat])/idle,
		digests, time.Duration(float64(idled)*3600/idle/float64(nodes)).Round(time.Millisecond),
		r.Count.Broadcasts, r.Count.Unicasts)
	with := heap()
	devices := w.nodes
	w.nodes = nil
	for _, n := range devices {
		n.engine = nil
	}
	engines := float64(with - heap())
	report(t, "memory: %.0f MB, of them engines %.0f, in each for a peer, what it said in the room and told of others "+
		"included, %.0f bytes", float64(with)/1e6, engines/1e6, engines/float64(nodes)/float64(nodes-1))
	runtime.KeepAlive(w)
}

// askLargePages has the next so many GiB of heap be in large pages, if the system has them for who asks. What a crowd's
// devices know is spread over more memory than a processor has addresses of small pages at hand.
func askLargePages(t *testing.T, gib int) {
	if gib == 0 {
		return
	}
	if err := syscall.Madvise(make([]byte, gib<<30), syscall.MADV_HUGEPAGE); err != nil {
		t.Logf("no large pages: %v", err)
	}
	debug.FreeOSMemory() // given back, it stays marked
}

// spent is the processor time that this process took.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
