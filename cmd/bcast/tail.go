package main

import (
	"cmp"
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// catchUp is how long a node that has just started hears from others what was said before.
const catchUp = 3 * time.Second

func (a *app) tailCommand() *cli.Command {
	return &cli.Command{
		Name:      "tail",
		Usage:     "print a room's posts as they come",
		ArgsUsage: "ROOM",
		Description: example("Works without a daemon and takes over when the one it listens to ends.",
			"bcast tail lobby --limit 20 --json", "bcast tail lobby --since 10m --follow=false"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "so many of the posts that are there, 10 unless given; 0: all", Value: 10},
			&cli.StringFlag{Name: "since", Usage: "posts after `ID`, or of the last time such as 10m"},
			&cli.BoolFlag{Name: "follow", Usage: "go on with what comes; --follow=false ends", Value: true},
		},
		Action: a.tail,
	}
}

func (a *app) tail(c *cli.Context) (err error) {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	query := control.PostQuery{Limit: c.Int("limit"), Since: c.String("since")}
	if query.Limit < 0 {
		return usageError("--limit is less than 0", "")
	}
	if query.Since != "" && !c.IsSet("limit") {
		query.Limit = 0
	}
	room, err := parseRoom(args[0])
	if err != nil {
		return err
	}
	first, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	p := a.printer(c)
	f := &follower{query: query, seat: first,
		again: func(ctx context.Context) (*seat, error) { return a.sit(ctx, c) },
	}
	f.enter = func(ctx context.Context, api control.API) error {
		joined, err := a.enter(ctx, api, cmp.Or(f.room, room))
		f.room = cmp.Or(joined.Room, f.room)
		return err
	}
	ask := func(post string) (control.Ledger, error) { return f.sitting().Ledger(c.Context, post) }
	sightings := newSightings(ask, nil)
	if isTerminal(a.out) && !p.json {
		sightings.tell = func(l control.Ledger) { p.line("%s", p.dim("- "+p.seen(l.Have, l.Members, l.Missing))) }
	}
	defer sightings.stop()
	f.show = func(event control.Event) error {
		err := a.tailEvent(p, event)
		sightings.note(event)
		return err
	}
	defer func() { err = cmp.Or(err, f.sitting().Close()) }()
	if c.Bool("follow") {
		return f.run(c.Context)
	}
	if err := f.enter(c.Context, first); err != nil {
		return err
	}
	if first.own { // its memory is empty: hear what the others have
		pause(c.Context, catchUp)
	}
	return f.past(c.Context, first, query)
}

// tailEvent writes posts, and what a person should know where it is not taken for one.
func (a *app) tailEvent(p *printer, event control.Event) error {
	switch {
	case event.Post != nil && p.json:
		return p.post(*event.Post)
	case event.Post != nil, event.Sync != nil && isTerminal(a.out) && !p.json:
		return p.event(event)
	case event.Type == control.EventProblem && event.Problem != "":
		a.note("%s", show.Clean(event.Problem))
	}
	return nil
}
