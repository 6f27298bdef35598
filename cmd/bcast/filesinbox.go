package main

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) inboxCommand() *cli.Command {
	return &cli.Command{
		Name:  "files inbox",
		Usage: "say where files go that others bring, and list those that wait",
		Description: example("Others bring files with `bcast files put FILE… YOU`, without a share. Unless told otherwise\n"+
			"you are asked, and they go to inbox in the home. room takes those of members of your private rooms without\n"+
			"a question and asks about others; 10 GiB of such while the daemon runs. Nobody brings more than was offered.\n"+
			"What is called like a file that is there gets a number.",
			"bcast files inbox", "bcast files inbox --dir ~/Downloads --accept room"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "they go to the directory `DIR`"},
			&cli.StringFlag{Name: "accept", Usage: "`WHOSE` are taken: ask, room or never"},
		},
		Action: a.inbox,
	}
}

func (a *app) inbox(c *cli.Context) (err error) {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	change := control.Inbox{Dir: c.String("dir"), Accept: c.String("accept")}
	if change.Dir != "" {
		if change.Dir, err = filepath.Abs(change.Dir); err != nil {
			return err
		}
	}
	s, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.Close()) }()
	var now control.Inbox
	if change.Dir != "" || change.Accept != "" {
		now, err = s.SetInbox(c.Context, change)
	} else {
		now, err = s.Inbox(c.Context)
	}
	if err != nil {
		return err
	}
	return a.printer(c).inbox(now)
}

func (p *printer) inbox(now control.Inbox) error {
	if p.json {
		return p.object(now)
	}
	if err := p.line("files go to %s, accept %s", show.Clean(now.Dir), show.Clean(now.Accept)); err != nil {
		return err
	}
	if len(now.Offers) == 0 {
		return nil
	}
	var rows [][]string
	for _, o := range now.Offers {
		p.know(o.From, o.Nick, o.Tagged, o.Verified)
		who := p.name(o.From, o.Nick, o.Tag)
		rows = append(rows, []string{show.Clean(o.ID), who, show.Bytes(o.Bytes), p.ago(o.Time), show.Offered(o)})
	}
	return p.columns([]string{"OFFER", "FROM", "SIZE", "WHEN", "WHAT"}, rows)
}

func (a *app) acceptCommand() *cli.Command {
	return a.answerCommand("files accept", "take files that wait", true)
}

func (a *app) refuseCommand() *cli.Command {
	return a.answerCommand("files refuse", "do not take files that wait", false)
}

func (a *app) answerCommand(name, usage string, accept bool) *cli.Command {
	return &cli.Command{
		Name:      name,
		Usage:     usage,
		ArgsUsage: "OFFER",
		Description: example("By its id or the beginning of it, as `bcast files inbox` lists them. Needs a daemon.",
			"bcast "+name+" 3f"),
		Action: ask(a, takes(1, 1), func(c *cli.Context, daemon *control.Client, args []string) error {
			if err := daemon.AnswerOffer(c.Context, args[0], accept); err != nil {
				return err
			}
			return a.done(c, map[string]any{"offer": args[0], "accepted": accept})
		}),
	}
}

// give brings things to the inbox of a device, whose user may have to be asked.
func (a *app) give(ctx context.Context, c *cli.Context, l *library, to remotePath, sources []string) error {
	things, closeAll, err := thingsOf(sources)
	if err != nil {
		return err
	}
	defer closeAll()
	meter := a.carriage(c)
	defer meter.end()
	asked := func() { a.note("%s is asked whether to take it; it waits for the answer", show.Clean(to.peer)) }
	return l.Give(ctx, things, asked, meter.options(carrying(c)))
}
