package main

import (
	"cmp"
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

// listenFor is how long a command without a daemon listens before it prints what it heard.
const listenFor = 3 * time.Second

func (a *app) peersCommand() *cli.Command {
	return &cli.Command{
		Name:        "peers",
		Usage:       "list the bcast devices on this network",
		Description: example("Asks the daemon; without one it listens for itself.", "bcast peers --watch"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "watch", Usage: "go on and print each change"},
			&cli.DurationFlag{Name: "for", Usage: "listen so long before printing; 3s without a daemon"},
		},
		Action: a.peers,
	}
}

func (a *app) peers(c *cli.Context) error {
	return a.observe(c, func(ctx context.Context, api control.API) error {
		status, err := api.Status(ctx)
		if err != nil {
			return err
		}
		peers, err := api.Peers(ctx)
		if err != nil {
			return err
		}
		p := a.printer(c)
		if err := p.peers(peers); err != nil || !c.Bool("watch") {
			return err
		}
		for event, err := range api.Events(ctx, status.EventID) {
			if err == nil && event.Peer != nil {
				err = p.peerChange(event.Time, *event.Peer)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// observe takes a seat, listens as long as asked for, and then looks around. It serves the commands that work without
// a daemon and change nothing.
func (a *app) observe(c *cli.Context, look func(context.Context, control.API) error) (err error) {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if err := positive(c, "for"); err != nil {
		return err
	}
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	wait := c.Duration("for")
	if wait == 0 && seat.own && !c.Bool("watch") {
		wait = listenFor
	}
	if wait > 0 && !pause(c.Context, wait) {
		return nil // interrupted
	}
	return look(c.Context, seat)
}
