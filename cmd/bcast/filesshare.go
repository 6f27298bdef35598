package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/show"
)

func (a *app) shareCommand() *cli.Command {
	return &cli.Command{
		Name:      "files share",
		Usage:     "let others read a directory",
		ArgsUsage: "DIR",
		Description: example("For the members of a room, for one device, or for whoever is on this network. It is served\n"+
			"as long as a daemon runs, also after a restart, and shows what is in the directory then. Links that lead out\n"+
			"of it are not followed. Others write there only with --write, and never over what is there.",
			"bcast files share ~/docs --room lobby", "bcast files share /srv/drop --to bob --write --quota 5GB",
			"bcast files share . --public --name here"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "what it is called: `NAME`; else as the directory"},
			&cli.StringFlag{Name: "room", Usage: "for the members of `ROOM`"},
			&cli.StringFlag{Name: "to", Usage: "for the device `PEER` alone"},
			&cli.BoolFlag{Name: "public", Usage: "for every device on the network"},
			&cli.BoolFlag{Name: "write", Usage: "they may put files there, too"},
			&cli.StringFlag{Name: "quota", Usage: "what it may hold for them to put more: `SIZE`; 10 GiB unless given"},
		},
		Action: a.share,
	}
}

func (a *app) share(c *cli.Context) (err error) {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	share := control.Share{
		Name: c.String("name"), Room: c.String("room"), Peer: c.String("to"), Public: c.Bool("public"),
		Write: c.Bool("write"),
	}
	if share.Dir, err = filepath.Abs(args[0]); err != nil {
		return fmt.Errorf("share %s: %w", args[0], err)
	}
	if share.Name == "" {
		share.Name = files.ShareName(share.Dir)
	}
	if c.IsSet("quota") {
		if share.Quota = parseSize(c.String("quota")); share.Quota <= 0 {
			return usageError(fmt.Sprintf("--quota %q is no size", c.String("quota")), "e.g. 500MB or 5GB")
		}
	}
	s, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.Close()) }()
	shared, err := s.Share(c.Context, share)
	if err != nil {
		return err
	}
	if s.own {
		a.note("it is served when a daemon runs: bcast daemon")
	}
	p := a.printer(c)
	if p.json {
		return p.object(shared)
	}
	return p.line("%s is shared as %s with %s", show.Clean(shared.Dir), show.Clean(shared.Name), sharedWith(shared))
}

// sharedWith says for whom a share is.
func sharedWith(s control.Share) string {
	whom := "all"
	switch {
	case s.Room != "":
		whom = "room " + show.Clean(s.Room)
	case s.Nick != "":
		whom = show.Clean(s.Nick) + "-" + show.Tag(s.Peer)
	case s.Peer != "":
		whom = show.Clean(s.Peer)
	}
	if s.Write {
		whom += ", to write"
	}
	return whom
}

func (a *app) unshareCommand() *cli.Command {
	return &cli.Command{
		Name:        "files unshare",
		Usage:       "end a share",
		ArgsUsage:   "NAME",
		Description: example("The directory and what is in it stay.", "bcast files unshare docs"),
		Action: func(c *cli.Context) (err error) {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			s, err := a.sit(c.Context, c)
			if err != nil {
				return err
			}
			defer func() { err = cmp.Or(err, s.Close()) }()
			if err := s.Unshare(c.Context, args[0]); err != nil {
				return err
			}
			return a.done(c, map[string]any{"name": args[0], "shared": false})
		},
	}
}

func (a *app) sharesCommand() *cli.Command {
	return &cli.Command{
		Name:        "files shares",
		Usage:       "list what this device shares",
		Description: example("With whom, and what keeps one from being served.", "bcast files shares"),
		Action: func(c *cli.Context) (err error) {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			s, err := a.sit(c.Context, c)
			if err != nil {
				return err
			}
			defer func() { err = cmp.Or(err, s.Close()) }()
			shares, err := s.Shares(c.Context)
			if err != nil {
				return err
			}
			return a.printer(c).shares(shares)
		},
	}
}

func (p *printer) shares(shares []control.Share) error {
	if p.json {
		return objects(p, shares)
	}
	var rows [][]string
	for _, s := range shares {
		rows = append(rows, []string{show.Clean(s.Name), sharedWith(s), show.Clean(s.Dir),
			p.paint(colorAlert, show.Clean(s.Problem))})
	}
	return p.columns([]string{"NAME", "FOR", "DIRECTORY", ""}, rows)
}
