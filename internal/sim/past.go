package sim

import (
	"slices"

	"bcast/internal/record"
)

// past is what a write changes of an image, as it was before. To bring that back takes less memory than a second image,
// which would hold what was synced: of a crowd each disk has records of all.
type past struct {
	scopes []*keptScope
	of     *keptScope // which was written to; nil: none
	was    keptScope
	runs   []pastRun
	levels []pastLevel
}

// pastRun is what was in the place of a chain.
type pastRun struct {
	chain record.Chain
	run   *run // nil: nothing
	was   run
}

// pastLevel is what a level was.
type pastLevel struct {
	in  *levels
	was level
}

func (p *past) list(i *image) {
	if p != nil {
		p.scopes = slices.Clip(i.scopes)
	}
}

func (p *past) scope(s *keptScope) {
	if p != nil {
		p.of, p.was = s, s.copied()
	}
}

func (p *past) run(s *keptScope, c record.Chain) {
	if p == nil {
		return
	}
	was := pastRun{chain: c, run: s.chains[c]}
	if was.run != nil {
		was.was = was.run.copied()
	}
	p.runs = append(p.runs, was)
}

func (p *past) level(in *levels, was level) {
	if p != nil {
		p.levels = append(p.levels, pastLevel{in, was})
	}
}

// revert brings back what was there before a write, the last one that was not reverted.
func (i *image) revert(p *past) {
	i.scopes = p.scopes
	s := p.of
	if s == nil {
		return
	}
	*s = p.was
	for _, r := range slices.Backward(p.runs) {
		if r.run == nil {
			delete(s.chains, r.chain)
		} else {
			*r.run, s.chains[r.chain] = r.was, r.run
		}
	}
	for _, l := range slices.Backward(p.levels) {
		at, _ := slices.BinarySearchFunc(l.in.of, l.was.device, compareLevel)
		l.in.of[at] = l.was
	}
}
