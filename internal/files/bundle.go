package files

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"sync"
	"time"
)

// Small files come many to a request, or each would cost a question and an answer on a way of three processes; and they
// are synced together, or each would wait for the disk by itself.
const (
	maxBundle     = 64      // files of one block each
	bundleBytes   = 1 << 20 // no more is put into one if it has so much
	maxBundleLine = 1 << 20 // bytes of what asks for them
	syncsAtOnce   = 16      // a file system writes its journal once for those that wait together
)

// bundled is the line that stands before the bytes of each file of a bundle, and what is said of each that was put.
type bundled struct {
	Path     string    `json:"path"` // below what the request names
	Size     int64     `json:"size,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
	Version  string    `json:"version,omitempty"`
	Hash     string    `json:"hash,omitempty"`
	Kept     bool      `json:"kept,omitempty"`  // it was there already
	Error    *Error    `json:"error,omitempty"` // why not; no bytes follow
}

// reason is why it was not carried, nil if it was.
func (b bundled) reason() error {
	if b.Error == nil {
		return nil
	}
	return b.Error
}

// bundle sends the small files that lines name, each behind a line of its own.
func (s *Server) bundle(a *answer) error {
	at, err := s.open(a)
	if err != nil {
		return err
	}
	defer at.close()
	asked := json.NewDecoder(io.LimitReader(a, maxBundleLine))
	wanted := []bundled{}
	for {
		var b bundled
		if err := asked.Decode(&b); err == io.EOF {
			break
		} else if err != nil || len(wanted) == maxBundle {
			return newError(CodeInvalid, err, "that is no list of a few files", "")
		}
		wanted = append(wanted, b)
	}
	a.Header().Set("Content-Type", "application/octet-stream")
	out := bufio.NewWriterSize(a, pieceSize)
	buf := make([]byte, unit)
	for _, b := range wanted {
		content, err := readSmall(at, &b, buf)
		if err != nil {
			b = bundled{Path: b.Path, Error: s.reason(a, err)}
			s.counts.refused(b.Error.Code)
		}
		if err := writeBundled(out, b, content); err != nil {
			return err
		}
		if b.Error == nil {
			s.counts.sent(b.Size)
		}
	}
	return out.Flush()
}

// readSmall reads a file of a bundle, if it is still what is asked for, and completes what is said of it.
func readSmall(at *place, b *bundled, buf []byte) ([]byte, error) {
	if checkPath(b.Path) != nil {
		return nil, errNotFound
	}
	f, info, err := openRegular(at.root, path.Join(at.path, b.Path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if version(info) != b.Version {
		return nil, errChanged
	}
	if info.Size() > unit {
		return nil, newError(CodeInvalid, nil, "that is no small file", "")
	}
	content := buf[:info.Size()]
	if _, err := io.ReadFull(f, content); err != nil {
		return nil, errChanged
	}
	b.Size, b.Modified, b.Hash = info.Size(), info.ModTime().UTC(), hashSmall(content).String()
	return content, nil
}

func writeBundled(out io.Writer, b bundled, content []byte) error {
	if err := json.NewEncoder(out).Encode(b); err != nil {
		return err
	}
	_, err := out.Write(content)
	return err
}

// bundleReader reads files that follow each other.
type bundleReader struct{ *bufio.Reader }

func newBundleReader(r io.Reader) bundleReader { return bundleReader{bufio.NewReaderSize(r, maxLine)} }

// next is the line before the next file; io.EOF where there is none.
func (r bundleReader) next() (b bundled, err error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == io.EOF && len(line) == 0:
		return b, err
	case err != nil:
		return b, broken(err)
	}
	if err := json.Unmarshal(line, &b); err != nil || b.Size < 0 || b.Size > unit {
		return b, newError(CodeDamaged, err, "what came is no bundle of files", "")
	}
	return b, nil
}

// batch are files that were written and wait to be synced together, and for their names.
type batch struct{ files []landing }

// landing is a file on its last step.
type landing struct {
	*incoming
	modified time.Time
	force    bool
	done     func(error)
}

// land syncs all of them, gives them their names, and tells of each what became of it.
func (b *batch) land() {
	errs := make([]error, len(b.files))
	var group sync.WaitGroup
	turns := make(chan struct{}, syncsAtOnce)
	for i, l := range b.files {
		turns <- struct{}{}
		group.Go(func() {
			errs[i] = l.settle(l.modified)
			<-turns
		})
	}
	group.Wait()
	var dirs []*incoming // one of each directory
	for i, l := range b.files {
		if errs[i] == nil {
			errs[i] = l.rename(l.force)
		}
		same := func(d *incoming) bool { return path.Dir(d.name) == path.Dir(l.name) && d.dir == l.dir }
		if errs[i] == nil && !slices.ContainsFunc(dirs, same) {
			dirs = append(dirs, l.incoming)
		}
		l.close()
	}
	for _, d := range dirs {
		d.last()
	}
	for i, l := range b.files {
		l.done(errs[i])
	}
	b.files = nil
}

// fetchBundle brings small files that are below p of a share to a directory, and tells of each that is done or refused.
// It returns what ends all of it, or those that follow the last that was told.
func (r *Remote) fetchBundle(
	ctx context.Context, share, p string, wanted []Entry, dir *os.Root, name string, o Options, tell func(Entry, error),
) (err error) {
	var asked bytes.Buffer
	lines, need := json.NewEncoder(&asked), int64(0)
	for _, e := range wanted {
		lines.Encode(bundled{Path: e.Path, Version: e.Version}) // memory takes it
		need += e.Size
	}
	if err := checkSpace(dir, ".", path.Base(name), need, 0); err != nil {
		return err
	}
	response, err := r.ask(ctx, http.MethodPost, target("bundle", share, p, ""), &asked, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	in, landed := newBundleReader(response.Body), batch{}
	defer func() { landed.land() }()
	buf := make([]byte, unit)
	for _, e := range wanted {
		b, done, err := in.about(e, tell)
		if err == nil && done && b.Size != e.Size {
			err = broken(errOtherFile)
		}
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		content := buf[:b.Size]
		if _, err := io.ReadFull(in, content); err != nil {
			return broken(err)
		}
		came, err := writeSmall(dir, path.Join(name, e.Path), e.Version, b.Hash, content)
		if err == nil {
			o.progress(b.Size, false)
			landed.files = append(landed.files, landing{came, e.Modified, o.Force, func(err error) { tell(e, err) }})
			continue
		}
		if ends(err) {
			return err
		}
		tell(e, err)
	}
	return nil
}

// about reads what is answered about a file, which is the next, and tells if that was refused; done if not. The error
// is what ends all.
func (in bundleReader) about(e Entry, tell func(Entry, error)) (b bundled, done bool, err error) {
	if b, err = in.next(); err == nil && b.Path != e.Path {
		err = errOtherFile
	}
	switch {
	case err != nil:
		return b, false, broken(err)
	case ends(b.reason()):
		return b, false, b.Error
	case b.Error != nil:
		tell(e, b.Error)
		return b, false, nil
	}
	return b, true, nil
}

// writeSmall writes a file of one block aside, if it is what its hash says.
func writeSmall(dir *os.Root, name, version, hash string, content []byte) (*incoming, error) {
	if want, ok := ParseHash(hash); !ok || want != hashSmall(content) {
		return nil, errDamaged(name)
	}
	in, err := openIncoming(dir, name, version, int64(len(content)))
	if err != nil {
		return nil, err
	}
	if _, err = in.f.WriteAt(content, 0); err != nil {
		err = in.failed(err)
		in.drop()
		return nil, err
	}
	in.have = in.size
	return in, nil
}

// sendBundle puts small files of a directory below p of a share, and tells of each that is done or refused.
func (r *Remote) sendBundle(
	ctx context.Context, dir *os.Root, name, share, p string, small []Entry, o Options, tell func(Entry, error),
) error {
	var body bytes.Buffer
	buf, sent := make([]byte, unit), make([]Entry, 0, len(small))
	for _, e := range small {
		b := bundled{Path: e.Path, Version: e.Version}
		content, err := readSmall(&place{root: dir, path: name}, &b, buf)
		if err != nil {
			tell(e, err)
			continue
		}
		b.Version = ""
		writeBundled(&body, b, content) // memory takes it
		sent = append(sent, e)
	}
	query := ""
	if o.Force {
		query = "force=true"
	}
	request := sizedBody{&body, int64(body.Len())}
	response, err := r.ask(ctx, http.MethodPut, target("bundle", share, p, query), request, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	in := newBundleReader(response.Body)
	for _, e := range sent {
		b, done, err := in.about(e, tell)
		if err != nil {
			return err
		}
		if done {
			o.progress(e.Size, b.Kept)
			tell(e, nil)
		}
	}
	return nil
}

// putBundle takes small files, and says of each what became of it when they have their names.
func (s *Server) putBundle(a *answer) error {
	top, err := s.openWritable(a, a.PathValue("path"), nil)
	if err != nil {
		return err // as all of the files would be
	}
	top.close()
	taken := bundleTaker{answer: a, server: s, told: make([]bundled, 0, maxBundle)}
	defer taken.close()
	err = taken.all(newBundleReader(a))
	if errors.Is(err, errNoBundle) {
		taken.abandon(err)
	}
	taken.land() // what came whole has its name, whatever came then
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a)
	for _, b := range taken.told {
		if err := writeBundled(out, b, nil); err != nil {
			return err
		}
	}
	return out.Flush()
}

// bundleTaker takes the files of one bundle.
type bundleTaker struct {
	*answer
	server *Server
	batch
	told   []bundled // of one array: their addresses stay
	closes []func()  // what is to be let go of when all have their names
}

func (t *bundleTaker) close() {
	for _, do := range slices.Backward(t.closes) {
		do()
	}
}

// all takes one file after the other, and notes of each why not.
func (t *bundleTaker) all(in bundleReader) error {
	buf := make([]byte, unit)
	for {
		b, err := in.next()
		switch same := func(told bundled) bool { return told.Path == b.Path }; {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(t.told) == maxBundle || slices.ContainsFunc(t.told, same):
			return errNoBundle
		}
		content := buf[:b.Size]
		if _, err := io.ReadFull(in, content); err != nil {
			return broken(err)
		}
		i := len(t.told)
		t.told = append(t.told, bundled{Path: b.Path})
		done := func(err error) {
			if err != nil {
				t.told[i].Error = t.server.reason(t.answer, err)
				t.server.counts.refused(t.told[i].Error.Code)
			}
		}
		if t.told[i].Kept, err = t.one(b, content, done); err != nil {
			done(err)
		}
	}
}

var errNoBundle = newError(CodeInvalid, nil, "those are too many files at once, or one twice", "")

// abandon has nothing come of what was written aside.
func (t *bundleTaker) abandon(why error) {
	for _, l := range t.files {
		l.drop()
		l.done(why)
	}
	t.files = nil
}

// one writes a file aside, to land with the others.
func (t *bundleTaker) one(b bundled, content []byte, done func(error)) (kept bool, err error) {
	hash, ok := ParseHash(b.Hash)
	if !ok || hash != hashSmall(content) {
		return false, errDamaged(b.Path)
	}
	if err := checkPath(b.Path); err != nil {
		return false, err
	}
	s := t.server
	w := wanted{size: b.Size, hash: hash, modified: b.Modified, force: t.URL.Query().Get("force") == "true"}
	at, kept, err := s.placeOf(t.answer, path.Join(t.PathValue("path"), b.Path), w)
	if err != nil {
		return false, err
	}
	t.closes = append(t.closes, at.close)
	if kept {
		return true, nil
	}
	settle, err := s.reserve(at, fileLoad(b.Size))
	if err != nil {
		return false, err
	}
	came := &t.told[len(t.told)-1].Error
	t.closes = append(t.closes, func() { settle(*came == nil) })
	end, err := s.writers.begin(t.answer, path.Join(at.Dir, partOf(at.path, hash.String())))
	if err != nil {
		return false, err
	}
	t.closes = append(t.closes, end)
	in, err := writeSmall(at.root, at.path, hash.String(), b.Hash, content)
	if err != nil {
		return false, err
	}
	s.counts.received(b.Size)
	s.looks.add(at)
	t.files = append(t.files, landing{in, b.Modified, w.force, done})
	return false, nil
}
