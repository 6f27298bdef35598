package history

import (
	"slices"

	"bcast/internal/record"
)

// plan is what a call of Memory.Append will make of a scope. Nothing is changed before all of it is known to be right.
type plan struct {
	*scope
	runs  map[record.Chain]*planned // those that change; nil: there will be none
	added []item                    // in the order in which they come
	ids   map[record.ID]bool        // of added
	given []record.Floor            // what begins later by now than who brings it knows
}

// plans are those of a call, one for each scope.
type plans []*plan

// of is the plan for a scope.
func (p *plans) of(s *scope) *plan {
	for _, known := range *p {
		if known.scope == s {
			return known
		}
	}
	made := &plan{scope: s, runs: map[record.Chain]*planned{}, ids: map[record.ID]bool{}}
	*p = append(*p, made)
	return made
}

// planned is a run as it will be.
type planned struct {
	run
	added []item // what follows
	moved bool   // to a branch, and with it its records
}

func (r *planned) high() uint64 { return r.run.high() + uint64(len(r.added)) }

// id is that of record seq, which it has.
func (r *planned) id(seq uint64) record.ID {
	if kept := r.run.high(); seq > kept {
		return r.added[seq-kept-1].ID
	}
	return r.items[seq-r.low].ID
}

// of is a chain as it will be; nil if there will be none.
func (p *plan) of(c record.Chain) *planned {
	if r, drawn := p.runs[c]; drawn {
		return r
	}
	known := p.chains[c]
	if known == nil {
		return nil
	}
	r := &planned{run: *known}
	p.runs[c] = r
	return r
}

// split moves the records of a chain from a number on to a branch.
func (p *plan) split(split record.Split) error {
	if split.Branch.IsZero() {
		return nil
	}
	r := p.of(split.Chain)
	if r == nil || split.At > r.high() {
		return nil
	}
	to := record.Chain{Feed: split.Chain.Feed, Branch: split.Branch}
	if p.of(to) != nil {
		return ErrTaken
	}
	at := max(split.At, r.low)
	branch := &planned{run: run{low: at, first: split.At, before: split.Before}, moved: true}
	all := slices.Concat(r.items, r.added)
	branch.items = moved(all[at-r.low:], split.Branch)
	older := slices.IndexFunc(r.older, func(it item) bool { return it.Header.Seq >= split.At })
	if older >= 0 {
		branch.older = moved(r.older[older:], split.Branch)
		r.older = slices.Clip(r.older[:older])
	}
	p.runs[to] = branch
	r.added, r.items = nil, slices.Clip(all[:at-r.low])
	if len(r.items) > 0 {
		return nil
	}
	if r.low = split.At; len(r.older) == 0 {
		p.runs[split.Chain] = nil
	}
	return nil
}

// moved are items as those of a branch.
func moved(items []item, branch record.ID) []item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Branch = branch
	}
	return items
}

// add keeps a record unless it is kept, or was and was given up since.
func (p *plan) add(e record.Entry) error {
	r := p.of(e.Chain())
	if r == nil {
		r = &planned{run: run{low: e.Header.Seq}}
		if !e.Branch.IsZero() {
			r.first, r.before = e.Header.Seq, e.Header.Prev
		}
		p.runs[e.Chain()] = r
	}
	switch seq := e.Header.Seq; {
	case seq < r.low:
		p.given = merge(p.given, []record.Floor{{Chain: e.Chain(), Low: r.low}})
		return nil
	case seq > r.high()+1 && !e.Anew:
		return ErrGap
	case seq <= r.high() && r.id(seq) != e.ID:
		return ErrTaken
	case seq <= r.high():
		return nil
	}
	if _, elsewhere := p.byID[e.ID]; elsewhere || p.ids[e.ID] {
		return ErrTaken
	}
	p.ids[e.ID] = true
	it := item{e, digestOf(e.Record)}
	if it.Anew = false; e.Header.Seq > r.high()+1 {
		r.older = slices.Concat(r.older, r.items, r.added)
		r.low, r.items, r.added = e.Header.Seq, nil, nil
	}
	r.added = append(r.added, it)
	p.added = append(p.added, it)
	return nil
}

// carryOut makes the plan true.
func (p *plan) carryOut() {
	s := p.scope
	for c, r := range p.runs {
		if r == nil {
			delete(s.chains, c)
		} else {
			kept := r.run
			kept.items = append(r.items, r.added...)
			s.chains[c] = &kept
		}
	}
	for _, it := range p.added {
		s.stored = append(s.stored, it)
		s.order(it)
		s.byID[it.ID] = it
		s.bytes += int64(len(it.Bytes()))
	}
	for c, r := range p.runs {
		if r != nil && r.moved {
			s.rename(slices.Concat(s.chains[c].older, s.chains[c].items))
		}
	}
}

// rename lets all that lists items know them by their new branch.
func (s *scope) rename(items []item) {
	for _, it := range items {
		s.byID[it.ID] = it
	}
	for _, list := range [][]item{s.stored, s.ordered} {
		for i := range list {
			list[i] = s.byID[list[i].ID]
		}
	}
}
