package bcast

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/home"
)

// maxShares bounds what one device shares: each is looked at for whoever asks.
const maxShares = 256

// Shares are the directories that this Node shares.
func (n *Node) Shares(context.Context) ([]Share, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nouns := []Share{}
	for _, s := range n.files.shared {
		nouns = append(nouns, shareNoun(s))
	}
	return nouns, nil
}

func shareNoun(s home.Share) Share {
	noun := Share{
		Name: s.Name, Dir: s.Dir, Public: s.Public, Room: string(s.Room), Peer: s.Peer, Nick: string(s.PeerNick),
		Write: s.Write, Quota: s.Quota,
	}
	if err := shareOf(s).CheckDir(); err != nil {
		noun.Problem = err.Error()
	}
	return noun
}

// shareOf is a share as it is served.
func shareOf(s home.Share) files.Share {
	served := files.Share{
		Name: s.Name, Dir: s.Dir, Public: s.Public, Room: string(s.Room), Write: s.Write, Quota: s.Quota,
	}
	if id, err := identity.ParseDeviceID(s.Peer); err == nil {
		served.Peer = id
	}
	return served
}

// Share shares a directory until Unshare, also when a Node is started again with this home. What is shared under that
// name already is replaced.
func (n *Node) Share(ctx context.Context, share Share) (Share, error) {
	s, err := n.parseShare(ctx, share)
	if err != nil {
		return Share{}, err
	}
	err = n.changeShares(func(shares []home.Share) ([]home.Share, error) {
		shares = slices.DeleteFunc(shares, func(k home.Share) bool { return k.Name == s.Name })
		if len(shares) >= maxShares {
			return nil, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%d directories are shared: no more", maxShares),
				"bcast files unshare NAME")
		}
		return append(shares, s), nil
	})
	return shareNoun(s), err
}

// parseShare checks what is to be shared with whom.
func (n *Node) parseShare(ctx context.Context, share Share) (home.Share, error) {
	s := home.Share{
		Name: share.Name, Dir: filepath.Clean(share.Dir), Public: share.Public, Write: share.Write, Quota: share.Quota,
	}
	if s.Name == "" {
		s.Name = files.ShareName(s.Dir)
	}
	with := 0
	for _, given := range []bool{share.Public, share.Room != "", share.Peer != ""} {
		if given {
			with++
		}
	}
	switch {
	case with != 1:
		return s, control.NewError(control.CodeInvalid, nil, "a directory is shared with a room, a device, or all",
			"--room ROOM, --to PEER or --public")
	case !filepath.IsAbs(share.Dir):
		return s, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is no absolute path", share.Dir), "")
	case s.Quota < 0 || s.Quota > 0 && !s.Write:
		return s, control.NewError(control.CodeInvalid, nil, "a quota is for who may write", "--write --quota 1GB")
	}
	if err := files.CheckShareName(s.Name); err != nil {
		return s, fileError(err)
	}
	if err := shareOf(s).CheckDir(); err != nil {
		return s, fileError(err)
	}
	switch {
	case share.Peer != "":
		key, nick, err := n.addressee(ctx, share.Peer)
		if err != nil {
			return s, err
		}
		s.Peer, s.PeerNick = key.ID().String(), nick
	case share.Room != "":
		if isDirect(share.Room) {
			return s, control.NewError(control.CodeInvalid, nil, "that is one device and no room", "--to PEER")
		}
		state, err := n.roomState(ctx, share.Room)
		if err != nil {
			return s, err
		}
		s.Room = state.Name
	}
	return s, nil
}

// Unshare ends a share. Who reads a file of it at this moment may read it to its end.
func (n *Node) Unshare(_ context.Context, name string) error {
	return n.changeShares(func(shares []home.Share) ([]home.Share, error) {
		left := slices.DeleteFunc(shares, func(s home.Share) bool { return s.Name == name })
		if len(left) == len(shares) {
			return nil, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("nothing is shared as %q", name),
				"bcast files shares")
		}
		return left, nil
	})
}

// changeShares changes what is shared and remembers it: what is not remembered is not changed either.
func (n *Node) changeShares(change func([]home.Share) ([]home.Share, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	shares, err := change(slices.Clone(n.files.shared))
	if err != nil {
		return err
	}
	if n.home != nil {
		if err := n.home.SetShares(shares); err != nil {
			return homeError(n.cfg.Home, err)
		}
	}
	n.serveShares(shares)
	return nil
}

// serveShares has others see what is shared; n.mu is held, or nobody else is there yet.
func (n *Node) serveShares(shares []home.Share) {
	n.files.shared = shares
	served := make([]files.Share, len(shares))
	for i, s := range shares {
		served[i] = shareOf(s)
	}
	n.files.library.Set(served)
}

// fileError is what a share refuses to be.
func fileError(err error) error {
	var failed *files.Error
	if !errors.As(err, &failed) {
		return err
	}
	return control.NewError(control.CodeInvalid, err, failed.Message, failed.Hint)
}
