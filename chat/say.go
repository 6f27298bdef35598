package chat

import (
	"fmt"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// MaxCited is how many heads of other feeds a record of ours names: enough to place it after what we had read.
const MaxCited = 2

// Say makes the next record of our own feed. It is sent and shown when Stored has confirmed it. With ack the members
// are asked for receipts. Received events tell how many of those who are members now have it.
func (r *Room) Say(now Now, posts []record.Post, ack bool) (record.ID, error) {
	ids, err := r.SayAll(now, [][]record.Post{posts}, ack)
	if err != nil {
		return record.ID{}, err
	}
	return ids[0], nil
}

// SayAll makes a record of each of the packs, at most record.MaxFlight under one signature. With ack the members are
// asked for a receipt of the last one, which tells of all.
func (r *Room) SayAll(now Now, packs [][]record.Post, ack bool) ([]record.ID, error) {
	bodies := make([][]byte, len(packs))
	for i, posts := range packs {
		var err error
		if bodies[i], err = record.EncodePosts(posts); err != nil {
			return nil, fmt.Errorf("say: %w", err)
		}
	}
	if r.doubted {
		r.renew(now.Mono)
	}
	if packs[0][0].Kind == record.KindJoin {
		r.lapsed = false
	}
	members := r.freeze(now, r.own.id.Feed, r.own.next)
	var ids []record.ID
	for len(bodies) > 0 {
		n := min(len(bodies), record.MaxFlight)
		for i, rec := range r.flight(now, bodies[:n], ack && n == len(bodies)) {
			if last := n == len(bodies) && i == n-1; last && !membership(packs[i][0].Kind) {
				r.watch(rec, r.own.id, members) // who has it has what was said together with it
			}
			ids = append(ids, rec.ID)
		}
		bodies, packs = bodies[n:], packs[n:]
	}
	return ids, nil
}

// flight signs the next records of our own feed and hands them to the store; with ack the last one asks for receipts.
func (r *Room) flight(now Now, bodies [][]byte, ack bool) []*record.Record {
	drafts := make([]record.Draft, len(bodies))
	prev := r.own.prev
	for i, body := range bodies {
		h := record.Header{
			KeyEpoch: r.keyEpoch,
			Feed:     r.own.id.Feed, Seq: r.own.next + uint64(i), Prev: prev,
			Order: min(max(uint64(max(now.Wall.UnixMilli(), 0)), r.maxOrder+1), record.MaxOrder),
			Wall:  now.Wall.UnixNano(), Parents: r.cited(),
		}
		if ack && i == len(bodies)-1 {
			h.Flags |= record.FlagAckWanted
		}
		drafts[i] = record.Draft{Header: h, Body: body}
		r.maxOrder, prev = h.Order, drafts[i].Name(r.cfg.ID)
	}
	records := record.Sign(r.cfg.Key, r.cfg.ID, drafts)
	for _, rec := range records {
		r.own.prove(rec.Header.Seq)
		r.hold(r.own, rec)
	}
	r.accept(r.own)
	return records
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
	if len(r.newest) > MaxCited {
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
	said    int // bytes of all own records so far
	copies  int // of the last record, with its repeats
	demand  demand
	last    *record.Record
	head    int // index into profile.heads of the next one
	headAt  time.Duration
	since   time.Duration
}

type repeat struct {
	at   time.Duration
	rec  *record.Record
	said int // with it
}

// overtake drops the repeats of records after which so much was said that it tells of their loss before a repeat could.
func (t *tail) overtake() {
	n := 0
	for n < len(t.repeats) && t.said-t.repeats[n].said > maxFollowing {
		n++
	}
	t.repeats = t.repeats[n:]
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

// sendOwn broadcasts a record of ours, and sends it in pieces to those whose buffers would cut it, and once more to
// each who may sleep.
func (r *Room) sendOwn(now time.Duration, rec *record.Record) {
	r.carry(rec, identity.DeviceID{}, Fresh, r.limit)
	for _, p := range r.sortedPresent() {
		fits := wire.SealedOverhead+len(rec.Bytes()) <= p.RecvBuffer
		if r.isMember(p.ID) && p.RecvBuffer >= wire.MinDatagram && p.RecvBuffer < r.limit && !fits {
			r.carry(rec, p.ID, Fresh, p.RecvBuffer)
		}
	}
	t := &r.tail
	t.said += len(rec.Bytes())
	t.overtake()
	others := r.crowd() - 1 - r.wakeSleepers(now, rec)
	t.demand.say(rec.Header.Seq)
	t.last, t.head, t.since = rec, t.firstHead(now-t.since, r), now
	t.copies = 1
	if loss := t.loss(r.link.Loss); float64(others)*loss >= repeatAt {
		delays := r.profile.repeats
		if loss >= heavyLoss {
			delays = slices.Concat(delays, r.profile.heavyRepeats)
		}
		t.head = max(t.head, 1) // a repeat tells what the first head would
		t.copies += len(delays)
		for _, d := range delays {
			t.repeats = append(t.repeats, repeat{now + d + r.jitter(d/4), rec, t.said})
		}
	}
	t.headAt = now + r.profile.heads[t.head]
}

// firstHead is which HEAD comes first after a record that was said so long after the one before. Where records do not
// get lost those are left out which the next record may overtake, if we go on as we do: it tells as much.
func (t *tail) firstHead(pause time.Duration, r *Room) int {
	next, heads := pause+pause/2, r.profile.heads
	if !t.demand.quiet(r.crowd()) || next > heads[lastLeftOut] {
		return 0
	}
	first := 0
	for heads[first] < next {
		first++
	}
	return first
}

// wakeSleepers sends a record to each member on Wi-Fi alone, too, and tells how many these are. An access point keeps
// broadcasts for the beacon at which sleepers wake, sends them at its lowest rate and nobody acknowledges them; a
// unicast comes sooner, at a high rate, and is repeated by the link. So copies to some cost the air less than repeats
// to all; when there were so many lately that they would cost more, none is sent.
func (r *Room) wakeSleepers(now time.Duration, rec *record.Record) int {
	whole := wire.SealedOverhead + len(rec.Bytes())
	if r.profile != &wifi || !r.other.IsZero() || whole > r.limit {
		return 0
	}
	var sleepers []identity.DeviceID
	for _, p := range r.sortedPresent() {
		if p.Wifi && !p.Open && r.isMember(p.ID) && whole <= p.RecvBuffer {
			sleepers = append(sleepers, p.ID)
		}
	}
	cost := float64(len(sleepers))
	if r.wakes.refill(now, maxWakes, wakesRate); cost > r.wakes.tokens {
		return 0
	}
	r.wakes.tokens -= cost
	for _, id := range sleepers {
		r.carry(rec, id, Fresh, r.limit)
	}
	return len(sleepers)
}

// loss is the share of broadcasts lost by which repeats are decided: what members had to ask for, or what beats
// tell, as long as somebody asks.
func (t *tail) loss(beats float64) float64 {
	if t.demand.calm > quietRecords {
		beats = 0
	}
	return max(t.demand.loss, beats)
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

// carry sends a record in datagrams of at most limit bytes.
func (r *Room) carry(rec *record.Record, to identity.DeviceID, class Class, limit int) {
	r.out.Send = AppendRecord(r.out.Send, rec, to, class, limit)
}

// AppendRecord appends what carries a record in datagrams of at most limit bytes: whole if it fits, else in pieces.
func AppendRecord(sends []Send, rec *record.Record, to identity.DeviceID, class Class, limit int) []Send {
	b := rec.Bytes()
	if wire.SealedOverhead+len(b) <= limit {
		return append(sends, Send{To: to, Class: class, Frame: wire.Record{Bytes: b}, Record: rec.ID})
	}
	return appendPart(sends, rec, to, class, limit, 0, len(b))
}

// appendPart appends what carries the bytes from up to to of an encoded record in pieces that fit limit.
func appendPart(
	sends []Send, rec *record.Record, dst identity.DeviceID, class Class, limit, from, to int,
) []Send {
	b := rec.Bytes()
	step := limit - wire.SealedOverhead - wire.FragOverhead
	for to = min(to, len(b)); from < to; from += step {
		f := wire.Frag{
			Record: rec.ID, Total: uint16(len(b)), Offset: uint16(from), Data: b[from:min(from+step, to)],
		}
		sends = append(sends, Send{To: dst, Class: class, Frame: f, Record: rec.ID})
	}
	return sends
}

// Again sends a record of ours to one member in pieces that its buffer takes whole, after it said that it was cut.
func (r *Room) Again(rec record.ID, to identity.DeviceID, buffer int) {
	r.answers.direct(rec, to, max(min(buffer, r.LimitOf(to)), wire.MinDatagram))
}
