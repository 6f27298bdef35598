package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) leaveCommand() *cli.Command {
	return &cli.Command{
		Name:      "leave",
		Usage:     "leave a room",
		ArgsUsage: "ROOM",
		Description: example("Its posts stay here for `bcast history`, unless they are to be forgotten. Needs a daemon.",
			"bcast leave lobby", "bcast leave lobby --forget"),
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "forget", Usage: "delete its posts here, too"}},
		Action: ask(a, oneRoom, a.leave),
	}
}

func (a *app) leave(c *cli.Context, daemon *control.Client, room string) error {
	forget := c.Bool("forget")
	if err := daemon.Leave(c.Context, room, forget); err != nil {
		return err
	}
	return a.done(c, map[string]any{"room": room, "forgotten": forget})
}
