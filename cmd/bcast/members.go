package main

import "github.com/urfave/cli/v2"

func (a *app) membersCommand() *cli.Command {
	return &cli.Command{
		Name:        "members",
		Usage:       "list a room's members and who is here",
		ArgsUsage:   "ROOM",
		Description: example("Needs a daemon.", "bcast members lobby"),
		Action:      a.members,
	}
}

func (a *app) members(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	room, err := parseRoom(args[0])
	if err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	members, err := client.Members(c.Context, room)
	if err != nil {
		return err
	}
	return a.printer(c).members(members)
}
