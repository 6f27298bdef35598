package chat

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"bcast/identity"
	"bcast/internal/record"
)

const (
	// maxRekeys is how many of the last rekeys are remembered: for members that missed them, and to tell which count.
	maxRekeys = 8
	// maxLongOut is how many are remembered whom rekeys of before these shut out.
	maxLongOut = 4096
)

// rekey is what a member's rekey says: to whom it gives the keys of an epoch, and whom it shuts out.
type rekey struct {
	rec    *record.Record
	author identity.DeviceID
	epoch  uint32
	secret [20]byte // what its data says of that: epoch and commitment
	named  []identity.DeviceID
	out    []identity.DeviceID
	struck bool // another one shuts its author out: it says nothing
	barred bool // it gives the keys to whom another one of its epoch shuts out: they are not used
	leaks  bool // and that is not that one's own secret, so that no record of this one's counts
	// rival: so does that one. Who stored this one first goes on with its keys: the room is in two.
	rival bool
	// invited: an invite brought its keys. So it counts where that was made, and whoever shuts its author out was before.
	invited bool
}

func (k *rekey) counts() bool { return !k.struck && !k.barred }

func (k *rekey) shutsOut(ids ...identity.DeviceID) bool {
	return slices.ContainsFunc(ids, func(id identity.DeviceID) bool { return slices.Contains(k.out, id) })
}

// meet decides between a rekey and one that was stored before it, whose authors need not have known of each other. The
// stricter one counts, whatever secrets they drew: else one who is being shut out, or who has not heard of that, would
// undo it. If they shut out each other's members, the one that came first stands.
func (k *rekey) meet(before *rekey) {
	switch {
	case before.struck:
	case before.epoch >= k.epoch && k.shutsOut(before.author) && !before.invited && !before.shutsOut(k.author):
		before.struck = true
	case before.epoch != k.epoch:
	case before.shutsOut(k.named...):
		k.barred, k.leaks, k.rival = true, k.secret != before.secret, k.shutsOut(before.named...)
	case k.shutsOut(before.named...):
		before.barred, before.leaks = true, before.leaks || k.secret != before.secret
	}
}

// rekeyed notes a member's rekey and takes those whom it shuts out for members no more. Whoever was shut out by one
// that came before rekeys nothing. It tells whether it did not know of it.
func (r *Room) rekeyed(f *feed, rec *record.Record, p record.Post) bool {
	if r.cfg.Rekey == nil {
		return false
	}
	epoch, named, ok := r.cfg.Rekey(p.Data)
	known := slices.ContainsFunc(r.rekeys, func(k *rekey) bool { return k.rec.ID == rec.ID }) // of several the first
	if !ok || known {
		return false
	}
	if !r.mayRekey(f.author, epoch, p.Data) {
		r.postpone(f, rec)
		return false
	}
	k := &rekey{rec: rec, author: f.author, epoch: epoch, named: named}
	copy(k.secret[:], p.Data)
	k.invited = r.cfg.Invited != nil && r.cfg.Invited(p.Data)
	for word := range strings.FieldsSeq(p.Text) {
		if id, err := identity.ParseDeviceID(word); err == nil {
			k.out = append(k.out, id)
		}
	}
	for _, before := range r.rekeys {
		if k.meet(before); before.struck {
			r.shutOut(before.out)
		}
	}
	if r.rekeys = append(r.rekeys, k); len(r.rekeys) > maxRekeys {
		r.outlast(r.rekeys[0])
		r.rekeys = r.rekeys[1:]
	}
	for _, other := range r.rekeys { // what one record leaks is used by none, whoever said it
		leaks := func(o *rekey) bool { return o.leaks && o.secret == other.secret }
		other.barred = other.barred || slices.ContainsFunc(r.rekeys, leaks)
	}
	r.shutOut(k.out)
	r.fit()
	return true
}

// mayRekey tells whether the author of a rekey was a member when it said that: who is shut out from a later epoch on
// was, and a rekey whose keys we have, from an invite or our own home, counted for whoever took them. Of whom no join
// is kept, that it could say this is enough.
func (r *Room) mayRekey(author identity.DeviceID, epoch uint32, data []byte) bool {
	m := r.members[author]
	switch {
	case m == nil || author == r.self:
		return true
	case m.left:
		return false
	}
	return m.out == 0 || epoch < m.out || r.cfg.Holds != nil && r.cfg.Holds(data)
}

// postponed is a rekey of who was shut out, as far as was known then.
type postponed struct {
	feed *feed
	rec  *record.Record
}

// postpone keeps in mind a rekey of who is shut out: it may have come back, and others have heard it say so.
func (r *Room) postpone(f *feed, rec *record.Record) {
	if slices.ContainsFunc(r.postponed, func(k postponed) bool { return k.rec.ID == rec.ID }) {
		return
	}
	if r.postponed = append(r.postponed, postponed{f, rec}); len(r.postponed) > maxRekeys {
		r.postponed = r.postponed[1:]
	}
}

// reconsider takes the rekeys that a device said since it came back, whose return is known only now.
func (r *Room) reconsider(id identity.DeviceID, out uint32) {
	var again []postponed
	r.postponed = slices.DeleteFunc(r.postponed, func(k postponed) bool {
		if k.feed.author != id {
			return false
		}
		if k.rec.Header.KeyEpoch >= out {
			again = append(again, k)
		}
		return true
	})
	for _, k := range again {
		posts, err := k.rec.Posts()
		i := slices.IndexFunc(posts, func(p record.Post) bool { return p.Kind == record.KindRekey })
		if err != nil || !r.rekeyed(k.feed, k.rec, posts[i]) {
			continue
		}
		said := Event{Kind: Posted, Record: k.rec, Index: i, Branch: k.feed.id.Branch, Late: true, Device: id}
		r.tell(said, posts[i:i+1])
	}
}

// foretell tells of a rekey that waits behind a gap: members that have its keys may fill the gap under these alone.
func (r *Room) foretell(f *feed, rec *record.Record) {
	if _, plain := rec.PlainKinds(); plain || r.cfg.Rekey == nil {
		return // what has no data is no rekey
	}
	posts, err := rec.Posts()
	if err != nil {
		return
	}
	for i, p := range posts {
		if p.Kind == record.KindRekey && r.rekeyed(f, rec, p) {
			r.out.Events = append(r.out.Events, Event{
				Kind: Foretold, Record: rec, Index: i, Posts: posts[i : i+1], Device: f.author,
			})
		}
	}
}

// shutOut finds out anew by which rekeys devices are shut out: by none that is struck.
func (r *Room) shutOut(ids []identity.DeviceID) {
	for _, id := range ids {
		m := r.members[id]
		if m == nil {
			continue
		}
		was := r.isMember(id)
		r.regard(id, func() { m.out, m.spoke = r.outOf(id), false })
		if is := r.isMember(id); was != is && id != r.self { // who is shut out itself is told by whom
			r.tellMember(id, is)
		}
	}
	r.returned()
}

// returned lets us in again once we have keys of since we were shut out, and has us say so.
func (r *Room) returned() {
	if m := r.members[r.self]; m != nil && m.out != 0 && r.keyEpoch >= m.out {
		m.out, r.lapsed = 0, true
	}
}

// outlast keeps in mind whom a rekey shuts out that is remembered no more: their joins may come after it. If they are
// too many, those of the lowest epoch are forgotten.
func (r *Room) outlast(k *rekey) {
	if k.struck {
		return
	}
	for _, id := range k.out {
		r.longOut[id] = max(r.longOut[id], k.epoch)
	}
	for len(r.longOut) > maxLongOut {
		delete(r.longOut, slices.MinFunc(slices.Collect(maps.Keys(r.longOut)), func(a, b identity.DeviceID) int {
			return cmp.Or(cmp.Compare(r.longOut[a], r.longOut[b]), a.Compare(b))
		}))
	}
}

// isNamed tells whether a rekey of the current epoch that counts gives its keys to a device. So it has them, though
// another one of that epoch shuts it out.
func (r *Room) isNamed(id identity.DeviceID) bool {
	return slices.ContainsFunc(r.rekeys, func(k *rekey) bool {
		return k.counts() && k.epoch == r.keyEpoch && slices.Contains(k.named, id)
	})
}

// outOf is the latest epoch from which a device is shut out, 0 if it is from none.
func (r *Room) outOf(id identity.DeviceID) (epoch uint32) {
	epoch = r.longOut[id]
	for _, k := range r.rekeys {
		if !k.struck && k.shutsOut(id) {
			epoch = max(epoch, k.epoch)
		}
	}
	return epoch
}

// SetKeyEpoch says under which keys of the room our records are said from now on.
func (r *Room) SetKeyEpoch(epoch uint32) {
	r.keyEpoch = epoch
	r.returned()
}

// Rekeys are the records of the last rekeys whose keys are used, the newest last.
func (r *Room) Rekeys() []*record.Record { return r.rekeysThat((*rekey).counts) }

// Unused are the records of the last rekeys whose keys are not used, because another one shuts out whoever said them or
// was given them.
func (r *Room) Unused() []*record.Record {
	return r.rekeysThat(func(k *rekey) bool { return !k.counts() })
}

// Rival tells, once, whether a rekey and another one each give the keys to whom the other shuts out, so that members go
// on with the one or the other.
func (r *Room) Rival(rec *record.Record) bool {
	for _, k := range r.rekeys {
		if k.rec.ID == rec.ID && k.rival {
			k.rival = false
			return true
		}
	}
	return false
}

func (r *Room) rekeysThat(match func(*rekey) bool) (all []*record.Record) {
	for _, k := range r.rekeys {
		if match(k) {
			all = append(all, k.rec)
		}
	}
	return all
}

// Keys are the public keys of the members, as their records show them, ours first.
func (r *Room) Keys() []identity.PublicKey {
	var keys []identity.PublicKey
	for _, f := range r.feeds {
		if f.author != r.self && r.isMember(f.author) {
			keys = append(keys, f.id.Feed.Author)
		}
	}
	slices.SortFunc(keys, func(a, b identity.PublicKey) int { return a.ID().Compare(b.ID()) })
	return append([]identity.PublicKey{r.cfg.Key.Public()}, slices.Compact(keys)...)
}
