package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Hospitality is what a participant is asked beside API when it takes in guests: people without bcast, whom a link
// lets into one room by a browser. Only a daemon that serves them has it.
type Hospitality interface {
	// InviteGuests makes a link to a room. Its secret is in the answer's URLs and nowhere else.
	InviteGuests(ctx context.Context, room string, options GuestOptions) (GuestLink, error)
	// Guests are the links that are good, and who came by them.
	Guests(ctx context.Context) ([]GuestLink, error)
	// RevokeGuests ends a link, named by its id, and sends away who came by it.
	RevokeGuests(ctx context.Context, link string) error
}

var _ Hospitality = (*Client)(nil)

// GuestOptions say for how long a link is good: For is a duration; empty is GuestsFor.
type GuestOptions struct {
	For string `json:"for,omitempty"`
}

// GuestsFor is how long a link is good unless its maker says otherwise: until the meeting is over. MaxGuestsFor is how
// long it can be.
const (
	GuestsFor    = 12 * time.Hour
	MaxGuestsFor = 30 * 24 * time.Hour
)

// Duration is what For says.
func (o GuestOptions) Duration() (time.Duration, error) {
	if o.For == "" {
		return GuestsFor, nil
	}
	d, err := time.ParseDuration(o.For)
	if err != nil || d < time.Minute || d > MaxGuestsFor {
		return 0, NewError(CodeInvalid, err, fmt.Sprintf("%q is not a time from 1m to %.0fh", o.For, MaxGuestsFor.Hours()),
			"e.g. 90m or 12h")
	}
	return d, nil
}

// GuestLink lets those who open it into one room, as guests.
type GuestLink struct {
	ID      string    `json:"id"` // names it, and opens nothing
	Room    string    `json:"room"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	// URLs open it, one for each address that this device is reached at. Only the answer that made the link has them.
	URLs []string `json:"urls,omitempty"`
	// Fingerprint is the SHA-256 of the certificate that the browser has to show.
	Fingerprint string  `json:"fingerprint"`
	Guests      []Guest `json:"guests"`
}

// Guest is who came by a link: a device of its own, kept by the one that made the link.
type Guest struct {
	ID    string    `json:"id"`
	Nick  string    `json:"nick"`
	Tag   string    `json:"tag"`
	Since time.Time `json:"since"`
	Here  bool      `json:"here"` // its page is open
}

// Guesthouse is where a daemon takes in guests.
type Guesthouse struct {
	Addr        string `json:"addr"`
	Fingerprint string `json:"fingerprint"` // as in GuestLink
	Pin         string `json:"pin"`         // of the key of that certificate, as curl's --pinnedpubkey takes it
}

// hospitality is that of the participant, if it takes in guests.
func (h *Handler) hospitality() (Hospitality, error) {
	if host, ok := h.api.(Hospitality); ok {
		return host, nil
	}
	return nil, NoGuests()
}

// NoGuests is what a participant answers that takes in none.
func NoGuests() *Error {
	return NewError(CodeUnsupported, nil, "no guests are taken in here", "bcast daemon --http 0.0.0.0:8080 --guests")
}

func (h *Handler) guests(r request) (any, error) {
	host, err := h.hospitality()
	if err != nil {
		return nil, err
	}
	return host.Guests(r.Context())
}

// inviteGuests takes GuestOptions as its body, or none.
func (h *Handler) inviteGuests(r request) (any, error) {
	host, err := h.hospitality()
	if err != nil {
		return nil, err
	}
	var options GuestOptions
	if len(r.body) > 0 {
		if err := parseJSON(r.body, &options); err != nil {
			return nil, err
		}
	}
	return host.InviteGuests(r.Context(), r.room(), options)
}

func (h *Handler) revokeGuests(r request) (any, error) {
	host, err := h.hospitality()
	if err != nil {
		return nil, err
	}
	return nil, host.RevokeGuests(r.Context(), r.PathValue("link"))
}

// Guests implements Hospitality.
func (c *Client) Guests(ctx context.Context) ([]GuestLink, error) {
	return fetch[[]GuestLink](ctx, c, http.MethodGet, "/v1/guests")
}

// InviteGuests implements Hospitality.
func (c *Client) InviteGuests(ctx context.Context, room string, options GuestOptions) (GuestLink, error) {
	var link GuestLink
	err := c.callRoom(ctx, http.MethodPost, room, "/guests", options, &link)
	return link, err
}

// RevokeGuests implements Hospitality.
func (c *Client) RevokeGuests(ctx context.Context, link string) error {
	if leavesPath(link) {
		return NewError(CodeInvalid, nil, fmt.Sprintf("%q is not a guest link", link), "`bcast guests` lists them")
	}
	return c.call(ctx, http.MethodDelete, "/v1/guests/"+url.PathEscape(link), nil, nil)
}
