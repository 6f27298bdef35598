package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// archive is what is kept of rooms: a daemon's, or the home's own files.
type archive interface {
	Posts(ctx context.Context, room string, query control.PostQuery) ([]control.Post, error)
	Records(ctx context.Context, room string) iter.Seq2[control.Record, error]
	Ledger(ctx context.Context, post string) (control.Ledger, error)
}

// closingArchive is one that holds files open.
type closingArchive interface {
	archive
	Close() error
}

func (a *app) historyCommand() *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "print, search, export or import what is kept of a room",
		ArgsUsage: "ROOM",
		Description: example("Reads the daemon's history, or, without a daemon, the home's database.\n"+
			"--export writes every record as its author signed it, one JSON object a line; --import checks each\n"+
			"signature and takes what is not here yet, and what it takes the other members get, too.",
			"bcast history lobby --limit 50", "bcast history lobby --search 'fire drill'",
			"bcast history lobby --export lobby.jsonl", "bcast history lobby --import lobby.jsonl"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "the newest so many posts; 0, or not given: all"},
			&cli.StringFlag{Name: "since", Usage: "posts after `ID`, or of the last time such as 24h"},
			&cli.StringFlag{Name: "before", Usage: "posts before `ID`: with --limit, the page before"},
			&cli.StringFlag{Name: "search", Usage: "posts that hold all these `WORDS`, the last maybe cut short"},
			&cli.StringFlag{Name: "export", Usage: "write all records to `FILE`; - is standard output"},
			&cli.StringFlag{Name: "import", Usage: "take the records of `FILE`; - is standard input"},
		},
		Action: a.history,
	}
}

func (a *app) history(c *cli.Context) error {
	room, err := oneRoom(c)
	if err != nil {
		return err
	}
	query := control.PostQuery{
		Limit: c.Int("limit"), Since: c.String("since"), Before: c.String("before"), Search: c.String("search"),
	}
	reads := query != (control.PostQuery{})
	switch {
	case query.Limit < 0:
		return usageError("--limit is less than 0", "")
	case c.IsSet("export") && c.IsSet("import"), reads && (c.IsSet("export") || c.IsSet("import")):
		return usageError("--export and --import take the whole history of the room and go with nothing else", "")
	case c.IsSet("import"):
		return a.importRecords(c, room, c.String("import"))
	}
	if c.IsSet("export") {
		return a.exportRecords(c, room, c.String("export"))
	}
	var posts []control.Post
	err = a.consult(c, func(kept archive) (err error) {
		posts, err = kept.Posts(c.Context, room, query)
		return err
	})
	if err != nil {
		return err
	}
	return a.printer(c).posts(posts)
}

// consult asks the home's daemon, and the home itself where there is no daemon or it does not know what is asked for:
// what was said in a room that was left is still kept.
func (a *app) consult(c *cli.Context, ask func(archive) error) error {
	dir, err := a.home(c)
	if err != nil {
		return err
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	err = ask(client)
	gone := err != nil && control.AsError(err).Code == control.CodeNoDaemon
	if !gone && (err == nil || !unknown(err)) {
		return err
	}
	kept, fileErr := a.open(dir)
	if fileErr == nil {
		defer kept.Close()
		fileErr = ask(kept)
	}
	if fileErr != nil && !gone {
		return err // the daemon knows better what to do
	}
	return fileErr
}

func unknown(err error) bool {
	code := control.AsError(err).Code
	return code == control.CodeNotJoined || code == control.CodeNotFound
}

// exportRecords writes a room's records to a file that appears when it is whole, readable by its owner alone.
func (a *app) exportRecords(c *cli.Context, room, file string) (err error) {
	if file == "-" {
		return a.writeRecords(c, room, a.out)
	}
	whole, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer os.Remove(whole.Name())
	defer func() { err = finish(whole, file, err) }()
	return a.writeRecords(c, room, whole)
}

func (a *app) writeRecords(c *cli.Context, room string, out io.Writer) error {
	count := 0
	var cut error // in the middle: another archive would begin anew
	err := a.consult(c, func(kept archive) error {
		buffered := bufio.NewWriter(out)
		p := a.printerOn(buffered, true)
		for r, err := range kept.Records(c.Context, room) {
			if err == nil {
				err = p.object(r)
			}
			if err != nil && count == 0 {
				return err
			}
			if cut = err; cut != nil {
				break
			}
			count++
		}
		return buffered.Flush()
	})
	if err = cmp.Or(err, cut, c.Context.Err()); err != nil {
		return err
	}
	a.note("%s records of %s exported", show.Thousands(count), show.Clean(room))
	return nil
}

// finish gives a written file its name, or leaves things as they were after an error.
func finish(written *os.File, name string, err error) error {
	if err != nil {
		written.Close()
		return err
	}
	err = written.Sync()
	if closeErr := written.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(written.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// importRecords brings the records of a file into a room.
func (a *app) importRecords(c *cli.Context, room, file string) (err error) {
	in := a.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	joined, err := a.enter(c.Context, seat, room)
	if err != nil {
		return err
	}
	done, err := seat.Import(c.Context, joined.Room, control.ReadRecords(in))
	if err != nil {
		return err
	}
	if err := a.printer(c).imported(done); err != nil {
		return err
	}
	if done.Refused > 0 {
		a.note("refused is what no author signed for this room, or what follows nothing that is here")
		return exit(exitFailed)
	}
	return nil
}
