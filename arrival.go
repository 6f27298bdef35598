package bcast

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
)

const (
	// maxArrivals is how many files are on their way here at once.
	maxArrivals = 16
	// arrivalTold is how often it is told how far a file has come.
	arrivalTold = 250 * time.Millisecond
	// arrivalPatience is how long it is tried to have more of a file while nothing comes.
	arrivalPatience = 30 * time.Second
)

// arrival is an offered file on its way here, by whatever way its bytes come: who brings them says how many came, and
// that it is whole or why not. Events tell of it. A file that is whole is held.
type arrival struct {
	offer offeredFile
	dir   string
	of    *arrivals
	tell  func(File)
	held  *files.Holdings

	mu   sync.Mutex
	file File
	told time.Time
}

// arrivals are the files on their way here.
type arrivals struct {
	ctx  context.Context // ends with the Node
	work sync.WaitGroup

	mu    sync.Mutex
	now   map[arrivalKey]*arrival
	ended bool

	files, bytes atomic.Uint64 // that came whole, and what came of all
	passing      atomic.Int64  // files that are passed on and not kept
}

// arrivalKey is what is fetched once at a time.
type arrivalKey struct {
	hash files.Hash
	dir  string
}

func (a *arrivals) open(ctx context.Context) { a.ctx, a.now = ctx, map[arrivalKey]*arrival{} }

// wait waits for what goes on, which ctx has ended; nothing begins any more.
func (a *arrivals) wait() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.work.Wait()
}

// begin does something beside us, unless the Node ends.
func (a *arrivals) begin(do func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false
	}
	a.work.Go(do)
	return true
}

// errEnding says that nothing begins any more.
func errEnding() error { return control.NewError(control.CodeTimeout, nil, "the node ends", "") }

// arrive begins an arrival; begun is false if the same is under way already.
func (n *Node) arrive(o offeredFile, dir string) (a *arrival, begun bool, err error) {
	all := &n.files.arrivals
	all.mu.Lock()
	defer all.mu.Unlock()
	key := arrivalKey{o.Hash, dir}
	if a = all.now[key]; a != nil {
		return a, false, nil
	}
	if len(all.now) >= maxArrivals {
		return nil, false, control.NewError(control.CodeBusy, nil,
			fmt.Sprintf("%d files are on their way here already", maxArrivals), "wait until one of them is here")
	}
	a = &arrival{offer: o, dir: dir, of: all, held: n.files.holdings, file: o.noun()}
	a.tell = func(f File) { n.events.add(Event{Type: control.EventFile, Time: time.Now().UTC(), File: &f}) }
	all.now[key] = a
	a.come(0, false)
	return a, true, nil
}

// noun is how far it has come.
func (a *arrival) noun() File {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file
}

// come tells that more bytes are here and right; before: from an earlier try.
func (a *arrival) come(bytes int64, before bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file.Bytes += bytes; before {
		a.file.Resumed += bytes
	} else {
		a.of.bytes.Add(uint64(bytes))
	}
	if now := time.Now(); now.Sub(a.told) >= arrivalTold {
		a.told = now
		a.tell(a.file)
	}
}

// whole tells that the file is at path, checked and synced. From now on it is held for the room that it came from. One
// of which nothing had to come is not: else whoever knows its hash could have it by offering it, and be served what the
// room never had.
func (a *arrival) whole(path string) {
	if f := a.noun(); f.Resumed < f.Size {
		if info, err := os.Stat(path); err == nil {
			a.held.Add(files.Holding{Hash: a.offer.Hash, Size: a.offer.Size, Path: path, Modified: info.ModTime(),
				Used: time.Now(), Offers: []files.OfferedIn{{Room: a.offer.key, Post: a.offer.post.ID}}})
		}
		a.of.files.Add(1)
	}
	a.end(func(f *File) { f.State, f.Path, f.Bytes = control.FileWhole, path, f.Size })
}

// fail tells why the file does not come.
func (a *arrival) fail(err error) {
	a.end(func(f *File) { f.State, f.Error = control.FileFailed, control.AsError(fileFailure(err)) })
}

func (a *arrival) end(how func(*File)) {
	a.of.mu.Lock()
	delete(a.of.now, arrivalKey{a.offer.Hash, a.dir})
	a.of.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	how(&a.file)
	a.tell(a.file)
}

// Fetch brings the file that a post offers into a directory, from whoever has it: see [control.API].
func (n *Node) Fetch(ctx context.Context, post, dir string) (File, error) {
	o, err := n.findOffer(ctx, post)
	if err != nil {
		return File{}, err
	}
	anywhere := dir == ""
	if dir, err = n.arrivalDir(dir); err != nil {
		return File{}, err
	}
	if held, f, err := n.files.holdings.Find(o.Hash); err == nil {
		f.Close()
		if anywhere || filepath.Dir(held.Path) == dir {
			here := o.noun()
			here.State, here.Path, here.Bytes, here.Resumed = control.FileWhole, held.Path, o.Size, o.Size
			return here, nil
		}
	}
	a, begun, err := n.arrive(o, dir)
	if err != nil {
		return File{}, err
	}
	first := a.noun()
	if !begun {
		return first, nil
	}
	if !n.files.arrivals.begin(func() {
		if path, err := n.bring(n.files.arrivals.ctx, a); err != nil {
			a.fail(err)
		} else {
			a.whole(path)
		}
	}) {
		a.fail(errEnding())
		return File{}, errEnding()
	}
	return first, nil
}

// arrivalDir is where a file is to go: dir, or, if that is empty, where files go that others bring.
func (n *Node) arrivalDir(dir string) (string, error) {
	if dir == "" {
		n.mu.Lock()
		dir = n.files.chosen.Dir
		n.mu.Unlock()
		if dir == "" {
			return "", control.NewError(control.CodeInvalid, nil, "a guest has no inbox", "say which directory: -o DIR")
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", control.NewError(control.CodeReadOnly, err, err.Error(), "bcast files inbox --dir DIR")
		}
	}
	if !filepath.IsAbs(dir) {
		return "", control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is no absolute path", dir), "")
	}
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(real); err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no directory", dir)
		}
	}
	if err != nil {
		return "", control.NewError(control.CodeInvalid, err, fmt.Sprintf("write to %s: %v", dir, err),
			"make it first; the daemon's user has to be able to write there")
	}
	return real, nil
}

// bring brings a file from those who have it, this device included, and tells where it is.
func (n *Node) bring(ctx context.Context, a *arrival) (string, error) {
	dir, err := os.OpenRoot(a.dir)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	name, err := n.files.holdings.Copy(ctx, a.offer.File, dir, func(bytes int64, _ bool) { a.come(bytes, true) })
	if err != nil && !n.files.holdings.Held(a.offer.Hash) {
		name, err = files.Collect(ctx, a.offer.File, dir, n.sources(ctx, a.offer),
			files.Options{Progress: a.come, Patience: arrivalPatience})
	}
	return filepath.Join(a.dir, name), err
}

// sources are the members of the room that are here: who offers the file first, the others in any order, so that not
// all ask the same.
func (n *Node) sources(ctx context.Context, o offeredFile) files.Sources {
	return func() (all []files.Source) {
		for _, id := range n.holders(ctx, o) {
			remote := files.Remote{Do: func(r *http.Request) (*http.Response, error) {
				answer, err := n.carry(id, r)
				if err != nil {
					err = files.Broken(err)
				}
				return answer, err
			}}
			all = append(all, remote.Source(id))
		}
		return all
	}
}

// holders are those who may have an offered file, as sources has them.
func (n *Node) holders(ctx context.Context, o offeredFile) (ids []identity.DeviceID) {
	n.mu.Lock()
	trusted := n.trusted
	n.mu.Unlock()
	n.viewRoom(ctx, string(o.room), func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
		for _, p := range e.Peers() {
			if isIn(r, p.ID) && !trusted.blocks(p.ID) && p.Present() && p.StreamPort != 0 {
				ids = append(ids, p.ID)
			}
		}
		return nil
	})
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	if first := slices.Index(ids, o.author); first > 0 {
		ids[0], ids[first] = ids[first], ids[0]
	}
	return ids
}
