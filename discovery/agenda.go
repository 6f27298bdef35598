package discovery

import (
	"container/heap"
	"slices"
	"time"
)

// agenda is when peers are to be looked at, the next one first. The time of a peer may be too early, and is never too
// late: each BEAT puts off what is due of its peer, and that costs nothing. In a crowd it is looked at those that are
// due, not at all.
type agenda []*peer

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].lookAt < a[j].lookAt }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].slot, a[j].slot = i+1, j+1
}

func (a *agenda) Push(p any) {
	*a = append(*a, p.(*peer))
	p.(*peer).slot = len(*a)
}

func (a *agenda) Pop() any {
	last := len(*a) - 1
	p := (*a)[last]
	(*a)[last], p.slot = nil, 0
	*a = (*a)[:last]
	return p
}

// plan has a peer be looked at by a time.
func (d *Discovery) plan(p *peer, at time.Duration) {
	switch {
	case p.slot == 0:
		p.lookAt = at
		heap.Push(&d.agenda, p)
	case at < p.lookAt:
		p.lookAt = at
		heap.Fix(&d.agenda, p.slot-1)
	}
	d.due(at)
}

// duePeers takes those that are due from the agenda, by id.
func (d *Discovery) duePeers(now time.Duration) []*peer {
	var due []*peer
	for len(d.agenda) > 0 && d.agenda[0].lookAt <= now {
		due = append(due, heap.Pop(&d.agenda).(*peer))
	}
	slices.SortFunc(due, func(a, b *peer) int { return a.id.Compare(b.id) })
	return due
}

// dueNext finds when the next peer is really due.
func (d *Discovery) dueNext() {
	for len(d.agenda) > 0 {
		p := d.agenda[0]
		at := p.nextAt()
		switch {
		case !p.status.present():
			heap.Pop(&d.agenda)
		case at > p.lookAt:
			p.lookAt = at
			heap.Fix(&d.agenda, 0)
		default:
			d.due(p.lookAt)
			return
		}
	}
}
