package bcast

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/home"
	"bcast/internal/record"
)

// openHoldings knows again what the last run held.
func (n *Node) openHoldings() {
	n.files.holdings = &files.Holdings{}
	if n.home == nil {
		return
	}
	kept, err := n.home.ReadHoldings()
	if err != nil { // what is lost is that others can have these files from here
		n.cfg.Logger.Error("files that were offered are forgotten", "err", err)
	}
	var all []files.Holding
	for _, k := range kept {
		hash, ok := files.ParseHash(k.Hash)
		if !ok {
			continue
		}
		one := files.Holding{Hash: hash, Size: k.Size, Path: k.Path, Modified: k.Modified, Used: k.Used}
		for _, o := range k.Offers {
			one.Offers = append(one.Offers, files.OfferedIn(o))
		}
		all = append(all, one)
	}
	n.files.holdings.Set(all)
	n.files.holdings.Changed = n.keepHoldings
	if err == nil {
		n.sweepOffered()
	}
}

// keepHoldings remembers what is held.
func (n *Node) keepHoldings() {
	n.mu.Lock()
	defer n.mu.Unlock()
	var kept []home.Holding
	for _, one := range n.files.holdings.All() { // as it is by now: who comes last writes the newest
		k := home.Holding{Hash: one.Hash.String(), Size: one.Size, Path: one.Path, Modified: one.Modified, Used: one.Used}
		for _, o := range one.Offers {
			k.Offers = append(k.Offers, home.OfferedIn(o))
		}
		kept = append(kept, k)
	}
	if err := n.home.WriteHoldings(kept); err != nil {
		n.cfg.Logger.Error("what is offered is not remembered", "err", err)
	}
}

// markHeld says of a post that offers a file whether that is here.
func markHeld(held *files.Holdings, post *Post) {
	if post.File == nil || held == nil {
		return
	}
	hash, _ := files.ParseHash(post.File.Hash)
	post.File.Held = held.Held(hash)
}

// roomKey is what a room is to holdings: never the name of one, which another may have next.
func roomKey(id record.RoomID) string { return "id:" + hex.EncodeToString(id[:]) }

// parseOffers are the posts that offer files of this host.
func (n *Node) parseOffers(ctx context.Context, say Say, called string) (
	posts []record.Post, offered []files.Holding, err error) {
	if say.Kind != "" && say.Kind != "text" || say.Target != "" {
		return nil, nil, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("kind %q with files", say.Kind),
			"files are offered with a text, or without a word")
	}
	for _, path := range say.Files {
		one, err := n.parseOffer(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		offer := record.Offer{Hash: one.Hash, Size: one.Size, Name: cmp.Or(called, filepath.Base(path))}
		posts = append(posts, record.Post{Kind: record.KindOffer, Data: record.AppendOffer(nil, offer)})
		offered = append(offered, one)
	}
	posts[0].Text = say.Text
	return posts, offered, nil
}

func (n *Node) parseOffer(ctx context.Context, path string) (files.Holding, error) {
	if !filepath.IsAbs(path) {
		return files.Holding{}, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is no absolute path", path), "")
	}
	if err := files.CheckElement(filepath.Base(path)); err != nil {
		return files.Holding{}, control.NewError(control.CodeInvalid, err, err.Error(), "rename it first")
	}
	one, err := n.files.server.Hold(ctx, path)
	if err != nil && ctx.Err() != nil {
		return one, failure(ctx.Err())
	}
	return one, fileError(err)
}

// hold has the files of a record be had by the members of its room.
func (n *Node) hold(ctx context.Context, room string, id record.ID, offered []files.Holding) error {
	if len(offered) == 0 {
		return nil
	}
	state, err := n.roomState(context.WithoutCancel(ctx), room)
	if err != nil {
		return err
	}
	for i, one := range offered {
		post := record.Ref{Record: id, Index: uint16(i)}.String()
		one.Offers = []files.OfferedIn{{Room: roomKey(state.ID), Post: post}}
		n.files.holdings.Add(one)
		n.events.add(Event{Type: control.EventFile, Time: time.Now().UTC(), File: &File{
			Post: post, Room: string(state.Name), Name: filepath.Base(one.Path), Size: one.Size, Bytes: one.Size,
			State: control.FileOffered, Path: one.Path,
		}})
	}
	return nil
}

// offeredFile is a file that a post of a joined room offers.
type offeredFile struct {
	files.File
	post   Post
	room   identity.RoomName
	key    string // of the room
	author identity.DeviceID
	signer identity.PublicKey // the author's
}

// noun is the file as it is told of, on its way here.
func (o *offeredFile) noun() File {
	p := &o.post
	return File{Post: p.ID, Room: p.Room, Direct: p.Direct, Name: o.Name, Size: o.Size, State: control.FileFetching,
		From: p.From, Nick: p.Nick, Tag: p.Tag, Tagged: p.Tagged, Verified: p.Verified}
}

// findOffer is the file that a post offers.
func (n *Node) findOffer(ctx context.Context, id string) (o offeredFile, err error) {
	a, entry, ref, err := n.findPost(ctx, id)
	if err != nil {
		return o, err
	}
	shown, err := a.show(ctx, []record.Entry{entry})
	if err != nil {
		return o, err
	}
	for _, post := range shown[0] {
		if post.Index != int(ref.Index) || post.File == nil {
			continue
		}
		hash, _ := files.ParseHash(post.File.Hash)
		return offeredFile{
			File: files.File{Hash: hash, Size: post.File.Size, Name: post.File.Name}, post: post, room: a.room,
			key: roomKey(a.id), author: entry.Header.Feed.Author.ID(),
			signer: entry.Header.Feed.Author,
		}, nil
	}
	return o, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q offers no file", ref),
		"`bcast history ROOM` shows those that do")
}

// fileFailure gives a failure with a file that is fetched its code: what is none of others is the disk's.
func fileFailure(err error) error {
	err = control.FileError(err)
	if known := (*control.Error)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	return control.NewError(control.CodeReadOnly, err, err.Error(), "the daemon's user has to be able to write there")
}
