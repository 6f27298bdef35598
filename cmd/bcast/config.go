package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "print the settings in force and where they come from",
		Description: example("Asks the daemon; without one it prints what a daemon started in this environment would use.",
			"bcast config --json"),
		Action: a.config,
	}
}

func (a *app) config(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	settings, err := client.Config(c.Context)
	if err != nil && control.AsError(err).Code == control.CodeNoDaemon {
		settings, err = a.wouldBe(c)
	}
	if err != nil {
		return err
	}
	return a.printer(c).settings(settings)
}

// wouldBe is what a daemon started here and now would use.
func (a *app) wouldBe(c *cli.Context) ([]control.Setting, error) {
	dir, err := a.home(c)
	if err != nil {
		return nil, err
	}
	_, settings, err := resolve(func(string) (string, bool) { return "", false }, a.getenv)
	return append(a.homeSetting(c, dir), settings...), err
}
