package chat

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// assembly is a record of which some pieces came.
type assembly struct {
	id    record.ID
	buf   []byte
	got   []extent       // sorted, apart
	head  *record.Record // once the first piece came
	began time.Duration
	heard time.Duration
}

// extent is a run of bytes, From inclusive, To exclusive.
type extent struct{ from, to int }

// assemblies are the records being put together, at most maxAssemblies.
type assemblies struct {
	byName map[pieces]*assembly
	done   []record.ID // put together lately: pieces that come twice begin nothing anew
}

// pieces names what is put together: who sends pieces of a record of another length makes another assembly.
type pieces struct {
	id    record.ID
	total int
}

func (p *assemblies) init() { p.byName = map[pieces]*assembly{} }

// forget ends the assembly of a record that is here whole.
func (p *assemblies) forget(rec *record.Record) {
	delete(p.byName, pieces{rec.ID, len(rec.Bytes())})
	p.done = append(p.done, rec.ID)
	if len(p.done) > maxAssemblies {
		p.done = p.done[1:]
	}
}

// again has pieces of a record that is not here after all count anew.
func (p *assemblies) again(id record.ID) {
	p.done = slices.DeleteFunc(p.done, func(d record.ID) bool { return d == id })
}

// of are the assemblies of a feed's records whose first piece came, by number.
func (p *assemblies) of(id record.Feed) map[uint64]*assembly {
	var found map[uint64]*assembly
	for _, a := range p.byName {
		if a.head == nil || a.head.Header.Feed != id {
			continue
		}
		if found == nil {
			found = map[uint64]*assembly{}
		}
		if seq := a.head.Header.Seq; found[seq] == nil || a.less(found[seq]) {
			found[seq] = a
		}
	}
	return found
}

// open is the assembly of a record, made if need be: then the one that was quiet longest makes place.
func (p *assemblies) open(now time.Duration, f wire.Frag) *assembly {
	name := pieces{record.ID(f.Record), int(f.Total)}
	if a := p.byName[name]; a != nil && a.heard+assemblyLife >= now {
		return a
	}
	maps.DeleteFunc(p.byName, func(_ pieces, a *assembly) bool { return a.heard+assemblyLife < now })
	if slices.Contains(p.done, name.id) {
		return nil
	}
	if len(p.byName) >= maxAssemblies {
		var oldest *assembly
		for _, a := range p.byName {
			if oldest == nil || a.heard < oldest.heard || a.heard == oldest.heard && a.less(oldest) {
				oldest = a
			}
		}
		delete(p.byName, oldest.name())
	}
	a := &assembly{id: name.id, buf: make([]byte, f.Total), began: now}
	p.byName[name] = a
	return a
}

func (a *assembly) name() pieces { return pieces{a.id, len(a.buf)} }

// less is an order of assemblies that does not depend on a map.
func (a *assembly) less(b *assembly) bool {
	return lessID(a.id, b.id) || a.id == b.id && len(a.buf) < len(b.buf)
}

func lessID(a, b record.ID) bool { return slices.Compare(a[:], b[:]) < 0 }

// Frag takes a piece of a record (R20), with the record's head if the piece holds it and its signature was checked.
// Whoever sent it, only a whole record with its author's signature counts.
func (r *Room) Frag(now Now, f wire.Frag, head *record.Record) {
	if int(f.Total) > record.MaxSize {
		return
	}
	a := r.parts.open(now.Mono, f)
	if a == nil {
		return
	}
	a.heard = now.Mono
	copy(a.buf[f.Offset:], f.Data)
	if a.add(extent{int(f.Offset), int(f.Offset) + len(f.Data)}); len(a.got) > wire.MaxFragments {
		delete(r.parts.byName, a.name()) // nobody cuts a record so small
		return
	}
	if head != nil && a.head == nil { // from then on what is missing can be asked for
		a.head = head
		r.Head(now, head)
	}
	r.expectMore(now.Mono, a)
	if len(a.got) == 1 && a.got[0] == (extent{0, len(a.buf)}) {
		r.whole(now, a)
	}
}

// expectMore puts off the asking for the first record that a feed lacks when a piece of it just came: the rest is on
// its way too. A piece is not proven, so this does not go on for longer than pieces that were sent together take.
func (r *Room) expectMore(now time.Duration, a *assembly) {
	if a.head == nil || now-a.began > piecesTake {
		return
	}
	f := r.feeds[record.Chain{Feed: a.head.Header.Feed}]
	if k := r.asks[f]; k != nil && a.head.Header.Seq == f.next {
		k.at = max(k.at, now+r.profile.firstWant/2+r.firstWant())
	}
}

// whole takes a record that is put together. Its head's signature was checked, and covers the body: what begins with
// the same bytes needs no other check.
func (r *Room) whole(now Now, a *assembly) {
	delete(r.parts.byName, a.name()) // also if it is refused now: then it is to be asked for as if nothing had come
	rec, err := record.Parse(r.cfg.ID, a.buf)
	if err != nil || a.head == nil || !bytes.Equal(rec.Head(), a.head.Bytes()) {
		return // somebody mixed a false piece in: begin anew
	}
	r.Record(now, rec)
}

// add notes that the bytes of e are there.
func (a *assembly) add(e extent) {
	a.got = append(a.got, e)
	slices.SortFunc(a.got, func(x, y extent) int { return x.from - y.from })
	merged := a.got[:1]
	for _, x := range a.got[1:] {
		if last := &merged[len(merged)-1]; x.from <= last.to {
			last.to = max(last.to, x.to)
		} else {
			merged = append(merged, x)
		}
	}
	a.got = merged
}

// missing is what has not come, at most n runs.
func (a *assembly) missing(n int) []wire.Part {
	var parts []wire.Part
	from := 0
	for _, e := range append(a.got[:len(a.got):len(a.got)], extent{len(a.buf), len(a.buf)}) {
		if e.from > from && len(parts) < n {
			parts = append(parts, wire.Part{Record: a.id, From: uint16(from), To: uint16(e.from)})
		}
		from = e.to
	}
	return parts
}
