package bcast

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/home"
	"bcast/internal/node"
)

// inboxDir is where files go in a home whose user chose no directory.
const inboxDir = "inbox"

// openInbox has files go where the home says.
func (n *Node) openInbox() {
	n.files.inbox = &files.Inbox{Told: n.offered}
	n.files.chosen = home.Inbox{Accept: files.AcceptAsk}
	if n.home == nil {
		n.files.chosen.Accept = files.AcceptNever // a guest has no place for them
		return
	}
	kept := n.home.Inbox()
	if n.files.chosen.Dir = kept.Dir; n.files.chosen.Dir == "" {
		n.files.chosen.Dir = filepath.Join(n.cfg.Home, inboxDir)
	}
	if kept.Accept != "" {
		n.files.chosen.Accept = kept.Accept
	}
	n.files.inbox.Set(n.files.chosen.Dir, n.files.chosen.Accept)
}

// offered tells of files that wait for an answer.
func (n *Node) offered(o files.Offer) {
	go func() { // whoever asks holds what a look at the engine may wait for
		var noun control.Offer
		err := n.view(context.Background(), func(_ engine.Now, e *engine.Engine, _ node.Counters) {
			noun = n.offerNoun(e, o)
		})
		if err != nil {
			return // the node ends
		}
		n.cfg.Logger.Info("files are offered: bcast files inbox", "from", noun.Nick+"-"+noun.Tag, "name", noun.Name,
			"bytes", noun.Bytes)
		n.events.add(Event{Type: control.EventOffer, Time: o.At, Offer: &noun})
	}()
}

// receivedTold is how many files that were put here are told of in a second: of a directory many come at once.
const receivedTold = 16

// received tells of a file that another device put here.
func (n *Node) received(r files.Received) {
	if !n.files.pace.pass(time.Now()) {
		return
	}
	go func() { // whoever puts holds what a look at the engine may wait for
		noun := control.File{Name: filepath.Base(r.Path), Size: r.Size, Bytes: r.Size, State: control.FileWhole, Path: r.Path,
			Share: r.Share, From: r.Device.String(), Tag: r.Device.Tag()}
		err := n.view(context.Background(), func(_ engine.Now, e *engine.Engine, _ node.Counters) {
			if p, known := e.Peer(r.Device); known {
				sight := n.sight(e)
				noun.Nick, noun.Tagged = string(p.Nick), sight.tagged(r.Device, p.Nick)
				noun.Verified = sight.trust.pinned(r.Device)
			}
		})
		if err == nil {
			n.events.add(Event{Type: control.EventFile, Time: time.Now().UTC(), File: &noun})
		}
	}()
}

// secondPace lets so much pass in a second.
type secondPace struct {
	mu     sync.Mutex
	second int64
	passed int
}

func (p *secondPace) pass(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.second != now.Unix() {
		p.second, p.passed = now.Unix(), 0
	}
	p.passed++
	return p.passed <= receivedTold
}

func (n *Node) offerNoun(e *engine.Engine, o files.Offer) control.Offer {
	noun := control.Offer{
		ID: o.ID, From: o.Device.String(), Tag: o.Device.Tag(), Name: o.Name, Names: o.Names, Files: o.Files, Bytes: o.Bytes,
		Time: o.At.UTC().Round(time.Second),
	}
	if p, known := e.Peer(o.Device); known {
		sight := n.sight(e)
		noun.Nick, noun.Tagged = string(p.Nick), sight.tagged(o.Device, p.Nick)
		noun.Verified = sight.trust.pinned(o.Device)
	}
	return noun
}

// Inbox tells where files go that others bring of their own accord, whose are taken, and what waits for an answer.
func (n *Node) Inbox(ctx context.Context) (Inbox, error) {
	n.mu.Lock()
	noun := Inbox{Dir: n.files.chosen.Dir, Accept: n.files.chosen.Accept}
	n.mu.Unlock()
	waiting := n.files.inbox.Waiting()
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		for _, o := range waiting {
			noun.Offers = append(noun.Offers, n.offerNoun(e, o))
		}
	})
	return noun, err
}

// SetInbox changes where files go and whose are taken; what is empty stays as it is.
func (n *Node) SetInbox(ctx context.Context, inbox Inbox) (Inbox, error) {
	if n.home == nil {
		return Inbox{}, control.NewError(control.CodeInvalid, nil, "a guest takes no files", "--home DIR")
	}
	if err := n.changeInbox(inbox); err != nil {
		return Inbox{}, err
	}
	return n.Inbox(ctx)
}

func (n *Node) changeInbox(inbox Inbox) error {
	switch inbox.Accept {
	case "", files.AcceptAsk, files.AcceptRoom, files.AcceptNever:
	default:
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is no way to accept files", inbox.Accept),
			"choose ask, room or never")
	}
	if inbox.Dir != "" {
		if !filepath.IsAbs(inbox.Dir) {
			return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is no absolute path", inbox.Dir), "")
		}
		if info, err := os.Stat(inbox.Dir); err != nil || !info.IsDir() {
			return control.NewError(control.CodeInvalid, err, fmt.Sprintf("%s is no directory that is here", inbox.Dir),
				"make it first; the daemon's user has to be able to write there")
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := n.files.chosen
	if inbox.Dir != "" {
		changed.Dir = filepath.Clean(inbox.Dir)
	}
	if inbox.Accept != "" {
		changed.Accept = inbox.Accept
	}
	if err := n.home.SetInbox(changed); err != nil {
		return homeError(n.cfg.Home, err)
	}
	n.files.chosen = changed
	n.files.inbox.Set(changed.Dir, changed.Accept)
	return nil
}

// AnswerOffer takes or refuses files that wait, by the offer's id or the beginning of it.
func (n *Node) AnswerOffer(_ context.Context, offer string, accept bool) error {
	var found []files.Offer
	for _, o := range n.files.inbox.Waiting() {
		if offer != "" && strings.HasPrefix(o.ID, offer) {
			found = append(found, o)
		}
	}
	if len(found) > 1 {
		return control.NewError(control.CodeAmbiguous, nil, fmt.Sprintf("%d offers begin with %q", len(found), offer),
			"give more of its id")
	}
	if len(found) == 0 || !n.files.inbox.Answer(found[0].ID, accept) {
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no offer begins with %q", offer), "bcast files inbox")
	}
	return nil
}

// inPrivateRoom tells whether a device is a member of a private room that we have joined.
func inPrivateRoom(rooms []engine.RoomState, id identity.DeviceID) bool {
	for _, r := range rooms {
		if r.Private && !r.Out && isIn(r, id) {
			return true
		}
	}
	return false
}

// isIn tells whether a device is a member of a room, or the other one of a direct room.
func isIn(r engine.RoomState, id identity.DeviceID) bool {
	return r.Direct == id || r.Direct.IsZero() && isMember(r.Members, id)
}
