package main

import (
	"cmp"
	"fmt"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) benchCommand() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure what this network and its devices carry",
		ArgsUsage: "send|recv ROOM",
		Description: example("Start recv on the other devices, then send on one. Its posts hold their number and the\n"+
			"time; recv counts them and tells the delay from saying to showing, by the clocks of both devices. Room\n"+
			"and posts are in memory only unless --stored. While it sends, no budget spares the air for others.\n"+
			"Ends with 1 when a receiver lacks posts, with 3 or 4 when the sender does not know of some or all\n"+
			"members that they have them.",
			"bcast bench recv speed", "bcast bench send speed --count 1000 --rate 50",
			"bcast bench send speed --count 100000"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "count", Usage: "so many posts; to receive: at least so many"},
			&cli.IntFlag{Name: "size", Usage: "`BYTES` of each post; 200 unless given"},
			&cli.Float64Flag{Name: "rate", Usage: "posts a second; unless given as many as go"},
			&cli.BoolFlag{Name: "stored", Usage: "keep room and posts as others are"},
			&cli.DurationFlag{Name: "timeout", Usage: "give up after so much silence; 10s unless given"},
		},
		Action: a.bench,
	}
}

// benchCount is how many posts are sent unless it is said.
const benchCount = 1000

func (a *app) bench(c *cli.Context) (err error) {
	bench, err := readBench(c)
	if err != nil {
		return err
	}
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	found, err := seat.Bench(c.Context, bench)
	if err != nil {
		return err
	}
	if found.Warning != "" {
		a.note("%s", show.Clean(found.Warning))
	}
	if err := a.printer(c).benched(bench, found); err != nil {
		return err
	}
	if bench.Do == "send" {
		return reached(found.Have, found.Members)
	}
	if found.Lost > 0 {
		return exit(exitFailed)
	}
	return nil
}

func readBench(c *cli.Context) (control.Bench, error) {
	args, err := arguments(c, 2, 2)
	if err != nil {
		return control.Bench{}, err
	}
	b := control.Bench{
		Do: args[0], Count: c.Int("count"), Size: c.Int("size"), Rate: c.Float64("rate"), Stored: c.Bool("stored"),
	}
	if b.Do != "send" && b.Do != "recv" {
		return b, usageError(fmt.Sprintf("bench %s: neither send nor recv", args[0]), "bcast bench recv "+args[1])
	}
	if b.Do == "send" && !c.IsSet("count") {
		b.Count = benchCount
	}
	if err := positive(c, "timeout"); err != nil {
		return b, err
	}
	if c.IsSet("timeout") {
		b.Silence = c.Duration("timeout").String()
	}
	b.Room, err = parseRoom(args[1])
	return b, err
}

func (p *printer) benched(asked control.Bench, b control.Benched) error {
	if p.json {
		return p.object(b)
	}
	if asked.Do == "send" {
		return p.line("%s posts sent in %.2f s, %s a second; %d of %d members have them", show.Thousands(b.Sent), b.Seconds,
			show.Thousands(int(b.PerSecond)), b.Have, b.Members)
	}
	return p.line("%s of %s posts in %.2f s, %s a second; %s lost, %s twice; delay %.2f ms for half, %.2f ms for 99 %%, "+
		"%.2f ms at most", show.Thousands(b.Received), show.Thousands(b.Sent), b.Seconds, show.Thousands(int(b.PerSecond)),
		show.Thousands(b.Lost), show.Thousands(b.Duplicates), b.P50ms, b.P99ms, b.MaxMs)
}
