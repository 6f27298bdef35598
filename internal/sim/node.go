package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// node is a device: what lasts, and, while it runs, its engine.
type node struct {
	w      *world
	index  int
	key    *identity.Key
	nick   identity.Nick
	nics   []*nic
	buffer int           // receive buffer, bytes
	boot   uint32        // count of starts
	clock  time.Duration // how far its clock is off
	rooms  []identity.RoomName

	engine *engine.Engine // nil: it does not run
	run    int            // which process this is
	since  time.Duration  // it runs
	token  uint64
	armed  time.Duration // earliest timer planned
	asleep bool          // stopped, as by a signal or a closed lid
	socket []event       // what waits for it meanwhile
	store  store
	view   view
	ledger ledger
}

// maxSocket is how many datagrams the kernel keeps for a process that does not read.
const maxSocket = 200

const never = time.Duration(1<<63 - 1)

func (n *node) now() engine.Now {
	return engine.Now{Mono: n.w.now - n.since, Wall: epoch.Add(n.w.now + n.clock)}
}

// due is when the engine has something to do, on the world's clock.
func (n *node) due() time.Duration {
	at := n.engine.Deadline()
	if at == never {
		return never
	}
	return n.since + at
}

// epoch is when a run begins by the clock on the wall.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// start begins a new process of the device. It has forgotten all but its key and its rooms.
func (n *node) start() {
	n.run++
	n.boot++
	n.since, n.armed, n.asleep, n.socket = n.w.now, never, false, nil
	n.store, n.view, n.ledger = newStore(), view{}, newLedger()
	secrets := rand.NewChaCha8(seedOf(n.w.rng.Uint64(), "secrets"))
	cfg := engine.Config{
		Key: n.key, Instance: identity.Instance{Boot: n.boot, Nonce: n.w.rng.Uint64()}, Nick: n.nick,
		RecvBuffer: n.buffer, UnicastPort: port, Random: secrets,
		Timing: rand.New(rand.NewChaCha8(seedOf(n.w.rng.Uint64(), "timing"))), Verify: n.w.signatures.verify,
	}
	if !n.w.opt.Real {
		cfg.NewAEAD = newChecksum
	}
	e, err := engine.New(n.now(), cfg)
	if err != nil {
		panic(err) // its randomness does not fail
	}
	n.engine = e
	n.plugged()
	for _, r := range n.rooms {
		n.do(engine.Join{Room: r})
	}
}

// plugged tells the engine its interfaces.
func (n *node) plugged() {
	if n.engine == nil || n.asleep {
		return
	}
	var ifaces []engine.Interface
	for _, c := range n.nics {
		if c.segment == nil {
			continue
		}
		networks := []engine.NetworkID{c.network}
		if n.w.opt.Gateway {
			networks = append(networks, c.segment.gateway)
		}
		i := engine.Interface{Index: c.index, MTU: 1500, Wifi: n.w.opt.Wifi, Networks: networks}
		i.Addrs = append(i.Addrs, c.addr)
		ifaces = append(ifaces, i)
	}
	n.w.tell("%v: interfaces %v", n, ifaces)
	n.engine.SetInterfaces(n.now(), ifaces)
	n.settle()
}

// crash ends the process without a word.
func (n *node) crash() {
	if n.engine != nil {
		n.w.count.NodeTime += n.w.now - n.since
	}
	n.engine, n.socket = nil, nil
}

// stop ends the process with a goodbye.
func (n *node) stop() {
	if n.engine != nil && !n.asleep {
		n.do(engine.Bye{})
	}
	n.crash()
}

func (n *node) do(c engine.Command) uint64 {
	n.token++
	token := n.token
	if _, talk := c.(engine.Say); !talk {
		n.w.tell("%v: %T", n, c)
	}
	n.engine.Do(n.now(), token, c)
	n.settle()
	return token
}

// take handles an event that is due.
func (n *node) take(e *event) {
	switch {
	case n.engine == nil || e.run != n.run:
	case e.packet != nil && e.nic.segment != e.packet.segment: // unplugged, or elsewhere by now
	case n.asleep:
		if e.call != nil || e.packet != nil && len(n.socket) < maxSocket {
			n.socket = append(n.socket, *e)
		}
	case e.call != nil:
		e.call()
	case e.packet != nil:
		n.receive(e)
	case e.at != n.armed: // another timer was planned before this one
	default:
		n.armed = never
		if n.due() <= n.w.now {
			n.engine.Advance(n.now())
			n.settle()
			if at := n.due(); at <= n.w.now {
				n.w.violate("I10", "%v: due at %v after Advance at %v", n, at, n.w.now)
			}
		}
		n.arm()
	}
}

// receive is what a reader and the loop do with a datagram.
func (n *node) receive(e *event) {
	p := e.packet
	d := engine.Datagram{
		Data: p.data, Size: len(p.data), From: p.from, Iface: e.nic.index, TTL: 255, Broadcast: p.broadcast, OnLink: true,
	}
	if len(d.Data) > n.buffer {
		d.Data = d.Data[:n.buffer:n.buffer]
	}
	n.w.count.Received++
	n.ledger.heard(p)
	n.w.signatures.packet = p
	opened, drop := n.open(p, d)
	if drop == "" {
		drop = n.engine.Receive(n.now(), opened)
	}
	n.w.signatures.packet = nil
	n.w.count.Drops[drop]++
	n.settle()
}

// open is what a reader does. What it finds depends on the datagram, the keys and the interface's number alone, so that
// of many receivers that are in the room the first one finds it for all, but for the sender, a buffer that cuts, and
// the real AEAD where it is to be tried.
func (n *node) open(p *packet, d engine.Datagram) (engine.Opened, wire.Drop) {
	t, _, _ := wire.Classify(d.Data)
	if n.w.opt.Real && !t.Presence() || p.sender == n || len(d.Data) < d.Size || !n.in(lobby) {
		return n.engine.Opener().Open(d)
	}
	if !p.isOpen {
		p.opened, p.drop = n.engine.Opener().Open(d)
		p.isOpen = true
	}
	return p.opened, p.drop
}

// whenAwake calls f now or when the process runs again; not at all if there is none.
func (n *node) whenAwake(f func()) {
	e := event{node: n, run: n.run, call: f}
	n.take(&e)
}

// wake lets a stopped process run again.
func (n *node) wake() {
	if n.engine == nil || !n.asleep {
		return
	}
	n.asleep = false
	n.armed = never
	n.plugged()
	waiting := n.socket
	n.socket = nil
	for i := range waiting {
		n.take(&waiting[i])
	}
	n.arm()
}

// arm plans the next timer.
func (n *node) arm() {
	if n.engine == nil {
		return
	}
	if at := max(n.due(), n.w.now); at < n.armed {
		n.armed = at
		n.w.queue.push(event{at: at, node: n, run: n.run})
	}
}

// settle carries out what the engine wants until it wants nothing more, as a daemon does.
func (n *node) settle() {
	for {
		var out engine.Output
		n.engine.Drain(&out)
		if n.w.tamper != nil {
			n.w.tamper(n, &out)
		}
		if len(out.Store)+len(out.Load)+len(out.Send)+len(out.Replies)+len(out.Events) == 0 {
			break
		}
		n.carryOut(&out)
	}
	n.arm()
}

func (n *node) carryOut(out *engine.Output) {
	for _, s := range out.Store {
		if n.w.check.store(n, s); n.w.err != nil {
			return
		}
		n.later(func() {
			n.store.done(s)
			n.engine.Stored(n.now(), s.Token, s.Records, nil, nil)
		})
	}
	for _, l := range out.Load {
		n.later(func() { n.engine.Loaded(n.now(), l.Token, n.store.load(n.w, l)) })
	}
	for i := range out.Send {
		n.w.check.send(n, &out.Send[i])
		n.w.note(n, uint32(out.Send[i].Iface), out.Send[i].Data)
		n.w.carry(n, &out.Send[i])
	}
	for _, r := range out.Replies {
		n.w.note(n, uint32(r.Token), r.Record[:])
		switch {
		case r.Err != nil:
			n.w.violate("reply", "%v: %v", n, r.Err)
		case !r.Record.IsZero():
			n.w.check.told(n, r)
		}
	}
	for _, e := range out.Events {
		n.w.check.event(n, e)
	}
}

// later calls f when the store is done: at once, or in the order of the calls within the time that it takes.
func (n *node) later(f func()) {
	if n.w.opt.Storing == 0 {
		f()
		return
	}
	n.store.busy = max(n.store.busy, n.w.now) + time.Duration(n.w.rng.Int64N(int64(n.w.opt.Storing)))
	n.w.queue.push(event{at: n.store.busy, node: n, run: n.run, call: func() {
		f()
		n.settle()
	}})
}

// takesPart tells whether a node runs, is awake and is a member that can hear all.
func (n *node) takesPart() bool { return n.engine != nil && !n.asleep && !n.engine.Watching() }

func (n *node) in(room identity.RoomName) bool { return slices.Contains(n.rooms, room) }

func (n *node) on(s *segment) bool {
	return slices.ContainsFunc(n.nics, func(c *nic) bool { return c.segment == s })
}

func (n *node) String() string { return fmt.Sprintf("node %d (%s, run %d)", n.index, n.nick, n.run) }

// store is a device's records by scope. It is in memory: a new process begins with an empty one.
type store struct {
	scopes map[engine.ScopeID]map[record.Feed]*run
	busy   time.Duration
}

// run is a feed's records, without gaps from number low.
type run struct {
	low     uint64
	records []*record.Record // as handed out
	kept    int              // of those
}

func (r *run) high() uint64 { return r.low + uint64(len(r.records)) - 1 }

func newStore() store { return store{scopes: map[engine.ScopeID]map[record.Feed]*run{}} }

// take adds the next record of a feed.
func (s *store) take(scope engine.ScopeID, rec *record.Record) {
	feeds := s.scopes[scope]
	if feeds == nil {
		feeds = map[record.Feed]*run{}
		s.scopes[scope] = feeds
	}
	r := feeds[rec.Header.Feed]
	if r == nil {
		r = &run{low: rec.Header.Seq}
		feeds[rec.Header.Feed] = r
	}
	r.records = append(r.records, rec)
}

// done says that what was handed out is kept now.
func (s *store) done(st engine.Store) {
	for _, rec := range st.Records {
		s.scopes[st.Scope][rec.Header.Feed].kept++
	}
}

func (s *store) holds(id record.Feed, seq uint64) bool {
	for _, feeds := range s.scopes {
		if r := feeds[id]; r != nil && seq >= r.low && seq < r.low+uint64(r.kept) {
			return true
		}
	}
	return false
}

func (s *store) load(w *world, l engine.Load) []*record.Record {
	var found []*record.Record
	feeds := s.scopes[l.Scope]
	take := func(feed record.Feed, from, to uint64) {
		if r := feeds[feed]; r != nil {
			for seq := max(from, r.low); seq <= min(to, r.low+uint64(r.kept)-1); seq++ {
				found = append(found, r.records[seq-r.low])
			}
		}
	}
	for _, span := range l.Ranges {
		take(span.Feed, span.From, span.To)
	}
	for _, id := range l.IDs {
		if rec := w.check.byID[id]; rec != nil {
			take(rec.Header.Feed, rec.Header.Seq, rec.Header.Seq)
		}
	}
	return found
}
