package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

const (
	// lobby is the room of those who name none.
	lobby = "lobby"
	// recent is how many posts a screen starts with.
	recent = 20
	// leaveLimit bounds how long leaving may take: the person has already gone.
	leaveLimit = time.Second
	// lookahead is how long a line from a pipe is held to see whether it is the last: the last one is waited for.
	lookahead = 10 * time.Millisecond
)

func (a *app) joinCommand() *cli.Command {
	return &cli.Command{
		Name:      "join",
		Usage:     "chat in a room",
		ArgsUsage: "[ROOM]",
		Description: example("On a terminal a line editor, on a pipe lines in and lines out. The room is lobby unless\n"+
			"given. Leaving the screen leaves the room if this command joined it. Works without a daemon;\n"+
			"a second terminal then shares the first one's node and takes over when that ends.",
			"bcast join lobby", "bcast join lobby --guest bob", "echo lunch? | bcast join lobby"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "detach", Usage: "make the daemon a member and return"},
			&cli.StringFlag{Name: "guest", Usage: "take part as `NICK` with a key in memory, beside your own"},
		},
		Action: a.join,
	}
}

func (a *app) join(c *cli.Context) (err error) {
	args, err := arguments(c, 0, 1)
	if err != nil {
		return err
	}
	room, err := parseRoom(append(args, lobby)[0])
	if err != nil {
		return err
	}
	if c.Bool("detach") {
		return a.joinDetached(c, room)
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGHUP) // the terminal was closed
	defer stop()
	first, again, err := a.joinSeat(ctx, c)
	if err != nil {
		return err
	}
	chat := &conversation{app: a, asJSON: c.Bool("json"), again: again, seat: first}
	defer func() {
		if closeErr := chat.seat.Close(); err == nil {
			err = closeErr
		}
	}()
	if isTerminal(a.in) && isTerminal(a.out) && !chat.asJSON {
		return chat.onTerminal(ctx, room)
	}
	return chat.onPipe(ctx, room)
}

func (a *app) joinDetached(c *cli.Context, room string) error {
	if c.IsSet("guest") {
		return usageError("--detach and --guest exclude each other", "a guest ends with its command")
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	joined, err := client.Join(c.Context, room)
	if err != nil {
		return err
	}
	p := a.printer(c)
	if p.json {
		return p.object(joined)
	}
	return p.line("joined %s", clean(joined.Room))
}

// joinSeat returns a seat and how to take another when its daemon ends.
func (a *app) joinSeat(ctx context.Context, c *cli.Context) (*seat, func(context.Context) (*seat, error), error) {
	if c.IsSet("guest") {
		nick, err := parseNick(c.String("guest"))
		if err != nil {
			return nil, nil, err
		}
		s, err := a.guest(ctx, nick)
		return s, nil, err
	}
	dir, err := a.home(c)
	if err != nil {
		return nil, nil, err
	}
	again := func(ctx context.Context) (*seat, error) { return a.sitAt(ctx, dir) }
	s, err := again(ctx)
	return s, again, err
}

// conversation is a person or a pipe in a room.
type conversation struct {
	*app
	asJSON bool
	again  func(context.Context) (*seat, error)
	seat   *seat
	p      *printer // writes to the line editor, or to standard output
}

// visit is the stay in one room: what comes is shown until it ends.
type visit struct {
	*follower
	mine   bool            // this command joined the room, so it leaves it
	ctx    context.Context // ends with the visit, for whatever reason
	cancel context.CancelFunc
	done   chan error
}

// enterRoom joins room and begins to show what happens there.
func (v *conversation) enterRoom(ctx context.Context, room string) (*visit, error) {
	joined, err := v.seat.Join(ctx, room)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stay := &visit{mine: joined.New, ctx: ctx, cancel: cancel, done: make(chan error, 1)}
	present := presence{room: joined.Room, status: map[string]string{}}
	stay.follower = &follower{
		room: joined.Room, query: control.PostQuery{Limit: recent}, again: v.again, seat: v.seat,
		enter: func(ctx context.Context, api control.API) error {
			again, err := api.Join(ctx, joined.Room)
			stay.mine = stay.mine || again.New
			return err
		},
		show: func(event control.Event) error {
			if event.Peer != nil && !v.asJSON && !present.changes(*event.Peer) {
				return nil
			}
			return v.p.event(event)
		},
		taken: func() { v.note("the other bcast ended; this one carries on") },
	}
	go func() {
		defer cancel()
		stay.done <- stay.run(ctx)
	}()
	return stay, nil
}

// leaveRoom ends a visit. The conversation keeps the seat that the visit ended on.
func (v *conversation) leaveRoom(ctx context.Context, stay *visit) error {
	stay.cancel()
	err := <-stay.done
	v.seat = stay.sitting()
	if stay.mine {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		err = errors.Join(err, v.seat.Leave(ctx, stay.room))
	}
	return err
}

// note tells something that nobody said.
func (v *conversation) note(format string, args ...any) {
	if v.asJSON {
		fmt.Fprintf(v.err, "bcast: "+format+"\n", args...)
		return
	}
	v.p.line("%s", v.p.dim("- "+fmt.Sprintf(format, args...)))
}

// presence tells the peer events of a room that change what a person believes.
type presence struct {
	room   string
	status map[string]string // by device id
}

// changes reports whether peer's status is news. That a peer is late is not: most come in time again.
func (p presence) changes(peer control.Peer) bool {
	if peer.Status == "suspect" || !slices.Contains(peer.Rooms, p.room) {
		return false
	}
	was, known := p.status[peer.ID]
	p.status[peer.ID] = peer.Status
	return was != peer.Status && (known || peer.Status != "here")
}

// onPipe posts each line of standard input and, at its end, stays until those present have the last, at most stayFor.
func (v *conversation) onPipe(ctx context.Context, room string) error {
	v.p = v.printerOn(v.out, v.asJSON)
	stay, err := v.enterRoom(ctx, room)
	if err != nil {
		return err
	}
	if v.seat.own {
		meet(ctx, v.seat, stay.room)
	}
	err = v.sayLines(ctx, stay, readLines(ctx, v.in))
	return errors.Join(err, v.leaveRoom(ctx, stay))
}

func (v *conversation) sayLines(ctx context.Context, stay *visit, lines *lineQueue) error {
	last := time.Time{}
	for {
		line, more := lines.next(stay.ctx)
		if !more {
			pause(stay.ctx, time.Until(last.Add(stayFor)))
			return nil
		}
		final := lines.atEnd()
		post := posting{api: stay.sitting(), say: control.Say{Room: stay.room, Text: line}, limit: stayFor}
		if final {
			post.say.Wait = "all"
		}
		said, err := post.once(ctx)
		if err != nil {
			return err
		}
		if last = time.Now(); final {
			ctx, cancel := context.WithTimeout(stay.ctx, leaveLimit)
			defer cancel()
			stay.await(ctx, said.ID)
			return v.verdict(said, false, true)
		}
	}
}

// lineQueue is lines as they come, with one looked at ahead.
type lineQueue struct {
	lines  <-chan string
	ahead  string
	looked bool
}

// next returns the next line; false at the end of input or of ctx.
func (q *lineQueue) next(ctx context.Context) (string, bool) {
	if q.looked {
		q.looked = false
		return q.ahead, true
	}
	select {
	case line, more := <-q.lines:
		return line, more
	case <-ctx.Done():
		return "", false
	}
}

// atEnd reports whether input is known to have ended, after it waited for lookahead to know.
func (q *lineQueue) atEnd() bool {
	timer := time.NewTimer(lookahead)
	defer timer.Stop()
	select {
	case q.ahead, q.looked = <-q.lines:
		return !q.looked
	case <-timer.C:
		return false
	}
}

// readLines reads lines of any length, but not blank ones, until the end of input. Its goroutine ends with ctx once a
// read returns.
func readLines(ctx context.Context, in io.Reader) *lineQueue {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for reader := bufio.NewReader(in); ; {
			line, err := reader.ReadString('\n')
			if strings.TrimSpace(line) != "" {
				select {
				case lines <- strings.TrimRight(line, "\r\n"):
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return &lineQueue{lines: lines}
}
