package sim

import (
	"fmt"
	"slices"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
)

// latencies are the times from a post's being said to its being shown, one for each post and member.
type latencies []time.Duration

// at is the time within which a share of all pairs was served.
func (l latencies) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[min(int(share*float64(len(l))), len(l)-1)]
}

// String is what a report says of them.
func (l latencies) String() string {
	return fmt.Sprintf("%d pairs: p50 %v, p99 %v, p99.9 %v, at most %v", len(l), l.at(0.5).Round(10*time.Microsecond),
		l.at(0.99).Round(10*time.Microsecond), l.at(0.999).Round(10*time.Microsecond), l.at(1).Round(10*time.Microsecond))
}

// late is how many pairs took longer than d.
func (l latencies) late(d time.Duration) (n int) {
	for _, t := range l {
		if t > d {
			n++
		}
	}
	return n
}

// What did not come at once is repaired within repairedSoon, a share of it at least: that is time for three heads and
// some wants, and no digest tells of a record before 250 ms. Of fewer than enoughRepaired pairs a share says little.
const (
	repairedSoon   = 100 * time.Millisecond
	repairedShare  = 0.75
	enoughRepaired = 20
)

// repairs checks that whoever misses a record is told by its author's heads, and not late by a digest (L1; PROTOCOL.md
// R17). Repeats make up for heads where many listen.
func (c *checker) repairs() {
	if !c.w.opt.brisk() {
		return
	}
	late := slices.DeleteFunc(slices.Clone(c.latency), func(t time.Duration) bool { return t <= 2*c.w.opt.Delay })
	if len(late) >= enoughRepaired && late.at(repairedShare) > repairedSoon {
		c.w.violate("L1", "what did not come at once took too long: %v", late)
	}
}

// expectation is a post that all members of the moment are to show within a time: it was said when nothing but the
// link disturbed.
type expectation struct {
	said    time.Duration
	waiting map[*node]int // the process each is
}

// told notes which record became of what a node's engine was told to say.
func (c *checker) told(n *node, r engine.Reply) {
	c.texts[r.Record] = n.ledger.saying[r.Token]
	delete(n.ledger.saying, r.Token)
	if c.w.calm() && n.insider == nil && n.deaf == 0 {
		c.expect(n, r.Record)
	}
}

// expect begins to wait for a post that author has just said.
func (c *checker) expect(author *node, id record.ID) {
	e := &expectation{said: c.w.now, waiting: map[*node]int{}}
	for _, i := range author.nics {
		if i.segment == nil {
			continue
		}
		for _, n := range i.segment.members() {
			if n != author && n.deaf == 0 {
				e.waiting[n] = n.run
			}
		}
	}
	c.expected[id] = e
	settled := c.w.settled()
	c.w.after(settled, func() {
		delete(c.expected, id)
		for _, n := range c.w.nodes {
			if run, waits := e.waiting[n]; waits && run == n.run && n.takesPart() {
				c.w.violate("L1", "%v has not shown what %v said %v ago", n, author, settled)
			}
		}
	})
}

// arrived notes that n shows a post.
func (c *checker) arrived(n *node, rec *record.Record) {
	e := c.expected[rec.ID]
	if e == nil {
		return
	}
	if _, waits := e.waiting[n]; waits {
		delete(e.waiting, n)
		c.latency = append(c.latency, c.w.now-e.said)
	}
}
