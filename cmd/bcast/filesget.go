package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
)

func (a *app) getCommand() *cli.Command {
	return &cli.Command{
		Name:      "files get",
		Usage:     "bring files and directories here",
		ArgsUsage: "POST|PEER:SHARE/PATH…",
		Description: example("Into this directory, or where -o says. A file that a post of a room offers is named by the\n"+
			"post's id: the daemon brings it from any member that has it, and gives it a number if something is called so.\n"+
			"\n"+
			"Of what a device shares a directory comes with all that is in it. What is\n"+
			"here already, of the same size and time, is left alone; anything else of that name is not replaced without\n"+
			"--force. What ends half-way goes on where it ended when the same is said again; what nobody goes on with goes\n"+
			"after a week, when something is next brought to that directory. Works without a daemon.",
			"bcast files get k7f2qd", "bcast files get bob:docs/report.pdf", "bcast files get bob:docs -o ~/from-bob",
			"bcast files get bob:docs/a.iso carol:iso/b.iso --json"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"},
				Usage: "write into the directory `DIR`, or one thing under that name"},
			&cli.BoolFlag{Name: "force", Usage: "replace files that are here"},
			patienceFlag(),
		},
		Action: a.get,
	}
}

func patienceFlag() cli.Flag {
	return &cli.DurationFlag{
		Name: "timeout", Value: defaultPatience, Usage: "how long to try a broken connection again; 30s unless given",
	}
}

func (a *app) get(c *cli.Context) error {
	words, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	if err := positive(c, "timeout"); err != nil {
		return err
	}
	wanted := make([]remotePath, len(words))
	for i, word := range words {
		if isPostWord(word) {
			continue
		}
		if wanted[i], err = parseRemote(word); err == nil {
			err = needShare(wanted[i], word)
		}
		if err != nil {
			return err
		}
	}
	for i, at := range wanted {
		if at.peer == "" {
			if err := a.getOffered(c, words[i]); err != nil {
				return err
			}
			continue
		}
		err := a.withLibrary(c, at.peer, func(ctx context.Context, l *library) error {
			return a.fetch(ctx, c, l, at, c.String("output"), len(wanted) > 1)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// postWord is a post's id, or the beginning of it.
var postWord = regexp.MustCompile(`^[a-z2-7]{4,26}$|^[a-z2-7]+\.[0-9]+$`)

// isPostWord tells a post from a place among the files of a device, of which a share is always named.
func isPostWord(word string) bool { return postWord.MatchString(word) }

// getOffered has the daemon bring the file that a post offers, and tells how far it has come.
func (a *app) getOffered(c *cli.Context, post string) error {
	dir, err := filepath.Abs(cmp.Or(c.String("output"), "."))
	if err != nil {
		return err
	}
	daemon, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer daemon.Close()
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	status, err := daemon.Status(ctx)
	if err != nil {
		return err
	}
	events := control.Watch(ctx, daemon, status.EventID)
	file, err := daemon.Fetch(ctx, post, dir)
	if err != nil {
		return err
	}
	meter := a.carriage(c)
	defer meter.end()
	o := meter.options(files.Options{})
	o.Total(1, file.Size)
	var have control.File
	tell := func(now control.File) {
		o.Progress(now.Resumed-have.Resumed, true)
		o.Progress(now.Bytes-now.Resumed-have.Bytes+have.Resumed, false)
		have = now
	}
	patience := c.Duration("timeout")
	late := time.NewTimer(patience)
	defer late.Stop()
	for tell(file); have.State == control.FileFetching; {
		var event control.Happening
		open := true
		select {
		case event, open = <-events:
		case <-late.C:
			if patience < defaultPatience { // the daemon's own: it knows why
				return control.NewError(control.CodeTimeout, nil,
					fmt.Sprintf("nothing came for %s; the daemon goes on with it", patience), "bcast files get "+post)
			}
		}
		switch {
		case !open:
			return control.NewError(control.CodeTimeout, c.Context.Err(), "interrupted: the daemon goes on with it", "")
		case event.Err != nil:
			return event.Err
		case event.Type == control.EventFile && event.File.Post == file.Post:
			if event.File.Bytes > have.Bytes {
				late.Reset(patience)
			}
			tell(*event.File)
		}
	}
	if have.State == control.FileFailed {
		return have.Error
	}
	o.Each(have.Path, nil)
	return nil
}

// fetch brings one thing.
func (a *app) fetch(ctx context.Context, c *cli.Context, l *library, at remotePath, out string, several bool) error {
	dir, name, err := into(out, at.name(), several)
	if err != nil {
		return err
	}
	defer dir.Close()
	meter := a.carriage(c)
	defer meter.end()
	return l.Fetch(ctx, at.share, at.path, dir, name, meter.options(carrying(c)))
}
