// Package node runs an engine: readers that bring datagrams, a loop for what is due, a clock, a link and a store.
//
// Its invariant: whoever calls the engine has the turn, which one goroutine has at a time, and carries its Output out
// in the order of its fields before giving the turn back. It knows no socket, disk or face: it takes a Link and a
// Store, and gives facts to one function.
//
//	readers ─► inbound ─┐            (what takes long on all cores: open.go)
//	timer, Changed ─────┼─► loop ─┐
//	          keeper ───┘         ├─► turn ─► engine ─► Output ─► Link.Write, replies, OnEvent
//	readers ──────────────────────┤                       │
//	Do, View ─────────────────────┘      Stored, Loaded ◄─┴─ Store
//
// Who has the turn does the work itself: between a post and its datagram, and between that and its event where nothing
// waits, no goroutine waits for another.
package node

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// Limits of the node's queues.
const (
	// maxInbound is how many batches wait for the loop; beyond it datagrams are dropped and counted, as the kernel would.
	maxInbound = 64
	batchSize  = 128
	// maxSpare is how many batches' memory is kept for the next ones: at full speed a garbage collection would leave
	// none, and each reader grow its own anew. Of more the memory is let go.
	maxSpare = 8
	// maxCutSources is how many sources of cut datagrams are counted one by one.
	maxCutSources = 256
	// What is due is put off for what waits to be read, so often in a row and for so long each time: a flood must not keep
	// us from what is due.
	maxHeld = 8
	heldFor = time.Millisecond
	// byeTime is how long a goodbye may take.
	byeTime = time.Second
	// pruneEach is how often the store looks for what has become too old.
	pruneEach = time.Minute
)

// ErrClosed says that the node has stopped.
var ErrClosed = errors.New("the node has stopped")

// Link is the network: datagrams in and out, by interface.
type Link interface {
	// Readers are functions that wait for datagrams, fill their argument and tell how many; each is called by one
	// goroutine, which owns what it got until it calls again. They fail once the Link is closed.
	Readers() []func([]engine.Datagram) (int, error)
	// Write sends; what cannot be sent is the Link's to count.
	Write([]engine.Send)
	// Interfaces are those in use; Changed tells when they may have changed.
	Interfaces() []engine.Interface
	// Waiting tells whether something came that no Reader has taken yet, where the system tells.
	Waiting() bool
	Changed() <-chan struct{}
	// Slept is how long the host slept since the Link was opened; Changed tells when it is more.
	Slept() time.Duration
	Close() error
}

// Store keeps records. It is called by one goroutine at a time: the keeper, or, while that is idle and for what a quick
// Store keeps in memory, the loop.
type Store interface {
	// Append keeps batches in one step and tells of each which chains begin later because of it.
	Append(now time.Time, batches []record.Batch) ([][]record.Floor, error)
	Load(scope uint64, spans []record.Span, ids []record.ID) ([]record.Entry, error)
	KeepScope(record.Scope) error
	// Forget drops all of a scope.
	Forget(scope uint64) error
	// Prune gives up what is too old.
	Prune(now time.Time) (map[uint64][]record.Floor, error)
}

// Config makes a Node.
type Config struct {
	Engine engine.Config
	Link   Link
	Store  Store
	Pipe   Pipe   // nil: no streams; the engine's StreamPort is 0 then
	Right  *Right // nil: one of its own
	Log    *slog.Logger
	// OnEvent takes each fact, in order, from who has the turn: it may read the engine and must not wait.
	OnEvent func(engine.Now, *engine.Engine, engine.Event)
	// OnInterfaces is told by the loop that the interfaces changed.
	OnInterfaces func()
}

// Counters are what a node counted since it started.
type Counters struct {
	Drops     map[wire.Drop]uint64
	Sent      map[wire.Type]uint64
	Received  map[wire.Type]uint64
	SentBytes uint64
	Cuts      uint64
	CutFrom   map[netip.AddrPort]uint64
	pace      pace
}

// Pace is how fast the node sends now.
func (c *Counters) Pace(now time.Duration) Pace { return c.pace.of(now, c) }

// Node is a running participant.
type Node struct {
	cfg      Config
	engine   *engine.Engine
	start    time.Time
	opener   atomic.Pointer[engine.Opener]
	turn     chan struct{} // holds one while somebody has it
	timer    *time.Timer   // for armed
	armed    time.Duration // when the loop is woken for what is due
	resume   time.Duration // before which it does nothing that is due: the readers go first
	held     int           // how often in a row they did
	inbound  chan *arrivals
	queued   atomic.Int64 // batches in inbound or taken from it that the engine has not had yet
	parts    chan part
	spare    chan *arrivals // used, to be used again
	alone    time.Duration  // openAlone
	cores    int
	calls    chan func(engine.Now)
	piped    chan PipeEvent
	keeper   *keeper
	proofs   *signatures
	waiting  map[uint64]chan engine.Reply
	token    uint64
	counters Counters
	overflow atomic.Uint64
	own      atomic.Uint64 // came back and were not handed on, since the counters were last read
	done     chan struct{}
	closing  sync.Once
	stop     context.CancelFunc
	readers  sync.WaitGroup
}

// Start runs a participant. It returns when the first HELLO is on its way.
func Start(cfg Config) (*Node, error) {
	n := &Node{
		cfg: cfg, start: time.Now(), turn: make(chan struct{}, 1), inbound: make(chan *arrivals, maxInbound),
		calls: make(chan func(engine.Now)), spare: make(chan *arrivals, maxSpare),
		piped: make(chan PipeEvent), parts: make(chan part), alone: openAlone, cores: runtime.GOMAXPROCS(0),
		waiting: map[uint64]chan engine.Reply{}, done: make(chan struct{}),
		counters: Counters{
			Drops: map[wire.Drop]uint64{}, Sent: map[wire.Type]uint64{}, Received: map[wire.Type]uint64{},
			CutFrom: map[netip.AddrPort]uint64{},
		},
	}
	cfg.Engine.OpenInPlace = true
	n.proofs = newSignatures(cfg.Engine.Verify, cfg.Right)
	cfg.Engine.Verify, cfg.Engine.Prove = n.proofs.check, n.proofs.prove
	var err error
	if n.engine, err = engine.New(n.now(), cfg.Engine); err != nil {
		return nil, err
	}
	n.opener.Store(n.engine.Opener())
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.keeper = newKeeper(cfg.Store, cfg.Log)
	n.engine.SetInterfaces(n.now(), cfg.Link.Interfaces())
	n.timer, n.armed = time.NewTimer(0), 0
	n.settle()
	for range n.cores - 1 { // the readers open, too
		n.readers.Go(func() { n.openers(ctx) })
	}
	for _, read := range cfg.Link.Readers() {
		n.readers.Go(func() { n.read(ctx, read) })
	}
	if cfg.Pipe != nil {
		n.readers.Go(func() { n.attend(ctx) })
	}
	go n.loop(ctx)
	return n, nil
}

// now counts what the host slept, too: to the others that time passed.
func (n *Node) now() engine.Now {
	t := time.Now()
	return engine.Now{Mono: t.Sub(n.start) + n.cfg.Link.Slept(), Wall: t}
}

// loop does what nobody waits for, and what becomes due.
func (n *Node) loop(ctx context.Context) {
	defer n.end()
	prune := time.NewTicker(pruneEach)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case batch := <-n.inbound:
			n.turn <- struct{}{}
			n.receive(batch)
			n.queued.Add(-1)
		case call := <-n.calls:
			n.turn <- struct{}{}
			call(n.now())
		case ev := <-n.piped:
			n.turn <- struct{}{}
			n.stream(ev)
		case done := <-n.keeper.done:
			n.turn <- struct{}{}
			for _, tell := range done {
				tell(n.now(), n.engine)
			}
			n.keeper.told()
		case <-n.cfg.Link.Changed():
			n.turn <- struct{}{}
			n.engine.SetInterfaces(n.now(), n.cfg.Link.Interfaces())
			if n.cfg.OnInterfaces != nil {
				n.cfg.OnInterfaces()
			}
		case <-n.timer.C:
			n.turn <- struct{}{}
			n.armed = never
			n.advance()
		case <-prune.C:
			n.turn <- struct{}{}
			n.keeper.prune()
		}
		n.finish()
	}
}

// end takes the turn for good.
func (n *Node) end() {
	n.turn <- struct{}{}
	n.timer.Stop()
	close(n.done)
}

// finish carries out what the engine wants, has the loop woken when something is due next, and gives the turn back.
func (n *Node) finish() {
	n.settle()
	if due := max(n.engine.Deadline(), n.resume); due != n.armed {
		n.armed = due
		n.timer.Reset(max(due-n.now().Mono, 0))
	}
	<-n.turn
}

// never is when what is not due is due.
const never = time.Duration(math.MaxInt64)

// advance has the engine do what is due, after what has come already: it may be what would be asked for. What the
// readers have not got to they are given time for: on a busy host much may have come before we could run.
func (n *Node) advance() {
	for range len(n.inbound) {
		n.receive(<-n.inbound)
		n.queued.Add(-1)
		n.settle()
	}
	if n.held < maxHeld && n.cfg.Link.Waiting() {
		n.held++
		n.resume = n.now().Mono + heldFor
		return
	}
	n.held, n.resume = 0, 0
	n.engine.Advance(n.now())
}

// settle carries out what the engine wants until it wants nothing more.
func (n *Node) settle() {
	for {
		var out engine.Output
		n.engine.Drain(&out)
		if out.IsEmpty() {
			n.opener.Store(n.engine.Opener())
			return
		}
		n.carryOut(&out)
	}
}

func (n *Node) carryOut(out *engine.Output) {
	for _, tell := range n.keeper.take(out) {
		tell(n.now(), n.engine) // what it brings about is carried out after the rest of out
	}
	if len(out.Send) > 0 {
		n.cfg.Link.Write(out.Send)
		for _, s := range out.Send {
			n.counters.Sent[s.Type]++
			n.counters.SentBytes += uint64(len(s.Data))
		}
		n.counters.pace.roll(n.now().Mono, &n.counters)
	}
	n.pipe(out.Streams)
	for _, r := range out.Replies {
		if waiting, ok := n.waiting[r.Token]; ok {
			delete(n.waiting, r.Token)
			waiting <- r
		}
	}
	for _, e := range out.Events {
		switch e.Kind {
		case engine.CutEvent:
			n.countCut(*e.Cut)
		case engine.PeerEvent:
			n.proofs.follow(*e.Peer)
		}
		if n.cfg.OnEvent != nil {
			n.cfg.OnEvent(n.now(), n.engine, e)
		}
	}
}

func (n *Node) countCut(c engine.Cut) {
	n.counters.Cuts += uint64(c.Count)
	_, known := n.counters.CutFrom[c.From]
	if known || c.From.IsValid() && len(n.counters.CutFrom) < maxCutSources {
		n.counters.CutFrom[c.From] += uint64(c.Count)
	}
	n.cfg.Log.Warn("datagrams cut", "from", c.From, "nick", c.Nick, "received", c.Received, "size", c.Size,
		"count", c.Count)
}

// Do has the engine carry out a command and waits for the reply, until ctx or the node ends.
func (n *Node) Do(ctx context.Context, c engine.Command) (engine.Reply, error) {
	reply := make(chan engine.Reply, 1)
	err := n.call(ctx, func(now engine.Now) {
		n.token++
		n.waiting[n.token] = reply
		n.engine.Do(now, n.token, c)
	})
	if err != nil {
		return engine.Reply{}, err
	}
	select {
	case r := <-reply:
		return r, r.Err
	case <-ctx.Done():
		return engine.Reply{}, ctx.Err()
	case <-n.done:
		return engine.Reply{}, ErrClosed
	}
}

// Flush returns when the store has done what it was asked for before.
func (n *Node) Flush(ctx context.Context) error {
	done := make(chan struct{})
	flush := job{do: func() tell { close(done); return nil }}
	if err := n.call(ctx, func(engine.Now) { n.keeper.add(flush) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return ErrClosed
	}
}

// View lets look read the engine and the counters while nothing else happens. look must not wait, nor keep them.
func (n *Node) View(ctx context.Context, look func(engine.Now, *engine.Engine, Counters)) error {
	return n.call(ctx, func(now engine.Now) {
		n.counters.Drops[wire.DropOwn] += n.own.Swap(0)
		if dropped := n.overflow.Load(); dropped > 0 {
			n.counters.Drops[wire.DropQueueFull] = dropped
		}
		look(now, n.engine, n.counters)
	})
}

// call has f call the engine: at once if nobody else wants to, else by the loop, which takes all that wait in fair
// alternation. To let callers queue for the turn beside it would starve it: of what the sender of many posts is asked
// for again it would hear too late.
func (n *Node) call(ctx context.Context, f func(engine.Now)) error {
	if n.takeTurn() {
		f(n.now())
		n.finish()
		return nil
	}
	done := make(chan struct{})
	select {
	case n.calls <- func(now engine.Now) { f(now); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return ErrClosed
	}
}

// Uptime is how long the node has run.
func (n *Node) Uptime() time.Duration { return time.Since(n.start) }

// Close says goodbye, stops the loop and closes the link.
func (n *Node) Close() error {
	var err error
	n.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), byeTime)
		defer cancel()
		if _, byeErr := n.Do(ctx, engine.Bye{}); byeErr != nil {
			n.cfg.Log.Warn("left without a goodbye", "err", byeErr)
		}
		n.stop()
		<-n.done
		n.keeper.close()
		if n.cfg.Pipe != nil {
			err = n.cfg.Pipe.CloseAll()
		}
		err = errors.Join(err, n.cfg.Link.Close())
		n.readers.Wait()
	})
	return err
}
