package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// PushOrder is a file to be sent once to all of a room.
type PushOrder struct {
	Room string `json:"-"`
	File string `json:"file"` // absolute path of a file that the participant can read
	// Rate is what may be broadcast, in bytes a second; RateBudget: what the broadcast budget leaves; RateAsTaken: as fast
	// as the receivers take it.
	Rate int `json:"rate,omitempty"`
}

// Rates that are no bytes a second.
const (
	RateBudget  = 0
	RateAsTaken = -1
)

// Pushed is how far a push has come.
type Pushed struct {
	Post   string `json:"post"` // that offers the file
	Room   string `json:"room"`
	Direct string `json:"direct,omitempty"` // as in Room
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	// State is gathering, while those who are here say whether they take it; sending; over; or stopped.
	State   string  `json:"state"`
	Sent    int64   `json:"sent"` // bytes of the file that were broadcast
	Wire    int64   `json:"wire"` // bytes of datagrams that this took, with repairs
	Seconds float64 `json:"seconds"`
	Members int     `json:"members"` // who were to have it, away or here
	Have    int     `json:"have"`    // who say that they have it, checked
	Takers  []Taker `json:"takers"`
	Error   *Error  `json:"error,omitempty"` // why it stopped
}

// Taker is somebody to whom a file is pushed.
type Taker struct {
	ID       string `json:"id"`
	Nick     string `json:"nick"`
	Tag      string `json:"tag"`
	Tagged   bool   `json:"tagged,omitempty"` // as in Post
	Verified bool   `json:"verified,omitempty"`
	Here     bool   `json:"here,omitempty"`
	// State is silent, while it has said nothing; asked, while its user is; taking; whole; refused; or failed.
	State string `json:"state"`
	Bytes int64  `json:"bytes"`
	// Apart tells that the broadcast does not wait for it: it loses too much, is on Wi-Fi, or fell behind. It gets the
	// rest by unicast.
	Apart bool `json:"apart,omitempty"`
}

// States of a push, and of a Taker.
const (
	PushGathering = "gathering"
	PushSending   = "sending"
	PushOver      = "over"
	PushStopped   = "stopped"

	TakerSilent  = "silent"
	TakerAsked   = "asked"
	TakerTaking  = "taking"
	TakerWhole   = "whole"
	TakerRefused = "refused"
	TakerFailed  = "failed"
)

// Pusher sends a file once to a whole room.
type Pusher interface {
	// Push offers a file to a room as Say does, and broadcasts it there; members' devices take it as their users have
	// said. It returns when that has begun; events of type EventPush tell the rest. One at a time is pushed.
	Push(ctx context.Context, order PushOrder) (Pushed, error)
	// PushStatus tells how far it has come, by the post that offers the file, until it is over.
	PushStatus(ctx context.Context, post string) (Pushed, error)
	// StopPush ends it. The offer stays: who wants the file still gets it.
	StopPush(ctx context.Context, post string) error
}

func (h *Handler) push(r request) (any, error) {
	var order PushOrder
	if err := parseJSON(r.body, &order); err != nil {
		return nil, err
	}
	order.Room = r.room()
	return h.api.Push(r.Context(), order)
}

// Push implements API.
func (c *Client) Push(ctx context.Context, order PushOrder) (Pushed, error) {
	if leavesPath(order.Room) {
		return Pushed{}, NewError(CodeInvalid, nil, fmt.Sprintf("%q is no room", order.Room), "bcast rooms")
	}
	var begun Pushed
	err := c.call(ctx, http.MethodPost, "/v1/rooms/"+url.PathEscape(order.Room)+"/pushes", order, &begun)
	return begun, err
}

// PushStatus implements API.
func (c *Client) PushStatus(ctx context.Context, post string) (Pushed, error) {
	if leavesPath(post) {
		return Pushed{}, NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a post", post), "give its id")
	}
	return fetch[Pushed](ctx, c, http.MethodGet, "/v1/posts/"+url.PathEscape(post)+"/push")
}

// StopPush implements API.
func (c *Client) StopPush(ctx context.Context, post string) error {
	if leavesPath(post) {
		return NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a post", post), "give its id")
	}
	return c.call(ctx, http.MethodDelete, "/v1/posts/"+url.PathEscape(post)+"/push", nil, nil)
}
