package chat

import (
	"fmt"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// maxCited is how many heads of other feeds a record of ours names: enough to place it after what we had read.
const maxCited = 2

// Say makes the next record of our own feed. It is sent and shown when Stored has confirmed it. With ack the members
// are asked for receipts, and Received events tell how many of those here now have it.
func (r *Room) Say(now Now, posts []record.Post, ack bool) (record.ID, error) {
	body, err := record.EncodePosts(posts)
	if err != nil {
		return record.ID{}, fmt.Errorf("say: %w", err)
	}
	h := record.Header{
		Feed: r.own.id, Seq: r.own.next, Prev: r.own.prev,
		Order: min(max(uint64(max(now.Wall.UnixMilli(), 0)), r.maxOrder+1), record.MaxOrder),
		Wall:  now.Wall.UnixNano(), Parents: r.cited(),
	}
	if ack {
		h.Flags |= record.FlagAckWanted
	}
	rec := record.Sign(r.cfg.Key, r.cfg.ID, []record.Draft{{Header: h, Body: body}})[0]
	r.maxOrder = h.Order
	r.own.prove(h.Seq)
	r.hold(r.own, rec)
	r.accept(r.own)
	if ack {
		r.await(rec)
	}
	return rec.ID, nil
}

// cite remembers that f's head is new since our last record.
func (r *Room) cite(f *feed) {
	for i, g := range r.newest {
		if g == f {
			r.newest = append(r.newest[:i], r.newest[i+1:]...)
			break
		}
	}
	r.newest = append(r.newest, f)
	if len(r.newest) > maxCited {
		r.newest = r.newest[1:]
	}
}

func (r *Room) cited() []record.ID {
	var parents []record.ID
	for _, f := range r.newest {
		parents = append(parents, f.head)
	}
	r.newest = nil
	return parents
}

// tail is what follows own records onto the air: repeats while loss makes them pay, and HEADs, so that whoever missed
// the last record of a burst learns of it.
type tail struct {
	repeats []repeat
	last    *record.Record
	head    int // index into profile.heads of the next one
	headAt  time.Duration
	since   time.Duration
}

type repeat struct {
	at  time.Duration
	rec *record.Record
}

func (t *tail) deadline() time.Duration {
	at := never
	if t.last != nil {
		at = t.headAt
	}
	for _, rep := range t.repeats {
		at = min(at, rep.at)
	}
	return at
}

// sendOwn broadcasts a record of ours and sends it in pieces to those whose buffers would cut it.
func (r *Room) sendOwn(now time.Duration, rec *record.Record) {
	r.carry(rec, identity.DeviceID{}, Fresh, r.limit)
	for _, p := range r.sortedPresent() {
		fits := wire.SealedOverhead+len(rec.Bytes()) <= p.RecvBuffer
		if r.isMember(p.ID) && p.RecvBuffer >= wire.MinDatagram && p.RecvBuffer < r.limit && !fits {
			r.carry(rec, p.ID, Fresh, p.RecvBuffer)
		}
	}
	t := &r.tail
	if expected := float64(r.crowd()-1) * r.link.Loss; expected >= repeatAt {
		for _, d := range r.profile.repeats {
			t.repeats = append(t.repeats, repeat{now + d + r.jitter(d/4), rec})
		}
		if d := r.profile.heavyRepeat; d > 0 && r.link.Loss >= heavyLoss {
			t.repeats = append(t.repeats, repeat{now + d + r.jitter(d/4), rec})
		}
	}
	t.last, t.head, t.since = rec, 0, now
	t.headAt = now + r.profile.heads[0]
}

func (r *Room) sendTail(now time.Duration) {
	t := &r.tail
	waiting := t.repeats[:0]
	for _, rep := range t.repeats {
		if rep.at > now {
			waiting = append(waiting, rep)
			continue
		}
		r.carry(rep.rec, identity.DeviceID{}, Repair, r.limit)
	}
	t.repeats = waiting
	if t.last == nil || t.headAt > now {
		return
	}
	r.send(identity.DeviceID{}, Control, wire.Head{Bytes: t.last.Head()})
	for t.headAt <= now { // one stands for all that are overdue
		if t.head++; t.head >= len(r.profile.heads) {
			t.last = nil
			return
		}
		t.headAt = t.since + r.profile.heads[t.head]
	}
}

// carry sends a record in datagrams of at most limit bytes: whole if it fits, else in pieces.
func (r *Room) carry(rec *record.Record, to identity.DeviceID, class Class, limit int) {
	b := rec.Bytes()
	if wire.SealedOverhead+len(b) <= limit {
		r.out.Send = append(r.out.Send, Send{To: to, Class: class, Frame: wire.Record{Bytes: b}, Record: rec.ID})
		return
	}
	r.carryPart(rec, to, class, limit, 0, len(b))
}

// carryPart sends the bytes from up to to of an encoded record in pieces that fit limit.
func (r *Room) carryPart(rec *record.Record, dst identity.DeviceID, class Class, limit, from, to int) {
	b := rec.Bytes()
	step := limit - wire.SealedOverhead - wire.FragOverhead
	for to = min(to, len(b)); from < to; from += step {
		f := wire.Frag{
			Record: rec.ID, Total: uint16(len(b)), Offset: uint16(from), Data: b[from:min(from+step, to)],
		}
		r.out.Send = append(r.out.Send, Send{To: dst, Class: class, Frame: f, Record: rec.ID})
	}
}

// Again sends a record of ours to one member in pieces that its buffer takes whole, after it said that it was cut.
func (r *Room) Again(rec record.ID, to identity.DeviceID, buffer int) {
	r.answers.direct(rec, to, max(min(buffer, wire.MaxDatagram), wire.MinDatagram))
}
