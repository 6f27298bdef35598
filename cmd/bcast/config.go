package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/hook"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "print the settings in force and where they come from",
		Description: example("Asks the daemon; without one it prints what a daemon started in this environment would use.",
			"bcast config --json"),
		Action: ask(a, takes(0, 0), a.config),
	}
}

func (a *app) config(c *cli.Context, daemon *control.Client, _ []string) error {
	settings, err := daemon.Config(c.Context)
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
	if err != nil {
		return nil, err
	}
	hooks, err := hook.Load(dir)
	if err != nil {
		return nil, err
	}
	services, err := loadServices(dir)
	return slices.Concat(a.homeSetting(c, dir), settings, hookSettings(hooks), serviceSettings(services)), err
}
