package seal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxEpochs bounds the keys of a ring: a datagram that none owns costs an HMAC for each. A rekey's grace is over
	// long before the eighth.
	maxEpochs = 8

	// maxRivals bounds the secrets of one epoch, of which there are two when two members rekey at once. More are
	// somebody's game, which must not push out the epochs before.
	maxRivals = 3
)

// Ring holds the keys of one room over its key epochs. It is immutable and safe on many goroutines; Add and Drop make
// new ones.
//
// When members rekey at once there are several secrets of one epoch. All open datagrams; the one with the highest
// commitment seals them, so every member that has the same secrets seals with the same one, whatever came first.
// Beyond its bounds a ring forgets the lowest epochs and commitments, so that does not depend on the order either; but
// never the room's first secret, which all who ever joined have: by it members whose epochs are far apart meet again.
//
// A commitment can be made high by trying secrets. So whose secrets come here is for the caller to judge: not those of
// a member that another rekey of the same or an earlier epoch shuts out.
type Ring struct {
	id      [16]byte
	newAEAD NewAEAD
	keys    []epochKey // the current one first, then by epoch and commitment downwards
}

type epochKey struct {
	epoch  uint32
	secret Secret
	rank   [32]byte
	room   *Room
}

var errRing = errors.New("room keys: an empty secret or key epoch 0")

// NewRing is the ring of a room before any rekey. newAEAD is as for Open.
func NewRing(secret Secret, newAEAD NewAEAD) (*Ring, error) {
	if secret == (Secret{}) {
		return nil, errRing
	}
	return (&Ring{id: secret.RoomID(), newAEAD: newAEAD}).with(0, secret)
}

// Add is the ring with the secret of one more epoch. Adding what it has, or what it has no room for, changes nothing.
func (r *Ring) Add(epoch uint32, secret Secret) (*Ring, error) {
	if epoch == 0 || secret == (Secret{}) {
		return nil, errRing
	}
	return r.with(epoch, secret)
}

func (r *Ring) with(epoch uint32, secret Secret) (*Ring, error) {
	if slices.ContainsFunc(r.keys, func(k epochKey) bool { return k.epoch == epoch && k.secret == secret }) {
		return r, nil
	}
	room, err := Open(secret, epoch, r.newAEAD)
	if err != nil {
		return nil, err
	}
	room.ID = r.id // the room's own, not the one this secret would make
	keys := append(slices.Clone(r.keys), epochKey{epoch, secret, secret.commitment(), room})
	slices.SortFunc(keys, func(a, b epochKey) int {
		return cmp.Or(cmp.Compare(b.epoch, a.epoch), bytes.Compare(b.rank[:], a.rank[:]))
	})
	rivals := 0
	keys = slices.DeleteFunc(keys, func(k epochKey) bool {
		if k.epoch == epoch {
			rivals++
		}
		return k.epoch == epoch && rivals > maxRivals
	})
	if len(keys) > maxEpochs { // the first of all stays: who was away for long has no other that we have
		keys = append(keys[:maxEpochs-1], keys[len(keys)-1])
	}
	return &Ring{r.id, r.newAEAD, keys}, nil
}

// Holds tells whether the ring has the secret that a rekey's body promises.
func (r *Ring) Holds(body []byte) bool { return r.Without(body) != r }

// Without is the ring without the secret that a rekey's body promised. The keys of before any rekey stay in any case.
func (r *Ring) Without(body []byte) *Ring {
	epoch, commit, _, err := parseRekey(body)
	kept := slices.DeleteFunc(slices.Clone(r.keys), func(k epochKey) bool {
		return err == nil && k.epoch == epoch && bytes.Equal(k.rank[:commitSize], commit)
	})
	if len(kept) == 0 || len(kept) == len(r.keys) {
		return r
	}
	return &Ring{r.id, r.newAEAD, kept}
}

// Drop is the ring without the epochs below one, whose grace is over. The current key stays in any case.
func (r *Ring) Drop(below uint32) *Ring {
	kept := slices.DeleteFunc(slices.Clone(r.keys[1:]), func(k epochKey) bool { return k.epoch < below })
	return &Ring{r.id, r.newAEAD, append([]epochKey{r.keys[0]}, kept...)}
}

// RoomID is the room's id, over all epochs.
func (r *Ring) RoomID() [16]byte { return r.id }

// Epoch is the current key epoch.
func (r *Ring) Epoch() uint32 { return r.keys[0].epoch }

// Secret is that of the current epoch, for an invite.
func (r *Ring) Secret() Secret { return r.keys[0].secret }

// Current is what to seal with.
func (r *Ring) Current() *Room { return r.keys[0].room }

// Of is what sealed while an epoch was the current one; nil if its keys are forgotten.
func (r *Ring) Of(epoch uint32) *Room {
	for _, k := range r.keys {
		if k.epoch == epoch {
			return k.room
		}
	}
	return nil
}

// Uses tells whether the keys in use are those that a rekey's body promises.
func (r *Ring) Uses(body []byte) bool {
	epoch, commit, _, err := parseRekey(body)
	return err == nil && r.keys[0].epoch == epoch && bytes.Equal(r.keys[0].rank[:commitSize], commit)
}

// Before are the keys other than the current ones, the latest first.
func (r *Ring) Before() []*Room {
	var before []*Room
	for _, k := range r.keys[1:] {
		before = append(before, k.room)
	}
	return before
}

// Owns finds the keys a datagram was sealed with, as far as its tag can tell: the current ones are tried first.
func (r *Ring) Owns(datagram []byte) (*Room, bool) {
	for _, k := range r.keys {
		if k.room.Owns(datagram) {
			return k.room, true
		}
	}
	return nil, false
}

// Format keeps the keys out of logs and error texts, whatever the verb.
func (Ring) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }
