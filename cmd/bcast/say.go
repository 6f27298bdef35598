package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
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
			"With --wait it ends with 3 when fewer than wanted have it in time, with 4 when none has.",
			"bcast say lobby hello there", "bcast say lobby --wait all --timeout 5s 'fire drill'",
			"df -h | bcast say ops -", "bcast say lobby from the roof --file photo.jpg"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "`WHOM` to wait for: all members, here (those present), none, or a number"},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait; 10s unless given"},
			&cli.StringFlag{Name: "reply", Usage: "answer `POST`"},
			&cli.StringFlag{Name: "edit", Usage: "replace your own `POST`"},
			&cli.StringFlag{Name: "delete", Usage: "take back your own `POST`; without a text"},
			&cli.StringFlag{Name: "react", Usage: "react to `POST` with the text, such as 👍"},
			&cli.BoolFlag{Name: "topic", Usage: "make the text the room's topic"},
			&cli.BoolFlag{Name: "me", Usage: "say what you do, as /me does"},
			&cli.GenericFlag{Name: "file", Value: &pathList{}, Usage: "offer `FILE`, repeatable; needs a daemon"},
			&cli.DurationFlag{Name: "every", Usage: "post again and again, so often"},
			&cli.IntFlag{Name: "count", Usage: "so many posts; 0: one, or without end with --every"},
		},
		Action: a.say,
	}
}

func (a *app) say(c *cli.Context) (err error) {
	kind, target, err := sayKind(c)
	if err != nil {
		return err
	}
	paths, err := c.Generic("file").(*pathList).absolute()
	if err != nil {
		return err
	}
	least, most := 2, -1
	if kind == "delete" {
		least, most = 1, 1
	} else if len(paths) > 0 {
		least = 1
	}
	args, err := arguments(c, least, most)
	if err != nil {
		return err
	}
	wait := c.String("wait")
	if err := checkWait(wait); err != nil {
		return err
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
	text := ""
	if len(args) > 1 || len(paths) == 0 {
		if text, err = a.text(c.Context, kind, args[1:]); err != nil {
			return err
		}
	}
	seat, err := a.sitToSay(c, paths)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	joined, err := a.enter(c.Context, seat, room)
	if err != nil {
		return err
	}
	p := a.printer(c)
	post := posting{api: seat, limit: c.Duration("timeout"), say: control.Say{
		Room: joined.Room, Text: text, Wait: wait, Kind: kind, Target: target, Files: paths,
	}}
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
		return a.verdict(said, wait, post.say.Wait)
	})
}

// sitToSay is sit, but for who offers files: those can be had only while somebody serves them.
func (a *app) sitToSay(c *cli.Context, paths []string) (*seat, error) {
	if len(paths) == 0 {
		return a.sit(c.Context, c)
	}
	daemon, err := a.daemon(c)
	if err != nil {
		return nil, err
	}
	if _, err := daemon.Status(c.Context); err != nil {
		if e := control.AsError(err); e.Code == control.CodeNoDaemon {
			err = control.NewError(e.Code, err, e.Message, "a file can be had only while a daemon serves it: bcast daemon")
		}
		return nil, err
	}
	return &seat{API: daemon, leave: func() error { daemon.Close(); return nil }}, nil
}

// pathList are paths of files, in the order of their flags; a comma in one is a part of it.
type pathList []string

func (l *pathList) Set(path string) error {
	*l = append(*l, path)
	return nil
}

func (l *pathList) String() string { return strings.Join(*l, " ") }

// absolute are the paths as another process finds them.
func (l *pathList) absolute() (all []string, err error) {
	for _, path := range *l {
		at, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		all = append(all, at)
	}
	return all, nil
}

func checkWait(wait string) error {
	switch wait {
	case "", "all", "here", "none":
		return nil
	}
	if n, err := strconv.Atoi(wait); err != nil || n < 1 {
		return usageError(fmt.Sprintf("--wait %q is none of all, here, none and a number", wait), "")
	}
	return nil
}

// sayKind is what the flags say that the text is, and to which post.
func sayKind(c *cli.Context) (kind, target string, err error) {
	for _, flag := range []struct{ name, kind string }{
		{"reply", "reply"}, {"edit", "edit"}, {"delete", "delete"}, {"react", "reaction"}, {"topic", "topic"},
		{"me", "action"},
	} {
		if !c.IsSet(flag.name) {
			continue
		}
		if kind != "" {
			return "", "", usageError("a post is one thing: --"+flag.name+" and another exclude each other", "")
		}
		if kind = flag.kind; flag.name != "topic" && flag.name != "me" {
			target = c.String(flag.name)
		}
	}
	return kind, target, nil
}

// text is the post that the words make: themselves with spaces between, or for "-" standard input without its last
// line break.
func (a *app) text(ctx context.Context, kind string, words []string) (string, error) {
	text := strings.Join(words, " ")
	if text == "-" {
		read, err := readIn(ctx, func() (string, error) {
			data, err := io.ReadAll(io.LimitReader(a.in, control.MaxText+2)) // one more than fits, and the line break
			return string(data), err
		})
		if err != nil {
			return "", fmt.Errorf("read standard input: %w", err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(read, "\n"), "\r")
	}
	return text, control.CheckSay(control.Say{Text: text, Kind: kind})
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
	p.say.Wait = "here"
	if p.limit == 0 {
		p.limit = stayFor
	}
}

// once posts. That not all have it in time is no error here: Said tells.
func (p *posting) once(ctx context.Context) (control.Said, error) {
	if p.say.Wait != "" && p.say.Wait != "none" {
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

// verdict says who lacks the post, and ends with the code for it if the user asked to wait.
func (a *app) verdict(said control.Said, asked, waited string) error {
	if waited == "" || waited == "none" {
		return nil
	}
	wanted := said.Members // so many were to have it
	switch {
	case waited == "here":
		wanted = said.Have
		for _, m := range said.Missing {
			if control.Here(m.Status) {
				wanted++
			}
		}
	case waited != "all":
		wanted, _ = strconv.Atoi(waited) // checkWait has seen it
	}
	switch {
	case said.Members == 0:
		a.note("no other member is known; who comes gets it from whoever is here then")
	case said.Have < wanted:
		a.note("%s", a.printerOn(a.err, false).seen(said.Have, said.Members, said.Missing))
	}
	if asked == "" {
		return nil
	}
	return reached(said.Have, wanted)
}

// meet waits until another member of room is here and those beside it had time to answer too, at most meetFor.
func meet(ctx context.Context, api control.API, room string) {
	ctx, cancel := context.WithTimeout(ctx, meetFor)
	defer cancel()
	status, err := api.Status(ctx)
	if err != nil {
		return // Say will fail too and tell why
	}
	events := control.Watch(ctx, api, status.EventID)
	for !company(ctx, api, room) {
		if event, ok := <-events; !ok || event.Err != nil {
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
