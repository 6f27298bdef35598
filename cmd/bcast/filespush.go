package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// rateMax is the word for as fast as the receivers take it.
const rateMax = "max"

func (a *app) pushCommand() *cli.Command {
	return &cli.Command{
		Name:      "files push",
		Usage:     "send files once to all of a room",
		ArgsUsage: "ROOM FILE…",
		Description: example("Each is offered by a post and broadcast once, sealed for the room's members; what one of\n"+
			"them misses is repaired for all together, and who loses much, sits on Wi-Fi or comes late is helped by\n"+
			"unicast, by whoever has it. Where it goes, and whether their user is asked, they say: bcast files inbox.\n"+
			"It keeps to the broadcast budget (1 MiB a second) unless --rate says otherwise, and ends with 3 when\n"+
			"fewer than all members have it at the end, with 4 when none has. Who is away gets it by files get.",
			"bcast files push lobby disk.img", "bcast files push lobby --rate max photos.zip notes.pdf",
			"bcast files push lab --rate 20MB --timeout 10m image.iso"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rate", Usage: "broadcast up to `SIZE` a second, e.g. 20MB, or max: as fast as all take it"},
			&cli.DurationFlag{Name: "timeout", Usage: "end it after so long, whoever has it then; without it, when all have it"},
		},
		Action: ask(a, takes(2, -1), a.pushAll),
	}
}

func (a *app) pushAll(c *cli.Context, daemon *control.Client, args []string) error {
	rate, err := parseRate(c.String("rate"))
	if err != nil {
		return err
	}
	if err := positive(c, "timeout"); err != nil {
		return err
	}
	room, err := parseRoom(args[0])
	if err != nil {
		return err
	}
	var failed error
	for _, file := range args[1:] {
		at, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		err = a.pushOne(c, daemon, control.PushOrder{Room: room, File: at, Rate: rate})
		if code := a.report(err, a.printer(c).json); failed == nil && code != exitDone { // what follows goes nevertheless
			failed = exit(code)
		}
		if c.Context.Err() != nil {
			break
		}
	}
	return failed
}

// parseRate is what a word allows to broadcast, in bytes a second.
func parseRate(word string) (int, error) {
	if word == "" {
		return control.RateBudget, nil
	}
	if word == rateMax {
		return control.RateAsTaken, nil
	}
	rate := parseSize(strings.TrimSuffix(word, "/s"))
	if rate < 1<<10 || rate > math.MaxInt32 {
		return 0, usageError(fmt.Sprintf("--rate %q: no rate of 1 KB to 2 GB a second", word),
			"e.g. --rate 20MB, or --rate max")
	}
	return int(rate), nil
}

// pushOne pushes a file and tells how far it has come until it is over.
func (a *app) pushOne(c *cli.Context, daemon *control.Client, order control.PushOrder) error {
	status, err := daemon.Status(c.Context)
	if err != nil {
		return err
	}
	ctx := c.Context
	if limit := c.Duration("timeout"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	watching, end := context.WithCancel(context.WithoutCancel(c.Context))
	defer end()
	events := control.Watch(watching, daemon, status.EventID)
	now, err := daemon.Push(ctx, order)
	if err != nil {
		return err
	}
	t := &pushTold{app: a, p: a.printer(c)}
	t.line = !t.p.json && isTerminal(a.err)
	stopped := ctx.Done()
	for now.State != control.PushOver && now.State != control.PushStopped {
		if err := t.tell(now); err != nil {
			return err
		}
		select {
		case event, ok := <-events:
			switch {
			case !ok || event.Err != nil:
				return cmp.Or(event.Err, errors.New("the daemon ended"))
			case event.Push != nil && event.Push.Post == now.Post:
				now = *event.Push
			case event.Type == control.EventGap:
				if now, err = daemon.PushStatus(c.Context, now.Post); err != nil {
					return err
				}
			}
		case <-stopped:
			stopped = nil // once; the event that it is over follows
			err := daemon.StopPush(watching, now.Post)
			if err != nil && control.AsError(err).Code != control.CodeNotFound { // it ends at this moment by itself
				return err
			}
		}
	}
	return t.end(now)
}

// pushTold tells how far a push has come: people on a terminal in lines that change, programs in objects.
type pushTold struct {
	app   *app
	p     *printer
	line  bool
	lines int // that are shown
}

// maxTakersShown is how many receivers have a line each while a file is pushed.
const maxTakersShown = 24

func (t *pushTold) tell(now control.Pushed) error {
	if t.p.json {
		return t.p.object(now)
	}
	if !t.line {
		return nil
	}
	t.clear()
	var b strings.Builder
	rate := int64(0)
	if now.Seconds > 0 {
		rate = int64(float64(now.Sent) / now.Seconds)
	}
	fmt.Fprintf(&b, "%3d %%  %s of %s  %s/s  %d of %d have it\n", now.Sent*100/now.Size, show.Bytes(now.Sent),
		show.Bytes(now.Size), show.Bytes(rate), now.Have, now.Members)
	for i, taker := range now.Takers {
		if i == maxTakersShown {
			fmt.Fprintf(&b, "      and %d more\n", len(now.Takers)-i)
			break
		}
		fmt.Fprintf(&b, "%3d %%  %s  %s\n", taker.Bytes*100/now.Size, t.name(taker), takerText(taker))
	}
	t.lines = strings.Count(b.String(), "\n")
	_, err := fmt.Fprint(t.app.err, b.String())
	return err
}

func (t *pushTold) name(taker control.Taker) string {
	t.p.know(taker.ID, taker.Nick, taker.Tagged, taker.Verified)
	return t.p.name(taker.ID, taker.Nick, taker.Tag)
}

// takerText says how a receiver is.
func takerText(t control.Taker) string {
	switch {
	case t.State == control.TakerSilent && !t.Here:
		return "away"
	case t.State == control.TakerAsked:
		return "its user is asked"
	case t.Apart:
		return "is helped apart"
	case t.State == control.TakerWhole:
		return "has it"
	}
	return t.State
}

// clear takes the changing lines away.
func (t *pushTold) clear() {
	if t.lines > 0 {
		fmt.Fprintf(t.app.err, "\x1b[%dA\r\x1b[J", t.lines)
		t.lines = 0
	}
}

// end says how it ended, and with which code.
func (t *pushTold) end(now control.Pushed) error {
	t.clear()
	switch {
	case t.p.json:
		if err := t.p.object(now); err != nil {
			return err
		}
	case now.Error == nil:
		if err := t.p.line("%s", now.Post); err != nil {
			return err
		}
		took := time.Duration(now.Seconds * float64(time.Second)).Round(10 * time.Millisecond)
		t.app.note("%d of %d members have %s: %s in %v, %.2f times that was broadcast", now.Have, now.Members,
			show.Clean(now.Name), show.Bytes(now.Size), took, float64(now.Wire)/float64(now.Size))
		for _, taker := range now.Takers {
			if taker.State != control.TakerWhole {
				t.app.note("%s: %s", t.name(taker), takerText(taker))
			}
		}
	}
	if now.Error != nil {
		return now.Error
	}
	if now.Members == 0 {
		t.app.note("no other member is known; who comes gets it by: bcast files get %s", now.Post)
		return nil
	}
	return reached(now.Have, now.Members)
}
