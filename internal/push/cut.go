package push

import "math/bits"

const (
	// StripeSize is what is coded and repaired together, in bytes: a block of the file, as its hashes have it.
	StripeSize = 256 << 10
	// shardSize is what a datagram holds of a stripe: 192 of them are one.
	shardSize   = 1366
	dataShards  = 192
	allShards   = 256 // of GF(2^8); those behind the data are parity
	paddedSize  = dataShards * shardSize
	hashSize    = 32
	hashesOfOne = StripeSize / hashSize
	// MaxSize is the largest file that is pushed, in bytes: a longer one has blocks of more than a stripe.
	MaxSize = StripeSize << 16
)

// Cut says how a file of a size goes: as stripes, first those of the list of its blocks' hashes, then its blocks. A
// file of one block needs no list: the block's hash is the file's.
type Cut struct {
	size   int64
	blocks int
	list   int // stripes of the list
}

// NewCut cuts a file of that size, which is more than 0 and at most MaxSize.
func NewCut(size int64) Cut {
	c := Cut{size: size, blocks: int((size + StripeSize - 1) / StripeSize)}
	if c.blocks > 1 {
		c.list = (c.blocks + hashesOfOne - 1) / hashesOfOne
	}
	return c
}

// Stripes is how many there are.
func (c Cut) Stripes() int { return c.list + c.blocks }

// Length is how many bytes a stripe has.
func (c Cut) Length(stripe int) int {
	if stripe < c.list {
		return min(hashesOfOne, c.blocks-stripe*hashesOfOne) * hashSize
	}
	return int(min(StripeSize, c.size-int64(stripe-c.list)*StripeSize))
}

// Block tells which block of the file a stripe is, or that it is of the list: the one with that number.
func (c Cut) Block(stripe int) (block int, ofFile bool) {
	if stripe < c.list {
		return stripe, false
	}
	return stripe - c.list, true
}

// shards is how many shards of data a stripe has; those behind it would be zeros and are not sent.
func (c Cut) shards(stripe int) int { return (c.Length(stripe) + shardSize - 1) / shardSize }

// shardSet is a set of the shards of a stripe.
type shardSet [allShards / 64]uint64

func (s *shardSet) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *shardSet) add(i int)      { s[i/64] |= 1 << (i % 64) }

func (s *shardSet) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// lacks is how many shards more of a stripe of k its holder needs: any will do.
func (s *shardSet) lacks(k int) int { return max(0, k-s.count()) }
