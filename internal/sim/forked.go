package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bcast/internal/record"
)

// agreed checks that all have the same of a feed that two went on with, and each record in the same branch (I8).
func (c *checker) agreed(f *feed) {
	common := c.common(f)
	var first map[record.ID]record.ID
	var of *node
	for _, n := range f.home.members() {
		if n.mayLack() {
			continue
		}
		has := c.branches(n, f, common)
		switch {
		case of == nil:
			first, of = has, n
		case !maps.Equal(has, first):
			c.w.violate("I8", "of the forked feed of %v %v shows\n    %v\n  and %v\n    %v", f.author,
				of, c.branchText(first), n, c.branchText(has))
		}
	}
	if len(first) > 0 {
		c.w.count.Forks++
	}
}

// branchText names the records of a feed by number and id, each with its branch.
func (c *checker) branchText(has map[record.ID]record.ID) string {
	var all []string
	for id, branch := range has {
		s := fmt.Sprintf("%d:%x", c.byID[id].Header.Seq, id[:3])
		if branch != (record.ID{}) {
			s += fmt.Sprintf(" in %x", branch[:3])
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// common is from where on all must have each chain of a feed. Where some give up what is old, who comes new may begin a
// chain where one of them does (R5).
func (c *checker) common(f *feed) map[record.Chain]uint64 {
	from := map[record.Chain]uint64{}
	for _, n := range f.home.members() {
		if c.w.opt.Retain > 0 && !n.mayLack() {
			n.eachChain(f, func(chain record.Chain, r *run) { from[chain] = max(from[chain], r.low) })
		}
	}
	return from
}

// branches is in which branch a node has each record of a feed, of those that all must have.
func (c *checker) branches(n *node, f *feed, common map[record.Chain]uint64) map[record.ID]record.ID {
	has := map[record.ID]record.ID{}
	n.eachChain(f, func(chain record.Chain, r *run) {
		for _, e := range r.entries {
			if e.Header.Seq >= common[chain] {
				has[e.ID] = chain.Branch
			}
		}
	})
	return has
}

// eachChain calls do with what a node has of a feed, in what it shows now.
func (n *node) eachChain(f *feed, do func(record.Chain, *run)) {
	for _, id := range n.scopes() {
		if s := n.disk.scope(id); s != nil {
			for chain, r := range s.chains {
				if chain.Feed == f.id {
					do(chain, r)
				}
			}
		}
	}
}
