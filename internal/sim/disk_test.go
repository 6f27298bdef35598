package sim

import (
	"testing"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
)

// chainOf signs records of one feed, each after the one before it, the first after prev.
func chainOf(key *identity.Key, seq uint64, prev record.ID, words ...string) []record.Entry {
	var all []record.Entry
	for i, word := range words {
		h := record.Header{Feed: record.Feed{Author: key.Public(), Epoch: 1}, Seq: seq + uint64(i), Prev: prev, Order: seq}
		rec := record.Sign(key, record.RoomID{}, []record.Draft{{Header: h, Body: []byte(word)}})[0]
		all, prev = append(all, record.Entry{Record: rec}), rec.ID
	}
	return all
}

// A write that failed is not there for its process, which may go on with other records; it is there for the next
// process, unless something was written in its place.
func TestWhatFailedIsThereForTheNextProcess(t *testing.T) {
	w := newWorld(steady(2))
	key := w.nodes[1].key
	kept := chainOf(key, 1, record.ID{}, "one")
	failed := chainOf(key, 2, kept[0].ID, "two", "three")
	other := chainOf(key, 2, kept[0].ID, "another two")
	chain := kept[0].Chain()
	for _, again := range []bool{false, true} {
		d := newDisk(true)
		write := func(records []record.Entry) error {
			_, err := d.do(write{batch: &record.Batch{Scope: 1, Records: records}}, true)
			return err
		}
		if err := write(kept); err != nil {
			t.Fatal(err)
		}
		d.broken = true
		if err := write(failed); err != errDisk {
			t.Fatal(err)
		}
		d.broken = false
		if d.holds(chain, 2) {
			t.Error("what failed is there for the process that was told")
		}
		want := failed[1].ID
		if again {
			if err := write(other); err != nil {
				t.Errorf("another branch does not fit after the one that failed: %v", err)
			}
			want = other[0].ID
		}
		if _, err := d.reopen(); err != nil {
			t.Error(err)
		}
		if r := d.scope(1).chains[chain]; r.entries[len(r.entries)-1].ID != want {
			t.Errorf("written again %v: the next process finds %d records", again, r.high())
		}
	}
}

// What was handed out behind a batch that failed fails, too, although the disk works again: it would be a gap.
func TestWhatIsBehindAFailureFails(t *testing.T) {
	w := newWorld(steady(2))
	n := w.nodes[0]
	var told []error
	for _, e := range chainOf(w.nodes[1].key, 1, record.ID{}, "one", "two") {
		n.jobs = append(n.jobs, job{
			write: &write{batch: &record.Batch{Scope: 1, Records: []record.Entry{e}}},
			then: func(_ []record.Floor, err error) {
				told = append(told, err)
				n.disk.broken = false
			},
		})
	}
	n.disk.broken = true
	for len(n.jobs) > 0 {
		j := n.jobs[0]
		n.jobs = n.jobs[1:]
		n.finish(j)
	}
	if len(told) != 2 || told[0] != errDisk || told[1] != errDisk || w.err != nil {
		t.Errorf("told %v, %v; want both failed", told, w.err)
	}
	if s := n.disk.scope(engine.ScopeID(1)); s != nil {
		t.Error("something is kept")
	}
}

// What an author says instead of a record of which it was told that it failed is found (I5), unless its next process says
// it, which knows that nobody has the other.
func TestWhatFailedIsInDoubtForOneProcess(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		w := newWorld(steady(2))
		n := w.nodes[0]
		failed, instead := chainOf(n.key, 1, record.ID{}, "one"), chainOf(n.key, 1, record.ID{}, "another")
		f := w.check.said(n, nil, failed[0].Record)
		w.check.doubts(n, &record.Batch{Records: failed})
		if restarted {
			n.run++
		}
		if w.check.said(n, f, instead[0].Record); (w.err == nil) != restarted {
			t.Errorf("restarted %v: %v", restarted, w.err)
		}
	}
}
