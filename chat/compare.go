package chat

import (
	"bytes"
	"slices"

	"bcast/identity"
	"bcast/internal/wire"
)

// span is a part of the feeds in the order of their short names, both ends inclusive.
type span struct{ from, to [8]byte }

var everything = span{to: [8]byte{255, 255, 255, 255, 255, 255, 255, 255}}

// overlaps tells whether two spans have names in common. Those of one range have none: of thirty that are all the same
// each would cost a hash over all claims.
func (s span) overlaps(o span) bool {
	return bytes.Compare(s.from[:], o.to[:]) <= 0 && bytes.Compare(o.from[:], s.to[:]) <= 0
}

// claimed is the feeds with a claim within s, in the order of their short names. Nobody writes to it.
func (r *Room) claimed(s span) []*feed {
	compare := func(f *feed, name [8]byte) int { return bytes.Compare(f.short[:], name[:]) }
	from, _ := slices.BinarySearchFunc(r.named, s.from, compare)
	to := len(r.named)
	if s.to != everything.to {
		to, _ = slices.BinarySearchFunc(r.named, after(s.to), compare)
	}
	return r.named[from:max(from, to):max(from, to)]
}

// fingerprint is the keyed hash of the claims of feeds, which are in order.
func (r *Room) fingerprint(feeds []*feed) [16]byte {
	b := make([]byte, 0, len(feeds)*claimSize)
	for _, f := range feeds {
		b = f.appendClaim(b)
	}
	return r.cfg.Fingerprint(b)
}

// compare sends a member what we have within some spans: listed if it is little, else the fingerprints of its parts
// (R16). One datagram of the smallest size; the rest comes up again with the next digest. Which parts go is drawn: some
// will never agree, because one of us gave up what the other keeps, and must not hide the others.
func (r *Room) compare(to identity.DeviceID, spans ...span) {
	var frame wire.Range
	var parts []wire.Span
	for _, s := range spans {
		parts = append(parts, r.parted(s)...)
	}
	left := wire.MinDatagram - wire.SealedOverhead - wire.SignedOverhead - 1
	for _, i := range r.cfg.Rand.Perm(len(parts)) {
		part := parts[i]
		if size := part.Size(); size <= left {
			frame.Spans, left = append(frame.Spans, part), left-size
		}
	}
	if len(frame.Spans) > 0 {
		r.send(to, Control, frame)
	}
}

// parted is s as one listed span, or split into fingerprinted ones that leave no name out.
func (r *Room) parted(s span) []wire.Span {
	feeds := r.claimed(s)
	if len(feeds) <= splitAt {
		return []wire.Span{{From: s.from, To: s.to, Listed: true, Claims: wireClaims(feeds)}}
	}
	var parts []wire.Span
	from := s.from
	for i := range splitInto {
		end := (i + 1) * len(feeds) / splitInto
		part := feeds[i*len(feeds)/splitInto : end]
		to := s.to
		if i < splitInto-1 {
			to = before(feeds[end].short)
		}
		parts = append(parts, wire.Span{From: from, To: to, Fingerprint: r.fingerprint(part)})
		from = after(to)
	}
	return parts
}

func wireClaims(feeds []*feed) []wire.FeedClaim {
	claims := make([]wire.FeedClaim, len(feeds))
	for i, f := range feeds {
		claims[i] = f.wireClaim()
	}
	return claims
}

// ranges takes a member's side of a comparison. Each round either narrows a difference down or names it; a list is
// answered only with what its sender lacks, so that it ends, and a question with one datagram of each kind.
func (r *Room) ranges(now Now, from identity.DeviceID, f wire.Range) {
	var unequal, seen []span
	var more []*feed
	for _, s := range f.Spans {
		here := span{s.From, s.To}
		if bytes.Compare(s.From[:], s.To[:]) > 0 || slices.ContainsFunc(seen, here.overlaps) {
			continue
		}
		seen = append(seen, here)
		if !s.Listed {
			if r.fingerprint(r.claimed(here)) != s.Fingerprint {
				unequal = append(unequal, here)
			}
			continue
		}
		theirs := map[[8]byte]uint64{}
		for _, c := range s.Claims {
			theirs[c.Feed] = c.High
			r.learn(now, from, c)
		}
		r.listed(now.Mono, from, here, s.Claims)
		lacking := func(f *feed) bool { return f.high <= theirs[f.short] }
		more = append(more, slices.DeleteFunc(slices.Clone(r.claimed(here)), lacking)...)
	}
	r.compare(from, unequal...)
	r.cfg.Rand.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
	if more = more[:min(len(more), digestClaims)]; len(more) > 0 {
		r.sendClaims(from, wireClaims(more))
	}
}

// before and after are the neighbours of a name in the order of names.
func before(name [8]byte) [8]byte {
	for i := len(name) - 1; i >= 0; i-- {
		name[i]--
		if name[i] != 255 {
			break
		}
	}
	return name
}

func after(name [8]byte) [8]byte {
	for i := len(name) - 1; i >= 0; i-- {
		name[i]++
		if name[i] != 0 {
			break
		}
	}
	return name
}
