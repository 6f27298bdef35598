package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

const (
	// stayFor is how long a node that lives only for one post stays for those who do not have it yet.
	stayFor = 3 * time.Second
	// meetFor is how much of that it waits for the first other member before it posts.
	meetFor = time.Second
	// meetMore is the time in which others answer after the first did: they answer within milliseconds of each other.
	meetMore = 30 * time.Millisecond
	// waitFor is how long --wait waits unless told otherwise.
	waitFor = 10 * time.Second
)

func (a *app) sayCommand() *cli.Command {
	return &cli.Command{
		Name:      "say",
		Usage:     "post to a room",
		ArgsUsage: "ROOM TEXT…|-",
		Description: example("Joins the words and prints the post's id; - posts what comes on standard input.\n"+
			"Without a daemon it stays until those present have the post, at most 3 s.\n"+
			"With --wait all it ends with 3 when some members do not have it in time, with 4 when none has.",
			"bcast say lobby hello there", "bcast say lobby --wait all --timeout 5s 'fire drill'",
			"df -h | bcast say ops -"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "`WHOM` to wait for: all (the members present) or none"},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait; 10s unless given"},
			&cli.DurationFlag{Name: "every", Usage: "post again and again, so often"},
			&cli.IntFlag{Name: "count", Usage: "so many posts; 0: one, or without end with --every"},
		},
		Action: a.say,
	}
}

func (a *app) say(c *cli.Context) (err error) {
	args, err := arguments(c, 2, -1)
	if err != nil {
		return err
	}
	wait := c.String("wait")
	if wait != "" && wait != "all" && wait != "none" {
		return usageError(fmt.Sprintf("--wait %q is neither all nor none", wait), "")
	}
	if err := positive(c, "timeout"); err != nil {
		return err
	}
	repeat, err := repetition(c)
	if err != nil {
		return err
	}
	room, err := parseRoom(args[0])
	if err != nil {
		return err
	}
	text, err := a.text(args[1:])
	if err != nil {
		return err
	}
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := seat.Close(); err == nil {
			err = closeErr
		}
	}()
	joined, err := a.enter(c.Context, seat, room)
	if err != nil {
		return err
	}
	p := a.printer(c)
	post := posting{api: seat, say: control.Say{Room: joined.Room, Text: text, Wait: wait}, limit: c.Duration("timeout")}
	if seat.own {
		post.stay(c.Context, wait)
	}
	return repeat.each(c.Context, func() error {
		said, err := post.once(c.Context)
		if err != nil {
			return err
		}
		if err := p.said(said); err != nil {
			return err
		}
		return a.verdict(said, wait == "all", post.say.Wait == "all")
	})
}

// text is the post that the words make: themselves with spaces between, or for "-" standard input without its last
// line break.
func (a *app) text(words []string) (string, error) {
	text := strings.Join(words, " ")
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(a.in, control.MaxText+2)) // one more than fits, and the line break
		if err != nil {
			return "", fmt.Errorf("read standard input: %w", err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	return text, control.CheckText(text)
}

// posting is one text on its way to a room, once or again and again.
type posting struct {
	api   control.API
	say   control.Say
	limit time.Duration
}

// stay prepares for a node that ends with the command: it meets the others first, so that there is somebody to wait
// for, and waits for them unless told not to.
func (p *posting) stay(ctx context.Context, wait string) {
	meet(ctx, p.api, p.say.Room)
	if wait != "" {
		return
	}
	p.say.Wait = "all"
	if p.limit == 0 {
		p.limit = stayFor
	}
}

// once posts. That not all have it in time is no error here: Said tells.
func (p *posting) once(ctx context.Context) (control.Said, error) {
	if p.say.Wait == "all" {
		limit := p.limit
		if limit == 0 {
			limit = waitFor
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	said, err := p.api.Say(ctx, p.say)
	if err != nil && said.ID != "" && control.AsError(err).Code == control.CodeTimeout {
		return said, nil
	}
	return said, err
}

// verdict says who lacks the post, and with --wait all ends with the code for it.
func (a *app) verdict(said control.Said, asked, waited bool) error {
	if !waited {
		return nil
	}
	if said.Members == 0 {
		fmt.Fprintln(a.err, "bcast: no other member is here now; who comes back gets it from whoever has it then")
		return nil
	}
	if said.Have == said.Members {
		return nil
	}
	fmt.Fprintf(a.err, "bcast: %d of %d members here have it so far\n", said.Have, said.Members)
	switch {
	case !asked:
		return nil
	case said.Have == 0:
		return exit(exitNone)
	default:
		return exit(exitSome)
	}
}

// meet waits until another member of room is here and those beside it had time to answer too, at most meetFor.
func meet(ctx context.Context, api control.API, room string) {
	ctx, cancel := context.WithTimeout(ctx, meetFor)
	defer cancel()
	status, err := api.Status(ctx)
	if err != nil {
		return // Say will fail too and tell why
	}
	events := watch(ctx, api, status.EventID)
	for !company(ctx, api, room) {
		if event, ok := <-events; !ok || event.err != nil {
			return
		}
	}
	pause(ctx, meetMore)
}

// company reports whether another member of room is here.
func company(ctx context.Context, api control.API, room string) bool {
	members, err := api.Members(ctx, room)
	return err == nil && slices.ContainsFunc(members, func(m control.Member) bool { return m.Status == "here" })
}
