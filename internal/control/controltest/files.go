package controltest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"

	"bcast/internal/control"
)

// Serve has a peer answer for its files by a handler.
func (d *Device) Serve(nick string, files http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = map[string]http.Handler{}
	}
	d.files[nick] = files
}

// AskFiles implements control.API.
func (d *Device) AskFiles(peer string, request *http.Request) (*http.Response, error) {
	d.mu.Lock()
	p, err := d.peer(peer)
	var handler http.Handler
	if err == nil {
		handler = d.files[p.Nick]
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	if request.Body == nil {
		request.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	answer := w.Result()
	answer.Header.Set(control.DeviceHeader, p.ID)
	return answer, nil
}

// Fetch implements control.API: what is offered is here at once.
func (d *Device) Fetch(_ context.Context, post, dir string) (control.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, r := range d.rooms {
		for i := range r.posts {
			p := &r.posts[i]
			if p.File == nil || !strings.HasPrefix(p.ID, post) {
				continue
			}
			p.File.Held = true
			file := control.File{Post: p.ID, Room: name, Name: p.File.Name, Size: p.File.Size, State: control.FileFetching}
			d.record(control.Event{Type: control.EventFile, File: &file})
			whole := file
			whole.State, whole.Bytes, whole.Path = control.FileWhole, file.Size, cmp.Or(dir, "/inbox")+"/"+file.Name
			d.record(control.Event{Type: control.EventFile, File: &whole})
			return file, nil
		}
	}
	return control.File{}, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: not known here", post), "")
}

// ReadFile implements control.API: of nothing but zeros.
func (d *Device) ReadFile(_ context.Context, post string) (control.OfferedFile, io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rooms {
		for _, p := range r.posts {
			if p.File != nil && strings.HasPrefix(p.ID, post) {
				return *p.File, io.NopCloser(bytes.NewReader(make([]byte, p.File.Size))), nil
			}
		}
	}
	err := control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: not known here", post), "")
	return control.OfferedFile{}, nil, err
}

// OfferFile implements control.API.
func (d *Device) OfferFile(ctx context.Context, room, name string, size int64, body io.Reader) (control.Said, error) {
	if n, err := io.Copy(io.Discard, body); err != nil || n != size {
		return control.Said{}, control.NewError(control.CodeInvalid, err, "the file ended too early", "")
	}
	return d.Say(ctx, control.Say{Room: room, Files: []string{"/" + name}})
}

// Shares implements control.API.
func (d *Device) Shares(context.Context) ([]control.Share, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]control.Share{}, d.shares...), nil
}

// Share implements control.API.
func (d *Device) Share(_ context.Context, share control.Share) (control.Share, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !share.Public && share.Room == "" && share.Peer == "" {
		return share, control.NewError(control.CodeInvalid, nil, "a directory is shared with a room, a device, or all", "")
	}
	d.shares = slices.DeleteFunc(d.shares, func(s control.Share) bool { return s.Name == share.Name })
	d.shares = append(d.shares, share)
	return share, nil
}

// Unshare implements control.API.
func (d *Device) Unshare(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(d.shares), func(s control.Share) bool { return s.Name == name })
	if len(left) == len(d.shares) {
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("nothing is shared as %q", name), "")
	}
	d.shares = left
	return nil
}

// Offer has a device want to bring files to the inbox.
func (d *Device) Offer(o control.Offer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.Time = d.tick()
	d.inbox.Offers = append(d.inbox.Offers, o)
	d.record(control.Event{Type: control.EventOffer, Offer: &o})
}

// Inbox implements control.API.
func (d *Device) Inbox(context.Context) (control.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	inbox := d.inbox
	inbox.Offers = slices.Clone(inbox.Offers)
	return inbox, nil
}

// SetInbox implements control.API.
func (d *Device) SetInbox(_ context.Context, inbox control.Inbox) (control.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inbox.Dir = cmp.Or(inbox.Dir, d.inbox.Dir)
	d.inbox.Accept = cmp.Or(inbox.Accept, d.inbox.Accept)
	return d.inbox, nil
}

// AnswerOffer implements control.API.
func (d *Device) AnswerOffer(_ context.Context, offer string, accept bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(d.inbox.Offers), func(o control.Offer) bool {
		return strings.HasPrefix(o.ID, offer)
	})
	if len(left) == len(d.inbox.Offers) {
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no offer begins with %q", offer), "")
	}
	d.inbox.Offers = left
	return nil
}

// Push implements control.API: nobody is there to take it, so it is over at once.
func (d *Device) Push(ctx context.Context, order control.PushOrder) (control.Pushed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(order.Room); err != nil {
		return control.Pushed{}, err
	}
	if !path.IsAbs(order.File) {
		return control.Pushed{}, control.NewError(control.CodeInvalid, nil,
			fmt.Sprintf("%q is no absolute path", order.File), "")
	}
	d.pushed = control.Pushed{Post: "pushed", Room: order.Room, Name: path.Base(order.File), Size: 1,
		Takers: []control.Taker{}, State: control.PushGathering}
	over := d.pushed
	over.State, over.Sent = control.PushOver, 1
	d.record(control.Event{Type: control.EventPush, Push: &over})
	return d.pushed, nil
}

// PushStatus implements control.API.
func (d *Device) PushStatus(_ context.Context, post string) (control.Pushed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if post == "" || d.pushed.Post != post {
		return control.Pushed{}, control.NewError(control.CodeNotFound, nil,
			fmt.Sprintf("post %q is not being pushed", post), "")
	}
	return d.pushed, nil
}

// StopPush implements control.API.
func (d *Device) StopPush(ctx context.Context, post string) error {
	_, err := d.PushStatus(ctx, post)
	return err
}
