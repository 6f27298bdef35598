package sim

import (
	"reflect"
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

// A loss of power brings back what was there before the writes that it takes: each of them, whatever it did.
func TestLossOfPowerBringsBackWhatWas(t *testing.T) {
	w := newWorld(steady(2))
	key := w.nodes[1].key
	all := chainOf(key, 1, record.ID{}, "one", "two", "three", "four")
	chain, branch := all[0].Chain(), record.ID{9}
	level := func(high uint64) []record.Level {
		return []record.Level{{Chain: chain, Device: key.ID(), High: high}}
	}
	anew := all[3]
	anew.Anew = true
	writes := []write{
		{scope: &record.Scope{ID: 1, Room: record.RoomID{1}}},
		{batch: &record.Batch{Scope: 1, Records: all[:1], Levels: level(1)}, own: chain},
		{batch: &record.Batch{Scope: 1, Records: all[1:2], Levels: level(2)}},
		{scope: &record.Scope{ID: 1, Room: record.RoomID{1}, Retention: record.Retention{Count: 2}}},
		{batch: &record.Batch{Scope: 1, Splits: []record.Split{{Chain: chain, At: 2, Branch: branch}}}},
		{batch: &record.Batch{Scope: 1, Records: []record.Entry{anew}, Rosters: []record.Roster{{From: 4}}}},
		{batch: &record.Batch{Scope: 2, Records: chainOf(key, 7, record.ID{}, "seven", "eight", "nine")}},
		{forget: 1},
	}
	for keep := range writes {
		d, want := newDisk(false), newDisk(false)
		for i, wr := range writes {
			if _, err := d.apply(wr); err != nil {
				t.Fatal(err)
			}
			if i < keep {
				want.apply(wr)
			}
		}
		if lost := d.losePower(keep); lost != len(writes)-keep {
			t.Errorf("%d writes lost, want %d", lost, len(writes)-keep)
		}
		if got, want := d.told(), want.told(); !reflect.DeepEqual(got, want) {
			t.Errorf("of the first %d writes is left\n%+v, want\n%+v", keep, got, want)
		}
	}
}

// told is all that a disk tells the next process, and what it has of each chain.
func (d *disk) told() (all []any) {
	for _, s := range d.scopes {
		all = append(all, s.kept(), s.bytes, len(s.arrived))
		for _, r := range s.order {
			all = append(all, *r)
		}
	}
	return all
}
