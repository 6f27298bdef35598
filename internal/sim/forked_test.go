package sim

import (
	"slices"
	"testing"
	"time"

	"bcast/internal/record"
)

// Of a forked feed all have the same (I8), but that who came new may begin later where some give up what is old.
func TestForkedFeedIsComparedFromWhereAllHaveIt(t *testing.T) {
	for _, c := range []struct {
		what   string
		retain int
		lose   func(*run)
		fails  bool
	}{
		{"nothing", 0, func(*run) {}, false},
		{"the first, and all keep all", 0, loseFirst, true},
		{"the first, and some give up", 1000, loseFirst, false},
		{"the last, and some give up", 1000, func(r *run) { r.entries = r.entries[:len(r.entries)-1] }, true},
	} {
		opt := steady(4)
		opt.Retain = c.retain
		w := newWorld(opt)
		w.at(opt.Duration-time.Second, func() {
			f := w.check.order[slices.IndexFunc(w.check.order, func(f *feed) bool { return len(f.records) > 3 })]
			n := w.nodes[3]
			c.lose(n.disk.scope(n.scopes()[0]).chains[record.Chain{Feed: f.id}])
			w.check.agreed(f)
			if failed := w.err != nil; failed != c.fails {
				t.Errorf("one lacks %s: %v", c.what, w.err)
			}
			w.err = errDisk // no more is asked of this run
		})
		w.run()
	}
}

func loseFirst(r *run) { r.low, r.entries = r.low+1, r.entries[1:] }
