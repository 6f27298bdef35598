package files

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"
)

// quotas are what others put into shares at this moment, and what was there before.
type quotas struct {
	mu    sync.Mutex
	using map[string]*usage // by directory
}

// usage is what a directory holds.
type usage struct {
	counted time.Time
	bytes   int64
	coming  int64
}

// countEach is how long it is believed what a directory holds; what others put there meanwhile is added.
const countEach = 30 * time.Second

// leastWeight is what a file or a directory counts at least against what others may fill, in bytes: it takes place on
// the disk even if it is empty.
const leastWeight = 4096

// load is what others bring.
type load struct {
	files, dirs int
	bytes       int64 // of the files
	weight      int64 // bytes, as a quota counts them
}

func fileLoad(size int64) load { return load{files: 1, bytes: size, weight: max(size, leastWeight)} }

func dirLoad(n int) load { return load{dirs: n, weight: int64(n) * leastWeight} }

// add adds n times as much.
func (l *load) add(more load, n int) {
	l.files, l.dirs = l.files+n*more.files, l.dirs+n*more.dirs
	l.bytes, l.weight = l.bytes+int64(n)*more.bytes, l.weight+int64(n)*more.weight
}

// reserve takes place for what comes, or refuses; settle is to be told whether it came.
func (s *Server) reserve(at *place, l load) (settle func(came bool), err error) {
	if at.offer != nil {
		return s.inbox.reserve(at.offer, l)
	}
	return s.quotas.take(at.Share, l.weight)
}

// makeDir makes a directory, and those above it that are not there, if there is place for them.
func (s *Server) makeDir(at *place, dir string) error {
	if info, err := at.root.Lstat(dir); err == nil && info.IsDir() {
		return nil
	}
	s.making.Lock() // else each of those that bring its files counts it
	defer s.making.Unlock()
	missing := 0
	for p := dir; p != "."; p = path.Dir(p) {
		if _, err := at.root.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing++
	}
	if missing == 0 {
		return at.root.MkdirAll(dir, 0o777)
	}
	settle, err := s.reserve(at, dirLoad(missing))
	if err != nil {
		return err
	}
	err = at.root.MkdirAll(dir, 0o777)
	settle(err == nil)
	return err
}

// take reserves place in a share, or refuses.
func (q *quotas) take(s Share, size int64) (settle func(bool), err error) {
	limit := s.Quota
	if limit == 0 {
		limit = DefaultQuota
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.using == nil {
		q.using = map[string]*usage{}
	}
	u := q.using[s.Dir]
	if u == nil {
		u = &usage{}
		q.using[s.Dir] = u
	}
	if time.Since(u.counted) > countEach {
		u.bytes, u.counted = sizeOf(s.Dir), time.Now()
	}
	if u.bytes+u.coming+size > limit {
		return nil, newError(CodeSpace, nil,
			fmt.Sprintf("%s is full: its owner lets it hold %d bytes", cmp.Or(s.Name, "the inbox"), limit), "")
	}
	u.coming += size
	return func(bool) {
		q.mu.Lock()
		defer q.mu.Unlock()
		u.coming, u.bytes = u.coming-size, u.bytes+size // counted too high after a failure, until it is counted anew
	}, nil
}

// sizeOf is what all that is below a directory weighs.
func sizeOf(dir string) (bytes int64) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || p == ".":
		case d.IsDir():
			bytes += leastWeight
		case d.Type().IsRegular():
			if info, err := d.Info(); err == nil {
				bytes += max(info.Size(), leastWeight)
			}
		}
		return nil
	})
	return bytes
}
