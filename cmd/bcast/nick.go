package main

import "github.com/urfave/cli/v2"

func (a *app) nickCommand() *cli.Command {
	return &cli.Command{
		Name:        "nick",
		Usage:       "change the name that others see",
		ArgsUsage:   "NICK",
		Description: example("Needs a daemon. The home remembers the nick.", "bcast nick alice"),
		Action:      a.nick,
	}
}

func (a *app) nick(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	nick, err := parseNick(args[0])
	if err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Nick(c.Context, nick)
}
