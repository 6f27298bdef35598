// Package node runs an engine: one goroutine that owns it, readers that bring datagrams, a clock, a link and a store.
//
// Its invariant: every call of the engine happens on the loop's goroutine, and its Output is carried out in the order
// of its fields before the next call. It knows no socket, disk or face: it takes a Link and a Store, and gives facts to
// one function.
//
//	readers ─► inbound ─┐
//	Do, View ─► calls ──┼─► loop ─► engine ─► Output ─► Store, Link.Write, replies, OnEvent
//	timer, Changed ─────┘
package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
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
	maxInbound = 256
	batchSize  = 64
	// maxCutSources is how many sources of cut datagrams are counted one by one.
	maxCutSources = 256
	// byeTime is how long a goodbye may take.
	byeTime = time.Second
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
	Changed() <-chan struct{}
	Close() error
}

// Store keeps records. It is called from the loop only.
type Store interface {
	// Append keeps records and tells which feeds begin later because of it.
	Append(scope uint64, records []*record.Record) ([]record.Floor, error)
	Load(scope uint64, spans []record.Span, ids []record.ID) ([]*record.Record, error)
	// Forget drops all of a scope.
	Forget(scope uint64)
}

// Config makes a Node.
type Config struct {
	Engine engine.Config
	Link   Link
	Store  Store
	Log    *slog.Logger
	// OnEvent takes each fact, in order, on the loop's goroutine: it may read the engine and must not wait.
	OnEvent func(engine.Now, *engine.Engine, engine.Event)
	// OnInterfaces is told on the loop's goroutine that the interfaces changed.
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
}

// Node is a running participant.
type Node struct {
	cfg      Config
	engine   *engine.Engine
	start    time.Time
	opener   atomic.Pointer[engine.Opener]
	inbound  chan []inbound
	calls    chan func(engine.Now)
	waiting  map[uint64]chan engine.Reply
	token    uint64
	counters Counters
	overflow atomic.Uint64
	done     chan struct{}
	closing  sync.Once
	stop     context.CancelFunc
	readers  sync.WaitGroup
}

type inbound struct {
	opened engine.Opened
	drop   wire.Drop
	from   netip.AddrPort
	kind   wire.Type
}

// Start runs a participant. It returns when the first HELLO is on its way.
func Start(cfg Config) (*Node, error) {
	n := &Node{
		cfg: cfg, start: time.Now(), inbound: make(chan []inbound, maxInbound), calls: make(chan func(engine.Now)),
		waiting: map[uint64]chan engine.Reply{}, done: make(chan struct{}),
		counters: Counters{
			Drops: map[wire.Drop]uint64{}, Sent: map[wire.Type]uint64{}, Received: map[wire.Type]uint64{},
			CutFrom: map[netip.AddrPort]uint64{},
		},
	}
	cfg.Engine.Verify = newSignatures(cfg.Engine.Verify).check
	var err error
	if n.engine, err = engine.New(n.now(), cfg.Engine); err != nil {
		return nil, err
	}
	n.opener.Store(n.engine.Opener())
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.engine.SetInterfaces(n.now(), cfg.Link.Interfaces())
	n.settle()
	for _, read := range cfg.Link.Readers() {
		n.readers.Go(func() { n.read(ctx, read) })
	}
	go n.loop(ctx)
	return n, nil
}

func (n *Node) now() engine.Now {
	t := time.Now()
	return engine.Now{Mono: t.Sub(n.start), Wall: t}
}

// read brings what one reader gets to the loop, opened.
func (n *Node) read(ctx context.Context, read func([]engine.Datagram) (int, error)) {
	batch := make([]engine.Datagram, batchSize)
	for {
		count, err := read(batch)
		if err != nil {
			return // the Link is closed
		}
		opened := make([]inbound, count)
		opener := n.opener.Load()
		for i, d := range batch[:count] {
			d.Data = slices.Clone(d.Data) // the engine keeps what it needs of it
			kind, _, _ := wire.Classify(d.Data)
			op, drop := opener.Open(d)
			opened[i] = inbound{op, drop, d.From, kind}
		}
		select {
		case n.inbound <- opened:
		case <-ctx.Done():
			return
		default:
			n.overflow.Add(uint64(count))
		}
	}
}

// loop is the whole concurrency of a participant.
func (n *Node) loop(ctx context.Context) {
	defer close(n.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(n.engine.Deadline()-time.Since(n.start), 0))
		select {
		case <-ctx.Done():
			return
		case batch := <-n.inbound:
			n.receive(batch)
		case call := <-n.calls:
			call(n.now())
		case <-n.cfg.Link.Changed():
			n.engine.SetInterfaces(n.now(), n.cfg.Link.Interfaces())
			if n.cfg.OnInterfaces != nil {
				n.cfg.OnInterfaces()
			}
		case <-timer.C:
			n.engine.Advance(n.now())
		}
		n.settle()
	}
}

func (n *Node) receive(batch []inbound) {
	now := n.now()
	for _, in := range batch {
		if in.drop == "" {
			in.drop = n.engine.Receive(now, in.opened)
		}
		if in.drop == "" {
			n.counters.Received[in.kind]++
			continue
		}
		n.counters.Drops[in.drop]++
		n.cfg.Log.Debug("datagram refused", "reason", in.drop, "from", in.from)
	}
}

// settle carries out what the engine wants until it wants nothing more.
func (n *Node) settle() {
	for {
		var out engine.Output
		n.engine.Drain(&out)
		if len(out.Store)+len(out.Load)+len(out.Send)+len(out.Replies)+len(out.Events)+len(out.Forget) == 0 {
			n.opener.Store(n.engine.Opener())
			return
		}
		n.carryOut(&out)
	}
}

func (n *Node) carryOut(out *engine.Output) {
	for _, s := range out.Store {
		floors, err := n.cfg.Store.Append(uint64(s.Scope), s.Records)
		if err != nil {
			n.cfg.Log.Error("records not stored", "err", err)
		}
		n.engine.Stored(n.now(), s.Token, s.Records, floors, err)
	}
	for _, l := range out.Load {
		records, err := n.cfg.Store.Load(uint64(l.Scope), l.Ranges, l.IDs)
		if err != nil {
			n.cfg.Log.Error("records not loaded", "err", err)
		}
		n.engine.Loaded(n.now(), l.Token, records)
	}
	if len(out.Send) > 0 {
		n.cfg.Link.Write(out.Send)
		for _, s := range out.Send {
			n.counters.Sent[s.Type]++
			n.counters.SentBytes += uint64(len(s.Data))
		}
	}
	for _, r := range out.Replies {
		if waiting, ok := n.waiting[r.Token]; ok {
			delete(n.waiting, r.Token)
			waiting <- r
		}
	}
	for _, scope := range out.Forget {
		n.cfg.Store.Forget(uint64(scope))
	}
	for _, e := range out.Events {
		if e.Kind == engine.CutEvent {
			n.countCut(e.Cut)
		}
		if n.cfg.OnEvent != nil {
			n.cfg.OnEvent(n.now(), n.engine, e)
		}
	}
}

func (n *Node) countCut(c engine.Cut) {
	n.counters.Cuts++
	if _, known := n.counters.CutFrom[c.From]; known || len(n.counters.CutFrom) < maxCutSources {
		n.counters.CutFrom[c.From]++
	}
	n.cfg.Log.Warn("datagram cut", "from", c.From, "nick", c.Nick, "received", c.Received, "size", c.Size)
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

// View lets look read the engine and the counters on the loop's goroutine. look must not wait, nor keep the counters.
func (n *Node) View(ctx context.Context, look func(engine.Now, *engine.Engine, Counters)) error {
	seen := make(chan struct{})
	err := n.call(ctx, func(now engine.Now) {
		if dropped := n.overflow.Load(); dropped > 0 {
			n.counters.Drops[wire.DropQueueFull] = dropped
		}
		look(now, n.engine, n.counters)
		close(seen)
	})
	if err != nil {
		return err
	}
	<-seen
	return nil
}

func (n *Node) call(ctx context.Context, f func(engine.Now)) error {
	select {
	case n.calls <- f:
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
		err = n.cfg.Link.Close()
		n.readers.Wait()
	})
	return err
}
