package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) whoCommand() *cli.Command {
	return &cli.Command{
		Name:      "who",
		Usage:     "tell who has a post",
		ArgsUsage: "POST",
		Description: example("POST is a post's id, or its first characters if no other begins so. It counts against the\n"+
			"members of the moment when it was said, those that were away included. Of another's post only what\n"+
			"members told by the way is known. Ends with 3 when some do not have it, with 4 when none has.",
			"bcast who k7f2", "bcast who k7f2 --json"),
		Action: a.who,
	}
}

func (a *app) who(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	var ledger control.Ledger
	err = a.consult(c, func(kept archive) (err error) {
		ledger, err = kept.Ledger(c.Context, args[0])
		return err
	})
	if err != nil {
		return err
	}
	if err := a.printer(c).ledger(ledger); err != nil {
		return err
	}
	return reached(ledger.Have, ledger.Members)
}

// reached is the exit code for a post that so many members have, of those wanted.
func reached(have, wanted int) error {
	switch {
	case have >= wanted:
		return nil
	case have == 0:
		return exit(exitNone)
	}
	return exit(exitSome)
}

func (p *printer) ledger(l control.Ledger) error {
	if p.json {
		return p.object(l)
	}
	partial := ""
	if l.Partial {
		partial = ", as far as others told"
	}
	err := p.line("%s in %s: %d of %d members have it%s", show.Clean(l.Post), show.Room(l.Room, l.Direct), l.Have,
		l.Members, partial)
	if err != nil {
		return err
	}
	for _, m := range l.Missing {
		p.know(m.ID, m.Nick, m.Tagged, m.Verified)
	}
	if len(l.Missing) == 0 {
		return nil
	}
	var rows [][]string
	for _, m := range l.Missing {
		rows = append(rows, []string{p.name(m.ID, m.Nick, m.Tag), show.Clean(m.Tag), p.whereabouts(m)})
	}
	return p.columns([]string{"MISSING", "TAG", "STATUS"}, rows)
}

// whereabouts is why a member may lack a post.
func (p *printer) whereabouts(m control.Missing) string {
	switch {
	case control.Here(m.Status):
		return "here"
	case m.Since.IsZero():
		return "away"
	}
	return "away " + show.Lapse(p.now().Sub(m.Since))
}

// seenNames is how many of those that lack a post are named in a line.
const seenNames = 3

// seen tells in one line who has a post.
func (p *printer) seen(have, members int, missing []control.Missing) string {
	var names []string
	for _, m := range missing[:min(len(missing), seenNames)] {
		p.know(m.ID, m.Nick, m.Tagged, m.Verified)
		names = append(names, fmt.Sprintf("%s (%s)", p.plainName(m.ID, m.Nick, m.Tag), p.whereabouts(m)))
	}
	text := fmt.Sprintf("seen by %d of %d", have, members)
	if len(names) > 0 {
		text += ", missing " + strings.Join(names, ", ")
	}
	if more := members - have - len(names); more > 0 && len(names) > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
