package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/doctor"
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say why devices do not see each other",
		Description: example("Looks at interfaces, ports, own broadcasts, both ways from each peer, and buffers. Ends\n"+
			"with 1 when something is wrong. Asks the daemon; without one it listens for itself.", "bcast doctor"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Usage: "listen so long before judging; 3s without a daemon"},
		},
		Action: a.doctor,
	}
}

func (a *app) doctor(c *cli.Context) error {
	return a.observe(c, func(ctx context.Context, api control.API) error {
		facts := doctor.Facts{RmemMax: readRmemMax()}
		var err error
		if facts.Status, err = api.Status(ctx); err != nil {
			return err
		}
		if facts.Peers, err = api.Peers(ctx); err != nil {
			return err
		}
		facts.Now = time.Now()
		report := doctor.Examine(facts)
		if err := a.printer(c).findings(report); err != nil {
			return err
		}
		if !report.Healthy {
			return exit(exitFailed)
		}
		return nil
	})
}

// readRmemMax is the kernel's limit for receive queues, 0 where there is no such file.
func readRmemMax() int {
	text, _ := os.ReadFile("/proc/sys/net/core/rmem_max")
	limit, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return limit
}
