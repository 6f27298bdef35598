package guest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"bcast/internal/control"
)

type contextKey struct{}

// As has what is asked with ctx asked by a guest.
func As(ctx context.Context, g *Guest) context.Context {
	return context.WithValue(ctx, contextKey{}, g)
}

// Of is the guest who asks with ctx.
func Of(ctx context.Context) (*Guest, error) {
	if g, ok := ctx.Value(contextKey{}).(*Guest); ok {
		return g, nil
	}
	return nil, ended()
}

// API is control.API as guests have it: each call is answered by the device of the guest who asks, see As.
type API struct{}

var _ control.API = API{}

// Status tells a guest who it is, and no more of the machine that its device is on.
func (API) Status(ctx context.Context) (control.Status, error) {
	g, err := Of(ctx)
	if err != nil {
		return control.Status{}, err
	}
	full, err := g.device.Status(ctx)
	if err != nil {
		return control.Status{}, err
	}
	status := control.Status{
		ID: full.ID, Nick: full.Nick, Tag: full.Tag, EventID: full.EventID, Interfaces: []control.Interface{},
		Drops: map[string]uint64{}, Sent: map[string]uint64{}, Received: map[string]uint64{}, Rates: map[string]float64{},
	}
	status.Rooms, err = API{}.Rooms(ctx)
	return status, err
}

// Rooms is the guest's one.
func (API) Rooms(ctx context.Context) ([]control.Room, error) {
	g, err := Of(ctx)
	if err != nil {
		return nil, err
	}
	rooms, err := g.device.Rooms(ctx)
	for _, r := range rooms {
		if r.Name == g.room {
			return []control.Room{{Name: r.Name, Public: r.Public, Members: r.Members, Present: r.Present, Topic: r.Topic,
				ShutOut: r.ShutOut, DatagramLimit: r.DatagramLimit}}, nil
		}
	}
	return []control.Room{}, err
}

// at is the guest who asks, if it is about the room that it was let into.
func at(ctx context.Context, room string) (*Guest, error) {
	g, err := Of(ctx)
	if err == nil && room != g.room {
		err = notYours()
	}
	return g, err
}

func notYours() error {
	return control.NewError(control.CodeForbidden, nil, "a guest is in one room, and this is not about it", "")
}

// Members implements control.API.
func (API) Members(ctx context.Context, room string) ([]control.Member, error) {
	g, err := at(ctx, room)
	if err != nil {
		return nil, err
	}
	return g.device.Members(ctx, room)
}

// Posts are the newest that the guest may see, or those before one of them.
func (API) Posts(ctx context.Context, room string, query control.PostQuery) ([]control.Post, error) {
	g, err := at(ctx, room)
	if err != nil {
		return nil, err
	}
	if query.Since != "" || query.Search != "" || query.Before != "" && !g.sees(query.Before) {
		return nil, control.NewError(control.CodeForbidden, nil,
			"a guest reads by limit, and before a post that it was shown", "")
	}
	clear, _ := g.look(ctx)
	if !clear {
		return []control.Post{}, nil // it comes: an event tells
	}
	if query.Limit <= 0 || query.Limit > maxPage {
		query.Limit = maxPage
	}
	posts, err := g.device.Posts(ctx, room, query)
	if err == nil {
		err = g.learn(ctx, maxShown)
	}
	if err != nil {
		return nil, err
	}
	return g.may(posts), nil
}

// kinds are what a guest may say.
var kinds = []string{"", "text", "action", "reply", "edit", "delete", "reaction"}

// Say posts by the guest's own key.
func (API) Say(ctx context.Context, say control.Say) (control.Said, error) {
	g, err := at(ctx, say.Room)
	switch {
	case err != nil:
		return control.Said{}, err
	case !slices.Contains(kinds, say.Kind):
		return control.Said{}, control.NewError(control.CodeForbidden, nil, fmt.Sprintf("a guest says no %q", say.Kind), "")
	case len(say.Files) > 0:
		return control.Said{}, control.NewError(control.CodeForbidden, nil, "a guest offers no files of this machine", "")
	case say.Wait != "":
		return control.Said{}, control.NewError(control.CodeForbidden, nil, "a guest does not wait for receipts", "")
	case len(say.Text) > maxText:
		return control.Said{}, control.NewError(control.CodeTooLarge, nil,
			fmt.Sprintf("a guest's post has at most %d bytes", maxText), "send it in parts")
	case say.Target != "" && !g.sees(say.Target):
		return control.Said{}, notYours()
	case !g.posts.take(time.Now()):
		return control.Said{}, tooFast(postsEach)
	}
	return g.device.Say(ctx, say)
}

func tooFast(each time.Duration) error {
	return control.NewError(control.CodeBusy, nil, "too fast for a guest", fmt.Sprintf("one each %v goes on", each))
}

// Signal tells that the guest is typing.
func (API) Signal(ctx context.Context, signal control.Signal) error {
	g, err := at(ctx, signal.Room)
	switch {
	case err != nil:
		return err
	case signal.Kind != "typing" || signal.Text != "":
		return control.NewError(control.CodeForbidden, nil, "a guest only tells that it is typing", "")
	case !g.signals.take(time.Now()):
		return tooFast(signalsEach)
	}
	return g.device.Signal(ctx, control.Signal{Room: signal.Room, Kind: signal.Kind})
}

// Ledger tells who has a post that the guest was shown.
func (API) Ledger(ctx context.Context, post string) (control.Ledger, error) {
	g, err := Of(ctx)
	if err == nil && !g.sees(post) {
		err = notYours()
	}
	if err != nil {
		return control.Ledger{}, err
	}
	return g.device.Ledger(ctx, post)
}

// Nick changes the guest's nick; the mark stays.
func (API) Nick(ctx context.Context, nick string) error {
	g, err := Of(ctx)
	if err != nil {
		return err
	}
	marked, err := mark(nick)
	if err != nil {
		return err
	}
	if !g.nicks.take(time.Now()) {
		return tooFast(nicksEach)
	}
	if err := g.device.Nick(ctx, marked); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nick = marked
	return nil
}

// Events implements control.API.
func (API) Events(ctx context.Context, after string) iter.Seq2[control.Event, error] {
	g, err := Of(ctx)
	if err != nil {
		return func(yield func(control.Event, error) bool) { yield(control.Event{}, err) }
	}
	return g.events(ctx, after)
}

// refused is what all else is answered with.
func refused() error {
	return control.NewError(control.CodeForbidden, nil, "a guest may not ask for this", "")
}

// What follows is not for guests.

// Config is refused.
func (API) Config(context.Context) ([]control.Setting, error) { return nil, refused() }

// Peers is refused: it tells addresses, and devices of other rooms.
func (API) Peers(context.Context) ([]control.Peer, error) { return nil, refused() }

// Join is refused.
func (API) Join(context.Context, string, control.JoinOptions) (control.Joined, error) {
	return control.Joined{}, refused()
}

// Leave is refused: a guest leaves by its page.
func (API) Leave(context.Context, string, bool) error { return refused() }

// Invite is refused.
func (API) Invite(context.Context, string) (control.Invitation, error) {
	return control.Invitation{}, refused()
}

// Rekey is refused.
func (API) Rekey(context.Context, string, []string) (control.Rekeyed, error) {
	return control.Rekeyed{}, refused()
}

// Records is refused: they are all that the device keeps.
func (API) Records(context.Context, string) iter.Seq2[control.Record, error] {
	return func(yield func(control.Record, error) bool) { yield(control.Record{}, refused()) }
}

// Import is refused.
func (API) Import(context.Context, string, iter.Seq2[control.Record, error]) (control.Imported, error) {
	return control.Imported{}, refused()
}

// Announce is refused: what a host offers is its owner's to say.
func (API) Announce(context.Context, control.Service) iter.Seq2[control.Announced, error] {
	return func(yield func(control.Announced, error) bool) { yield(control.Announced{}, refused()) }
}

// Verification is refused: nobody compares the key of a guest, which is here for hours.
func (API) Verification(context.Context, string) (control.Verification, error) {
	return control.Verification{}, refused()
}

// Pin is refused.
func (API) Pin(context.Context, string, string) (control.Verification, error) {
	return control.Verification{}, refused()
}

// Block is refused.
func (API) Block(context.Context, string, bool) error { return refused() }

// Bench is refused.
func (API) Bench(context.Context, control.Bench) (control.Benched, error) {
	return control.Benched{}, refused()
}

// Devices is refused.
func (API) Devices(context.Context) ([]control.Device, error) { return nil, refused() }

// Probe is refused.
func (API) Probe(context.Context) ([]control.Probed, error) { return nil, refused() }

// Shares is refused, as is all that is about files but to read what the room is offered.
func (API) Shares(context.Context) ([]control.Share, error) { return nil, refused() }

// Share is refused.
func (API) Share(context.Context, control.Share) (control.Share, error) {
	return control.Share{}, refused()
}

// Unshare is refused.
func (API) Unshare(context.Context, string) error { return refused() }

// Inbox is refused.
func (API) Inbox(context.Context) (control.Inbox, error) { return control.Inbox{}, refused() }

// SetInbox is refused.
func (API) SetInbox(context.Context, control.Inbox) (control.Inbox, error) {
	return control.Inbox{}, refused()
}

// AnswerOffer is refused.
func (API) AnswerOffer(context.Context, string, bool) error { return refused() }

// Fetch is refused: what comes would be written on the machine that its device is on.
func (API) Fetch(context.Context, string, string) (control.File, error) {
	return control.File{}, refused()
}

// Push is refused: the file would be one of the machine that its device is on.
func (API) Push(context.Context, control.PushOrder) (control.Pushed, error) {
	return control.Pushed{}, refused()
}

// PushStatus is refused.
func (API) PushStatus(context.Context, string) (control.Pushed, error) {
	return control.Pushed{}, refused()
}

// StopPush is refused.
func (API) StopPush(context.Context, string) error { return refused() }

// ReadFile reads the file of a post that the guest was shown. Its device passes it on and keeps nothing.
func (API) ReadFile(ctx context.Context, post string) (control.OfferedFile, io.ReadCloser, error) {
	g, err := Of(ctx)
	switch {
	case err != nil:
		return control.OfferedFile{}, nil, err
	case !g.sees(post):
		return control.OfferedFile{}, nil, notYours()
	case !g.reads(1):
		return control.OfferedFile{}, nil, control.NewError(control.CodeBusy, nil,
			fmt.Sprintf("a guest has %d files at once", maxReads), "wait until one is there")
	}
	file, content, err := g.device.ReadFile(ctx, post)
	if err != nil {
		g.reads(-1)
		return file, nil, err
	}
	return file, &reading{ReadCloser: content, done: sync.OnceFunc(func() { g.reads(-1) })}, nil
}

// reading is a file that a guest reads.
type reading struct {
	io.ReadCloser
	done func()
}

func (r *reading) Close() error {
	r.done()
	return r.ReadCloser.Close()
}

// OfferFile is refused: what a guest offers would lie on the disk of its host, who does not know it, and be served in
// the guest's name after it has left.
func (API) OfferFile(context.Context, string, string, int64, io.Reader) (control.Said, error) {
	return control.Said{}, refused()
}

// AskFiles is refused.
func (API) AskFiles(string, *http.Request) (*http.Response, error) { return nil, refused() }
