package bcast

import (
	"context"
	"fmt"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
)

const (
	// maxExpected is how many pushes are listened for at once, expectedFrom of one device.
	maxExpected  = 16
	expectedFrom = 2
	// recentPosts of a room are looked through at the start for pushes that may be going on, if they came so lately.
	recentPosts  = 50
	recentPushes = time.Hour
)

// errUnfinished is why a push is not taken part in.
var errUnfinished = fmt.Errorf("%d pushes of one device, or %d of all, are unfinished here", expectedFrom, maxExpected)

// expectation is a push of another that is taken part in, or listened for.
type expectation struct {
	author identity.DeviceID
	at     time.Time
	busy   bool // it was heard, and what becomes of the file here is not decided yet
	told   bool // that another was refused for it
	cancel context.CancelFunc
}

// expect has a node take part in the push that a post of a device announces. Of those that were not heard yet,
// or are done here and merely help others, the oldest makes place, first of the same device.
func (n *Node) expect(author identity.DeviceID, post string) {
	ctx, cancel := context.WithCancel(n.files.arrivals.ctx)
	e := &expectation{author: author, at: time.Now(), cancel: cancel}
	n.mu.Lock()
	_, known := n.expecting[post]
	if known || !n.placeFor(author) {
		told := known || n.toldFull(author)
		n.mu.Unlock()
		cancel()
		if !told {
			n.cfg.Logger.Warn("a push is not taken part in", "post", post, "err", errUnfinished)
		}
		return
	}
	n.expecting[post] = e
	n.mu.Unlock()
	done := func() {
		cancel()
		n.mu.Lock()
		delete(n.expecting, post)
		n.mu.Unlock()
	}
	begun := n.files.arrivals.begin(func() {
		defer done()
		if err := n.gather(ctx, e, post); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("a push is not taken part in", "post", post, "err", err)
		}
	})
	if !begun {
		done()
	}
}

// placeFor makes place for one more push of a device; n.mu is held.
func (n *Node) placeFor(author identity.DeviceID) bool {
	if n.expecting == nil {
		n.expecting = map[string]*expectation{}
	}
	own := 0
	var oldest *expectation
	older := func(e *expectation) bool {
		switch {
		case oldest == nil:
			return true
		case (e.author == author) != (oldest.author == author):
			return e.author == author
		}
		return e.at.Before(oldest.at)
	}
	for _, e := range n.expecting {
		if e.author == author {
			own++
		}
		if !e.busy && older(e) {
			oldest = e
		}
	}
	if own < expectedFrom && len(n.expecting) < maxExpected {
		return true
	}
	if oldest == nil || own >= expectedFrom && oldest.author != author {
		return false
	}
	oldest.cancel()
	return true
}

// toldFull tells whether it was said already that pushes of a device are refused for those that are unfinished, and
// notes that it is; n.mu is held.
func (n *Node) toldFull(author identity.DeviceID) (told bool) {
	for _, e := range n.expecting {
		if e.author == author || len(n.expecting) >= maxExpected {
			told, e.told = told || e.told, true
		}
	}
	return told
}

// setBusy notes whether a push still decides what becomes of a file here.
func (n *Node) setBusy(e *expectation, busy bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.busy = busy
}

// expectPushed expects what posts of another say that they push.
func (n *Node) expectPushed(e *engine.Engine, ev *chat.Event) {
	if self, _, _ := e.Own(); ev.Device == self {
		return
	}
	for i, p := range ev.Posts {
		if p.Kind != record.KindOffer {
			continue
		}
		if o, err := record.ParseOffer(p.Data); err == nil && o.Flags&record.OfferPushed != 0 {
			n.expect(ev.Device, record.Ref{Record: ev.Record.ID, Index: uint16(ev.Index + i)}.String())
		}
	}
}

// expectAgain expects what was pushed before this node began again.
func (n *Node) expectAgain(ctx context.Context) {
	rooms, err := n.Rooms(ctx)
	if err != nil {
		return
	}
	for _, room := range rooms {
		posts, err := n.Posts(ctx, room.Name, PostQuery{Limit: recentPosts})
		if err != nil {
			continue
		}
		for _, post := range posts {
			if post.File == nil || !post.File.Pushed || post.Own || post.File.Held || time.Since(post.Time) > recentPushes {
				continue
			}
			if author, err := identity.ParseDeviceID(post.From); err == nil {
				n.expect(author, post.ID)
			}
		}
	}
}
