package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bcast/identity"
)

const (
	headerTime = 10 * time.Second // for the head of a request
	idleTime   = time.Minute      // a kept connection without a request
	stallTime  = 30 * time.Second // for each piece that is read or written
	maxHeader  = 16<<10 - 4<<10   // net/http takes 4 KiB more than it is told
	stopTime   = time.Second      // for requests under way when the device stops
	// stillEach is how often who waits for an answer is told that there will be one: a dialler gives up after 30 s of
	// silence, and to look at what is here of a large file takes longer.
	stillEach = 10 * time.Second
)

// What a head says beside what HTTP has. A version is in ETag.
const (
	headSize     = "Bcast-Size"     // of the whole file in bytes
	headHash     = "Bcast-Hash"     // BLAKE3 of the whole file
	headModified = "Bcast-Modified" // when it changed, RFC 3339
)

// Server answers other devices.
type Server struct {
	// Received is called, if it is set, for each file that another device put here.
	Received func(Received)

	library  *Library
	inbox    *Inbox
	holdings *Holdings
	visitor  func(ctx context.Context, peer identity.PublicKey) (Visitor, error)
	log      *slog.Logger
	counts   counts
	trees    trees
	writers  writers
	quotas   quotas
	making   sync.Mutex // of directories
	looks    looks
}

// NewServer serves a library, an inbox and holdings; visitor tells who a device is that has proven its key.
func NewServer(
	library *Library, inbox *Inbox, holdings *Holdings,
	visitor func(context.Context, identity.PublicKey) (Visitor, error), log *slog.Logger,
) *Server {
	return &Server{library: library, inbox: inbox, holdings: holdings, visitor: visitor, log: log}
}

// peered is a connection that knows whose it is.
type peered interface{ Peer() identity.PublicKey }

type peerContext struct{}

// Serve answers on connections that have a Peer method, until ctx ends.
func (s *Server) Serve(ctx context.Context, connections net.Listener) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return work },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerContext{}, c.(peered).Peer())
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(connections) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(work, stopTime)
	defer done()
	if server.Shutdown(grace) != nil {
		cancel()
		server.Close()
	}
	<-failed // a server that was stopped before it began closes its listener only now
	return nil
}

// Handler answers one device after the other; whose a request is, Serve says.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, does := range map[string]func(*answer) error{
		"GET /v1/shares":                    s.shares,
		"GET /v1/list/{share}/{path...}":    s.list,
		"GET /v1/data/{share}/{path...}":    s.data(s.shared),
		"GET /v1/blocks/{share}/{path...}":  s.blocks(s.shared),
		"GET /v1/offered/{hash}":            s.data(s.held),
		"GET /v1/offered/{hash}/blocks":     s.blocks(s.held),
		"GET /v1/partial/{share}/{path...}": s.partial,
		"POST /v1/bundle/{share}/{path...}": s.bundle,
		"PUT /v1/bundle/{share}/{path...}":  s.putBundle,
		"PUT /v1/data/{share}/{path...}":    s.put,
		"PUT /v1/dir/{share}/{path...}":     s.mkdir,
		"POST /v1/offers":                   s.offer,
		"GET /v1/offers/{offer}":            s.asked,
		"/":                                 func(*answer) error { return errNotFound },
	} {
		mux.HandleFunc(pattern, s.answer(does))
		if short, is := strings.CutSuffix(pattern, "/{path...}"); is { // of the share itself: else it is a redirect
			mux.HandleFunc(short, s.answer(does))
		}
	}
	odd := s.answer(func(a *answer) error {
		if a.Method == http.MethodPut {
			return newError(CodeName, nil, "a path is refused: it is no elements with one slash between", "")
		}
		return errNotFound
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isPlain(r.URL.EscapedPath()) {
			odd(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answer is one request, and who makes it.
type answer struct {
	http.ResponseWriter
	*http.Request
	visitor Visitor
	begun   bool // part of the answer is out
	lost    bool // no more of the body comes
	aborted atomic.Bool
	stop    func() // ends the request's context
}

// Write gives each piece its time: how long a whole answer takes depends on what was asked for.
func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(stallTime))
	return a.ResponseWriter.Write(p)
}

// Read gives each piece of the body its time.
func (a *answer) Read(p []byte) (int, error) {
	http.NewResponseController(a.ResponseWriter).SetReadDeadline(time.Now().Add(stallTime))
	if a.aborted.Load() {
		return 0, errBusy
	}
	n, err := a.Body.Read(p)
	a.lost = a.lost || err != nil && err != io.EOF
	return n, err
}

// meanwhile does what may take long, and has who waits hear of us (102, RFC 2518, 10.1). It is for what comes before an
// answer, and answers nothing itself.
func (a *answer) meanwhile(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	still := time.NewTicker(stillEach)
	defer still.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-still.C:
			http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(stallTime))
			a.WriteHeader(http.StatusProcessing)
		}
	}
}

// abort ends a request that is under way: what it reads has been brought by another one.
func (a *answer) abort() {
	http.NewResponseController(a.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
	a.aborted.Store(true)
	a.stop()
}

func (s *Server) answer(does func(*answer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		peer, _ := r.Context().Value(peerContext{}).(identity.PublicKey)
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		a := &answer{ResponseWriter: w, Request: r.WithContext(ctx), stop: stop}
		var err error
		if a.visitor, err = s.visitor(r.Context(), peer); err == nil {
			from, _ := netip.ParseAddrPort(r.RemoteAddr)
			a.visitor.From = from.Addr().Unmap()
			err = does(a)
		}
		if err != nil {
			s.refuse(a, err)
		}
	}
}

// reason is why not, as others are told. What the file system says is told by kind: its texts name directories of this
// host.
func (s *Server) reason(a *answer, err error) *Error {
	told := (*Error)(nil)
	switch {
	case codeOf(err) == CodeBroken: // by who brings a file
		return newError(CodeInvalid, nil, "the body ended too early", "")
	case errors.As(err, &told):
		return told
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errOdd), errors.Is(err, syscall.ENOTDIR),
		errors.Is(err, syscall.ELOOP), isEscape(err):
		return errNotFound
	case a.Context().Err() != nil, a.begun && !errors.As(err, new(*fs.PathError)): // who asked has gone
		return newError(CodeBroken, err, "", "")
	}
	s.log.Warn("a file was not served", "device", a.visitor.Device, "err", err)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return newError(CodeForbidden, nil, "the device's own file system does not let it read or write there",
			"who shares it has to give bcast there the right to")
	}
	return newError(CodeInternal, nil, "the device cannot read or write that file", "")
}

// refuse answers with why not.
func (s *Server) refuse(a *answer, err error) {
	told := s.reason(a, err)
	s.counts.refused(told.Code)
	if a.begun || told.Code == CodeBroken {
		panic(http.ErrAbortHandler) // a part must not look like the whole
	}
	if a.Method != http.MethodGet && !a.lost && a.ContentLength >= 0 && a.ContentLength <= 2*unit {
		io.Copy(io.Discard, a) // else the connection ends, and with it the answer
	}
	a.Header().Del("ETag")
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(statuses[told.Code])
	if a.Method != http.MethodHead {
		json.NewEncoder(a).Encode(failure{told}) // fails only when the reader is gone
	}
}

// json answers with one object.
func (a *answer) json(v any) error {
	a.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(a).Encode(v)
}

// Header is that of the answer.
func (a *answer) Header() http.Header { return a.ResponseWriter.Header() }

// isEscape tells whether os.Root refused a path because it leads out.
func isEscape(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && !errors.Is(err, fs.ErrPermission) && failed.Err.Error() == "path escapes from parent"
}

// place is what a request names: a path below a share, "." being the share itself.
type place struct {
	Share
	root  *os.Root
	path  string
	offer *offer // of the inbox, that brings it
}

func (p *place) close() { p.root.Close() }

// open finds what a request names, if it is for the visitor.
func (s *Server) open(a *answer) (*place, error) {
	share, seen := s.library.find(a.visitor, a.PathValue("share"))
	if !seen {
		return nil, errNotFound
	}
	p := a.PathValue("path")
	if p == "" {
		p = "."
	} else if checkPath(p) != nil {
		return nil, errNotFound
	}
	return placeIn(share, p)
}

// placeIn is a path below a share, checked before.
func placeIn(share Share, p string) (*place, error) {
	root, err := os.OpenRoot(share.Dir)
	if err != nil {
		return nil, err
	}
	return &place{Share: share, root: root, path: p}, nil
}

func (s *Server) shares(a *answer) error {
	seen := []Shared{}
	for _, share := range s.library.of(a.visitor) {
		seen = append(seen, Shared{Name: share.Name, Write: share.Write})
	}
	return a.json(seen)
}

// list tells what a file or directory is and, of a directory, what is in it: one JSON object a line.
func (s *Server) list(a *answer) error {
	at, err := s.open(a)
	if err != nil {
		return err
	}
	defer at.close()
	w := walker{ctx: a.Context(), root: at.root, deep: a.FormValue("deep") == "true", left: maxEntries}
	top, _ := w.entry(at.path, "", path.Base("/"+strings.TrimPrefix(at.path, ".")))
	if at.path == "." {
		top = Entry{Dir: true}
	}
	if top.Skip != "" {
		return errNotFound
	}
	a.Header().Set("Content-Type", "application/jsonl")
	lines := json.NewEncoder(a)
	w.tell = func(e Entry) error { return lines.Encode(e) }
	if err := w.tell(top); err != nil || !top.Dir {
		return err
	}
	return w.walk(at.path, "", strings.Count(at.path, "/"))
}

// opened is a file that is asked for; its hashes are remembered by key.
type opened struct {
	*os.File
	info fs.FileInfo
	key  treeKey
}

// shared opens the file of a share that is asked for.
func (s *Server) shared(a *answer) (*opened, error) {
	at, err := s.open(a)
	if err != nil {
		return nil, err
	}
	defer at.close() // the file stays open
	f, info, err := openRegular(at.root, at.path)
	if err != nil {
		return nil, err
	}
	return &opened{f, info, treeKey{path.Join(at.Dir, at.path), version(info)}}, nil
}

// data sends a file that find opens, or a range of it.
func (s *Server) data(find func(*answer) (*opened, error)) func(*answer) error {
	return func(a *answer) error {
		f, err := find(a)
		if err != nil {
			return err
		}
		defer f.Close()
		return s.sendData(a, f)
	}
}

func (s *Server) sendData(a *answer, f *opened) error {
	info := f.info
	a.describe(info)
	var content io.ReadSeeker = f
	if info.Size() <= unit { // one hash and its bytes, of one moment
		whole, err := io.ReadAll(io.LimitReader(f, unit+1))
		if err != nil {
			return err
		}
		if int64(len(whole)) != info.Size() {
			return errChanged
		}
		a.Header().Set(headHash, hashSmall(whole).String())
		content = bytes.NewReader(whole)
	}
	counted := &countingWriter{answer: a}
	http.ServeContent(counted, a.Request, "", time.Time{}, content)
	s.counts.sent(counted.bytes)
	return nil
}

// describe says in the head which file it is.
func (a *answer) describe(info fs.FileInfo) {
	h := a.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment")
	h.Set("ETag", strconv.Quote(version(info)))
	h.Set(headSize, strconv.FormatInt(info.Size(), 10))
	h.Set(headModified, info.ModTime().UTC().Format(time.RFC3339Nano))
}

// countingWriter counts the bytes of a file that go out.
type countingWriter struct {
	*answer
	bytes int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.answer.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom writes larger pieces than io.Copy would.
func (c *countingWriter) ReadFrom(r io.Reader) (n int64, err error) {
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buf[:])
}

// pieceSize is what is read of a file and written to a connection at once, in bytes.
const pieceSize = 128 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// blocks sends the hashes of the blocks of a file that find opens, as they are made, in order.
func (s *Server) blocks(find func(*answer) (*opened, error)) func(*answer) error {
	return func(a *answer) error {
		f, err := find(a)
		if err != nil {
			return err
		}
		defer f.Close()
		return s.sendBlocks(a, f)
	}
}

func (s *Server) sendBlocks(a *answer, f *opened) error {
	info, key := f.info, f.key
	if want := a.Request.Header.Get("If-Match"); want != "" && want != strconv.Quote(version(info)) {
		return errChanged
	}
	a.describe(info)
	if a.Method == http.MethodHead {
		return nil
	}
	if kept := s.trees.find(key); kept != nil && a.Request.Header.Get("Cache-Control") != "no-cache" {
		return writeHashes(a, kept)
	}
	made, err := hashBlocks(f, info.Size(), func(h Hash) error {
		return errors.Join(writeHashes(a, []Hash{h}), http.NewResponseController(a.ResponseWriter).Flush())
	})
	if err == nil {
		s.trees.keep(key, made)
	}
	return err
}

func writeHashes(w io.Writer, hashes []Hash) error {
	flat := make([]byte, 0, len(hashes)*len(Hash{}))
	for _, h := range hashes {
		flat = append(flat, h[:]...)
	}
	_, err := w.Write(flat)
	return err
}

// hashBlocks reads a file from its beginning and tells the hash of each block.
func hashBlocks(f io.Reader, size int64, tell func(Hash) error) ([]Hash, error) {
	hasher := newBlockHasher(size, 0)
	all := make([]Hash, 0, blockCount(size))
	buf := make([]byte, min(unit, size))
	for {
		p := buf[:hasher.next()]
		if _, err := io.ReadFull(f, p); err != nil {
			return nil, errChanged // it is shorter now
		}
		if h, whole := hasher.add(p); whole {
			all = append(all, h)
			if err := tell(h); err != nil {
				return nil, err
			}
		}
		if hasher.next() == 0 {
			return all, nil
		}
	}
}
