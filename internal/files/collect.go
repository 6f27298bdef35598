package files

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"bcast/identity"
)

// File is a file that its hash names, whoever has it.
type File struct {
	Hash Hash
	Size int64
	Name string // what it is to be called
}

// Source is where a file can be had whose hash is known. What it sends is believed of no source.
type Source struct {
	Device identity.DeviceID
	hashes func(context.Context, File) ([]Hash, error)
	bytes  func(ctx context.Context, f File, from int64) (io.ReadCloser, error)
}

// Source is the device as one that holds files.
func (r *Remote) Source(device identity.DeviceID) Source {
	return Source{device, r.hashesOf, r.bytesOf}
}

// hashesOf asks for the hashes of a file's blocks.
func (r *Remote) hashesOf(ctx context.Context, f File) ([]Hash, error) {
	response, err := r.ask(ctx, http.MethodGet, offeredAt(f.Hash)+"/blocks", nil, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return readHashes(bufio.NewReaderSize(response.Body, 32<<10), wanted{size: f.Size, hash: f.Hash})
}

// bytesOf asks for a file from a byte on.
func (r *Remote) bytesOf(ctx context.Context, f File, from int64) (io.ReadCloser, error) {
	head := map[string]string{"Accept-Encoding": "identity"}
	if from > 0 {
		head["Range"] = fmt.Sprintf("bytes=%d-", from)
	}
	response, err := r.ask(ctx, http.MethodGet, offeredAt(f.Hash), nil, head)
	if err != nil {
		return nil, err
	}
	if err := covers(response, from, f.Size); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

func offeredAt(h Hash) string { return "http://files/v1/offered/" + h.String() }

// Sources are those to be tried now, the best first. They are asked for again after each round.
type Sources func() []Source

// search goes from source to source until a file is whole. What one of them sent and was right stays.
type search struct {
	File
	blocks []Hash // of the file, as its own hash proves; nil: not known yet
	lied   map[identity.DeviceID]bool
}

func searchFor(f File) *search {
	s := &search{File: f, lied: map[identity.DeviceID]bool{}}
	if f.Size <= BlockSize(f.Size) {
		s.blocks = []Hash{f.Hash} // of the only one
	}
	return s
}

// learn asks a source for the hashes of the blocks, if they are not known.
func (s *search) learn(ctx context.Context, from Source) (err error) {
	if s.blocks == nil {
		s.blocks, err = from.hashes(ctx, s.File)
	}
	return err
}

// among tries the sources one after the other, again and again while something comes of it, until one brings the end of
// the file or patience is at its end. have tells how much is here, which take is to go on from; over tells that what
// failed is not the sources' affair.
func (s *search) among(
	ctx context.Context, sources Sources, patience time.Duration, have func() int64,
	take func(context.Context, Source) (over bool, err error),
) error {
	last := time.Now()
	for try := 0; ; try++ {
		failed := error(errNobody)
		for _, from := range sources() {
			if s.lied[from.Device] {
				continue
			}
			before := have()
			over, err := take(ctx, from)
			if err == nil || over || ctx.Err() != nil {
				return err
			}
			if have() > before {
				last, try = time.Now(), 0
			}
			if s.lied[from.Device] = codeOf(err) == CodeDamaged; codeOf(err) != CodeNotFound {
				failed = err
			}
		}
		if time.Since(last) >= patience {
			return failed
		}
		select {
		case <-time.After(min(againMost, againFirst<<min(try, 8))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errNobody = newError(CodeNotFound, nil, "nobody who is here has the file",
	"its author, or who got it, has to be here; the same again goes on where it ended")

// Collect writes a file into a directory, from one source after the other, and tells what it is called there: as it is
// to be called, or, where something else is called or looks like that, with a number. It goes on where an earlier
// Collect of the same ended. Only one writes a file into a directory at a time.
func Collect(ctx context.Context, f File, dir *os.Root, sources Sources, o Options) (name string, err error) {
	if err := CheckName(f.Name); err != nil {
		return "", err
	}
	names, err := namesIn(dir)
	if err != nil {
		return "", err
	}
	if name, here := names.place(f, dir); here {
		o.progress(f.Size, true)
		return name, nil
	}
	in, err := openIncoming(dir, f.Name, f.Hash.String(), f.Size)
	if err != nil {
		return "", err
	}
	defer in.close()
	if err := checkSpace(dir, ".", f.Name, f.Size-in.kept(), minFree); err != nil {
		in.drop()
		return "", err
	}
	c := &collection{search: searchFor(f), in: in, Options: o}
	in.hash = func(i int) (Hash, error) { return c.blocks[i], nil }
	if err := c.among(ctx, sources, o.Patience, func() int64 { return in.have }, c.take); err != nil {
		if in.kept() == 0 {
			in.drop()
		}
		return "", err
	}
	return in.land(f, names)
}

// collection is a file that is collected.
type collection struct {
	*search
	Options
	in      *incoming
	checked bool // what was here from before
	told    int64
}

// take takes what is missing from a source.
func (c *collection) take(ctx context.Context, from Source) (over bool, err error) {
	if err := c.learn(ctx, from); err != nil {
		return false, err
	}
	if c.checked {
		err = c.in.goOn(c.in.have) // what came of a block that was not whole goes
	} else if err = c.in.check(); err == nil {
		c.checked = true
		c.tell(true)
	}
	if err != nil {
		return true, err
	}
	if c.in.have == c.Size && c.Size > 0 {
		return false, nil
	}
	body, err := from.bytes(ctx, c.File, c.in.have)
	if err != nil {
		return false, err
	}
	defer body.Close()
	c.in.written = func(int) { c.tell(false) }
	err = c.in.take(body)
	return c.in.failure != nil, err
}

// tell tells of blocks that are here and right.
func (c *collection) tell(before bool) {
	c.progress(c.in.have-c.told, before)
	c.told = c.in.have
}

// land gives a whole file the first of its names that is free.
func (in *incoming) land(f File, names lookalikes) (string, error) {
	if err := in.settle(time.Time{}); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		if in.name = names.next(f.Name, n); in.name == "" {
			continue
		}
		err := in.rename(false)
		if codeOf(err) == CodeExists {
			continue // another file came meanwhile
		}
		if err == nil {
			in.last()
		}
		return in.name, err
	}
}

// Store writes a file of that size, as it comes from r, into a directory, and tells what it is called there: as it is
// to be called, or with a number. All files of the directory together hold at most quota bytes.
func Store(name string, size, quota int64, r io.Reader, dir *os.Root) (string, error) {
	if err := CheckElement(name); err != nil {
		return "", err
	}
	if size < 0 || size > MaxSize {
		return "", newError(CodeInvalid, nil, "the size of the file is not told", "")
	}
	if held := sizeOf(dir.Name()); held+size > quota {
		return "", newError(CodeSpace, nil, fmt.Sprintf("%s does not fit: %d of %d bytes are used", name, held, quota),
			"delete posts that offer files from here, or offer larger ones by bcast say --file")
	}
	if err := checkSpace(dir, ".", name, size, minFree); err != nil {
		return "", err
	}
	names, err := namesIn(dir)
	if err != nil {
		return "", err
	}
	in, err := openIncoming(dir, name, rand.Text(), size)
	if err != nil {
		return "", err
	}
	defer in.close()
	if n, err := io.Copy(in.f, io.LimitReader(r, size)); err != nil || n != size {
		in.drop()
		if errors.As(err, new(*fs.PathError)) {
			return "", in.failed(err)
		}
		return "", newError(CodeInvalid, err, "the file ended too early", "")
	}
	return in.land(File{Name: name}, names)
}

// lookalikes are the names of a directory, by what they look like.
type lookalikes map[string]string

func namesIn(dir *os.Root) (lookalikes, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	all := lookalikes{}
	for _, name := range names {
		if len(name) <= maxName && !isPart(name) {
			all[twin(name)] = name
		}
	}
	return all, err
}

// next is a name with a number, none for the first; empty if something is called so or looks so.
func (l lookalikes) next(name string, n int) string {
	if n > 1 {
		name = numbered(name, n)
	}
	if _, taken := l[twin(name)]; taken {
		return ""
	}
	return name
}

// place tells whether the file itself is there already, under its name or that with a number.
func (l lookalikes) place(f File, dir *os.Root) (name string, here bool) {
	for n := 1; ; n++ {
		name = f.Name
		if n > 1 {
			name = numbered(name, n)
		}
		there, taken := l[twin(name)]
		if !taken {
			return "", false
		}
		same := wanted{size: f.Size, hash: f.Hash}
		if there == name && same.is(&place{root: dir, path: name}) {
			return name, true
		}
	}
}

// Pass writes a file to w, from its beginning, from one source after the other; no byte that is not checked. What was
// written when it fails is right, and not whole.
func Pass(ctx context.Context, f File, w io.Writer, sources Sources, patience time.Duration) error {
	p := &passage{search: searchFor(f), to: w}
	return p.among(ctx, sources, patience, func() int64 { return p.have }, p.take)
}

// passage is a file that is passed on.
type passage struct {
	*search
	to   io.Writer
	have int64
}

func (p *passage) take(ctx context.Context, from Source) (over bool, err error) {
	if err := p.learn(ctx, from); err != nil {
		return false, err
	}
	body, err := from.bytes(ctx, p.File, p.have)
	if err != nil {
		return false, err
	}
	defer body.Close()
	block := make([]byte, min(BlockSize(p.Size), p.Size))
	for whole := false; !whole; whole = p.have == p.Size {
		b := block[:min(int64(len(block)), p.Size-p.have)]
		got, err := readBlock(body, b, p.Size, p.have)
		if err != nil {
			return false, broken(err)
		}
		if got != p.blocks[p.have/BlockSize(p.Size)] {
			return false, errDamaged(p.Name)
		}
		if _, err := p.to.Write(b); err != nil {
			return true, err
		}
		p.have += int64(len(b))
	}
	return false, nil
}

// readBlock reads a block and makes its hash.
func readBlock(r io.Reader, block []byte, size, at int64) (h Hash, err error) {
	if _, err := io.ReadFull(r, block); err != nil {
		return h, err
	}
	hasher, whole := newBlockHasher(size, at), false
	for !whole {
		n := min(hasher.next(), len(block))
		h, whole = hasher.add(block[:n])
		block = block[n:]
	}
	return h, nil
}

// Copy writes a file that is held into a directory, as Collect would.
func (h *Holdings) Copy(ctx context.Context, f File, dir *os.Root, progress func(int64, bool)) (string, error) {
	one, from, err := h.Find(f.Hash)
	if err != nil {
		return "", err
	}
	defer from.Close()
	local := Source{
		hashes: func(ctx context.Context, f File) ([]Hash, error) {
			hashes, err := hashBlocks(contextReader{ctx, from}, one.Size, func(Hash) error { return nil })
			if err == nil && hashRoot(hashes) != f.Hash {
				err = errNotFound
			}
			return hashes, err
		},
		bytes: func(ctx context.Context, _ File, at int64) (io.ReadCloser, error) {
			_, err := from.Seek(at, io.SeekStart)
			return io.NopCloser(contextReader{ctx, from}), err
		},
	}
	return Collect(ctx, f, dir, func() []Source { return []Source{local} }, Options{Progress: progress})
}
