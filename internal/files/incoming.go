package files

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// incoming is a file on its way: written aside in the directory where it is to be, block by block, each checked. What
// was taken before a link broke or a process ended is taken up again, if it is still right.
type incoming struct {
	dir     *os.Root
	name    string // where it is to be, below dir
	part    string // where it is until then
	f       *os.File
	size    int64
	have    int64                     // bytes that are checked
	hash    func(i int) (Hash, error) // of block i; it may wait for it
	written func(n int)               // is told of bytes that came and are right
	failure error                     // of the file system here
}

// partOf is where a file is written until it is whole: what version of what it is to be says it, so that versions never
// mix.
func partOf(name, version string) string {
	id := sha256.Sum256([]byte(path.Base(name) + "\x00" + version))
	return path.Join(path.Dir(name), fmt.Sprintf("%s%x%s", partPrefix, id[:partID], partSuffix))
}

// openIncoming begins or takes up the file that is to be called name.
func openIncoming(dir *os.Root, name, version string, size int64) (*incoming, error) {
	if size < 0 || size > MaxSize {
		return nil, newError(CodeInvalid, nil, fmt.Sprintf("%s would have %d bytes", path.Base(name), size), "")
	}
	in := &incoming{dir: dir, name: name, part: partOf(name, version), size: size, written: func(int) {}}
	info, err := dir.Lstat(in.part)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > size) {
		if err := dir.Remove(in.part); err != nil { // nothing of ours: a link is not followed
			return nil, err
		}
		err = fs.ErrNotExist
	}
	flags := os.O_RDWR
	if err != nil {
		flags |= os.O_CREATE | os.O_EXCL
	}
	if in.f, err = dir.OpenFile(in.part, flags, 0o600); err != nil {
		return nil, fmt.Errorf("write beside %s: %w", name, err)
	}
	if !lockFile(in.f) {
		in.f.Close()
		return nil, errBusy
	}
	return in, nil
}

// partLife is how long an unfinished file that nobody goes on with stays.
const partLife = 7 * 24 * time.Hour

// sweep returns the names in a directory to which something is to be brought, and removes unfinished files of ours that
// nobody has gone on with for long.
func sweep(dir *os.Root, at string) (names []string) {
	d, err := dir.Open(at)
	if err != nil {
		return nil
	}
	names, _ = d.Readdirnames(-1)
	d.Close()
	for _, name := range names {
		if !isOurPart(name) {
			continue
		}
		part := path.Join(at, name)
		info, err := dir.Lstat(part)
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < partLife {
			continue
		}
		if f, err := dir.OpenFile(part, os.O_RDWR, 0); err == nil {
			if lockFile(f) { // nobody writes to it
				dir.Remove(part)
			}
			f.Close()
		}
	}
	return names
}

// kept is how many bytes are there from before, whole blocks only; none of them is checked yet.
func (in *incoming) kept() int64 {
	info, err := in.f.Stat()
	if err != nil {
		return 0
	}
	return wholeBlocks(info.Size(), in.size)
}

// wholeBlocks is how many of the first bytes of a file of that size are whole blocks.
func wholeBlocks(bytes, size int64) int64 {
	if bytes == size {
		return size
	}
	return bytes / BlockSize(size) * BlockSize(size)
}

// check looks at what is there from before and keeps what is right, up to the first block that is not.
func (in *incoming) check() error {
	kept := in.kept()
	if kept > 0 {
		right, err := in.right(io.NewSectionReader(in.f, 0, kept), kept)
		if err != nil {
			return err
		}
		in.have = right
	}
	return in.goOn(in.have)
}

// goOn has what comes follow the first bytes, all of them right; what is behind them goes.
func (in *incoming) goOn(from int64) error {
	in.have = from
	if err := in.f.Truncate(from); err != nil {
		return in.failed(err)
	}
	_, err := in.f.Seek(from, io.SeekStart)
	return err
}

// right is how many of the kept bytes are those of blocks that are right.
func (in *incoming) right(r io.Reader, kept int64) (right int64, err error) {
	hasher, i := newBlockHasher(in.size, 0), 0
	buf := make([]byte, unit)
	for hasher.at < kept {
		p := buf[:hasher.next()]
		if _, err := io.ReadFull(r, p); err != nil {
			return right, in.failed(err)
		}
		got, whole := hasher.add(p)
		if !whole {
			continue
		}
		want, err := in.hash(i)
		if err != nil || got != want {
			return right, err
		}
		right, i = hasher.at, i+1
	}
	return right, nil
}

// take writes what comes, from where the checked part ends to the end of the file. Blocks that are not right are not
// kept.
func (in *incoming) take(r io.Reader) error {
	block := BlockSize(in.size)
	hasher, i := newBlockHasher(in.size, in.have), int(in.have/block)
	buf := make([]byte, min(unit, in.size))
	for in.have < in.size || in.size == 0 {
		p := buf[:hasher.next()]
		if _, err := io.ReadFull(r, p); err != nil {
			return broken(err)
		}
		if _, err := in.f.Write(p); err != nil {
			return in.failed(err)
		}
		if got, whole := hasher.add(p); whole {
			want, err := in.hash(i)
			if err != nil {
				return err
			}
			if got != want {
				return errors.Join(errDamaged(in.name), in.f.Truncate(in.have))
			}
			in.have, i = hasher.at, i+1
		}
		in.written(len(p))
		if in.size == 0 {
			return nil
		}
	}
	return nil
}

// finish gives the whole file its name. force replaces what is called so already.
func (in *incoming) finish(modified time.Time, force bool) error {
	err := in.settle(modified)
	if err == nil {
		err = in.rename(force)
	}
	if err == nil {
		in.last()
	}
	return err
}

// settle makes the file last over a loss of power, as it is to be but for its name.
func (in *incoming) settle(modified time.Time) error {
	if !modified.IsZero() {
		in.dir.Chtimes(in.part, time.Time{}, modified) // a time that the file system does not have is no reason to fail
	}
	if err := errors.Join(in.f.Chmod(0o666&^umask), in.f.Sync()); err != nil {
		return in.failed(err)
	}
	return nil
}

// rename is one step, whoever else is at work here: a link fails where there is a file, a rename replaces it.
func (in *incoming) rename(force bool) error {
	in.close() // Windows renames nothing that is open
	if force {
		if info, err := in.dir.Lstat(in.name); err == nil && info.IsDir() {
			return errExists(in.name)
		}
		return in.failed(in.dir.Rename(in.part, in.name))
	}
	err := in.dir.Link(in.part, in.name)
	if err == nil {
		return in.failed(in.dir.Remove(in.part))
	}
	if _, there := in.dir.Lstat(in.name); there == nil {
		return errExists(in.name)
	}
	return in.failed(in.dir.Rename(in.part, in.name)) // a file system without links
}

// last makes the name last over a loss of power, where the system can do that.
func (in *incoming) last() {
	if d, err := in.dir.Open(path.Dir(in.name)); err == nil {
		d.Sync()
		d.Close()
	}
}

// close lets go of a file that is not whole yet. What is right of it stays for the next try, if there is anything.
func (in *incoming) close() {
	if in.f == nil {
		return
	}
	info, err := in.f.Stat()
	in.f.Close()
	if in.f = nil; err == nil && info.Size() == 0 && in.size > 0 {
		in.dir.Remove(in.part)
	}
}

// drop removes what was written: nobody will go on with it.
func (in *incoming) drop() {
	in.close()
	in.dir.Remove(in.part)
}

func (in *incoming) failed(err error) error {
	if err == nil {
		return nil
	}
	in.failure = err
	if errors.Is(err, syscall.ENOSPC) {
		return errSpace(path.Base(in.name))
	}
	return fmt.Errorf("write %s: %w", in.name, err)
}

func errExists(name string) error {
	return newError(CodeExists, nil, fmt.Sprintf("%s is there already", path.Base(name)),
		"--force replaces it; -o writes elsewhere")
}

func errDamaged(name string) error {
	return newError(CodeDamaged, nil, fmt.Sprintf("%s: what came is not what its hash says", path.Base(name)),
		"try again; if it stays so, the file changes all the time, or the device lies")
}

func errSpace(name string) error {
	return newError(CodeSpace, nil, fmt.Sprintf("there is no space for %s", name), "make space, or write elsewhere")
}

// Broken is a failure of the connection, which may pass.
func Broken(err error) error { return broken(err) }

// broken is the end of a connection in the middle of a file.
func broken(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	return newError(CodeBroken, err, fmt.Sprintf("the connection broke: %v", err), "the same again goes on where it ended")
}

// minFree is what others leave free on a disk, in bytes.
const minFree = 64 << 20

// checkSpace refuses what does not fit before anything of it comes; so much is left free. Where the system does not
// tell, writing will.
func checkSpace(dir *os.Root, at, name string, need, leave int64) error {
	free, known := freeSpace(dir, at)
	if known && need > 0 && need > free-leave {
		return newError(CodeSpace, nil,
			fmt.Sprintf("there is no space for %s: it needs %d bytes more, %d are free", name, need, max(0, free-leave)),
			"make space, or write elsewhere")
	}
	return nil
}
