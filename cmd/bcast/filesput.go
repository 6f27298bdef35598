package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
)

func (a *app) putCommand() *cli.Command {
	return &cli.Command{
		Name:      "files put",
		Usage:     "put files and directories into a share of another device",
		ArgsUsage: "FILE… PEER[:SHARE[/PATH]]",
		Description: example("Into a share that may be written to, or a directory below it; one thing gets a new name if\n"+
			"the path is none that is there and does not end with a slash. What is there is not replaced without --force.\n"+
			"Without a share they go to the device's inbox, if its user takes them. What ends half-way goes on where it\n"+
			"ended when the same is said again. Works without a daemon.",
			"bcast files put report.pdf bob", "bcast files put report.pdf bob:drop", "bcast files put photos bob:drop/2026/",
			"bcast files put draft.txt bob:drop/final.txt"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "replace files that are there"},
			patienceFlag(),
		},
		Action: a.put,
	}
}

func (a *app) put(c *cli.Context) error {
	words, err := arguments(c, 2, -1)
	if err != nil {
		return err
	}
	if err := positive(c, "timeout"); err != nil {
		return err
	}
	last := words[len(words)-1]
	to, err := parseRemote(last)
	if err != nil {
		return err
	}
	sources := words[:len(words)-1]
	for _, source := range sources {
		if _, err := os.Stat(source); err != nil {
			return control.NewError(control.CodeInvalid, err, fmt.Sprintf("put %v", err), "")
		}
	}
	into := len(sources) > 1 || to.path == "" || strings.HasSuffix(last, "/")
	return a.withLibrary(c, to.peer, func(ctx context.Context, l *library) error {
		if to.share == "" {
			return a.give(ctx, c, l, to, sources)
		}
		if !into {
			e, err := l.Stat(ctx, to.share, to.path)
			into = err == nil && e.Dir
		}
		meter := a.carriage(c)
		defer meter.end()
		o := meter.options(carrying(c))
		for _, source := range sources {
			if err := send(ctx, l, source, to, into, o); err != nil {
				return err
			}
		}
		return nil
	})
}

// carrying is how files are to be carried.
func carrying(c *cli.Context) files.Options {
	return files.Options{Force: c.Bool("force"), Patience: c.Duration("timeout")}
}

// send puts one thing, into a directory or under a name.
func send(ctx context.Context, l *library, source string, to remotePath, into bool, o files.Options) error {
	things, closeAll, err := thingsOf([]string{source})
	if err != nil {
		return err
	}
	defer closeAll()
	thing, p := things[0], to.path
	if into {
		p = path.Join(p, thing.Name)
	}
	return l.Send(ctx, thing.Root, thing.Name, to.share, cmp.Or(p, thing.Name), o)
}

// thingsOf are files and directories of this host, by their paths.
func thingsOf(sources []string) (things []files.Thing, closeAll func(), err error) {
	closeAll = func() {
		for _, t := range things {
			t.Root.Close()
		}
	}
	for _, source := range sources {
		at, err := filepath.Abs(source)
		var root *os.Root
		if err == nil {
			root, err = os.OpenRoot(filepath.Dir(at))
		}
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		things = append(things, files.Thing{Root: root, Name: filepath.Base(at)})
	}
	return things, closeAll, nil
}
