package files

import (
	"context"
	"errors"
	"iter"
	"os"
	"path"
	"slices"
	"sync"
)

// workers carry the files of a directory together: while one waits for the disk another uses the network.
const workers = 4

// errSome says that not all of a directory was carried; what was not has been told one by one.
var errSome = newError(CodeInternal, nil, "not all of it was carried",
	"what was not is named above; the same again tries it")

// Fetch writes what is at p of a share into a directory, as name: a file, or a directory with all that is below.
func (r *Remote) Fetch(ctx context.Context, share, p string, dir *os.Root, name string, o Options) error {
	var all []Entry
	for e, err := range r.List(ctx, share, p, true) {
		if err != nil {
			return err
		}
		if all = append(all, e); !e.Dir && len(all) == 1 {
			break
		}
	}
	if len(all) == 0 {
		return errNotFound
	}
	sweep(dir, path.Dir(name))
	if !all[0].Dir {
		o.total(1, all[0].Size)
		return o.each(name, r.getAgain(ctx, share, p, all[0], dir, name, o))
	}
	if err := CheckName(path.Base(name)); err != nil {
		return err
	}
	if err := dir.MkdirAll(name, 0o777); err != nil {
		return err
	}
	sweep(dir, name)
	tree := tree{Options: o, top: name, mkdir: func(at string) error {
		err := dir.MkdirAll(at, 0o777)
		sweep(dir, at)
		return err
	}}
	one := func(ctx context.Context, e Entry) error {
		return r.getAgain(ctx, share, path.Join(p, e.Path), e, dir, path.Join(name, e.Path), o)
	}
	several := func(ctx context.Context, wanted []Entry, o Options, tell func(Entry, error)) error {
		return r.fetchBundle(ctx, share, p, wanted, dir, name, o, tell)
	}
	isHere := func(e Entry) bool {
		_, err := dir.Lstat(path.Join(name, e.Path))
		return err == nil
	}
	return tree.carry(ctx, all[1:], one, several, isHere)
}

// tree is a directory on its way.
type tree struct {
	Options
	top   string
	mkdir func(at string) error
	mu    sync.Mutex
	some  bool // something was refused
}

// tell reports what became of one file.
func (t *tree) tell(p string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.some = t.each(p, err) != nil || t.some
}

// plan makes the directories and returns the files to be carried. What is refused is told, with all that is below it.
func (t *tree) plan(all []Entry) (wanted []Entry) {
	bytes := int64(0)
	for _, e := range all {
		at := path.Join(t.top, e.Path)
		err := error(nil)
		switch {
		case e.Skip != "":
			err = newError(CodeName, nil, e.Path+": "+e.Skip, "")
		default:
			err = checkPath(e.Path)
		}
		if err == nil && e.Dir {
			err = t.mkdir(at)
		}
		if err != nil {
			t.tell(at, err)
			continue
		}
		if !e.Dir {
			wanted, bytes = append(wanted, e), bytes+e.Size
		}
	}
	t.total(len(wanted), bytes)
	return wanted
}

// carry makes the directories and has workers carry the files, and ends all when the connection is gone or there is no
// place left.
func (t *tree) carry(
	ctx context.Context, all []Entry, one func(context.Context, Entry) error, several carryBundle, alone func(Entry) bool,
) error {
	wanted := t.plan(all)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan []Entry)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for load := range queue {
				if err := t.load(ctx, load, one, several); ends(err) || ctx.Err() != nil {
					cancel(err)
				}
			}
		})
	}
	for load := range loads(wanted, alone) {
		select {
		case queue <- load:
		case <-ctx.Done():
		}
	}
	close(queue)
	group.Wait()
	if err := context.Cause(ctx); err != nil || !t.some {
		return err
	}
	return errSome
}

// carryBundle carries small files together and tells of each that is done or refused; what it returns is why those that
// it did not tell of are not.
type carryBundle func(ctx context.Context, small []Entry, o Options, tell func(Entry, error)) error

// loads are files that are carried together: small ones that follow each other, any other alone.
func loads(wanted []Entry, alone func(Entry) bool) iter.Seq[[]Entry] {
	return func(yield func([]Entry) bool) {
		var small []Entry
		bytes := int64(0)
		for _, e := range wanted {
			if e.Size > unit || alone(e) {
				if !yield([]Entry{e}) {
					return
				}
				continue
			}
			small, bytes = append(small, e), bytes+e.Size
			if len(small) == maxBundle || bytes >= bundleBytes {
				if !yield(small) {
					return
				}
				small, bytes = nil, 0
			}
		}
		if len(small) > 0 {
			yield(small)
		}
	}
}

// load carries files that go together. Who knows no bundles is asked for one after the other.
func (t *tree) load(
	ctx context.Context, load []Entry, one func(context.Context, Entry) error, several carryBundle,
) error {
	if len(load) > 1 {
		left, err := t.bundle(ctx, load, several)
		if codeOf(err) != CodeNotFound || err == nil {
			return err
		}
		load = left
	}
	for _, e := range load {
		err := one(ctx, e)
		if ends(err) || ctx.Err() != nil {
			return err
		}
		t.tell(path.Join(t.top, e.Path), err)
	}
	return nil
}

// bundle carries small files together, again as far as a connection broke, and returns those that it did not.
func (t *tree) bundle(ctx context.Context, small []Entry, several carryBundle) (left []Entry, err error) {
	left = slices.Clone(small)
	done := int64(0)
	err = t.persist(ctx, func(o Options) error {
		o.progress(done, true) // of an earlier try
		return several(ctx, slices.Clone(left), o, func(e Entry, err error) {
			left = slices.DeleteFunc(left, func(l Entry) bool { return l.Path == e.Path })
			if err == nil {
				done += e.Size
			}
			t.tell(path.Join(t.top, e.Path), err)
		})
	})
	if err != nil && !ends(err) && codeOf(err) != CodeNotFound {
		for _, e := range left {
			t.tell(path.Join(t.top, e.Path), err)
		}
	}
	return left, err
}

// ends tells of a failure of one file that all that follow would have, too.
func ends(err error) bool {
	if err == nil {
		return false
	}
	var known *Error
	if !errors.As(err, &known) {
		return true
	}
	switch known.Code {
	case CodeName, CodeExists, CodeNotFound, CodeChanged, CodeDamaged:
		return false
	}
	return true
}
