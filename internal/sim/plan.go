package sim

import (
	"math"
	"strings"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
)

// Times of a run.
const (
	convergence = 90 * time.Second // after the heal all are level
	warmUp      = 10 * time.Second // after a start or the convergence, until posts are timed
	quiet       = 20 * time.Second // before the end, nothing is said
	checkpoint  = time.Minute
)

// plan puts into the queue what happens by itself: starts, posts, faults, the heal and the checks.
func (w *world) plan() {
	for _, n := range w.nodes {
		start := w.below(w.opt.Together)
		if n.index > 0 && w.rng.Float64() < w.opt.Late {
			start += w.below(w.opt.Heal)
		}
		w.at(start, func() {
			if n.engine == nil {
				n.start()
			}
		})
	}
	if w.opt.Posts > 0 {
		w.talk()
	}
	if w.opt.Faults > 0 {
		w.trouble()
		w.at(w.opt.Heal, w.heal)
	} else {
		w.at(w.opt.Together+warmUp, func() { w.check.converged = w.now })
	}
}

// talk has one device say something, and plans the next.
func (w *world) talk() {
	w.after(time.Duration(w.rng.ExpFloat64()/w.opt.Posts*float64(time.Second)), func() {
		if w.now > w.opt.Duration-quiet {
			return
		}
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if n.takesPart() && n.in(lobby) {
			n.say(w.text(), w.rng.IntN(10) == 0)
		}
		w.talk()
	})
}

// text is something to say: mostly short.
func (w *world) text() string {
	most := 300
	if w.rng.IntN(8) == 0 {
		most = w.opt.Largest
	}
	size := int(math.Exp(w.rng.Float64() * math.Log(float64(most))))
	return strings.Repeat(string(rune('a'+w.rng.IntN(26))), max(size, 1))
}

// say has a node's engine say text and remembers that it was said.
func (n *node) say(text string, ack bool) {
	n.w.count.Posts++
	n.ledger.saying[n.token+1] = text
	n.do(engine.Say{Room: lobby, Posts: []record.Post{{Kind: record.KindText, Text: text}}, Ack: ack})
}

// trouble makes the next fault, and plans the one after.
func (w *world) trouble() {
	w.after(time.Duration(w.rng.ExpFloat64()*float64(w.opt.Faults)), func() {
		if w.now >= w.opt.Heal {
			return
		}
		w.count.Faults++
		n, f := w.nodes[w.rng.IntN(len(w.nodes))], faults[w.rng.IntN(len(faults))]
		w.tell("%v: %s", n, f.name)
		f.do(w, n)
		w.trouble()
	})
}

// faults are what can happen. Each undoes itself after a while; the heal undoes all.
var faults = []struct {
	name string
	do   func(*world, *node)
}{
	{"partition", (*world).partition}, {"one way", (*world).oneWay}, {"crash", (*world).crash},
	{"crash", (*world).crash}, {"restart", (*world).restart}, {"sleep", (*world).sleep},
	{"readdress", (*world).readdress}, {"flap", (*world).flap}, {"unplug", (*world).unplug}, {"move", (*world).move},
	{"firewall", (*world).firewall}, {"leave", (*world).leave}, {"rename", (*world).rename},
	{"set clock", (*world).setClock},
}

// aWhile is how long a fault lasts: from a tenth of a second to a minute and a half.
func (w *world) aWhile() time.Duration {
	return time.Duration(float64(100*time.Millisecond) * math.Pow(900, w.rng.Float64()))
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

func (w *world) oneWay(n *node) {
	c := n.nics[0]
	if w.rng.IntN(2) == 0 {
		c.deaf = w.rng.Float64()
	} else {
		c.mute = w.rng.Float64()
	}
	w.after(w.aWhile(), func() { c.deaf, c.mute = 0, 0 })
}

func (w *world) crash(n *node) {
	if n.engine == nil {
		return
	}
	n.crash()
	w.after(w.aWhile(), n.revive)
}

func (w *world) restart(n *node) {
	n.stop()
	w.after(w.aWhile(), n.revive)
}

func (n *node) revive() {
	if n.engine == nil {
		n.start()
	}
}

func (w *world) sleep(n *node) {
	if n.engine == nil || n.asleep {
		return
	}
	n.asleep = true
	run := n.run
	w.after(w.aWhile(), func() {
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
	if !n.takesPart() || !n.in(lobby) {
		return
	}
	n.rooms = nil
	n.do(engine.Leave{Room: lobby})
	n.view = view{} // whoever joins again is shown everything anew
	run := n.run
	w.after(w.aWhile(), func() {
		if n.run == run {
			n.rejoin()
		}
	})
}

func (n *node) rejoin() {
	if n.in(lobby) {
		return
	}
	n.rooms = []identity.RoomName{lobby}
	n.whenAwake(func() { n.do(engine.Join{Room: lobby}) })
}

func (w *world) rename(n *node) {
	n.nick = identity.Nick(string(rune('a'+w.rng.IntN(26))) + string(n.nick))[:2]
	n.whenAwake(func() { n.do(engine.SetNick{Nick: n.nick}) })
}

func (w *world) setClock(n *node) {
	n.clock = w.below(2*time.Hour) - time.Hour
}

// heal ends all faults: everybody runs, is at home and is heard. What the link itself loses goes on.
func (w *world) heal() {
	for _, n := range w.nodes {
		n.wake()
		c := n.nics[0]
		c.part, c.deaf, c.mute, c.closed = 0, 0, 0, false
		if c.segment != w.home(n) {
			w.relocate(c, w.home(n))
		}
		n.revive()
		n.rejoin()
	}
	w.converge(w.now)
}

// converge looks every second whether all are level, and gives up when that takes too long.
func (w *world) converge(since time.Duration) {
	f, n, m := w.check.apart(since)
	switch {
	case f == nil && w.now > since:
		w.check.converged = w.now - since
		return
	case w.now-since > convergence:
		w.violate("L2", "%v after the heal %v lacks of the feed of %v what %v has (%d of %d)",
			w.now-since, n, f.author, m, w.check.high(n, f), w.check.high(m, f))
		return
	}
	w.after(time.Second, func() { w.converge(since) })
}

// calm tells whether nothing but the link disturbs, for long enough.
func (w *world) calm() bool {
	if w.opt.Faults == 0 {
		return w.now > w.opt.Together+warmUp
	}
	return w.check.converged > 0 && w.now > w.opt.Heal+convergence
}
