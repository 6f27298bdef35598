package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) nickCommand() *cli.Command {
	return &cli.Command{
		Name:        "nick",
		Usage:       "change the name that others see",
		ArgsUsage:   "NICK",
		Description: example("Needs a daemon. The home remembers the nick.", "bcast nick alice"),
		Action:      ask(a, oneNick, a.nick),
	}
}

func (a *app) nick(c *cli.Context, daemon *control.Client, nick string) error {
	if err := daemon.Nick(c.Context, nick); err != nil {
		return err
	}
	return a.done(c, map[string]any{"nick": nick})
}
