package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Holding is a file of this host that is known by its hash: it was offered from here, or came here whole. It is where
// its owner has it, not a copy.
type Holding struct {
	Hash     Hash
	Size     int64
	Path     string      // absolute
	Modified time.Time   // then; later it is another file
	Offers   []OfferedIn // for whom it is, the latest last
	Used     time.Time   // when it was last asked for, or came to be held
}

// OfferedIn is a post that offered a file and the room that it was said in, as whoever fills a [Visitor] names rooms.
type OfferedIn struct{ Room, Post string }

const (
	// maxHoldings bounds what is held: each is looked at for whoever asks. The one used longest ago makes place.
	maxHoldings = 1024
	// maxOffered is how many offers of one file are remembered.
	maxOffered = 16
)

// Holdings are the files that are held. Its methods may be called from many goroutines.
type Holdings struct {
	// Changed is called, if it is set, when the next run has something else to know.
	Changed func()

	mu  sync.Mutex
	all map[Hash]*Holding
}

// Set replaces all that is held.
func (h *Holdings) Set(all []Holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = map[Hash]*Holding{}
	for _, one := range all {
		h.add(one)
	}
}

// All is what is held, the one used longest ago first.
func (h *Holdings) All() []Holding {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Holding, 0, len(h.all))
	for _, one := range h.all {
		c := *one
		c.Offers = slices.Clone(one.Offers)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Holding) int {
		if c := a.Used.Compare(b.Used); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return all
}

// Len is how many files are held.
func (h *Holdings) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// Add has a file held. One that is held already is where it is said to be now, and also for whom it was before.
func (h *Holdings) Add(one Holding) {
	h.mu.Lock()
	h.add(one)
	h.mu.Unlock()
	h.changed()
}

// add wants h.mu held.
func (h *Holdings) add(one Holding) {
	if known := h.all[one.Hash]; known != nil {
		offers := one.Offers
		one.Offers = slices.Clone(known.Offers)
		for _, o := range offers {
			if !slices.Contains(one.Offers, o) {
				one.Offers = append(one.Offers, o)
			}
		}
	}
	if more := len(one.Offers) - maxOffered; more > 0 {
		one.Offers = one.Offers[more:]
	}
	if h.all == nil {
		h.all = map[Hash]*Holding{}
	}
	h.all[one.Hash] = &one
	for len(h.all) > maxHoldings {
		oldest := &one
		for _, other := range h.all {
			if other.Used.Before(oldest.Used) {
				oldest = other
			}
		}
		delete(h.all, oldest.Hash)
	}
}

// Held tells whether a file is held, as far as is known without a look at it.
func (h *Holdings) Held(hash Hash) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[hash] != nil
}

// Withdraw forgets that a post offered something. What no post offers is not held any more, and told.
func (h *Holdings) Withdraw(post string) (gone []Holding) {
	h.mu.Lock()
	found := false
	for hash, one := range h.all {
		is := func(o OfferedIn) bool { return o.Post == post }
		if !slices.ContainsFunc(one.Offers, is) {
			continue
		}
		found = true
		if one.Offers = slices.DeleteFunc(one.Offers, is); len(one.Offers) == 0 {
			delete(h.all, hash)
			gone = append(gone, *one)
		}
	}
	h.mu.Unlock()
	if found {
		h.changed()
	}
	return gone
}

// Find is a file that is held, if it is still as it was. Else it is held no more.
func (h *Holdings) Find(hash Hash) (Holding, *os.File, error) {
	h.mu.Lock()
	known := h.all[hash]
	if known == nil {
		h.mu.Unlock()
		return Holding{}, nil, errNotFound
	}
	known.Used = time.Now()
	one := *known
	h.mu.Unlock()
	f, info, err := one.open()
	if err == nil && (info.Size() != one.Size || !info.ModTime().Equal(one.Modified)) {
		f.Close()
		err = fs.ErrNotExist
	}
	if err != nil {
		h.lose(known)
		return Holding{}, nil, errNotFound
	}
	return one, f, nil
}

// open opens the file where it was. A link that stands there now leads nowhere.
func (one *Holding) open() (*os.File, fs.FileInfo, error) {
	root, err := os.OpenRoot(filepath.Dir(one.Path))
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	return openRegular(root, filepath.Base(one.Path))
}

// lose forgets a file, unless it is held anew meanwhile.
func (h *Holdings) lose(gone *Holding) {
	h.mu.Lock()
	lost := h.all[gone.Hash] == gone
	if lost {
		delete(h.all, gone.Hash)
	}
	h.mu.Unlock()
	if lost {
		h.changed()
	}
}

func (h *Holdings) changed() {
	if h.Changed != nil {
		h.Changed()
	}
}

// HeldFor tells whether v is a member of a room that a file was offered in, as far as this host took part in that.
func (h *Holdings) HeldFor(v Visitor, hash Hash) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.all[hash]
	return one != nil && !v.Blocked && v.In != nil &&
		slices.ContainsFunc(one.Offers, func(o OfferedIn) bool { return v.In(o.Room) })
}

// held opens the file that is asked for by its hash.
func (s *Server) held(a *answer) (*opened, error) {
	hash, ok := ParseHash(a.PathValue("hash"))
	if !ok || !s.holdings.HeldFor(a.visitor, hash) {
		return nil, errNotFound
	}
	return s.holdings.opened(hash)
}

// opened opens a file that is held.
func (h *Holdings) opened(hash Hash) (*opened, error) {
	one, f, err := h.Find(hash)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &opened{f, info, treeKey{one.Path, version(info)}}, nil
}

// Hold reads a file of this host by its absolute path and says what it would be held as. What it is made of is
// remembered for who asks for it.
func (s *Server) Hold(ctx context.Context, at string) (Holding, error) {
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		return Holding{}, newError(CodeInvalid, err, err.Error(), "")
	}
	one := Holding{Path: real, Used: time.Now()}
	if info, err := os.Stat(real); err == nil && info.IsDir() {
		return one, newError(CodeInvalid, nil, at+" is a directory",
			fmt.Sprintf("bcast files share %s --room ROOM, or bcast files put %s PEER", at, at))
	}
	f, info, err := one.open()
	if err != nil {
		return one, newError(CodeInvalid, err, fmt.Sprintf("read %s: %v", at, cause(err)),
			"it has to be a file that the daemon's user can read")
	}
	defer f.Close()
	if one.Size, one.Modified = info.Size(), info.ModTime(); one.Size > MaxSize {
		return one, newError(CodeInvalid, nil, fmt.Sprintf("%s has %d bytes: too many", at, one.Size), "")
	}
	hashes, err := hashBlocks(contextReader{ctx, f}, one.Size, func(Hash) error { return nil })
	if err != nil {
		return one, err
	}
	one.Hash = hashRoot(hashes)
	s.trees.keep(treeKey{real, version(info)}, hashes)
	return one, nil
}

// cause is what the file system says without the name of the file.
func cause(err error) error {
	if failed, is := err.(*fs.PathError); is {
		return failed.Err
	}
	return err
}
