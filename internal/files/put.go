package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"bcast/identity"
)

// headFrom says with how many bytes of a file, whole blocks, a body goes on.
const headFrom = "Bcast-From"

// wanted is a file that another wants to put here, as its head says.
type wanted struct {
	size     int64
	hash     Hash
	from     int64
	modified time.Time
	force    bool
}

func (a *answer) wanted() (w wanted, err error) {
	h := a.Request.Header
	w.size, err = strconv.ParseInt(h.Get(headSize), 10, 64)
	hash, ok := ParseHash(h.Get(headHash))
	if text := h.Get(headFrom); err == nil && text != "" {
		w.from, err = strconv.ParseInt(text, 10, 64)
	}
	if text := h.Get(headModified); err == nil && text != "" {
		w.modified, err = time.Parse(time.RFC3339Nano, text)
	}
	w.hash, w.force = hash, a.URL.Query().Get("force") == "true"
	if err != nil || !ok || w.size < 0 || w.size > MaxSize || w.from < 0 || w.from > w.size ||
		w.from < w.size && w.from%BlockSize(w.size) != 0 {
		return w, newError(CodeInvalid, err, "the head does not say which file it is", "")
	}
	return w, nil
}

// openWritable is open for who wants to write; whether a name is there is told to nobody who may not.
func (s *Server) openWritable(a *answer, p string, w *wanted) (*place, error) {
	if id, is := strings.CutPrefix(a.PathValue("share"), offerMark); is {
		return s.openInbox(a, id, p, w)
	}
	share, seen := s.library.find(a.visitor, a.PathValue("share"))
	if !seen {
		return nil, errNotFound
	}
	if !share.Write {
		return nil, newError(CodeForbidden, nil, share.Name+" may be read and not written", "")
	}
	return openPlace(share, p)
}

// openPlace is a path below what may be written to.
func openPlace(share Share, p string) (*place, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	return placeIn(share, p)
}

// admitted is what is answered to who wants to put a file.
type admitted struct {
	Have int64 `json:"have"` // bytes that are here from before: whole blocks, or all
	Kept bool  `json:"kept,omitempty"`
}

// partial tells whether a file may be put, and how much of it is here from before.
func (s *Server) partial(a *answer) error {
	at, w, here, err := s.begin(a)
	if err != nil {
		return err
	}
	defer at.close()
	told := admitted{Have: w.size, Kept: here}
	if !here {
		told.Have = at.kept(w)
	}
	return a.json(told)
}

// begin opens the place of a file that is to be put, if it is admitted; here tells that the file is there already.
func (s *Server) begin(a *answer) (at *place, w wanted, here bool, err error) {
	if w, err = a.wanted(); err != nil {
		return nil, w, false, err
	}
	err = a.meanwhile(func() (err error) { // it may be here already, and large
		at, here, err = s.placeOf(a, a.PathValue("path"), w)
		return err
	})
	return at, w, here, err
}

// placeOf is where a file is to be put, if it is admitted; here tells that the file is there already.
func (s *Server) placeOf(a *answer, p string, w wanted) (at *place, here bool, err error) {
	if at, err = s.openWritable(a, p, &w); err != nil {
		return nil, false, err
	}
	if here, err = s.admit(at, w); err != nil {
		at.close()
		return nil, false, err
	}
	return at, here, nil
}

// kept is how much of a file is here from before.
func (p *place) kept(w wanted) int64 {
	info, err := p.root.Lstat(partOf(p.path, w.hash.String()))
	if err != nil || !info.Mode().IsRegular() || info.Size() > w.size {
		return 0 // it begins anew
	}
	return wholeBlocks(info.Size(), w.size)
}

// admit refuses a file before it comes: what is there is not replaced, nothing looks like what is there, and it has to
// fit. It tells whether the file itself is there already.
func (s *Server) admit(at *place, w wanted) (here bool, err error) {
	info, err := at.root.Lstat(at.path)
	switch {
	case err == nil && info.Size() == w.size && info.ModTime().Equal(w.modified) && w.is(at):
		return true, nil
	case err == nil && (!w.force || !info.Mode().IsRegular()):
		return false, errExists(at.path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err != nil {
		if err := s.looks.check(at); err != nil {
			return false, err
		}
	}
	dir := path.Dir(at.path)
	if err := s.makeDir(at, dir); err != nil {
		return false, err
	}
	return false, checkSpace(at.root, dir, path.Base(at.path), w.size-at.kept(w), minFree)
}

// is tells whether the file that is there is the one that is wanted: two may well be of one size and one moment.
func (w wanted) is(at *place) bool {
	f, info, err := openRegular(at.root, at.path)
	if err != nil || info.Size() != w.size {
		return false
	}
	defer f.Close()
	hashes, err := hashBlocks(f, w.size, func(Hash) error { return nil })
	return err == nil && hashRoot(hashes) == w.hash
}

// put takes a file: its body is the hashes of all of its blocks, and the bytes from where they go on.
func (s *Server) put(a *answer) error {
	at, w, here, err := s.begin(a)
	if err != nil {
		return err
	}
	defer at.close()
	if !here {
		if err := s.receive(a, at, w); err != nil {
			return err
		}
	}
	return a.json(admitted{Have: w.size, Kept: here})
}

// receive writes what comes.
func (s *Server) receive(a *answer, at *place, w wanted) (err error) {
	settle, err := s.reserve(at, fileLoad(w.size))
	if err != nil {
		return err
	}
	defer func() { settle(err == nil) }()
	key := path.Join(at.Dir, partOf(at.path, w.hash.String()))
	done, err := s.writers.begin(a, key)
	if err != nil {
		return err
	}
	defer done()
	hashes, err := readHashes(a, w)
	if err != nil {
		return err
	}
	in, err := openIncoming(at.root, at.path, w.hash.String(), w.size)
	if err != nil {
		return err
	}
	defer in.close()
	in.hash = func(i int) (Hash, error) { return hashes[i], nil }
	if err := s.takeOn(a, in, w.from); err != nil {
		return err
	}
	s.counts.received(w.size - w.from)
	s.looks.add(at)
	err = in.finish(w.modified, w.force)
	if err == nil && s.Received != nil {
		s.Received(Received{a.visitor.Device, at.Name, filepath.Join(at.Dir, filepath.FromSlash(at.path)), w.size})
	}
	return err
}

// Received is a file that another device put here.
type Received struct {
	Device identity.DeviceID
	Share  string // empty: the inbox
	Path   string
	Size   int64
}

// takeOn takes what comes behind the first bytes, which are here from before, and checks those meanwhile: who brings
// the rest of a large file does not wait for that.
func (s *Server) takeOn(a *answer, in *incoming, from int64) error {
	if in.kept() < from {
		return errLess
	}
	if err := in.goOn(from); err != nil { // who did not ask how much is here sends all of it
		return err
	}
	ctx, stop := context.WithCancel(a.Context())
	defer stop()
	var right int64
	checked := make(chan error, 1)
	go func() {
		var err error
		right, err = in.right(contextReader{ctx, io.NewSectionReader(in.f, 0, from)}, from)
		checked <- err
	}()
	err := in.take(a)
	if err != nil {
		stop()
	}
	failed := a.meanwhile(func() error { return <-checked })
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case right < from:
		return errors.Join(errLess, in.goOn(right))
	}
	return nil
}

var errLess = newError(CodeBusy, nil, "not so much of the file is here any more", "ask again how much it is")

// readHashes reads the hashes of a file's blocks, which have to be those of its hash.
func readHashes(r io.Reader, w wanted) ([]Hash, error) {
	hashes := make([]Hash, 0, min(blockCount(w.size), 1024))
	for range blockCount(w.size) {
		var h Hash
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return nil, broken(err)
		}
		hashes = append(hashes, h)
	}
	if hashRoot(hashes) != w.hash {
		return nil, newError(CodeDamaged, nil, "the hashes of the blocks are not those of the file", "")
	}
	return hashes, nil
}

// mkdir makes a directory; one that is there is fine.
func (s *Server) mkdir(a *answer) error {
	at, err := s.openWritable(a, a.PathValue("path"), nil)
	if err != nil {
		return err
	}
	defer at.close()
	if info, err := at.root.Lstat(at.path); err != nil || !info.IsDir() {
		if err == nil {
			return errExists(at.path)
		}
		if err := s.looks.check(at); err != nil {
			return err
		}
	}
	if err := s.makeDir(at, at.path); err != nil {
		return err
	}
	a.WriteHeader(http.StatusNoContent)
	return nil
}

// writers are the requests that write now, by what they write. A device that comes again for the same file has lost
// its connection: the older one ends.
type writers struct {
	mu  sync.Mutex
	now map[string]*writer
}

type writer struct {
	device identity.DeviceID
	stop   func()
	gone   chan struct{}
}

func (w *writers) begin(a *answer, key string) (done func(), err error) {
	ctx, cancel := context.WithTimeout(a.Context(), stallTime)
	defer cancel()
	own := &writer{a.visitor.Device, a.abort, make(chan struct{})}
	for {
		w.mu.Lock()
		older := w.now[key]
		if older == nil {
			if w.now == nil {
				w.now = map[string]*writer{}
			}
			w.now[key] = own
			w.mu.Unlock()
			return func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				delete(w.now, key)
				close(own.gone)
			}, nil
		}
		w.mu.Unlock()
		if older.device != a.visitor.Device {
			return nil, errBusy
		}
		older.stop()
		select {
		case <-older.gone:
		case <-ctx.Done():
			return nil, errBusy
		}
	}
}

var errBusy = newError(CodeBusy, nil, "another brings the same file at this moment", "try again in a while")

// looks are the names in directories that others write to, by what they look like.
type looks struct {
	mu   sync.Mutex
	dirs map[string]*look
}

type look struct {
	read  time.Time
	names map[string]string // by twin
}

const (
	// lookEach is how long the names of a directory are believed; those that others put there are added.
	lookEach = 2 * time.Second
	// maxLooks directories are remembered.
	maxLooks = 64
)

// check refuses a new name that looks like another one of its directory, and such names of the directories on the way.
func (l *looks) check(at *place) error {
	for p := at.path; p != "."; p = path.Dir(p) {
		if _, err := at.root.Lstat(p); err == nil {
			return nil // and so are those above it
		}
		if other, is := l.find(at, p); is && other != path.Base(p) {
			return newError(CodeExists, nil, fmt.Sprintf("%s looks like %s, which is there already", path.Base(p), other),
				"give it another name")
		}
	}
	return nil
}

// find is the name that looks like that of a path.
func (l *looks) find(at *place, p string) (name string, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, is = l.of(at, path.Dir(p))[twin(path.Base(p))]
	return name, is
}

// of are the names of a directory of a share; l.mu is held.
func (l *looks) of(at *place, dir string) map[string]string {
	key := path.Join(at.Dir, dir)
	if known := l.dirs[key]; known != nil && time.Since(known.read) < lookEach {
		return known.names
	}
	seen := &look{time.Now(), map[string]string{}}
	for _, name := range sweep(at.root, dir) { // of what is not told, the file system judges
		if len(name) <= maxName && !isPart(name) {
			seen.names[twin(name)] = name
		}
	}
	if l.dirs == nil || len(l.dirs) >= maxLooks {
		l.dirs = map[string]*look{}
	}
	l.dirs[key] = seen
	return seen.names
}

// add notes a name that came, and those of the directories on the way.
func (l *looks) add(at *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := at.path; p != "."; p = path.Dir(p) {
		l.of(at, path.Dir(p))[twin(path.Base(p))] = path.Base(p)
	}
}
