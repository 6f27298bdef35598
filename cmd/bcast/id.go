package main

import (
	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) idCommand() *cli.Command {
	return &cli.Command{
		Name:  "id",
		Usage: "print this device's id, nick and tag",
		Description: example("The id follows from the key in the home; the first use of a home makes the key.",
			"bcast id --json"),
		Action: ask(a, takes(0, 0), a.id),
	}
}

func (a *app) id(c *cli.Context, daemon *control.Client, _ []string) error {
	status, err := daemon.Status(c.Context)
	device := bcast.Self{ID: status.ID, Nick: status.Nick, Tag: status.Tag}
	if err != nil && control.AsError(err).Code == control.CodeNoDaemon {
		device, err = a.readSelf(c)
	}
	if err != nil {
		return err
	}
	p := a.printer(c)
	if p.json {
		return p.object(device)
	}
	return p.line("%s %s-%s", device.ID, show.Clean(device.Nick), show.Clean(device.Tag))
}

// readSelf asks the home: who one is needs no network.
func (a *app) readSelf(c *cli.Context) (bcast.Self, error) {
	dir, err := a.home(c)
	if err != nil {
		return bcast.Self{}, err
	}
	return bcast.Identify(dir)
}
