package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

// statusLook is how often `status --wait` looks for a daemon that is starting.
const statusLook = 20 * time.Millisecond

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "what the daemon is, hears, sends and refuses",
		Description: example("Ends with 5 when no daemon runs; with --wait it first waits for one that is starting.",
			"bcast status --wait 10s --json"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "wait", Usage: "wait so long until the daemon is ready"},
		},
		Action: ask(a, statusWait, a.status),
	}
}

// statusWait reads how long to wait for a daemon; 0 is not at all.
func statusWait(c *cli.Context) (time.Duration, error) {
	if _, err := arguments(c, 0, 0); err != nil {
		return 0, err
	}
	return c.Duration("wait"), positive(c, "wait")
}

func (a *app) status(c *cli.Context, daemon *control.Client, wait time.Duration) error {
	status, err := daemon.Status(c.Context)
	if err != nil && wait > 0 {
		status, err = awaitDaemon(c.Context, daemon, wait)
	}
	if err != nil {
		return err
	}
	return a.printer(c).status(status)
}

// awaitDaemon asks until the daemon answers: its socket is there only when it is ready.
func awaitDaemon(ctx context.Context, api control.API, limit time.Duration) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		status, err := api.Status(ctx)
		if err == nil || control.AsError(err).Code != control.CodeNoDaemon && ctx.Err() == nil {
			return status, err
		}
		if !pause(ctx, statusLook) {
			return status, control.NewError(control.CodeNoDaemon, err,
				fmt.Sprintf("no bcast daemon answered within %v", limit), "start one: bcast daemon")
		}
	}
}
