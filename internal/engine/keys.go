package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// A private room's keys change by a rekey: a post, said under the keys of before, that holds a new secret sealed to
// each member who stays.
const (
	// rekeyGrace is how long what members say under the keys of before is taken: they may not have the new ones yet.
	rekeyGrace = 10 * time.Minute
	// tellEach is how often a member that speaks under old keys is told the new ones.
	tellEach = time.Second
	// maxShutOut is how many one rekey names: their ids stand beside a body that is full.
	maxShutOut = 32
	// maxEpochJump is how far ahead of ours a rekey's epoch may be: one of the last number there is must not end all
	// rekeying.
	maxEpochJump = 1024
)

// rekeyAgain is when a rekey is said again under the keys of before.
var rekeyAgain = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 8 * time.Second}

// Errors of Rekey.
var (
	ErrPublic   = errors.New("the keys of a public room follow from its name")
	ErrShutOut  = errors.New("none of the room's members, or too many")
	ErrOnlySelf = errors.New("one cannot shut out oneself: leave the room")
	ErrOut      = errors.New("a member shut this device out of the room")
	ErrDirect   = errors.New("the keys of a direct room follow from those of its two devices")
)

// Keys are those of a private room.
type Keys struct {
	Secret      seal.Secret // names the room, and is its first key
	Epoch       uint32      // of the current keys; 0: the room was never rekeyed
	EpochSecret seal.Secret
	Invited     seal.Secret // of a later epoch, as the last invite had it; zero: none did
}

// PushKeys are those of what is pushed behind a post of a room, for each of the room's keys, the current one first;
// none if the room is not joined.
func (e *Engine) PushKeys(room identity.RoomName, post record.Ref) []*seal.Push {
	r := e.rooms[room]
	if r == nil {
		return nil
	}
	var name [seal.PostIDSize]byte
	binary.BigEndian.PutUint16(name[copy(name[:], post.Record[:]):], post.Index)
	return r.ring.Push(name)
}

// ring is the keys of a room: what Join says, and what the rekeys kept have brought since.
func (e *Engine) ring(name identity.RoomName, k *Keys) (*seal.Ring, error) {
	if k == nil {
		return seal.NewRing(seal.PublicSecret(name), e.cfg.NewAEAD)
	}
	ring, err := seal.NewRing(k.Secret, e.cfg.NewAEAD)
	if err == nil && k.Epoch > 0 {
		ring, err = ring.Add(k.Epoch, k.EpochSecret)
	}
	return ring, err
}

// Rekey changes the keys of a private room, and shuts out members: who is not named by it reads nothing from then on.
// The Reply comes when the new keys are in force here.
type Rekey struct {
	Room    identity.RoomName
	Without []identity.DeviceID
}

func (c Rekey) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	switch {
	case r == nil || r.leaving != nil:
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	case !r.private:
		e.answer(token, Reply{Err: ErrPublic})
		return
	case r.direct != nil:
		e.answer(token, Reply{Err: ErrDirect})
		return
	case r.out:
		e.answer(token, Reply{Err: ErrOut})
		return
	case e.readOnly(now) != nil:
		e.answer(token, Reply{Err: e.readOnly(now)})
		return
	}
	posts, err := e.rekeyPosts(now, r, c.Without)
	if err != nil {
		e.answer(token, Reply{Err: err})
		return
	}
	for i, p := range posts {
		id, err := r.scopes[0].chat.Say(now, []record.Post{p}, false)
		if err != nil {
			e.answer(token, Reply{Err: err})
			return
		}
		if i == len(posts)-1 {
			e.saying[id] = token
		}
	}
}

// rekeyPosts draws a new secret and seals it to the members who stay.
func (e *Engine) rekeyPosts(now Now, r *room, without []identity.DeviceID) ([]record.Post, error) {
	s := r.scopes[0]
	if slices.Contains(without, e.id) {
		return nil, ErrOnlySelf
	}
	for _, id := range without {
		if !s.chat.IsMember(id) {
			return nil, ErrShutOut
		}
	}
	if len(without) > maxShutOut {
		return nil, ErrShutOut
	}
	var secret seal.Secret
	if _, err := io.ReadFull(e.cfg.Random, secret[:]); err != nil {
		return nil, fmt.Errorf("draw a room secret: %w", err)
	}
	members := s.chat.Keys()
	for _, p := range e.discovery.Peers() { // one here may be a member by what it said alone
		if s.chat.IsMember(p.ID) {
			members = append(members, p.Key)
		}
	}
	members = slices.DeleteFunc(members, func(k identity.PublicKey) bool { return slices.Contains(without, k.ID()) })
	bodies, _, err := seal.SealRekey(e.cfg.Random, r.ring.RoomID(), r.ring.Epoch()+1, e.cfg.Key.Public(), secret, members)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, id := range without {
		names = append(names, id.String())
	}
	posts := make([]record.Post, len(bodies))
	for i, b := range bodies {
		posts[i] = record.Post{Kind: record.KindRekey, Text: strings.Join(names, " "), Data: b}
	}
	return posts, nil
}

// rekeyed takes the new keys that a stored rekey brings, if it counts and they are for us. A direct room has the keys
// that follow from its devices.
func (e *Engine) rekeyed(now Now, r *room, s *scope, ev chat.Event) {
	if !r.changesKeys() {
		return
	}
	p := ev.Posts[0]
	counts := e.turnKeys(now, r, s, ev)
	e.tellHome(r)
	before := r.ring.Of(ev.Record.Header.KeyEpoch)
	switch {
	case r.isShutOut(p, e.id) && (counts || slices.Contains(s.chat.Unused(), ev.Record)):
		r.out = true
		e.out.Events = append(e.out.Events, Event{Kind: ShutOutEvent, Room: r.name, Chat: ev})
	case counts && before != nil && ev.Device == e.id:
		for _, d := range rekeyAgain {
			r.rekeys = append(r.rekeys, rekeying{at: now.Mono + d, keys: before, rec: ev.Record})
		}
	}
}

// turnKeys goes on with the keys that a rekey brings, if it counts and they are for us, and without those of rekeys
// that it shows not to count. Not before the rekey is stored are they told to the home: until then another one may show
// the same of it, which the next process would not know.
func (e *Engine) turnKeys(now Now, r *room, s *scope, ev chat.Event) (counts bool) {
	ring, before := r.ring, r.keys
	r.forgo(s)
	if counts = slices.Contains(s.chat.Rekeys(), ev.Record); counts {
		e.openRekey(r, ev.Record, ev.Posts[0])
	}
	switch {
	case r.keys != before:
		e.switchKeys(now, r)
	case r.ring != ring:
		e.refreshOpener()
	}
	if s.chat.Rival(ev.Record) {
		ev.Nick = s.chat.Nick(ev.Device)
		e.out.Events = append(e.out.Events, Event{Kind: RivalEvent, Room: r.name, Chat: ev})
	}
	return counts
}

// forgo gives up the keys of rekeys that count no more, because of one that came later.
func (r *room) forgo(s *scope) {
	ring, used := r.ring, s.chat.Rekeys()
	for _, rec := range s.chat.Unused() {
		for _, p := range rekeysIn(rec) {
			if !slices.ContainsFunc(used, func(u *record.Record) bool { return sameSecret(u, p) }) {
				ring = ring.Without(p.Data)
			}
		}
	}
	if ring != r.ring {
		r.take(ring)
	}
}

// sameSecret tells whether a rekey promises the secret that another one does.
func sameSecret(rec *record.Record, p record.Post) bool {
	return slices.ContainsFunc(rekeysIn(rec), func(o record.Post) bool { return seal.SamePromise(o.Data, p.Data) })
}

// openRekey adds what a rekey brings to the ring, if it is sealed to us.
func (e *Engine) openRekey(r *room, rec *record.Record, p record.Post) bool {
	epoch, secret, ours, err := seal.OpenRekey(e.cfg.Key, r.ring.RoomID(), rec.Header.Feed.Author, p.Data)
	if err != nil || !ours || epoch > r.ring.Epoch()+maxEpochJump {
		return false
	}
	ring, err := r.ring.Add(epoch, secret)
	if err != nil {
		return false
	}
	r.take(ring)
	r.out = false
	return true
}

// switchKeys has all of us go on with the keys that a room has taken.
func (e *Engine) switchKeys(now Now, r *room) {
	r.switched = now.Mono
	r.apart.begin(now, e.seekJitter())
	e.refreshOpener()
}

// tellHome has the home remember the keys in use.
func (e *Engine) tellHome(r *room) {
	if r.told == r.keys {
		return
	}
	r.told = r.keys
	e.out.Events = append(e.out.Events, Event{
		Kind: KeysEvent, Room: r.name, Keys: &Keys{Epoch: r.ring.Epoch(), EpochSecret: r.ring.Secret(), Invited: r.invited},
	})
}

// isShutOut tells whether a rekey shuts us out, whose id that is: it says so, and we have no keys of its epoch or
// later.
func (r *room) isShutOut(p record.Post, id identity.DeviceID) bool {
	epoch, _, ok := seal.ReadRekey(p.Data)
	return ok && epoch > r.ring.Epoch() && slices.Contains(strings.Fields(p.Text), id.String())
}

// readmit takes the keys of an invite of after a rekey into a room that is joined: who was shut out comes back with
// them, and is a member again.
func (e *Engine) readmit(now Now, r *room, k *Keys) {
	if k == nil || k.Epoch <= r.ring.Epoch() || r.direct != nil {
		return
	}
	ring, err := r.ring.Add(k.Epoch, k.EpochSecret)
	if err != nil {
		return // an empty secret: no invite has one
	}
	r.invited = k.Invited
	r.take(ring)
	r.out = false
	e.switchKeys(now, r)
	e.tellHome(r)
	for _, s := range r.scopes {
		e.enrol(now, r, s)
	}
	for _, p := range e.discovery.Peers() {
		if p.Present() && r.scopes[0].chat.IsMember(p.ID) { // who hears it knows that we are back, and takes a rekey of ours
			e.sendTo(p, r, r.scopes[0], r.keys, greeting)
		}
	}
}

// reopenRekeys brings the ring of a restored room up to the rekeys that its store kept.
func (e *Engine) reopenRekeys(r *room) {
	for _, s := range r.scopes {
		r.forgo(s)
		for _, rec := range s.chat.Rekeys() {
			for _, p := range rekeysIn(rec) {
				r.out = !e.openRekey(r, rec, p) && (r.out || r.isShutOut(p, e.id))
			}
		}
	}
}

func rekeysIn(rec *record.Record) []record.Post {
	posts, err := rec.Posts()
	if err != nil {
		return nil
	}
	posts = slices.DeleteFunc(posts, func(p record.Post) bool { return p.Kind != record.KindRekey })
	return posts[:min(len(posts), 1)] // of several the first counts
}

// rekeying is a rekey that is to be said again under the keys of before.
type rekeying struct {
	at   time.Duration
	keys *seal.Room
	rec  *record.Record
}

func (r *room) rekeyDeadline() time.Duration {
	at := never
	if r.changesKeys() {
		at = r.apart.seekAt
	}
	for _, k := range r.rekeys {
		at = min(at, k.at)
	}
	return at
}

// sayRekeys says again what is due.
func (e *Engine) sayRekeys(now Now, r *room) {
	r.rekeys = slices.DeleteFunc(r.rekeys, func(k rekeying) bool {
		if k.at > now.Mono {
			return false
		}
		limit, _ := r.scopes[0].chat.Limit()
		for _, send := range chat.AppendRecord(nil, k.rec, identity.DeviceID{}, chat.Fresh, limit) {
			e.budget.queue(outgoing{r.name, r.scopes[0], k.keys, send, now.Mono, 0})
		}
		return true
	})
}

// underOldKeys takes a datagram that was sealed with keys of before. For a while members may not have the new ones; who
// is none any more is not heard. A member is told the new keys, each time it shows that it does not have them.
func (e *Engine) underOldKeys(now Now, r *room, s *scope, op *Opened) wire.Drop {
	author := op.record
	switch {
	case author != nil && !s.chat.IsMember(author.Header.Feed.Author.ID()):
		return wire.DropStranger
	case now.Mono-r.switched > rekeyGrace && now.Mono > r.apart.until && op.signed == nil:
		return wire.DropUnknownRoom
	case op.signed == nil:
		return ""
	}
	id := op.signed.Sender.Key.ID()
	is := s.chat.IsMember(id)
	if !is && r.keysFor(s, id) == nil { // who was given the keys may have them, whatever else is kept of it
		return wire.DropStranger
	}
	r.apart.strayed(now, id, e.seekJitter())
	if p, known := e.discovery.Peer(id); known && now.Mono >= r.toldAt[id]+tellEach {
		if r.toldAt == nil {
			r.toldAt = map[identity.DeviceID]time.Duration{}
		}
		r.toldAt[id] = now.Mono
		e.tellKeys(p, r, s, op.keys)
	}
	if !is {
		return wire.DropStranger
	}
	return ""
}

// tellKeys tells a member, under keys of before, the keys in use; if it has them, that we do. A member that nobody
// sealed them to, because who rekeyed did not know of it, is one for people to decide about: whoever has an invite of
// before could have become one since.
func (e *Engine) tellKeys(p discovery.Peer, r *room, s *scope, before *seal.Room) {
	if rec := r.keysFor(s, p.ID); rec != nil {
		for _, send := range chat.AppendRecord(nil, rec, p.ID, chat.Fresh, s.chat.LimitOf(p.ID)) {
			e.sendTo(p, r, s, before, send)
		}
	} else if !r.apart.missed[p.ID] {
		r.apart.missed[p.ID] = true
		e.out.Events = append(e.out.Events, Event{Kind: MissedEvent, Room: r.name, Peer: &p})
	}
	e.sendTo(p, r, s, r.keys, greeting)
}

// keysFor is the last record that has the secret in use for a device; nil if none has.
func (r *room) keysFor(s *scope, id identity.DeviceID) *record.Record {
	for _, rec := range slices.Backward(s.chat.Rekeys()) {
		for _, p := range rekeysIn(rec) {
			if _, named, _ := seal.ReadRekey(p.Data); r.ring.Uses(p.Data) && slices.Contains(named, id) {
				return rec
			}
		}
	}
	return nil
}
