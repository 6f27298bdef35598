package engine_test

import (
	"encoding/binary"
	"math"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// draws are what a script of a fuzzer decides: numbers most of all, and those near the ends of what they may be. Behind
// its end everything is zero.
type draws struct{ script []byte }

func (d *draws) byte() byte {
	if len(d.script) == 0 {
		return 0
	}
	b := d.script[0]
	d.script = d.script[1:]
	return b
}

// below is less than n.
func (d *draws) below(n int) int { return int(d.byte()) % n }

// odds tells one time in n.
func (d *draws) odds(n int) bool { return d.below(n) == n-1 }

func (d *draws) bytes(n int) []byte {
	b := make([]byte, n)
	d.script = d.script[copy(b, d.script):]
	return b
}

// edges are numbers at which something of 8, 16, 32, 47, 62 or 64 bits ends.
var edges = []uint64{
	0, 1, 2, 3, 47, 48, 64, math.MaxUint8, math.MaxUint16 - 1, math.MaxUint16, math.MaxUint16 + 1, 1<<31 - 1, 1 << 31,
	1<<31 + 1, math.MaxUint32, 1 << 32, 1<<32 + 1, record.MaxOrder, record.MaxOrder + 1, 1<<62 - 1, 1 << 62, 1<<62 + 1,
	math.MaxInt64, 1 << 63, 1<<63 + 1, math.MaxUint64 - 1, math.MaxUint64,
}

// number is mostly an edge, or one of those that are known or next to it.
func (d *draws) number(known ...uint64) uint64 {
	switch n := d.below(8); {
	case n < 4 && len(known) > 0:
		return known[d.below(len(known))] + uint64(d.below(3)) - 1
	case n < 7:
		return edges[d.below(len(edges))]
	}
	return binary.BigEndian.Uint64(d.bytes(8))
}

// small is a number of 16 bits.
func (d *draws) small(known ...uint64) uint16 { return uint16(d.number(known...)) }

// few is how many of something there are: mostly one, and sometimes as many as there may be, or one more.
func (d *draws) few(most int) int {
	switch d.below(6) {
	case 0:
		return most
	case 1:
		return d.below(most + 1)
	case 2:
		return 2
	}
	return 1
}

// name is one of the known feeds, or none.
func (d *draws) name(known []record.ShortFeed) (name record.ShortFeed) {
	switch n := d.below(8); {
	case n < 6:
		name = known[d.below(len(known))]
	case n == 6:
		copy(name[:], d.bytes(len(name)))
	case d.odds(2):
		name = record.ShortFeed{255, 255, 255, 255, 255, 255, 255, 255}
	}
	return name
}

// id is that of one of the known records, or none.
func (d *draws) id(known []*record.Record) (id record.ID) {
	switch n := d.below(8); {
	case n < 6:
		id = known[len(known)-1-d.below(len(known))].ID
	case n == 6:
		copy(id[:], d.bytes(len(id)))
	}
	return id
}

func (d *draws) posts(known []*record.Record) []byte {
	if d.odds(8) {
		return d.bytes(d.below(40)) // what nobody can read
	}
	posts := make([]record.Post, d.few(record.MaxPosts))
	for i := range posts {
		p := &posts[i]
		p.Kind = record.Kind(1 + d.below(14))
		if d.odds(6) {
			p.Kind = record.Kind(d.byte())
		}
		if p.Text = "text"; d.odds(3) {
			p.Text = string(append([]byte(nil), known[d.below(len(known))].Header.Feed.Author.ID().String()...))
		}
		if d.odds(2) {
			p.Target = record.Ref{Record: d.id(known), Index: d.small()}
		}
		if p.Nick = "m"; d.odds(4) {
			p.Nick = identity.Nick(d.bytes(d.below(6)))
		}
		if d.odds(4) {
			p.Data = d.bytes(d.below(200))
		}
	}
	body, err := record.EncodePosts(posts)
	if err != nil {
		return nil
	}
	return body
}

// claimed is a claim, mostly one that may be.
func (d *draws) claimed(names []record.ShortFeed, records []*record.Record, known ...uint64) wire.FeedClaim {
	id := d.id(records)
	c := wire.FeedClaim{Feed: d.name(names), Low: d.number(known...), High: d.number(known...), Head: [4]byte(id[:4])}
	if d.odds(8) {
		return c
	}
	c.Low, c.High = min(max(c.Low, 1), 1<<62), min(max(c.High, 1), 1<<62)
	c.Low, c.High = min(c.Low, c.High), max(c.Low, c.High)
	return c
}
