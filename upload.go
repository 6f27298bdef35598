package bcast

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"bcast/internal/control"
	"bcast/internal/files"
)

const (
	// offeredDir is where files are in a home that came by a page: they are the node's own, the only ones it copies.
	offeredDir = "offered"
	// offeredQuota is how much they may hold together, in bytes. What is offered no more goes.
	offeredQuota = 10 << 30
	// maxPassing is how many files are passed on at once that are not here.
	maxPassing = 8
	// passPatience is how long somebody who waits for a file waits for one who has it.
	passPatience = 10 * time.Second
)

// OfferFile offers a file of size bytes, as it comes, to a room: see [control.API].
func (n *Node) OfferFile(ctx context.Context, room, name string, size int64, body io.Reader) (Said, error) {
	if n.home == nil {
		return Said{}, control.NewError(control.CodeInvalid, nil, "a guest keeps no files", "--home DIR")
	}
	if _, err := n.roomState(ctx, room); err != nil { // before it comes
		return Said{}, err
	}
	at := n.offeredDir()
	if err := os.MkdirAll(at, 0o700); err != nil {
		return Said{}, homeError(n.cfg.Home, err)
	}
	dir, err := os.OpenRoot(at)
	if err != nil {
		return Said{}, homeError(n.cfg.Home, err)
	}
	defer dir.Close()
	stored, err := files.Store(name, size, offeredQuota, body, dir)
	if err != nil {
		return Said{}, fileFailure(err)
	}
	said, err := n.say(ctx, Say{Room: room, Files: []string{filepath.Join(at, stored)}}, name)
	if err != nil && said.ID == "" {
		dir.Remove(stored)
	}
	return said, err
}

func (n *Node) offeredDir() string { return filepath.Join(n.cfg.Home, offeredDir) }

// withdraw ends what a post offered, for who offered it takes it back. A file that is the node's own goes with it.
func (n *Node) withdraw(post string) {
	for _, gone := range n.files.holdings.Withdraw(post) {
		if n.home == nil {
			continue
		}
		own, err := filepath.EvalSymlinks(n.offeredDir())
		if err == nil && filepath.Dir(gone.Path) == own {
			err = os.Remove(gone.Path)
		}
		if err != nil && !os.IsNotExist(err) {
			n.cfg.Logger.Warn("a file that is offered no more stays", "err", err)
		}
	}
}

// sweepOffered removes what lies where only files of a page do and is offered no more, or is not whole: of a run that
// was killed.
func (n *Node) sweepOffered() {
	dir, err := os.OpenRoot(n.offeredDir())
	if err != nil {
		return // there is none
	}
	defer dir.Close()
	own, err := filepath.EvalSymlinks(n.offeredDir())
	if err != nil {
		return
	}
	held := map[string]bool{}
	for _, one := range n.files.holdings.All() {
		held[one.Path] = true
	}
	entries, _ := os.ReadDir(own)
	for _, e := range entries {
		if e.Type().IsRegular() && !held[filepath.Join(own, e.Name())] {
			dir.Remove(e.Name()) // else the next run does
		}
	}
}

// ReadFile reads the file that a post offers: see [control.API].
func (n *Node) ReadFile(ctx context.Context, post string) (OfferedFile, io.ReadCloser, error) {
	o, err := n.findOffer(ctx, post)
	if err != nil {
		return OfferedFile{}, nil, err
	}
	noun := *o.post.File
	if _, f, err := n.files.holdings.Find(o.Hash); err == nil {
		return noun, f, nil
	}
	noun.Held = false
	all := &n.files.arrivals
	if all.passing.Add(1) > maxPassing {
		all.passing.Add(-1)
		return noun, nil, control.NewError(control.CodeBusy, nil, "too many files are read from others at once",
			"try again later")
	}
	ctx, stop := context.WithCancel(ctx)
	read, write := io.Pipe()
	if !all.begin(func() {
		defer all.passing.Add(-1)
		defer stop()
		ended := context.AfterFunc(all.ctx, stop)
		defer ended()
		write.CloseWithError(fileFailure(files.Pass(ctx, o.File, countBytes{write, all}, n.sources(ctx, o), passPatience)))
	}) {
		stop()
		all.passing.Add(-1)
		return noun, nil, errEnding()
	}
	first := make([]byte, 1) // whether there is anybody who has it shows with the first byte
	switch _, err := io.ReadFull(read, first); {
	case err == io.EOF:
		first = nil
	case err != nil:
		stop()
		return noun, nil, fileFailure(err)
	}
	return noun, passed{io.MultiReader(bytes.NewReader(first), read), read, stop}, nil
}

// passed is a file on its way through here.
type passed struct {
	io.Reader
	pipe *io.PipeReader
	stop context.CancelFunc
}

func (p passed) Close() error {
	p.stop()
	return p.pipe.Close()
}

// countBytes counts what came from others.
type countBytes struct {
	io.Writer
	of *arrivals
}

func (c countBytes) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.of.bytes.Add(uint64(n))
	return n, err
}
