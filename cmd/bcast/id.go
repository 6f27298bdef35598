package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/home"
)

// self is what `bcast id` prints.
type self struct {
	ID   string `json:"id"`
	Nick string `json:"nick"`
	Tag  string `json:"tag"`
}

func (a *app) idCommand() *cli.Command {
	return &cli.Command{
		Name:        "id",
		Usage:       "print this device's id, nick and tag",
		Description: example("The id follows from the key in the home; the first use of a home makes the key.", "bcast id --json"),
		Action:      a.id,
	}
}

func (a *app) id(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	status, err := client.Status(c.Context)
	device := self{status.ID, status.Nick, status.Tag}
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
	return p.line("%s %s-%s", device.ID, clean(device.Nick), clean(device.Tag))
}

// readSelf asks the home: who one is needs no network.
func (a *app) readSelf(c *cli.Context) (self, error) {
	dir, err := a.home(c)
	if err != nil {
		return self{}, err
	}
	h, err := home.Open(dir, rand.Reader)
	if err != nil {
		return self{}, openError(err)
	}
	defer h.Close()
	nick := h.Nick()
	if nick == "" {
		host, _ := os.Hostname()
		nick = identity.NickFrom(cmp.Or(a.getenv("USER"), host))
	}
	id := h.Key().ID()
	return self{id.String(), string(nick), id.Tag()}, nil
}

// openError gives an error of home the code that scripts know.
func openError(err error) error {
	var corrupt *home.CorruptError
	switch {
	case errors.Is(err, home.ErrLocked):
		return control.NewError(control.CodeRunning, err, err.Error(), "it is starting or ending: try again")
	case errors.As(err, &corrupt):
		return control.NewError(control.CodeCorrupt, err, err.Error(), "restore the file, or move it away to be a new device")
	default:
		return control.NewError(control.CodeHome, err, err.Error(), "--home must be a directory that you can write to")
	}
}
