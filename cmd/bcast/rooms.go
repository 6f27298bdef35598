package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) roomsCommand() *cli.Command {
	return &cli.Command{
		Name:        "rooms",
		Usage:       "list the joined rooms",
		Description: example("Needs a daemon.", "bcast rooms"),
		Action:      ask(a, takes(0, 0), a.rooms),
	}
}

func (a *app) rooms(c *cli.Context, daemon *control.Client, _ []string) error {
	rooms, err := daemon.Rooms(c.Context)
	if err != nil {
		return err
	}
	return a.printer(c).rooms(rooms)
}
