package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) membersCommand() *cli.Command {
	return &cli.Command{
		Name:        "members",
		Usage:       "list a room's members and who is here",
		ArgsUsage:   "ROOM",
		Description: example("Needs a daemon.", "bcast members lobby"),
		Action:      ask(a, oneRoom, a.members),
	}
}

func (a *app) members(c *cli.Context, daemon *control.Client, room string) error {
	members, err := daemon.Members(c.Context, room)
	if err != nil {
		return err
	}
	return a.printer(c).members(members)
}
