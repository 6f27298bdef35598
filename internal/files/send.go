package files

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"time"
)

// Send puts what is called name in a directory at p of a share: a file, or a directory with all that is below. It goes
// on where an earlier Send of the same ended.
func (r *Remote) Send(ctx context.Context, dir *os.Root, name, share, p string, o Options) error {
	w := walker{ctx: ctx, root: dir, deep: true, left: maxEntries}
	top, _ := w.entry(name, "", path.Base(name))
	switch {
	case top.Skip != "":
		return newError(CodeName, nil, name+": "+top.Skip, "")
	case !top.Dir:
		o.total(1, top.Size)
		return o.each(p, r.putAgain(ctx, dir, name, share, p, top, o))
	}
	if err := r.mkdir(ctx, share, p); err != nil {
		return err
	}
	var all []Entry
	w.tell = func(e Entry) error {
		all = append(all, e)
		return nil
	}
	if err := w.walk(name, "", 0); err != nil {
		return err
	}
	tree := tree{Options: o, top: p, mkdir: func(at string) error { return r.mkdir(ctx, share, at) }}
	one := func(ctx context.Context, e Entry) error {
		return r.putAgain(ctx, dir, path.Join(name, e.Path), share, path.Join(p, e.Path), e, o)
	}
	several := func(ctx context.Context, small []Entry, o Options, tell func(Entry, error)) error {
		return r.sendBundle(ctx, dir, name, share, p, small, o, tell)
	}
	return tree.carry(ctx, all, one, several, func(Entry) bool { return false })
}

func (r *Remote) mkdir(ctx context.Context, share, p string) error {
	response, err := r.ask(ctx, http.MethodPut, target("dir", share, p, ""), nil, nil)
	if err == nil {
		response.Body.Close()
	}
	return err
}

// putAgain is put, and again for as long as a connection breaks and something gets through in between, or patience
// lasts.
func (r *Remote) putAgain(ctx context.Context, dir *os.Root, name, share, p string, e Entry, o Options) error {
	return o.persist(ctx, func(o Options) error { return r.put(ctx, dir, name, share, p, e, o) })
}

// put sends one file.
func (r *Remote) put(ctx context.Context, dir *os.Root, name, share, p string, e Entry, o Options) error {
	f, info, err := openRegular(dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if version(info) != e.Version {
		return errChanged
	}
	hashes, err := hashBlocks(contextReader{ctx, f}, e.Size, func(Hash) error { return nil })
	if err != nil {
		return err
	}
	head := map[string]string{
		headSize: strconv.FormatInt(e.Size, 10), headHash: hashRoot(hashes).String(),
		headModified: e.Modified.Format(time.RFC3339Nano),
	}
	query := ""
	if o.Force {
		query = "force=true"
	}
	var told admitted
	if e.Size > unit {
		if told, err = askFor[admitted](ctx, r, http.MethodGet, target("partial", share, p, query), nil, head); err != nil {
			return err
		}
		if told.Have < 0 || told.Have > e.Size {
			return newError(CodeDamaged, nil, "the device has more of the file than there is", "")
		}
	}
	o.progress(told.Have, true)
	if told.Kept {
		return nil
	}
	if _, err := f.Seek(told.Have, io.SeekStart); err != nil {
		return err
	}
	head[headFrom] = strconv.FormatInt(told.Have, 10)
	var list bytes.Buffer
	writeHashes(&list, hashes) // memory takes it
	sent := &sentReader{from: io.LimitReader(f, e.Size-told.Have), tell: func(n int) { o.progress(int64(n), false) }}
	body := sizedBody{io.MultiReader(&list, sent), int64(list.Len()) + e.Size - told.Have}
	answer, err := askFor[admitted](ctx, r, http.MethodPut, target("data", share, p, query), body, head)
	if err == nil && answer.Have != e.Size {
		err = newError(CodeDamaged, nil, "the device does not say that it has the file", "")
	}
	if err == nil && answer.Kept {
		o.progress(e.Size-sent.total, true)
	}
	return err
}

// sizedBody is a body of known length.
type sizedBody struct {
	io.Reader
	size int64
}

// sentReader tells how much was read of what is sent.
type sentReader struct {
	from  io.Reader
	tell  func(n int)
	total int64
}

func (s *sentReader) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.total += int64(n)
	s.tell(n)
	return n, err
}

// contextReader ends when its context does.
type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.from.Read(p)
}
