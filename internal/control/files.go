package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Share is a directory that this device shares: with the members of a Room, with the device Peer, or with all.
type Share struct {
	Name   string `json:"name,omitempty"` // empty: that of the directory
	Dir    string `json:"dir"`            // absolute
	Public bool   `json:"public,omitempty"`
	Room   string `json:"room,omitempty"`
	Peer   string `json:"peer,omitempty"`  // a device id; to Share also a nick or nick-tag
	Nick   string `json:"nick,omitempty"`  // of Peer, when it was last known
	Write  bool   `json:"write,omitempty"` // they may put files there, too
	Quota  int64  `json:"quota,omitempty"` // bytes that the directory may hold for them to put more; 0: 10 GiB
	// Problem says why it is not served now.
	Problem string `json:"problem,omitempty"`
}

// FileCounts are what was done for other devices that read and put files.
type FileCounts struct {
	Shares        int               `json:"shares"`
	Sent          uint64            `json:"sent"` // files, or parts of them
	SentBytes     uint64            `json:"sent_bytes"`
	Received      uint64            `json:"received"`
	ReceivedBytes uint64            `json:"received_bytes"`
	Refused       map[string]uint64 `json:"refused"` // requests, by reason
	Held          int               `json:"held"`    // files that were offered from here, or came from rooms
	Fetched       uint64            `json:"fetched"` // files that rooms offered and that came whole
	FetchedBytes  uint64            `json:"fetched_bytes"`
	Pushed        uint64            `json:"pushed"`       // pushes from here that are over
	PushedBytes   uint64            `json:"pushed_bytes"` // of datagrams that were broadcast for them
}

// MaxFiles is how many files one Say offers at most.
const MaxFiles = 16

// OfferedFile is a file that a post offers.
type OfferedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	Hash string `json:"hash"` // BLAKE3, hexadecimal
	Held bool   `json:"held"` // it is here: others can have it from this device, too
	// Pushed tells that its author also sent it to all by broadcast.
	Pushed bool `json:"pushed,omitempty"`
}

// File is what becomes of a file that a post offers, or that another device puts into a share or the inbox here.
type File struct {
	Post  string `json:"post,omitempty"`
	Room  string `json:"room,omitempty"`
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	Bytes int64  `json:"bytes"` // here and checked
	// State is offered: others can have it from here now; fetching: it is on its way here; whole: it is here; or failed.
	State string `json:"state"`
	Path  string `json:"path,omitempty"` // where it is
	// Error is why it failed, as a call would.
	Error *Error `json:"error,omitempty"`
	// Resumed is how many of the bytes were here from before.
	Resumed int64  `json:"resumed,omitempty"`
	Direct  string `json:"direct,omitempty"` // as in Room
	// From is whose offer it is, or who put it: a device id, with what it is called as in Post.
	From     string `json:"from,omitempty"`
	Nick     string `json:"nick,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Tagged   bool   `json:"tagged,omitempty"`
	Verified bool   `json:"verified,omitempty"`
	Share    string `json:"share,omitempty"` // that it was put into
}

// States of a File.
const (
	FileOffered  = "offered"
	FileFetching = "fetching"
	FileWhole    = "whole"
	FileFailed   = "failed"
)

// Inbox is where files go that other devices bring of their own accord.
type Inbox struct {
	Dir    string  `json:"dir,omitempty"`    // absolute
	Accept string  `json:"accept,omitempty"` // ask; room: members of private rooms are not asked for; never
	Offers []Offer `json:"offers,omitempty"` // that wait for an answer
}

// Offer is what a device wants to bring to the inbox.
type Offer struct {
	ID    string    `json:"id"`
	From  string    `json:"from"` // device id
	Nick  string    `json:"nick"`
	Tag   string    `json:"tag"`
	Name  string    `json:"name"`            // of the first file or directory
	Names []string  `json:"names,omitempty"` // of the others
	Files int       `json:"files"`
	Bytes int64     `json:"bytes"`
	Time  time.Time `json:"time"`
	// Tagged and Verified are as in Post.
	Tagged   bool `json:"tagged,omitempty"`
	Verified bool `json:"verified,omitempty"`
}

// Library is what is shared, here and by others.
type Library interface {
	// Shares are the directories that this device shares.
	Shares(ctx context.Context) ([]Share, error)
	// Share shares a directory, until Unshare, also after a restart. A name that is shared already is shared anew.
	Share(ctx context.Context, share Share) (Share, error)
	Unshare(ctx context.Context, name string) error
	// Inbox is where files go that others bring of their own accord, whose are taken, and what waits for an answer.
	Inbox(ctx context.Context) (Inbox, error)
	// SetInbox changes where they go and whose are taken; what is empty stays as it is.
	SetInbox(ctx context.Context, inbox Inbox) (Inbox, error)
	// AnswerOffer takes or refuses files that wait, by the offer's id or the beginning of it.
	AnswerOffer(ctx context.Context, offer string, accept bool) error
	// Fetch brings the file that a post offers from whoever has it of those who are here: into dir, an absolute path, or
	// where files go that others bring. It returns as soon as that has begun, or is known to be done; events of type
	// EventFile tell the rest. A file that is on its way there already is not fetched twice.
	Fetch(ctx context.Context, post, dir string) (File, error)
	// ReadFile reads the file that a post offers, from here if it is held, else from whoever has it; no byte that is not
	// checked. It is kept nowhere.
	ReadFile(ctx context.Context, post string) (OfferedFile, io.ReadCloser, error)
	// OfferFile offers a file of size bytes that comes by the body to a room. It is kept here until the post is deleted;
	// who has the file on this machine offers it by [Say], which copies nothing.
	OfferFile(ctx context.Context, room, name string, size int64, body io.Reader) (Said, error)
	// AskFiles carries a request to the files of a peer and brings the answer: PROTOCOL.md, "Files", says what may be
	// asked. An answer that is the peer's names it in the head DeviceHeader; the rest is an error.
	AskFiles(peer string, request *http.Request) (*http.Response, error)
}

// DeviceHeader names the device whose answer AskFiles brings.
const DeviceHeader = "Bcast-Device"

// fileCodes are the codes of failures with files, PROTOCOL.md, "Files", as all others have them.
var fileCodes = map[string]Code{
	"not_found": CodeNotFound, "forbidden": CodeForbidden, "refused": CodeForbidden, "exists": CodeExists,
	"name": CodeInvalid, "invalid": CodeInvalid, "space": CodeReadOnly, "changed": CodeDamaged, "damaged": CodeDamaged,
	"busy": CodeBusy, "broken": CodeTimeout, // which is never sent
}

// FileError gives a failure with files, and an interruption of what has to do with them, its code. Others it leaves.
func FileError(err error) error {
	var known *Error
	var refused interface {
		Refusal() (code, message, hint string)
	}
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &refused):
		code, message, hint := refused.Refusal()
		return NewError(cmp.Or(fileCodes[code], CodeInternal), err, message, hint)
	case errors.Is(err, context.Canceled):
		return NewError(CodeTimeout, err, "interrupted", "the same again goes on where it ended")
	}
	return err
}

// filesPart is how long a body may go without a byte, in either direction.
const filesPart = 60 * time.Second

// smallPiece is what a server keeps back for more to follow, in bytes.
const smallPiece = 4 << 10

// Heads that pass between a client and a peer's files. What a peer says beyond them is not ours to repeat: this machine
// answers for it, and a browser may be listening.
var (
	askHeads    = []string{"Range", "If-Match", "If-Range", "If-None-Match", "Cache-Control"}
	answerHeads = []string{"Accept-Ranges", "Content-Length", "Content-Range", "Etag"}
)

const ownHeads = "Bcast-" // begins those that only files have

// share takes a Share without its name, which the path says.
func (h *Handler) share(r request) (any, error) {
	var share Share
	if err := parseJSON(r.body, &share); err != nil {
		return nil, err
	}
	if name := r.PathValue("share"); share.Name != "" && share.Name != name {
		return nil, NewError(CodeInvalid, nil, fmt.Sprintf("the body says share %q, the path %q", share.Name, name),
			"leave name out of the body")
	}
	share.Name = r.PathValue("share")
	return h.api.Share(r.Context(), share)
}

// answerBody is the body of PUT /v1/inbox/{offer}.
type answerBody struct {
	Accept bool `json:"accept"`
}

func (h *Handler) setInbox(r request) (any, error) {
	var inbox Inbox
	if err := parseJSON(r.body, &inbox); err != nil {
		return nil, err
	}
	return h.api.SetInbox(r.Context(), inbox)
}

func (h *Handler) answerOffer(r request) (any, error) {
	var body answerBody
	if err := parseJSON(r.body, &body); err != nil {
		return nil, err
	}
	return nil, h.api.AnswerOffer(r.Context(), r.PathValue("offer"), body.Accept)
}

// fetchBody is the body of POST /v1/posts/{post}/file, which may be empty.
type fetchBody struct {
	Dir string `json:"dir,omitempty"`
}

func (h *Handler) fetch(r request) (any, error) {
	var body fetchBody
	if len(r.body) > 0 {
		if err := parseJSON(r.body, &body); err != nil {
			return nil, err
		}
	}
	return h.api.Fetch(r.Context(), r.PathValue("post"), body.Dir)
}

// readFile sends the file of a post. Whatever it is, no browser takes it for anything but a file to be saved.
func (h *Handler) readFile(w http.ResponseWriter, r *http.Request) {
	file, content, err := h.api.ReadFile(r.Context(), r.PathValue("post"))
	connection := http.NewResponseController(w)
	connection.SetWriteDeadline(time.Now().Add(filesPart))
	if err != nil {
		h.fail(w, r, err, nil)
		return
	}
	defer content.Close()
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Content-Disposition", "attachment; filename*=UTF-8''"+escapeElement(file.Name))
	head.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Length", strconv.FormatInt(file.Size, 10))
	if r.Method == http.MethodHead {
		return
	}
	if copyPaced(w, content, connection) != nil {
		panic(http.ErrAbortHandler) // a part must not look like the whole
	}
}

// offerFile takes a file and offers it.
func (h *Handler) offerFile(w http.ResponseWriter, r *http.Request) {
	connection := http.NewResponseController(w)
	var body io.Reader = http.NoBody
	if r.Body != nil {
		body = &pacedBody{r.Body, connection}
	}
	said, err := h.api.OfferFile(r.Context(), r.PathValue("room"), r.PathValue("name"), r.ContentLength, body)
	connection.SetReadDeadline(time.Time{})
	connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err != nil {
		w.Header().Set("Connection", "close") // what is left of the body nobody reads
		h.fail(w, r, err, nil)
		return
	}
	writeJSON(w, http.StatusOK, said)
}

// escapeElement is a name as it may stand in an address or a head: all but letters, digits and a few signs are escaped.
func escapeElement(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }

// askFiles carries a request to a peer, and its answer back as it comes.
func (h *Handler) askFiles(w http.ResponseWriter, r *http.Request) {
	connection := http.NewResponseController(w)
	out := r.Clone(r.Context())
	out.URL = &url.URL{Scheme: "http", Host: "files", Path: "/v1/" + r.PathValue("path"),
		RawPath: "/v1/" + escapePath(r.PathValue("path")), RawQuery: r.URL.RawQuery}
	out.RequestURI, out.Host = "", ""
	out.Header = passing(r.Header, askHeads)
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = io.NopCloser(&pacedBody{r.Body, connection})
	}
	answer, err := h.api.AskFiles(r.PathValue("peer"), out)
	if err != nil {
		connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		h.fail(w, r, err, nil)
		return
	}
	defer answer.Body.Close()
	for name, values := range passing(answer.Header, answerHeads) {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", mediaOf(answer))
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(answer.StatusCode)
	if copyPaced(w, answer.Body, connection) != nil {
		panic(http.ErrAbortHandler) // a part must not look like the whole
	}
}

// escapePath escapes the elements of a path.
func escapePath(path string) string {
	elements := strings.Split(path, "/")
	for i, e := range elements {
		elements[i] = url.PathEscape(e)
	}
	return strings.Join(elements, "/")
}

func passing(from http.Header, names []string) http.Header {
	to := http.Header{}
	for name, values := range from {
		if slices.Contains(names, name) || strings.HasPrefix(name, ownHeads) {
			to[name] = values
		}
	}
	return to
}

// mediaOf is what an answer is taken for here: a list, or bytes that nobody looks into.
func mediaOf(answer *http.Response) string {
	switch media := answer.Header.Get("Content-Type"); media {
	case "application/json", "application/jsonl":
		return media
	}
	return "application/octet-stream"
}

// pacedBody gives each piece of a body its time.
type pacedBody struct {
	from       io.Reader
	connection *http.ResponseController
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.connection.SetReadDeadline(time.Now().Add(filesPart))
	return b.from.Read(p)
}

// copyPaced copies as it comes, each piece within its time.
func copyPaced(w http.ResponseWriter, from io.Reader, connection *http.ResponseController) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			connection.SetWriteDeadline(time.Now().Add(filesPart))
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if n < smallPiece { // it would wait for more to come
				connection.Flush()
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// Shares implements API.
func (c *Client) Shares(ctx context.Context) ([]Share, error) {
	return fetch[[]Share](ctx, c, http.MethodGet, "/v1/shares")
}

// Share implements API.
func (c *Client) Share(ctx context.Context, share Share) (Share, error) {
	name := share.Name
	if leavesPath(name) {
		return Share{}, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a name for a share", name), "e.g. docs")
	}
	share.Name = ""
	var shared Share
	err := c.call(ctx, http.MethodPut, "/v1/shares/"+url.PathEscape(name), share, &shared)
	return shared, err
}

// Unshare implements API.
func (c *Client) Unshare(ctx context.Context, name string) error {
	if leavesPath(name) {
		return NewError(CodeNotFound, nil, fmt.Sprintf("nothing is shared as %q", name), "bcast files shares")
	}
	return c.call(ctx, http.MethodDelete, "/v1/shares/"+url.PathEscape(name), nil, nil)
}

// Inbox implements API.
func (c *Client) Inbox(ctx context.Context) (Inbox, error) {
	return fetch[Inbox](ctx, c, http.MethodGet, "/v1/inbox")
}

// SetInbox implements API.
func (c *Client) SetInbox(ctx context.Context, inbox Inbox) (Inbox, error) {
	var now Inbox
	err := c.call(ctx, http.MethodPut, "/v1/inbox", inbox, &now)
	return now, err
}

// AnswerOffer implements API.
func (c *Client) AnswerOffer(ctx context.Context, offer string, accept bool) error {
	if leavesPath(offer) {
		return NewError(CodeNotFound, nil, fmt.Sprintf("no offer begins with %q", offer), "bcast files inbox")
	}
	return c.call(ctx, http.MethodPut, "/v1/inbox/"+url.PathEscape(offer), answerBody{accept}, nil)
}

// Fetch implements API.
func (c *Client) Fetch(ctx context.Context, post, dir string) (File, error) {
	var file File
	if leavesPath(post) {
		return file, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a post", post), "give its id")
	}
	err := c.call(ctx, http.MethodPost, "/v1/posts/"+url.PathEscape(post)+"/file", fetchBody{dir}, &file)
	return file, err
}

// ReadFile implements API.
func (c *Client) ReadFile(ctx context.Context, post string) (OfferedFile, io.ReadCloser, error) {
	if leavesPath(post) {
		return OfferedFile{}, nil, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a post", post), "give its id")
	}
	response, err := c.stream(ctx, http.MethodGet, "/v1/posts/"+url.PathEscape(post)+"/file", nil)
	if err != nil {
		return OfferedFile{}, nil, err
	}
	file := OfferedFile{Size: response.ContentLength}
	if _, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition")); err == nil {
		file.Name = params["filename"]
	}
	return file, response.Body, nil
}

// OfferFile implements API.
func (c *Client) OfferFile(ctx context.Context, room, name string, size int64, body io.Reader) (Said, error) {
	var said Said
	path, err := roomPath(room, "/files/"+url.PathEscape(name))
	if err != nil || leavesPath(name) {
		return said, errors.Join(err, NewError(CodeInvalid, nil, fmt.Sprintf("%q is no name for a file", name), ""))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://bcast"+path, body)
	if err != nil {
		return said, err
	}
	request.ContentLength = size
	response, err := c.http.Do(request)
	if err != nil {
		return said, callError(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return said, parseFailure(response.Body)
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		return said, callError(err)
	}
	return said, nil
}

// AskFiles implements API.
func (c *Client) AskFiles(peer string, request *http.Request) (*http.Response, error) {
	if leavesPath(peer) {
		return nil, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a device", peer), "bcast peers")
	}
	out := request.Clone(request.Context())
	out.URL.Host = "bcast"
	out.URL.Path = "/v1/peers/" + peer + "/files" + strings.TrimPrefix(request.URL.Path, "/v1")
	out.URL.RawPath = "/v1/peers/" + url.PathEscape(peer) + "/files" + strings.TrimPrefix(request.URL.EscapedPath(), "/v1")
	response, err := c.http.Do(out)
	if err != nil {
		return nil, callError(err)
	}
	if response.Header.Get(DeviceHeader) == "" && response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, parseFailure(response.Body)
	}
	return response, nil
}
