package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/show"
)

// lsPeer is how long one of many devices may take to tell what it shares.
const lsPeer = 5 * time.Second

func (a *app) filesLsCommand() *cli.Command {
	return &cli.Command{
		Name:      "files ls",
		Usage:     "list what others share",
		ArgsUsage: "[PEER[:SHARE[/PATH]]]",
		Description: example("Without a device the shares of all that are here. Works without a daemon.",
			"bcast files ls", "bcast files ls bob", "bcast files ls bob:docs/2026"),
		Action: a.filesLs,
	}
}

func (a *app) filesLs(c *cli.Context) error {
	args, err := arguments(c, 0, 1)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return a.lsAll(c)
	}
	at, err := parseRemote(args[0])
	if err != nil {
		return err
	}
	p := a.printer(c)
	return a.withLibrary(c, at.peer, func(ctx context.Context, l *library) error {
		if at.share == "" {
			shares, err := l.Shares(ctx)
			if err != nil {
				return err
			}
			return p.sharesOf([]offered{{nick: at.peer, shares: shares}})
		}
		return p.entries(at.name(), l.List(ctx, at.share, at.path, false))
	})
}

// offered are the shares of one device.
type offered struct {
	id, nick string
	shares   []files.Shared
	err      error
}

// lsAll asks all that are here what they share.
func (a *app) lsAll(c *cli.Context) (err error) {
	s, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.Close()) }()
	if s.own {
		pause(c.Context, time.Until(s.began.Add(reachFor)))
	}
	peers, err := s.Peers(c.Context)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, lsPeer)
	defer cancel()
	var group sync.WaitGroup
	all := make([]offered, 0, len(peers))
	for _, peer := range peers {
		if control.Here(peer.Status) {
			nick := peer.Nick
			if peer.Tagged {
				nick += "-" + peer.Tag
			}
			all = append(all, offered{id: peer.ID, nick: nick})
		}
	}
	for i := range all {
		group.Go(func() { all[i].shares, all[i].err = libraryOf(s, all[i].id).Shares(ctx) })
	}
	group.Wait()
	for _, o := range all {
		if o.err != nil && control.AsError(o.err).Code != control.CodeUnsupported {
			a.note("%s: %s", show.Clean(o.nick), show.Clean(o.err.Error()))
		}
	}
	return a.printer(c).sharesOf(all)
}

// sharesOf lists what devices share.
func (p *printer) sharesOf(all []offered) error {
	slices.SortStableFunc(all, func(a, b offered) int { return strings.Compare(a.nick, b.nick) })
	var rows [][]string
	for _, o := range all {
		for _, s := range o.shares {
			if p.json {
				err := p.object(map[string]any{"peer": o.nick, "id": o.id, "share": s.Name, "write": s.Write})
				if err != nil {
					return err
				}
			}
			may := "read"
			if s.Write {
				may = "read and write"
			}
			rows = append(rows, []string{show.Clean(o.nick) + ":" + show.Clean(s.Name), may})
		}
	}
	if p.json {
		return nil
	}
	if len(rows) == 0 {
		return p.note("nothing is shared with this device")
	}
	return p.columns([]string{"SHARE", "MAY"}, rows)
}

// entries lists a directory, or the one file of that name.
func (p *printer) entries(name string, list iter.Seq2[files.Entry, error]) error {
	var rows [][]string
	first := true
	for e, err := range list {
		if err != nil {
			return err
		}
		top := first
		if first = false; top && e.Dir {
			continue
		}
		if top {
			e.Path = name
		}
		if p.json {
			if err := p.object(e); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, entryRow(p, e))
	}
	if p.json || len(rows) == 0 {
		return nil
	}
	return p.columns([]string{"SIZE", "CHANGED", "NAME"}, rows)
}

func entryRow(p *printer, e files.Entry) []string {
	name := show.Clean(path.Base("/" + e.Path))
	switch {
	case e.Skip != "":
		return []string{"-", "", name + p.dim(" ("+show.Clean(e.Skip)+")")}
	case e.Dir:
		return []string{"-", "", name + "/"}
	}
	return []string{show.Bytes(e.Size), p.ago(e.Modified), name}
}

// needShare refuses a device without a share where there has to be one.
func needShare(at remotePath, word string) error {
	if at.share == "" {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q names a device and none of its shares", word),
			"bcast files ls "+at.peer)
	}
	return nil
}
