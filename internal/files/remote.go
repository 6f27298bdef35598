package files

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Remote is the files of one device. Do carries a request to it: everything before the path is its own affair.
type Remote struct {
	Do func(*http.Request) (*http.Response, error)
}

// Options say how a file is carried.
type Options struct {
	Force bool // replace what is there
	// Progress is told of bytes that are here and right: first of those that were here from before.
	Progress func(n int64, before bool)
	// Total is told how many files and bytes it will be, when that is known.
	Total func(files int, bytes int64)
	// Each is told of every file that is done, or why it is not.
	Each func(name string, err error)
	// Patience is how long a broken connection is tried again while nothing comes.
	Patience time.Duration
}

func (o Options) total(files int, bytes int64) {
	if o.Total != nil {
		o.Total(files, bytes)
	}
}

func (o Options) each(name string, err error) error {
	if o.Each != nil {
		o.Each(name, err)
	}
	return err
}

func (o Options) progress(n int64, before bool) {
	if o.Progress != nil && n > 0 {
		o.Progress(n, before)
	}
}

// maxLine is more than any line of a list has, in bytes.
const maxLine = 64 << 10

// target is the URL of what a request names.
func target(kind, share, p, query string) string {
	u := "http://files/v1/" + kind + "/" + url.PathEscape(share)
	if p != "" && p != "." {
		for element := range strings.SplitSeq(p, "/") {
			u += "/" + url.PathEscape(element)
		}
	}
	if query != "" {
		u += "?" + query
	}
	return u
}

// ask makes a request that is answered with 200 or 206.
func (r *Remote) ask(
	ctx context.Context, method, target string, body io.Reader, head map[string]string,
) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if sized, is := body.(sizedBody); is {
		request.ContentLength = sized.size
	}
	for name, value := range head {
		request.Header.Set(name, value)
	}
	response, err := r.Do(request)
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, readFailure(response)
	}
	return response, nil
}

// askFor makes a request that is answered by one short object.
func askFor[T any](
	ctx context.Context, r *Remote, method, target string, body io.Reader, head map[string]string,
) (told T, err error) {
	response, err := r.ask(ctx, method, target, body, head)
	if err != nil {
		return told, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(limited(response.Body)).Decode(&told); err != nil {
		return told, broken(err)
	}
	return told, nil
}

// unanswered is why there is no answer, if the one who carries the request does not say it better.
func unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Shares lists what the device shares with this one.
func (r *Remote) Shares(ctx context.Context) ([]Shared, error) {
	response, err := r.ask(ctx, http.MethodGet, "http://files/v1/shares", nil, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var all []Shared
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&all); err != nil {
		return nil, broken(err)
	}
	return all, nil
}

// List tells what there is at a path: that itself first, and of a directory what is in it, with deep all that is below.
// Names are as the device says them: see CheckName.
func (r *Remote) List(ctx context.Context, share, p string, deep bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		query := ""
		if deep {
			query = "deep=true"
		}
		response, err := r.ask(ctx, http.MethodGet, target("list", share, p, query), nil, nil)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, maxLine)
		for n := 0; lines.Scan(); n++ {
			var e Entry
			err := json.Unmarshal(lines.Bytes(), &e)
			if err == nil && n > maxEntries {
				err = errors.New("the list has no end")
			}
			if err != nil {
				yield(Entry{}, broken(err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Entry{}, broken(err))
		}
	}
}

// Stat tells what there is at a path.
func (r *Remote) Stat(ctx context.Context, share, p string) (Entry, error) {
	for e, err := range r.List(ctx, share, p, false) {
		return e, err
	}
	return Entry{}, errNotFound
}

// getAgain is Get, and again for as long as a connection breaks and something comes in between, or patience lasts.
func (r *Remote) getAgain(
	ctx context.Context, share, p string, e Entry, dir *os.Root, name string, o Options,
) error {
	return o.persist(ctx, func(o Options) error { return r.Get(ctx, share, p, e, dir, name, o) })
}

// persist tries again what a broken connection ended, until nothing came for as long as patience lasts. What a later
// try finds from before is told of once.
func (o Options) persist(ctx context.Context, carry func(Options) error) error {
	tell, last, counted := o.Progress, time.Now(), int64(0)
	for try := 0; ; try++ {
		here := int64(0)
		o.Progress = func(n int64, before bool) {
			if here += n; here <= counted {
				return
			}
			fresh := min(n, here-counted)
			counted, last = here, time.Now()
			if tell != nil {
				tell(fresh, before)
			}
		}
		err := carry(o)
		if err == nil || !again(err) || time.Since(last) >= o.Patience {
			return err
		}
		select {
		case <-time.After(min(againMost, againFirst<<min(try, 8))):
		case <-ctx.Done():
			return err
		}
	}
}

// again tells of failures that may pass by themselves.
func again(err error) bool {
	code := codeOf(err)
	return code == CodeBroken || code == CodeBusy
}

// The wait before a broken connection is tried again: doubled each time, up to the most.
const (
	againFirst = 100 * time.Millisecond
	againMost  = 5 * time.Second
)

// Get writes the file e, which is at p of a share, into a directory, as name. It goes on where an earlier Get of the
// same ended.
func (r *Remote) Get(
	ctx context.Context, share, p string, e Entry, dir *os.Root, name string, o Options,
) (err error) {
	if err := CheckName(path.Base(name)); err != nil {
		return err
	}
	info, err := dir.Lstat(name)
	switch {
	case err == nil && info.Mode().IsRegular() && info.Size() == e.Size && info.ModTime().Equal(e.Modified):
		here, err := r.same(ctx, share, p, e, dir, name)
		if here {
			o.progress(e.Size, true)
		} else if err == nil && !o.Force {
			err = errExists(name)
		}
		if here || err != nil {
			return err
		}
	case err == nil && (!o.Force || info.IsDir()):
		return errExists(name)
	}
	in, err := openIncoming(dir, name, e.Version, e.Size)
	if err != nil {
		return err
	}
	defer in.close()
	in.written = func(n int) { o.progress(int64(n), false) }
	if err := checkSpace(dir, path.Dir(name), path.Base(name), e.Size-in.kept(), 0); err != nil {
		in.drop()
		return err
	}
	if err := r.fetch(ctx, share, p, e, in, o); err != nil {
		if c := codeOf(err); in.have == 0 || c == CodeChanged || c == CodeNotFound {
			in.drop() // nothing that a next try could use
		}
		return err
	}
	return in.finish(e.Modified, o.Force)
}

// same tells whether a file that is here, of the same size and time, is the one that is there.
func (r *Remote) same(ctx context.Context, share, p string, e Entry, dir *os.Root, name string) (bool, error) {
	f, info, err := openRegular(dir, name)
	if err != nil || info.Size() != e.Size {
		return false, err
	}
	defer f.Close()
	response, err := r.ask(ctx, http.MethodGet, target("blocks", share, p, ""), nil,
		map[string]string{"If-Match": strconv.Quote(e.Version)})
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	theirs := bufio.NewReader(response.Body)
	_, err = hashBlocks(f, e.Size, func(h Hash) error {
		var want Hash
		if _, err := io.ReadFull(theirs, want[:]); err != nil {
			return broken(err)
		}
		if h != want {
			return errOther
		}
		return nil
	})
	if errors.Is(err, errOther) {
		return false, nil
	}
	return err == nil, err
}

var errOther = errors.New("it is another file")

// fetch brings what is missing of a file.
func (r *Remote) fetch(ctx context.Context, share, p string, e Entry, in *incoming, o Options) error {
	match := strconv.Quote(e.Version)
	if e.Size <= unit {
		return r.fetchSmall(ctx, target("data", share, p, ""), match, in)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The hashes are on their way before the bytes are asked for: those that waited for a connection behind bytes of
	// other files, which wait for their hashes, would wait for ever.
	blocks, err := r.ask(ctx, http.MethodGet, target("blocks", share, p, ""), nil, map[string]string{"If-Match": match})
	if err != nil {
		return err
	}
	hashes := &hashStream{}
	hashes.ended = sync.NewCond(&hashes.mu)
	go hashes.read(blocks.Body, blockCount(e.Size))
	in.hash = hashes.at
	if err := in.check(); err != nil {
		return err
	}
	o.progress(in.have, true)
	if in.have == in.size {
		return nil
	}
	head := map[string]string{"If-Match": match, "Accept-Encoding": "identity"}
	if in.have > 0 {
		head["Range"] = fmt.Sprintf("bytes=%d-", in.have)
	}
	response, err := r.ask(ctx, http.MethodGet, target("data", share, p, ""), nil, head)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := covers(response, in.have, in.size); err != nil {
		return err
	}
	return in.take(response.Body)
}

// covers refuses an answer that is not the rest of the file from a byte on.
func covers(response *http.Response, from, size int64) error {
	want := fmt.Sprintf("bytes %d-%d/%d", from, size-1, size)
	if from == 0 && response.StatusCode == http.StatusOK && response.ContentLength == size ||
		response.StatusCode == http.StatusPartialContent && response.Header.Get("Content-Range") == want {
		return nil
	}
	return newError(CodeDamaged, nil, "the device sent another part of the file than it was asked for", "")
}

// fetchSmall brings a file of one block, whose hash comes with it.
func (r *Remote) fetchSmall(ctx context.Context, target, match string, in *incoming) error {
	response, err := r.ask(ctx, http.MethodGet, target, nil,
		map[string]string{"If-Match": match, "Accept-Encoding": "identity"})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	want, ok := ParseHash(response.Header.Get(headHash))
	if !ok || response.ContentLength != in.size {
		return errOtherFile
	}
	in.hash = func(int) (Hash, error) { return want, nil }
	if err := in.f.Truncate(0); err != nil {
		return in.failed(err)
	}
	return in.take(response.Body)
}

var errOtherFile = newError(CodeDamaged, nil, "the device sent another file than it told of", "")

// hashStream is the hashes of a file's blocks as they come.
type hashStream struct {
	mu    sync.Mutex
	ended *sync.Cond
	all   []Hash
	err   error
}

// at is the hash of block i, when it is there.
func (s *hashStream) at(i int) (Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.all) <= i && s.err == nil {
		s.ended.Wait()
	}
	if len(s.all) > i {
		return s.all[i], nil
	}
	return Hash{}, s.err
}

// read takes them until there are count.
func (s *hashStream) read(body io.ReadCloser, count int) {
	defer body.Close()
	in := bufio.NewReaderSize(body, 32<<10)
	for range count {
		var h Hash
		if _, err := io.ReadFull(in, h[:]); err != nil {
			s.end(broken(err))
			return
		}
		s.mu.Lock()
		s.all = append(s.all, h)
		s.ended.Broadcast()
		s.mu.Unlock()
	}
}

func (s *hashStream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.ended.Broadcast()
}
