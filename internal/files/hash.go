package files

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"lukechampine.com/blake3/guts"
)

const (
	// unit is what is read, hashed and written at once, in bytes, and the size of the smallest block.
	unit = 256 << 10
	// maxBlocks a file has at most: its list of hashes is 2 MiB then, however large it is.
	maxBlocks = 1 << 16
	// MaxSize is the largest file that is carried: 16 TiB, blocks of 256 MiB.
	MaxSize = maxBlocks * (unit << 10)
)

// Hash is a BLAKE3 hash: of a file, or the chaining value of one of its blocks.
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(text string) (h Hash, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return Hash(b), true
}

// BlockSize is how many bytes of a file of that size are checked together: 256 KiB, or more by powers of two, so that
// there are no more than 65,536 blocks. No file has more than MaxSize: what is said to have more has blocks of that.
func BlockSize(size int64) int64 {
	block := int64(unit)
	for size = min(size, MaxSize); size > block*maxBlocks; {
		block *= 2
	}
	return block
}

// blockCount is how many blocks a file of that size has; an empty one has one.
func blockCount(size int64) int {
	block := BlockSize(size)
	return int(max(1, (size+block-1)/block))
}

// cv is a node of the tree as words, as BLAKE3 computes with them.
type cv = [8]uint32

func (h Hash) words() (c cv) {
	for i := range c {
		c[i] = binary.LittleEndian.Uint32(h[4*i:])
	}
	return c
}

func hashOf(c cv) (h Hash) {
	for i, w := range c {
		binary.LittleEndian.PutUint32(h[4*i:], w)
	}
	return h
}

// join is the node above those that follow each other, the left side as full as can be: the shape of BLAKE3's tree.
// flags are those of the topmost.
func join(nodes []cv, flags uint32) cv {
	if len(nodes) == 1 {
		return nodes[0]
	}
	left := 1 << (bits.Len(uint(len(nodes)-1)) - 1)
	return guts.ChainingValue(guts.ParentNode(join(nodes[:left], 0), join(nodes[left:], 0), &guts.IV, flags))
}

// hashUnit is the chaining value of up to a unit of bytes, of which at stand before it in the file; with flags of the
// root, the hash of a file that has no more.
func hashUnit(p []byte, at int64, flags uint32) cv {
	const lane = guts.MaxSIMD * guts.ChunkSize
	var nodes [unit / lane]cv
	count, chunk := 0, uint64(at/guts.ChunkSize)
	for {
		n := min(len(p), lane)
		var last [lane]byte
		buf := &last
		if n == lane {
			buf = (*[lane]byte)(p)
		} else {
			copy(last[:], p)
		}
		node := guts.CompressBuffer(buf, n, &guts.IV, chunk, 0)
		if p = p[n:]; len(p) == 0 && count == 0 {
			node.Flags |= flags
			return guts.ChainingValue(node)
		}
		nodes[count] = guts.ChainingValue(node)
		count, chunk = count+1, chunk+guts.MaxSIMD
		if len(p) == 0 {
			return join(nodes[:count], flags)
		}
	}
}

// hashSmall is the hash of a file of one unit or less.
func hashSmall(p []byte) Hash { return hashOf(hashUnit(p, 0, guts.FlagRoot)) }

// hashRoot is the hash of a file by those of its blocks. That of the only block is the file's.
func hashRoot(blocks []Hash) Hash {
	if len(blocks) == 1 {
		return blocks[0]
	}
	nodes := make([]cv, len(blocks))
	for i, b := range blocks {
		nodes[i] = b.words()
	}
	return hashOf(join(nodes, guts.FlagRoot))
}

// blockHasher hashes the blocks of a file of a known size, unit by unit from the beginning of a block.
type blockHasher struct {
	size, block int64
	at          int64 // where the next unit stands
	nodes       []cv  // units of the block so far
}

func newBlockHasher(size, at int64) *blockHasher {
	return &blockHasher{size: size, block: BlockSize(size), at: at}
}

// next is how many bytes the next unit has; 0 at the end.
func (b *blockHasher) next() int { return int(min(unit, b.size-b.at)) }

// add takes the next unit. With the last of a block it tells the block's hash.
func (b *blockHasher) add(p []byte) (h Hash, whole bool) {
	flags := uint32(0)
	if b.size <= b.block { // the only one: its hash is the file's
		flags = guts.FlagRoot
	}
	unitFlags := flags
	if b.size > unit {
		unitFlags = 0
	}
	b.nodes = append(b.nodes, hashUnit(p, b.at, unitFlags))
	b.at += int64(len(p))
	if b.at < b.size && b.at%b.block != 0 {
		return h, false
	}
	h = hashOf(join(b.nodes, flags))
	b.nodes = b.nodes[:0]
	return h, true
}
