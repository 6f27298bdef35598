package main

import "github.com/urfave/cli/v2"

func (a *app) leaveCommand() *cli.Command {
	return &cli.Command{
		Name:        "leave",
		Usage:       "leave a room and forget its posts here",
		ArgsUsage:   "ROOM",
		Description: example("Needs a daemon.", "bcast leave lobby"),
		Action:      a.leave,
	}
}

func (a *app) leave(c *cli.Context) error {
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
	return client.Leave(c.Context, room)
}
