package sim

import (
	"math"
	"strings"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
)

// Times of a run.
const (
	convergence = 90 * time.Second // after the heal all are level
	warmUp      = 10 * time.Second // after a start or the convergence, until posts are timed
	quiet       = 40 * time.Second // before the end, nothing is said
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
	if w.opt.Faults > 0 && w.opt.Outsider > 0 {
		w.intrude()
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
		all := w.everybody()
		n := all[w.rng.IntN(len(all))]
		if n.takesPart() && n.joined() {
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

// heal ends all faults: everybody runs, is at home and is heard. What the link itself loses goes on.
func (w *world) heal() {
	for _, n := range w.nodes {
		n.endTwin()
		n.mend()
		n.slow, n.frozen = 0, false
		n.wake()
		for _, c := range n.nics {
			c.part, c.deaf, c.mute, c.closed, c.clogged, c.hole = 0, n.deaf, 0, false, false, 0
		}
		if c := n.nics[0]; c.segment != w.home(n) {
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
