package sim

import (
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
)

// trouble makes the next fault, and plans the one after.
func (w *world) trouble() {
	w.after(time.Duration(w.rng.ExpFloat64()*float64(w.opt.Faults)), func() {
		if w.now >= w.opt.Heal {
			return
		}
		n, f := w.nodes[w.rng.IntN(len(w.nodes))], w.fault()
		w.count.Faults++
		w.count.Kinds[f.name]++
		w.tell("%v: %s", n, f.name)
		f.do(w, n)
		w.trouble()
	})
}

// fault is something that can happen to a node, or to all at once. Each undoes itself after a while; the heal undoes
// all.
type fault struct {
	name string
	do   func(*world, *node)
}

// faults are all there are. Those that happen most stand there twice.
var faults = []fault{
	{"partition", (*world).partition}, {"one way", (*world).oneWay}, {"swizzle", (*world).swizzle},
	{"black hole", (*world).blackHole},
	{"kill", (*world).kill}, {"kill", (*world).kill}, {"restart", (*world).restart},
	{"power", (*world).power}, {"blackout", (*world).blackout}, {"backup", (*world).backup}, {"copy", (*world).copied},
	{"snapshot", (*world).snapshot},
	{"disk", (*world).breakDisk}, {"slow disk", (*world).slowDisk},
	{"sleep", (*world).sleep}, {"suspend", (*world).suspend},
	{"readdress", (*world).readdress}, {"swap", (*world).swap}, {"flap", (*world).flap}, {"unplug", (*world).unplug},
	{"move", (*world).move}, {"firewall", (*world).firewall},
	{"leave", (*world).leave}, {"rename", (*world).rename}, {"crowd leaves", (*world).crowdLeaves},
	{"set clock", (*world).setClock}, {"freeze clock", (*world).freezeClock},
	{"rekey", (*world).rekey}, // by name alone
}

// fault draws one of those that the options allow.
func (w *world) fault() fault {
	if len(w.opt.Only) == 0 {
		f := faults[w.rng.IntN(len(faults)-1)]
		if f.name == "snapshot" && !w.opt.Snapshots {
			return w.fault()
		}
		return f
	}
	name := w.opt.Only[w.rng.IntN(len(w.opt.Only))]
	return faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
}

// aWhile is how long a fault lasts: from a tenth of a second to a minute and a half.
func (w *world) aWhile() time.Duration {
	return time.Duration(float64(100*time.Millisecond) * math.Pow(900, w.rng.Float64()))
}

// amid plans a part of a fault that does harm: after the heal it does none.
func (w *world) amid(d time.Duration, harm func()) {
	w.after(d, func() {
		if w.now < w.opt.Heal {
			harm()
		}
	})
}

func (w *world) partition(n *node) {
	s := w.home(n)
	parts := 2 + w.rng.IntN(2)
	for _, c := range s.nics {
		c.part = w.rng.IntN(parts)
	}
	w.after(w.aWhile(), func() {
		for _, c := range s.nics {
			c.part = 0
		}
	})
}

// swizzle clogs some devices one by one and opens them again in another order.
func (w *world) swizzle(*node) {
	for _, n := range w.nodes {
		if w.rng.IntN(2) == 0 {
			c := n.nics[0]
			w.amid(w.aWhile()/2, func() { c.clogged = true })
			w.after(45*time.Second+w.aWhile()/2, func() { c.clogged = false })
		}
	}
}

// blackHole has what is longer than a small tunnel takes vanish on a device's link, and nobody tells it.
func (w *world) blackHole(n *node) {
	c := n.nics[0]
	c.hole = 548 + w.rng.IntN(800)
	w.after(w.aWhile(), func() { c.hole = 0 })
}

func (w *world) oneWay(n *node) {
	c := n.nics[0]
	if w.rng.IntN(2) == 0 {
		c.deaf = w.rng.Float64()
	} else {
		c.mute = w.rng.Float64()
	}
	w.after(w.aWhile(), func() { c.deaf, c.mute = n.deaf, 0 })
}

func (w *world) kill(n *node) {
	n.kill()
	w.after(w.aWhile(), n.revive)
}

func (w *world) restart(n *node) {
	n.stop()
	w.after(w.aWhile(), n.revive)
}

func (w *world) power(n *node) {
	n.losePower()
	w.after(w.aWhile(), n.revive)
}

// blackout takes the power from everybody.
func (w *world) blackout(*node) {
	for _, n := range w.nodes {
		n.losePower()
		w.after(w.aWhile()/4, n.revive)
	}
}

// backup puts the disk back to what it was some time ago.
func (w *world) backup(n *node) {
	old := n.disk.clone()
	w.amid(w.aWhile(), func() {
		n.die()
		n.restored(old)
		w.after(w.aWhile()/4, n.revive)
	})
}

// copied has a copy of the device's home run elsewhere for a while.
func (w *world) copied(n *node) {
	if n.twin != nil || n.disk.broken {
		return
	}
	w.copyHome(n, false)
	w.after(w.aWhile(), n.endTwin)
}

// snapshot has a copy of the whole machine come up behind a cut, as a virtual machine does: neither can know of the
// other until the cut is mended.
func (w *world) snapshot(n *node) {
	if n.twin != nil || n.disk.broken || n.engine == nil {
		return
	}
	t := w.copyHome(n, true)
	apart := time.Second + w.aWhile()
	for _, both := range []*node{n, t} {
		w.amid(w.below(apart), func() {
			if both.takesPart() && both.joined() {
				both.say(w.text(), false)
			}
		})
	}
	w.after(apart, func() { t.nics[0].part = 0 })
	w.after(apart+w.aWhile(), func() {
		if n.twin == t {
			n.endTwin()
		}
	})
}

func (w *world) breakDisk(n *node) {
	n.disk.broken = true
	w.after(w.aWhile(), n.mend)
}

// mend has a disk work again.
func (n *node) mend() {
	if n.disk.broken {
		n.disk.broken, n.mended = false, n.w.now
	}
}

func (w *world) slowDisk(n *node) {
	n.slow = w.aWhile() / 50
	w.after(w.aWhile(), func() { n.slow = 0 })
}

// sleep stops the process as a signal does.
func (w *world) sleep(n *node) {
	if n.engine == nil || n.asleep {
		return
	}
	n.asleep, n.stopped = true, w.now
	run := n.run
	w.after(w.aWhile(), func() {
		if n.run == run {
			n.wake()
		}
	})
}

// suspend stops the system: what comes meanwhile is lost, and of the clocks only the one on the wall goes on.
func (w *world) suspend(n *node) {
	if n.engine == nil || n.asleep {
		return
	}
	n.asleep, n.stopped, n.suspended = true, w.now, true
	run := n.run
	w.after(10*w.aWhile(), func() {
		if n.run == run {
			n.wake()
		}
	})
}

// readdress gives an interface another address on its segment.
func (w *world) readdress(n *node) {
	if s := n.nics[0].segment; s != nil {
		w.attach(n.nics[0], s)
		n.plugged()
	}
}

// swap has two devices get each other's address, as from a DHCP server that lost its memory.
func (w *world) swap(n *node) {
	other := w.nodes[w.rng.IntN(len(w.nodes))]
	a, b := n.nics[0], other.nics[0]
	if n == other || a.segment == nil || a.segment != b.segment {
		return
	}
	s := a.segment
	w.detach(a)
	w.detach(b)
	a.addr, b.addr = b.addr, a.addr
	w.plug(a, s)
	w.plug(b, s)
	n.plugged()
	other.plugged()
}

// flap takes the carrier away for a moment: the same address, another generation of the network.
func (w *world) flap(n *node) {
	if s := n.nics[0].segment; s != nil {
		w.detach(n.nics[0])
		w.plug(n.nics[0], s)
		n.plugged()
	}
}

// unplug takes the cable out for a while.
func (w *world) unplug(n *node) {
	c, s := n.nics[0], n.nics[0].segment
	if s == nil {
		return
	}
	w.detach(c)
	n.plugged()
	w.after(w.aWhile(), func() {
		if c.segment == nil {
			w.plug(c, s)
			n.plugged()
		}
	})
}

// move carries a device to the other segment for a while, with its address. Only one ever moves: of two that know each
// other, each would be the other's proof that the network is the same (N2).
func (w *world) move(*node) {
	n := w.nodes[0]
	c := n.nics[0]
	if !w.opt.Strangers || w.opt.Nodes < strangersFrom || c.segment != w.segments[0] {
		return
	}
	w.tell("%v moves away", n)
	w.relocate(c, w.segments[1])
	w.after(w.aWhile(), func() {
		if c.segment == w.segments[1] {
			w.relocate(c, w.segments[0])
		}
	})
}

// relocate brings a nic to another segment as a bridge port is moved: with its address, faster than anybody looks.
func (w *world) relocate(c *nic, s *segment) {
	w.detach(c)
	w.plug(c, s)
	c.node.plugged()
}

func (w *world) firewall(n *node) {
	n.nics[0].closed = true
	w.after(w.aWhile(), func() { n.nics[0].closed = false })
}

func (w *world) leave(n *node) {
	if !n.takesPart() || !n.joined() {
		return
	}
	n.leaving = n.token + 1
	n.do(engine.Leave{Room: lobby, Forget: w.rng.IntN(2) == 0})
	run := n.run
	w.after(w.aWhile(), func() {
		if n.run == run {
			n.rejoin()
		}
	})
}

// left notes that the lobby is left: only now the device's files say so.
func (n *node) left() { n.rooms, n.leaving = nil, 0 }

// rejoin joins the lobby again, once it is left and what was to be forgotten of it is.
func (n *node) rejoin() {
	switch {
	case n.leaving != 0:
		n.w.after(time.Second, n.rejoin)
	case !n.in(lobby) && !n.joining:
		n.joining = true
		n.whenAwake(func() { n.later(job{then: func([]record.Floor, error) { n.join() }}) })
	}
}

// crowdLeaves has half of all leave within a second.
func (w *world) crowdLeaves(*node) {
	for _, n := range w.nodes {
		if w.rng.IntN(2) == 0 {
			w.amid(w.below(time.Second), func() { w.leave(n) })
		}
	}
}

// maxRekeys is how many rekeys there are in a run: a member that has the keys of before them all is to get on, and of
// more than eight epochs nobody has them.
const maxRekeys = 6

// rekey renews the keys of a private room. Whoever does it need not hear the others, but has heard of them: whom it
// does not know of it leaves out.
func (w *world) rekey(n *node) {
	if !n.takesPart() || !n.joined() || w.count.Kinds["rekey"] > maxRekeys {
		return
	}
	if rooms := n.engine.Rooms(n.now()); len(rooms) > 0 && len(rooms[0].Members) == len(w.nodes) {
		n.do(engine.Rekey{Room: lobby})
	}
}

func (w *world) rename(n *node) {
	n.nick = identity.Nick(string(rune('a'+w.rng.IntN(26))) + string(n.nick))[:2]
	n.whenAwake(func() { n.do(engine.SetNick{Nick: n.nick}) })
}

// setClock sets the clock on the wall: mostly within an hour of the truth, sometimes years off.
func (w *world) setClock(n *node) { n.clock = w.anyClock() }

func (w *world) anyClock() time.Duration {
	span := time.Hour
	if w.rng.IntN(4) == 0 {
		span = 10 * 365 * 24 * time.Hour
	}
	return w.below(2*span) - span
}

// freezeClock stops the clock on the wall.
func (w *world) freezeClock(n *node) {
	n.frozenAt, n.frozen = n.now().Wall, true
	w.after(w.aWhile(), func() { n.frozen = false })
}
