package sim

import (
	"slices"
	"time"

	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// tap reads what is on the air, as whoever knows the room's name can.
type tap struct {
	w    *world
	keys *seal.Room
}

func newTap(w *world) tap {
	newAEAD := seal.NewAEAD(newChecksum)
	if w.opt.Real {
		newAEAD = nil
	}
	keys, err := seal.Open(seal.PublicSecret(lobby), 0, newAEAD)
	if err != nil {
		panic(err) // its sizes are constants
	}
	return tap{w: w, keys: keys}
}

// inspect checks that a datagram carries and names only what belongs to the network that it is sent on (N1).
func (t *tap) inspect(n *node, s *engine.Send) {
	here := n.segmentOf(s.Iface)
	inner, err := t.keys.Unseal(s.Data)
	if err != nil || here == nil {
		return
	}
	if s.Type.Signed() {
		signed, err := wire.ParseSigned(s.Type, inner)
		if err != nil {
			t.w.violate("I9", "%v sends a %v that nobody can read: %v", n, s.Type, err)
			return
		}
		t.frame(n, here, signed.Frame)
		return
	}
	frame, err := wire.ParseFrame(s.Type, inner)
	if err != nil {
		t.w.violate("I9", "%v sends a %v that nobody can read: %v", n, s.Type, err)
		return
	}
	t.frame(n, here, frame)
}

// allKinds are those of all messages.
var allKinds = wire.KindsOf(wire.KindProof, wire.KindClaims, wire.KindOffer, wire.KindTake, wire.KindEntry,
	wire.KindEnd, wire.KindBusy)

// stream checks the same of what is written to a stream: whole messages.
func (t *tap) stream(n *node, here *segment, b []byte) {
	for len(b) > 0 && here != nil && n.insider == nil {
		m, rest, err := wire.CutMessage(b, allKinds)
		if err != nil || m == nil {
			t.w.violate("I9", "%v writes to a stream what nobody can read: %v", n, err)
			return
		}
		b = rest
		switch m := m.(type) {
		case wire.StreamClaims:
			t.claims(n, here, m, slices.DeleteFunc(slices.Clone(m.Claims), func(c wire.FeedClaim) bool { return c.High == 0 }))
		case wire.Offer:
			t.claims(n, here, m, m.Claims)
		case wire.Take:
			for _, r := range m.Ranges {
				t.belongs(n, here, m, t.w.check.byShort[r.Feed])
			}
		case wire.Entry:
			if rec, err := record.Parse(record.RoomID(t.keys.ID), m.Bytes); err == nil {
				t.w.check.fixed(rec)
				t.belongs(n, here, m, t.w.check.feeds[rec.Header.Feed])
			}
		}
	}
}

func (t *tap) frame(n *node, here *segment, f wire.Frame) {
	switch f := f.(type) {
	case wire.Record:
		if rec, err := record.Parse(record.RoomID(t.keys.ID), f.Bytes); err == nil {
			t.w.check.fixed(rec)
			t.belongs(n, here, f, t.w.check.feeds[rec.Header.Feed])
		}
	case wire.Head:
		if rec, err := record.ParseHead(record.RoomID(t.keys.ID), f.Bytes); err == nil {
			t.belongs(n, here, f, t.w.check.feeds[rec.Header.Feed])
		}
	case wire.Frag:
		if rec := t.w.check.byID[f.Record]; rec != nil {
			t.belongs(n, here, f, t.w.check.feeds[rec.Header.Feed])
		}
	case wire.Digest:
		t.claims(n, here, f, f.Claims)
	case wire.Receipt:
		t.claims(n, here, f, f.Stored)
	case wire.Range:
		for _, s := range f.Spans {
			t.claims(n, here, f, s.Claims)
		}
	case wire.Want:
		for _, r := range f.Ranges {
			t.belongs(n, here, f, t.w.check.byShort[r.Feed])
		}
	}
}

// claimOut is how long a claim may wait for the broadcast budget after it was made.
const claimOut = 2 * time.Second

// claims checks that what a member says it has is there (I6) and is of this network (N1).
func (t *tap) claims(n *node, here *segment, f any, claims []wire.FeedClaim) {
	for _, c := range claims {
		of := t.w.check.byShort[c.Feed]
		t.belongs(n, here, f, of)
		if of == nil {
			continue
		}
		chain := record.Chain{Feed: of.id}
		stale := n.disk.gaveUp(chain, c.Low, t.w.now-claimOut)
		if !stale && (!n.disk.holds(chain, c.High) || !n.disk.holds(chain, c.Low)) {
			t.w.violate("I6", "%v claims %d to %d of the feed of %v and has not stored it", n, c.Low, c.High, of.author)
		}
	}
}

// belongs checks that a feed is of the network that it is sent on. The first network that it is sent on is its own.
func (t *tap) belongs(n *node, here *segment, f any, of *feed) {
	switch {
	case of == nil && (t.w.opt.Insiders > 0 || t.w.opt.Snapshots): // an insider's, made up by one, or a branch
	case of == nil:
		t.w.violate("I2", "%v sends a %T of a feed that nobody began", n, f)
	case of.home == nil:
		of.home = here
	case of.home != here:
		t.w.violate("N1", "%v sends on segment %d a %T of the feed of %v, which is of segment %d",
			n, here.index, f, of.author, of.home.index)
	}
}

func (n *node) segmentOf(iface int) *segment {
	for _, c := range n.nics {
		if c.index == iface {
			return c.segment
		}
	}
	return nil
}
