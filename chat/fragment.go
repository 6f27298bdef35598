package chat

import (
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

// of is the assembly of a feed's record, if its first piece came.
func (p *assemblies) of(id record.Feed, seq uint64) *assembly {
	var found *assembly
	for _, a := range p.byName {
		if a.head != nil && a.head.Header.Feed == id && a.head.Header.Seq == seq && (found == nil || a.less(found)) {
			found = a
		}
	}
	return found
}

// open is the assembly of a record, made if need be: then the one that was quiet longest makes place.
func (p *assemblies) open(now time.Duration, f wire.Frag) *assembly {
	name := pieces{record.ID(f.Record), int(f.Total)}
	if a := p.byName[name]; a != nil {
		return a
	}
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
	a := &assembly{id: name.id, buf: make([]byte, f.Total)}
	p.byName[name] = a
	return a
}

func (a *assembly) name() pieces { return pieces{a.id, len(a.buf)} }

// less is an order of assemblies that does not depend on a map.
func (a *assembly) less(b *assembly) bool {
	return lessID(a.id, b.id) || a.id == b.id && len(a.buf) < len(b.buf)
}

func lessID(a, b record.ID) bool { return slices.Compare(a[:], b[:]) < 0 }

// Frag takes a piece of a record (R20). Whoever sent it, only a whole record with its author's signature counts.
func (r *Room) Frag(now Now, f wire.Frag) {
	if int(f.Total) > record.MaxSize {
		return
	}
	for name, a := range r.parts.byName {
		if a.heard+assemblyLife < now.Mono {
			delete(r.parts.byName, name)
		}
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
	if f.Offset == 0 && a.head == nil {
		r.firstPiece(now, a)
	}
	if len(a.got) == 1 && a.got[0] == (extent{0, len(a.buf)}) {
		r.whole(now, a)
	}
}

// firstPiece reads header and proof, which the first piece holds: from then on what is missing can be asked for.
func (r *Room) firstPiece(now Now, a *assembly) {
	head, _, err := record.ParseHeadPrefix(r.cfg.ID, a.buf[:a.got[0].to])
	if err != nil || head.ID != a.id || !head.Verify(r.cfg.Verify) {
		return
	}
	a.head = head
	r.Head(now, head)
}

func (r *Room) whole(now Now, a *assembly) {
	rec, err := record.Parse(r.cfg.ID, a.buf)
	if err != nil || rec.ID != a.id || !rec.Verify(r.cfg.Verify) {
		delete(r.parts.byName, a.name()) // somebody mixed a false piece in: begin anew
		return
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
