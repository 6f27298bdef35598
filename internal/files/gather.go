package files

import (
	"context"
	"errors"
	"io"
	"os"
)

// Gather is a file on its way whose blocks come in any order. It is where Collect would write it, so that either goes
// on with what the other left. It is not safe on many goroutines.
type Gather struct {
	File
	in     *incoming
	names  lookalikes
	before bool // something is there from before
	blocks []Hash
}

// NewGather begins or takes up a file of more than 0 bytes in a directory. If the file itself is there already, name
// says as what and there is nothing to gather.
func NewGather(f File, dir *os.Root) (g *Gather, name string, err error) {
	if err := CheckName(f.Name); err != nil {
		return nil, "", err
	}
	names, err := namesIn(dir)
	if err != nil {
		return nil, "", err
	}
	if name, here := names.place(f, dir); here {
		return nil, name, nil
	}
	in, err := openIncoming(dir, f.Name, f.Hash.String(), f.Size)
	if err != nil {
		return nil, "", err
	}
	g = &Gather{File: f, in: in, names: names, before: in.kept() > 0}
	if f.Size <= BlockSize(f.Size) {
		g.blocks = []Hash{f.Hash}
	}
	if err := checkSpace(dir, ".", f.Name, f.Size-in.kept(), minFree); err != nil {
		if g.before {
			in.close()
		} else {
			in.drop()
		}
		return nil, "", err
	}
	return g, "", nil
}

// Hashes takes the hashes of all blocks, 32 bytes each, and tells whether they are the file's.
func (g *Gather) Hashes(list []byte) bool {
	blocks := make([]Hash, len(list)/len(Hash{}))
	for i := range blocks {
		blocks[i] = Hash(list[i*len(Hash{}):])
	}
	if len(blocks) != blockCount(g.Size) || hashRoot(blocks) != g.Hash {
		return false
	}
	g.blocks = blocks
	return true
}

// Kept are the blocks that are here from before and right; it wants to know the hashes.
func (g *Gather) Kept() (kept []int, err error) {
	if !g.before {
		return nil, nil
	}
	g.before = false
	p := make([]byte, BlockSize(g.Size))
	for i := range g.blocks {
		b := p[:g.length(i)]
		if err := g.Back(i, b); err != nil {
			return kept, err
		}
		if g.right(i, b) {
			kept = append(kept, i)
		}
	}
	return kept, nil
}

func (g *Gather) length(i int) int64 {
	block := BlockSize(g.Size)
	return min(block, g.Size-int64(i)*block)
}

func (g *Gather) right(i int, p []byte) bool { return hashBlock(g.Size, i, p) == g.blocks[i] }

// Block takes a block, if it is right.
func (g *Gather) Block(i int, p []byte) (right bool, err error) {
	if !g.right(i, p) {
		return false, nil
	}
	return true, g.Aside(i, p)
}

// Aside keeps what there is of a block at its place, unchecked.
func (g *Gather) Aside(i int, p []byte) error {
	if _, err := g.in.f.WriteAt(p, int64(i)*BlockSize(g.Size)); err != nil {
		return g.in.failed(err)
	}
	return nil
}

// Back reads what is at the place of a block.
func (g *Gather) Back(i int, p []byte) error {
	if _, err := g.in.f.ReadAt(p, int64(i)*BlockSize(g.Size)); err != nil && !errors.Is(err, io.EOF) {
		return g.in.failed(err)
	}
	return nil
}

// List appends the hashes of all blocks, 32 bytes each.
func (g *Gather) List(list []byte) []byte { return appendList(list, g.blocks) }

func appendList(list []byte, blocks []Hash) []byte {
	for _, h := range blocks {
		list = append(list, h[:]...)
	}
	return list
}

// Land gives the file, all of whose blocks were taken, the first of its names that is free.
func (g *Gather) Land() (name string, err error) { return g.in.land(g.File, g.names) }

// Close lets go of a file that is not whole; what is there stays for the next try.
func (g *Gather) Close() { g.in.close() }

// Cut is a file of this host and the hashes of its blocks.
type Cut struct {
	f      *os.File
	size   int64
	was    string // its version when it was hashed
	blocks []Hash
}

// Cut is a file that is held, for who reads it block by block.
func (s *Server) Cut(ctx context.Context, hash Hash) (*Cut, error) {
	f, err := s.holdings.opened(hash)
	if err != nil {
		return nil, err
	}
	blocks := s.trees.find(f.key)
	if blocks == nil {
		if blocks, err = hashBlocks(contextReader{ctx, f}, f.info.Size(), func(Hash) error { return nil }); err == nil {
			s.trees.keep(f.key, blocks)
		}
	}
	if err == nil && hashRoot(blocks) != hash {
		err = errChanged
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Cut{f.File, f.info.Size(), f.key.version, blocks}, nil
}

// Block reads a block, if the file is as it was when it was hashed.
func (c *Cut) Block(i int, p []byte) error {
	if _, err := c.f.ReadAt(p, int64(i)*BlockSize(c.size)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if info, err := c.f.Stat(); err != nil || version(info) != c.was {
		return errors.Join(errChanged, err)
	}
	return nil
}

// List appends the hashes of all blocks, 32 bytes each.
func (c *Cut) List(list []byte) []byte { return appendList(list, c.blocks) }

// Close closes the file.
func (c *Cut) Close() error { return c.f.Close() }

// hashBlock is the hash of a block of a file of that size.
func hashBlock(size int64, i int, p []byte) Hash {
	hasher := newBlockHasher(size, int64(i)*BlockSize(size))
	for {
		n := hasher.next()
		h, whole := hasher.add(p[:n])
		if whole {
			return h
		}
		p = p[n:]
	}
}

// Cut is the file after Land named it, for who reads it block by block.
func (g *Gather) Cut(name string) (*Cut, error) {
	f, info, err := openRegular(g.in.dir, name)
	if err != nil {
		return nil, err
	}
	if info.Size() != g.Size {
		f.Close()
		return nil, errChanged
	}
	return &Cut{f, g.Size, version(info), g.blocks}, nil
}
