package main

import "github.com/urfave/cli/v2"

func (a *app) roomsCommand() *cli.Command {
	return &cli.Command{
		Name:        "rooms",
		Usage:       "list the joined rooms",
		Description: example("Needs a daemon.", "bcast rooms"),
		Action:      a.rooms,
	}
}

func (a *app) rooms(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	rooms, err := client.Rooms(c.Context)
	if err != nil {
		return err
	}
	return a.printer(c).rooms(rooms)
}
