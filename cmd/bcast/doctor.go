package main

import (
	"context"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/doctor"
)

const (
	// overhearFor is longer than the time between two beats of a device on a wire.
	overhearFor = 4500 * time.Millisecond
	// A device that only others hear has meetAgain, longer than the time between two beats, to be heard here, too.
	meetAgain     = 4500 * time.Millisecond
	meetAgainLook = 250 * time.Millisecond
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say why devices do not see each other, and the command that mends it",
		Description: example("Looks at interfaces, ports, firewalls, routes, bridges, buffers and own broadcasts, and\n"+
			"has peers send datagrams back. Ends with 1 if it finds a problem, with 0 if all is well or\n"+
			"there are only warnings. Root sees more: the rules of firewalls, and other subnets on the\n"+
			"same wire.", "sudo bcast doctor"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Usage: "listen so long before judging; 4.5s as root, else 3s without a daemon"},
		},
		Action: a.doctor,
	}
}

func (a *app) doctor(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if err := positive(c, "for"); err != nil {
		return err
	}
	facts, err := a.facts(c)
	if err != nil {
		return err
	}
	report := doctor.Examine(facts)
	if err := a.printer(c).findings(report); err != nil {
		return err
	}
	if !report.Healthy {
		return exit(exitFailed)
	}
	return nil
}

// facts brings all that is judged: what a participant tells, if there can be one, and what the host shows.
func (a *app) facts(c *cli.Context) (doctor.Facts, error) {
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return a.factsAlone(c.Context, err)
	}
	defer seat.Close()
	facts := doctor.Facts{Daemon: !seat.own}
	wait := c.Duration("for")
	switch {
	case wait > 0:
	case os.Geteuid() == 0:
		wait = overhearFor
	case seat.own:
		wait = listenFor
	}
	began := time.Now()
	status, err := seat.Status(c.Context)
	if err != nil {
		return facts, err
	}
	facts.Host = a.look(c.Context, status.Port, wait)
	if left := wait - time.Since(began); left > 0 && !pause(c.Context, left) {
		return facts, control.NewError(control.CodeTimeout, c.Context.Err(), "interrupted", "")
	}
	if facts.Probed, err = seat.Probe(c.Context); err != nil {
		return facts, err
	}
	err = hear(c.Context, seat, &facts)
	for late := time.Now().Add(meetAgain); err == nil && !facts.Complete() && time.Now().Before(late); {
		pause(c.Context, meetAgainLook)
		err = hear(c.Context, seat, &facts)
	}
	facts.Host.Routes = routes(facts.Status.Interfaces)
	return facts, err
}

// hear reads what the participant knows now.
func hear(ctx context.Context, api control.API, facts *doctor.Facts) (err error) {
	facts.Now = time.Now()
	if facts.Status, err = api.Status(ctx); err != nil {
		return err
	}
	facts.Peers, err = api.Peers(ctx)
	return err
}

// factsAlone is what there is to see where no participant can be started for a reason that a doctor can say something
// about.
func (a *app) factsAlone(ctx context.Context, reason error) (doctor.Facts, error) {
	failed := control.AsError(reason)
	switch failed.Code {
	case control.CodePortTaken, control.CodeNoNetwork, control.CodeHome, control.CodeReadOnly, control.CodeCorrupt:
	default:
		return doctor.Facts{}, reason
	}
	facts := doctor.Facts{Now: time.Now(), Failed: failed}
	facts.Host = a.look(ctx, bcast.DefaultPort, time.Millisecond)
	var err error
	facts.Status.Interfaces, err = bcast.Interfaces(nil)
	return facts, err
}
