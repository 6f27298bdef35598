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
	w        *world
	index    int
	key      *identity.Key
	nick     identity.Nick
	insider  *insider // of a member with code of its own: nothing is asked of it
	nics     []*nic
	buffer   int           // receive buffer, bytes
	boot     uint32        // count of starts
	clock    time.Duration // how far its clock is off
	frozen   bool          // its clock stands still
	frozenAt time.Time
	deaf     float64 // share of broadcasts that it never hears, where it stands
	rooms    []identity.RoomName
	radio    bool // it says that it is on Wi-Fi, whatever the others are on
	device

	engine    *engine.Engine // nil: it does not run
	run       int            // which process this is
	since     time.Duration  // it runs
	token     uint64
	armed     time.Duration // earliest timer planned
	asleep    bool          // stopped, as by a signal or a closed lid
	suspended bool          // by a closed lid, since it stopped
	socket    []event       // what waits for it meanwhile
	jobs      []job         // what the disk has to do, in order
	idle      time.Duration // when it will have done them
	leaving   uint64        // token of the Leave under way; 0: none
	joining   bool          // it waits for its disk to join
	pipes     []*pipe
	accepted  uint64 // the id of the last stream that another device dialled
	view      view
	ledger    ledger
}

// device is the part of a node that outlives its processes, beside its key.
type device struct {
	disk    *disk
	resume  bool          // nothing of its own feeds can be missing on the disk
	slow    time.Duration // the longest that the disk takes for one job
	keep    record.Retention
	mended  time.Duration // when its disk worked again
	stopped time.Duration // when it last fell asleep
	twin    *node         // a copy of the home that runs elsewhere
	feeds   int           // that it began
	keys    engine.Keys   // of a private room, as its files have them
}

// maxSocket is how many datagrams the kernel keeps for a process that does not read.
const maxSocket = 200

const never = time.Duration(1<<63 - 1)

func (n *node) now() engine.Now {
	now := engine.Now{Mono: n.w.now - n.since, Wall: epoch.Add(n.w.now + n.clock)}
	if n.frozen {
		now.Wall = n.frozenAt
	}
	return now
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

// start begins a new process of the device. What it remembers is its key, its rooms and what its disk holds.
func (n *node) start() {
	if n.disk.broken { // whoever starts it tries again
		n.w.after(time.Second, n.revive)
		return
	}
	switch left, err := n.disk.reopen(); {
	case err != nil:
		n.w.violate("I4", "%v wanted to store what does not fit: %v", n, err)
	case left != nil:
		n.w.check.keeps(n, left)
	}
	n.run++
	n.boot++
	if !n.resume {
		n.disk.seal()
	}
	n.since, n.armed, n.asleep, n.suspended, n.socket = n.w.now, never, false, false, nil
	n.leaving, n.joining = 0, false
	n.pipes, n.accepted = nil, 0
	n.jobs, n.idle, n.view, n.ledger = nil, 0, view{}, newLedger()
	secrets := rand.NewChaCha8(seedOf(n.w.rng.Uint64(), "secrets"))
	cfg := engine.Config{
		Key: n.key, Signer: n.signer(), Instance: identity.Instance{Boot: n.boot, Nonce: n.w.rng.Uint64()}, Nick: n.nick,
		RecvBuffer: n.buffer, UnicastPort: port, StreamPort: port, Random: secrets,
		Timing: rand.New(rand.NewChaCha8(seedOf(n.w.rng.Uint64(), "timing"))), Verify: n.w.signatures.verify,
		Share: n.w.check.shared,
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
	if n.in(lobby) {
		n.join()
	}
}

// join takes up the lobby as the disk has it.
func (n *node) join() {
	join := engine.Join{Room: lobby, Resume: n.resume, Retention: n.keep}
	if n.w.opt.Private {
		keys := n.keys
		join.Keys = &keys
	}
	n.view = view{shown: map[record.Chain]place{}}
	for _, s := range n.disk.scopes {
		if s.Room == (record.RoomID{}) {
			continue // all that was ever told of it is lost
		}
		join.Kept = append(join.Kept, s.kept())
		for c, r := range s.chains {
			if len(r.entries) > 0 {
				if at := (place{r.high(), record.MaxPosts}); at.compare(n.view.shown[c]) > 0 {
					n.view.shown[c] = at
				}
			}
		}
	}
	n.rooms, n.joining = []identity.RoomName{lobby}, false
	n.do(join)
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
		i := engine.Interface{Index: c.index, MTU: c.mtu, Wifi: n.w.opt.Wifi || n.radio, Networks: networks}
		ifaces = append(ifaces, c.interfaces(i)...)
	}
	n.w.tell("%v: interfaces %v", n, ifaces)
	n.engine.SetInterfaces(n.now(), ifaces)
	n.settle()
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

// signer signs for the device's key, whatever machine has it.
func (n *node) signer() identity.Signer { return n.w.signatures.signer(n.key) }

// receive is what a reader and the loop do with a datagram.
func (n *node) receive(e *event) {
	p := e.packet
	d := engine.Datagram{
		Data: p.data, Size: len(p.data), From: p.from, Iface: e.nic.index, TTL: 255,
		Broadcast: p.broadcast, OnLink: true,
	}
	if p.bySix {
		d.Iface |= six
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
	switch drop {
	case "":
		n.w.check.once(n, p)
	case wire.DropBadSignature:
		n.w.check.wronged(n, p)
	}
	if t, _, _ := wire.Classify(d.Data); t.Presence() && drop != wire.DropNothingNew {
		n.w.count.Presence++
	}
	n.w.signatures.packet = nil
	n.w.count.Drops[drop]++
	n.settle()
}

// open is what a reader does. What it finds of presence depends on the datagram and the interface's number alone,
// so that of many receivers the first one finds it for all, but for a buffer that cuts. A room's frames each opens
// with its own keys.
func (n *node) open(p *packet, d engine.Datagram) (engine.Opened, wire.Drop) {
	if t, _, _ := wire.Classify(d.Data); !t.Presence() || len(d.Data) < d.Size {
		return n.engine.Opener().Open(d)
	}
	if p.openedBy != d.Iface {
		p.opened, p.drop = n.engine.Opener().Open(d)
		p.openedBy = d.Iface
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
	if n.mended > n.stopped-mendedFor { // it had no time to find out
		n.mended = n.w.now
	}
	waiting := n.socket
	if n.suspended {
		n.since += n.w.now - n.stopped
		n.suspended = false
		waiting = slices.DeleteFunc(waiting, func(e event) bool { return e.packet != nil })
	}
	n.plugged()
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
	out := n.w.spare // nil while an outer settle carries it out
	if n.w.spare = nil; out == nil {
		out = new(engine.Output)
	}
	for n.engine != nil && n.w.err == nil {
		n.engine.Drain(out)
		if n.w.tamper != nil {
			n.w.tamper(n, out)
		}
		if out.IsEmpty() {
			break
		}
		n.carryOut(out)
	}
	n.w.spare = out
	n.arm()
}

func (n *node) carryOut(out *engine.Output) {
	for i := range out.Keep {
		n.later(job{write: &write{scope: &out.Keep[i]}})
	}
	for _, s := range out.Store {
		own := n.w.check.store(n, s)
		if n.w.err != nil {
			return
		}
		n.later(job{write: &write{batch: &s.Batch, own: own}, then: func(floors []record.Floor, err error) {
			n.engine.Stored(n.now(), s.Token, floors, err)
		}})
	}
	for _, l := range out.Load {
		n.later(job{then: func([]record.Floor, error) {
			n.engine.Loaded(n.now(), l.Token, n.disk.load(l, n.w.check.byID))
		}})
	}
	if n.insider != nil {
		n.insider.subvert(out)
	}
	for i := range out.Send {
		n.w.check.send(n, &out.Send[i])
		n.w.note(n, uint32(out.Send[i].Iface), out.Send[i].Data)
		n.w.carry(n, &out.Send[i])
	}
	for _, op := range out.Streams {
		n.w.note(n, uint32(op.ID)<<8|uint32(op.Kind), op.Data)
		n.operate(op)
	}
	for _, r := range out.Replies {
		n.w.note(n, uint32(r.Token), r.Record[:])
		n.w.check.reply(n, r)
	}
	for _, e := range out.Events {
		if e.Kind == engine.KeysEvent {
			n.keys.Epoch, n.keys.EpochSecret = e.Keys.Epoch, e.Keys.EpochSecret
			n.w.tell("%v: keys of epoch %d", n, n.keys.Epoch)
		}
		n.w.check.event(n, e)
	}
	for _, id := range out.Forget {
		n.later(job{write: &write{forget: id}})
	}
}

// takesPart tells whether a node runs, is awake and is a member that can hear all.
func (n *node) takesPart() bool { return n.engine != nil && !n.asleep && !n.engine.Watching() }

// joined tells whether the process is in the lobby and not about to leave it.
func (n *node) joined() bool { return n.in(lobby) && n.leaving == 0 }

func (n *node) in(room identity.RoomName) bool { return slices.Contains(n.rooms, room) }

func (n *node) on(s *segment) bool {
	return slices.ContainsFunc(n.nics, func(c *nic) bool { return c.segment == s })
}

func (n *node) String() string { return fmt.Sprintf("node %d (%s, run %d)", n.index, n.nick, n.run) }
