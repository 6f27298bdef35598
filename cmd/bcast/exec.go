package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/hook"
)

// execFlags make a bot of a join.
func execFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "exec", Usage: "run `CMD` with sh for each post of the others, and post what it writes; " +
			"the post is in BCAST_TEXT, BCAST_NICK, BCAST_ROOM, BCAST_ID …, and as JSON on its standard input"},
		&cli.DurationFlag{Name: "timeout", Usage: "how long a program of --exec may run; 30s unless given"},
	}
}

// program is what --exec says; nil without it.
func (a *app) program(c *cli.Context) (*hook.Program, error) {
	if !c.IsSet("exec") {
		if c.IsSet("timeout") {
			return nil, usageError("--timeout is for the programs of --exec", "")
		}
		return nil, nil
	}
	p := &hook.Program{Command: c.String("exec"), Time: c.Duration("timeout")}
	switch {
	case strings.TrimSpace(p.Command) == "":
		return nil, usageError("--exec names no command", "e.g. --exec 'echo hello $BCAST_NICK'")
	case c.Bool("detach"):
		return nil, usageError("--detach and --exec exclude each other", "the daemon runs hooks: bcast hooks --help")
	}
	if err := positive(c, "timeout"); err != nil {
		return nil, err
	}
	if c.IsSet("guest") {
		return p, nil
	}
	dir, err := a.home(c)
	p.Home = dir
	return p, err
}

// onExec has the program answer until ctx ends.
func (v *conversation) onExec(ctx context.Context, room string) error {
	v.p = v.printerOn(v.out, v.asJSON)
	stay, err := v.enterRoom(ctx, room)
	if err != nil {
		return err
	}
	<-stay.ctx.Done()
	return errors.Join(err, v.leaveRoom(ctx, stay))
}

// bot answers what is said during a visit; nil if nothing is to answer.
func (v *conversation) bot(stay *visit) *hook.Bot {
	if v.program == nil {
		return nil
	}
	say := func(ctx context.Context, text string) error {
		ctx, cancel := context.WithTimeout(ctx, sayLimit)
		defer cancel()
		_, err := stay.sitting().Say(ctx, control.Say{Room: stay.room, Text: text})
		return err
	}
	return hook.NewBot(stay.ctx, *v.program, say, v.warnings())
}

// sayLimit is how long an answer may take on its way to the node.
const sayLimit = 10 * time.Second
