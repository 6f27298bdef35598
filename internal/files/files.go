// Package files carries files between two devices: directories that are shared, and what is written of them here. It is
// HTTP on a connection that somebody else made and proved; it knows no network, no room's content and no conversation.
//
// Its invariant: under its own name a file is there whole, as its hash says, or not at all; nothing is replaced unless
// somebody said so; and nothing outside the directory that was named is read, written or told of. What a file holds is
// never run, unpacked or looked into.
package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Entry is a file or directory of a share, as a list tells it.
type Entry struct {
	Path string `json:"path"` // below what was listed; empty: that itself
	Dir  bool   `json:"dir,omitempty"`
	Size int64  `json:"size"`
	// Modified is when it last changed, of a file.
	Modified time.Time `json:"modified,omitzero"`
	// Version names what the file holds now, as long as it is not changed.
	Version string `json:"version,omitempty"`
	// Skip is why it cannot be had; Path is then only for people to read.
	Skip string `json:"skip,omitempty"`
}

// Shared is a share as a list tells it to who may see it.
type Shared struct {
	Name  string `json:"name"`
	Write bool   `json:"write,omitempty"`
}

// errOdd is what is neither a file nor a directory.
var errOdd = errors.New("it is no file and no directory")

// openRegular opens a file below root to be read. Pipes and devices are not opened, which could wait for ever or do
// something: they are looked at before, and once more when they are open, in case they were exchanged.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errOdd
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errOdd
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// version names what a file holds: whoever changes a file changes its size or its time. Where that was prevented, the
// hashes of its blocks tell.
func version(info fs.FileInfo) string {
	return fmt.Sprintf("%x-%s", info.Size(), strconv.FormatInt(info.ModTime().UnixNano(), 36))
}

// walker lists a tree.
type walker struct {
	ctx  context.Context
	root *os.Root
	deep bool
	tell func(Entry) error
	left int // entries that may still be told
}

// maxEntries a list has at most.
const maxEntries = 1_000_000

// walk tells of what is below a directory, whose path is below the share and below what is listed.
func (w *walker) walk(dir, below string, depth int) error {
	f, err := w.root.Open(dir)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if isPart(name) {
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.left--; w.left < 0 {
			return newError(CodeInvalid, nil, "there is too much in this directory to list it at once", "list its parts")
		}
		e, descend := w.entry(path.Join(dir, name), path.Join(below, name), name)
		if descend && depth >= maxDepth {
			e, descend = Entry{Path: e.Path, Skip: "it is too deep"}, false
		}
		if err := w.tell(e); err != nil {
			return err
		}
		if descend && w.deep {
			if err := w.walk(path.Join(dir, name), path.Join(below, name), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is what is told of one name, and whether to look below it: not through links, which may lead in circles.
func (w *walker) entry(at, below, name string) (e Entry, descend bool) {
	e.Path = strings.ToValidUTF8(below, "\ufffd")
	if err := CheckName(name); err != nil {
		e.Skip = err.Error()
		return e, false
	}
	info, err := w.root.Lstat(at)
	link := err == nil && info.Mode()&fs.ModeSymlink != 0
	if link {
		info, err = w.root.Stat(at)
	}
	switch {
	case err != nil && link:
		e.Skip = "it is a link that leads nowhere in the share"
	case err != nil:
		e.Skip = "it cannot be read"
	case info.IsDir() && link && w.deep:
		e.Skip = "it is a link to a directory"
	case info.IsDir():
		e.Dir = true
	case info.Mode().IsRegular():
		e.Size, e.Modified, e.Version = info.Size(), info.ModTime().UTC(), version(info)
	default:
		e.Skip = errOdd.Error()
	}
	return e, e.Dir && !link
}
