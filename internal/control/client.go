package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answerGrace is how much longer than the participant the client waits: the deadline is the participant's to keep.
const answerGrace = 2 * time.Second

// Client is the API of the participant behind a control socket. It connects per call and keeps nothing open between
// calls but idle connections.
type Client struct {
	http *http.Client
}

var _ API = (*Client)(nil)

// NewClient returns a client of the socket at path. Nothing is dialled yet; calls fail with CodeNoDaemon while nobody
// serves the socket.
func NewClient(path string) *Client {
	return newClient(func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	})
}

func newClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Close closes idle connections. Calls may follow.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status implements API.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return fetch[Status](ctx, c, http.MethodGet, "/v1/status")
}

// Config implements API.
func (c *Client) Config(ctx context.Context) ([]Setting, error) {
	return fetch[[]Setting](ctx, c, http.MethodGet, "/v1/config")
}

// Peers implements API.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	return fetch[[]Peer](ctx, c, http.MethodGet, "/v1/peers")
}

// Devices implements API.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	return fetch[[]Device](ctx, c, http.MethodGet, "/v1/devices")
}

// Rooms implements API.
func (c *Client) Rooms(ctx context.Context) ([]Room, error) {
	return fetch[[]Room](ctx, c, http.MethodGet, "/v1/rooms")
}

// Join implements API.
func (c *Client) Join(ctx context.Context, room string, options JoinOptions) (Joined, error) {
	var joined Joined
	if strings.HasPrefix(strings.TrimSpace(room), "bcast:") { // a secret has no place in a path
		err := c.call(ctx, http.MethodPost, "/v1/join", inviteBody{room, options}, &joined)
		return joined, err
	}
	err := c.callRoom(ctx, http.MethodPut, room, "", options, &joined)
	return joined, err
}

// Invite implements API.
func (c *Client) Invite(ctx context.Context, room string) (Invitation, error) {
	return fetchRoom[Invitation](ctx, c, http.MethodGet, room, "/invite")
}

// Rekey implements API.
func (c *Client) Rekey(ctx context.Context, room string, without []string) (Rekeyed, error) {
	var done Rekeyed
	err := c.callRoom(ctx, http.MethodPost, room, "/rekey", rekeyBody{without}, &done)
	return done, err
}

// Verification implements API.
func (c *Client) Verification(ctx context.Context, peer string) (Verification, error) {
	return fetch[Verification](ctx, c, http.MethodGet, "/v1/peers/"+url.PathEscape(peer)+"/verification")
}

// Pin implements API.
func (c *Client) Pin(ctx context.Context, peer, proof string) (Verification, error) {
	var v Verification
	err := c.call(ctx, http.MethodPut, "/v1/peers/"+url.PathEscape(peer)+"/verification", pinBody{proof}, &v)
	return v, err
}

// Block implements API.
func (c *Client) Block(ctx context.Context, peer string, blocked bool) error {
	return c.call(ctx, http.MethodPut, "/v1/peers/"+url.PathEscape(peer)+"/block", blockBody{blocked}, nil)
}

// Bench implements API.
func (c *Client) Bench(ctx context.Context, bench Bench) (Benched, error) {
	var done Benched
	err := c.call(ctx, http.MethodPost, "/v1/bench", bench, &done)
	return done, err
}

// Probe implements API.
func (c *Client) Probe(ctx context.Context) ([]Probed, error) {
	return fetch[[]Probed](ctx, c, http.MethodPost, "/v1/probe")
}

// Ledger implements API.
func (c *Client) Ledger(ctx context.Context, post string) (Ledger, error) {
	if leavesPath(post) {
		return Ledger{}, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a post", post), "give its id")
	}
	return fetch[Ledger](ctx, c, http.MethodGet, "/v1/posts/"+url.PathEscape(post)+"/ledger")
}

// Signal implements API.
func (c *Client) Signal(ctx context.Context, signal Signal) error {
	return c.callRoom(ctx, http.MethodPost, signal.Room, "/signals", signal, nil)
}

// Leave implements API.
func (c *Client) Leave(ctx context.Context, room string, forget bool) error {
	query := ""
	if forget {
		query = "?forget=true"
	}
	return c.callRoom(ctx, http.MethodDelete, room, query, nil, nil)
}

// Members implements API.
func (c *Client) Members(ctx context.Context, room string) ([]Member, error) {
	return fetchRoom[[]Member](ctx, c, http.MethodGet, room, "/members")
}

// Nick implements API.
func (c *Client) Nick(ctx context.Context, nick string) error {
	return c.call(ctx, http.MethodPut, "/v1/nick", nickBody{nick}, nil)
}

// Posts implements API.
func (c *Client) Posts(ctx context.Context, room string, query PostQuery) ([]Post, error) {
	values := url.Values{}
	if query.Since != "" {
		values.Set("since", query.Since)
	}
	if query.Before != "" {
		values.Set("before", query.Before)
	}
	if query.Limit > 0 {
		values.Set("limit", strconv.Itoa(query.Limit))
	}
	if query.Search != "" {
		values.Set("search", query.Search)
	}
	return fetchRoom[[]Post](ctx, c, http.MethodGet, room, "/posts?"+values.Encode())
}

// Say implements API. The deadline of ctx travels with the call: the participant answers when it passes, with those
// who have the post so far.
func (c *Client) Say(ctx context.Context, say Say) (Said, error) {
	if err := CheckSay(say); err != nil {
		return Said{}, err
	}
	path := "/posts"
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		if left <= 0 {
			return Said{}, callError(context.DeadlineExceeded)
		}
		path += "?timeout=" + left.String()
		var cancel context.CancelFunc
		ctx, cancel = outlive(ctx, left+answerGrace)
		defer cancel()
	}
	room := say.Room
	say.Room = "" // the path says it
	var answer struct {
		Said
		Late *Said `json:"said"`
	}
	err := c.callRoom(ctx, http.MethodPost, room, path, say, &answer)
	if answer.Late != nil {
		return *answer.Late, err
	}
	return answer.Said, err
}

// outlive returns a context that ends when parent is cancelled, but not at its deadline.
func outlive(parent context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), limit)
	stop := context.AfterFunc(parent, func() {
		if errors.Is(parent.Err(), context.Canceled) {
			cancel()
		}
	})
	return ctx, func() { stop(); cancel() }
}

// Events implements API. It does not connect again: when the participant ends the last error has CodeNoDaemon, and the
// caller knows what to ask for after a new start.
func (c *Client) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		path := "/v1/events"
		if after != "" {
			path += "?after=" + url.QueryEscape(after)
		}
		response, err := c.stream(ctx, http.MethodGet, path, nil)
		if err != nil {
			if ctx.Err() == nil {
				yield(Event{}, err)
			}
			return
		}
		defer response.Body.Close()
		for event, err := range readEvents(response.Body) {
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(Event{}, streamError(err))
				return
			}
			if !yield(event, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(Event{}, callError(io.ErrUnexpectedEOF))
		}
	}
}

// streamError keeps what the participant itself said and explains the rest.
func streamError(err error) error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return err
	}
	return callError(err)
}

func fetch[T any](ctx context.Context, c *Client, method, path string) (T, error) {
	var value T
	err := c.call(ctx, method, path, nil, &value)
	return value, err
}

func fetchRoom[T any](ctx context.Context, c *Client, method, room, rest string) (T, error) {
	var value T
	err := c.callRoom(ctx, method, room, rest, nil, &value)
	return value, err
}

func (c *Client) callRoom(ctx context.Context, method, room, rest string, body, into any) error {
	path, err := roomPath(room, rest)
	if err != nil {
		return err
	}
	return c.call(ctx, method, path, body, into)
}

func roomPath(room, rest string) (string, error) {
	if leavesPath(room) {
		return "", NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a room name", room), "e.g. lobby")
	}
	return "/v1/rooms/" + url.PathEscape(room) + rest, nil
}

// leavesPath tells of a name that is none between two slashes.
func leavesPath(name string) bool { return name == "" || name == "." || name == ".." }

// call makes one call and decodes the answer into what is not nil: a refusal too, it may carry a Said.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return callError(err)
	}
	if into != nil {
		err = json.Unmarshal(data, into)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return parseFailure(bytes.NewReader(data))
	}
	if err != nil {
		return NewError(CodeInternal, err, fmt.Sprintf("%s %s: parse answer: %v", method, path, err), "")
	}
	return nil
}

// callError says what a failed exchange means to a person.
func callError(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return NewError(CodeTimeout, err, "no answer in time", "")
	case errors.Is(err, context.Canceled):
		return NewError(CodeTimeout, err, "interrupted", "")
	case errors.Is(err, fs.ErrPermission):
		return NewError(CodeHome, err, fmt.Sprintf("the control socket: %v", err),
			"it belongs to another user; choose your own --home")
	case errors.As(err, &op) && op.Op == "dial":
		return NewError(CodeNoDaemon, err, "no bcast daemon runs on this home", "start one: bcast daemon")
	default:
		return NewError(CodeNoDaemon, err, "the bcast daemon has gone", "start it again: bcast daemon")
	}
}

// send sends a request and returns the response with its body still to be read.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: encode: %w", method, path, err)
		}
		reader = bytes.NewReader(data)
	}
	return c.exchange(ctx, method, path, reader)
}

// stream is an exchange whose answer may have no end. A refusal is its error.
func (c *Client) stream(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	response, err := c.exchange(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, parseFailure(response.Body)
	}
	return response, nil
}

func (c *Client) exchange(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://bcast"+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, callError(err)
	}
	return response, nil
}
