package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/hook"
	"bcast/internal/show"
	"bcast/internal/tui"
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
		ArgsUsage: "[ROOM|INVITE|-]",
		Description: example("On a terminal the whole screen, or with --line a line editor; on a pipe lines in and lines\n"+
			"out. The room is lobby unless given. Leaving the screen leaves the room if this command joined it.\n"+
			"Works without a daemon; a second terminal then shares the first one's node and takes over when that ends.",
			"bcast join lobby", "bcast join lobby --guest bob", "echo lunch? | bcast join lobby",
			"bcast join lobby --exec 'test \"$BCAST_TEXT\" = !uptime && uptime'"),
		Flags: slices.Concat(screenFlags(), execFlags(), []cli.Flag{
			guestFlag(),
			&cli.BoolFlag{Name: "line", Usage: "a line editor, though the terminal has a whole screen"},
			&cli.BoolFlag{Name: "detach", Usage: "make the daemon a member and return"},
			&cli.BoolFlag{Name: "private", Usage: "make the room a private one: `bcast invite` lets others in"},
			&cli.BoolFlag{Name: "ephemeral", Usage: "keep the room in memory only, if it is new here"},
			&cli.StringFlag{Name: "keep", Usage: "how much to keep of a room that is new here: `AGE, NUMBER or SIZE`, several " +
				"with commas: 90d,100000,1GB; all"},
			&cli.StringFlag{Name: "durability", Usage: "`HOW` safe posts are when no daemon runs: normal or full"},
		}),
		Action: a.join,
	}
}

func (a *app) join(c *cli.Context) error {
	args, err := arguments(c, 0, 1)
	if err != nil {
		return err
	}
	room, err := a.roomOrInvite(c.Context, append(args, lobby)[0])
	if err != nil {
		return err
	}
	options, err := joinOptions(c)
	if err != nil {
		return err
	}
	if how := c.String("durability"); c.IsSet("durability") {
		if err := checkDurability(how); err != nil {
			return usageError("--durability "+err.Error(), "")
		}
	}
	program, err := a.program(c)
	if err != nil {
		return err
	}
	if c.Bool("detach") {
		return a.joinDetached(c, room, options)
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGHUP) // the terminal was closed
	defer stop()
	if program == nil && a.hasScreen() && !c.Bool("line") && !c.Bool("json") {
		return a.onWholeScreen(ctx, c, tui.Config{Rooms: []string{room}, Options: options, Leave: true})
	}
	return a.inLines(ctx, c, room, options, program)
}

// inLines is a conversation in one room, line by line: of a person on any terminal, or of a pipe.
func (a *app) inLines(
	ctx context.Context, c *cli.Context, room string, options control.JoinOptions, program *hook.Program,
) (err error) {
	first, again, err := a.joinSeat(ctx, c)
	if err != nil {
		return err
	}
	chat := &conversation{app: a, options: options, again: again, seat: first, program: program}
	defer func() { err = cmp.Or(err, chat.seat.Close()) }()
	if program != nil {
		return chat.onExec(ctx, room)
	}
	if isTerminal(a.in) && isTerminal(a.out) && !a.asJSON {
		return chat.onTerminal(ctx, room)
	}
	return chat.onPipe(ctx, room)
}

func (a *app) joinDetached(c *cli.Context, room string, options control.JoinOptions) error {
	if c.IsSet("guest") {
		return usageError("--detach and --guest exclude each other", "a guest ends with its command")
	}
	client, err := a.daemon(c)
	if err != nil {
		return err
	}
	defer client.Close()
	joined, err := client.Join(c.Context, room, options)
	if err != nil {
		return err
	}
	if !joined.New && options != (control.JoinOptions{}) {
		a.note("%s was joined before and is kept as it was", show.Clean(joined.Room))
	}
	p := a.printer(c)
	if p.json {
		return p.object(joined)
	}
	return p.line("joined %s", show.Room(joined.Room, joined.Direct))
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
	cfg := bcast.Config{Home: dir, Durability: c.String("durability")}
	again := func(ctx context.Context) (*seat, error) { return a.sitAt(ctx, cfg) }
	s, err := again(ctx)
	if err == nil && !s.own && cfg.Durability != "" {
		a.note("--durability is the running node's to choose, and that keeps its own")
	}
	return s, again, err
}

// conversation is a person or a pipe in a room.
type conversation struct {
	*app
	options control.JoinOptions // for rooms that are new here
	again   func(context.Context) (*seat, error)
	seat    *seat
	screen  bool          // a person reads along
	typists *typists      // nil without a screen
	p       *printer      // writes to the line editor, or to standard output
	program *hook.Program // answers posts; nil: nothing does
}

// visit is the stay in one room: what comes is shown until it ends.
type visit struct {
	*follower
	title  string          // the room as people are shown it
	mine   bool            // this command joined the room, so it leaves it
	ctx    context.Context // ends with the visit, for whatever reason
	cancel context.CancelFunc
	done   chan error
}

// enterRoom joins room and begins to show what happens there.
func (v *conversation) enterRoom(ctx context.Context, room string) (*visit, error) {
	joined, err := v.seat.Join(ctx, room, v.options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	direct := joined.Direct != "" // one that stays open: what was said in it may have to wait for the other one
	stay := &visit{
		title: show.Room(joined.Room, joined.Direct), mine: joined.New && !direct, ctx: ctx, cancel: cancel,
		done: make(chan error, 1),
	}
	present := presence{room: joined.Room, status: map[string]string{}, members: map[string]bool{}}
	if members, err := v.seat.Members(ctx, joined.Room); err == nil { // else they are met as they come
		for _, m := range members {
			present.members[m.ID] = true
		}
	}
	sightings, bot := v.sightings(ctx, stay), v.bot(stay)
	stay.follower = &follower{
		room: joined.Room, query: control.PostQuery{Limit: recent}, again: v.again, seat: v.seat,
		enter: func(ctx context.Context, api control.API) error {
			again, err := api.Join(ctx, joined.Room, v.options)
			stay.mine = stay.mine || again.New && !direct
			return err
		},
		show: func(event control.Event) error {
			if event.Member != nil {
				present.members[event.Member.ID] = event.Member.Change != "leave"
			}
			if event.Peer != nil && !v.asJSON && !present.changes(*event.Peer) {
				return nil
			}
			err := v.p.event(event)
			sightings.note(event)
			bot.Hear(event)
			if v.typists != nil {
				v.typists.note(event, v.p.plainNick)
			}
			return err
		},
		aside: v.aside,
		taken: func() { v.note("%s", tookOver) },
	}
	go func() {
		err := stay.run(ctx)
		cancel()
		sightings.stop()
		bot.Close()
		stay.done <- err
	}()
	if !joined.New && v.options != (control.JoinOptions{}) {
		v.note("%s was joined before and is kept as it was", stay.title)
	}
	return stay, nil
}

// aside shows a person what is said in a direct room while another room is on the screen.
func (v *conversation) aside(event control.Event) error {
	if !v.screen {
		return nil
	}
	return v.p.aside(*event.Post)
}

// leaveRoom ends a visit. The conversation keeps the seat that the visit ended on.
func (v *conversation) leaveRoom(ctx context.Context, stay *visit) error {
	stay.cancel()
	err := <-stay.done
	v.seat = stay.sitting()
	if stay.mine {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		err = errors.Join(err, v.seat.Leave(ctx, stay.room, false))
	}
	return err
}

// note tells something that nobody said.
func (v *conversation) note(format string, args ...any) {
	if v.asJSON {
		v.app.note(format, args...)
		return
	}
	v.p.note(format, args...)
}

// presence tells the peer events of a room that change what a person believes.
type presence struct {
	room    string
	status  map[string]string // by device id
	members map[string]bool   // by device id; presence does not tell of private rooms
}

// changes reports whether peer's status is news. That a peer is late is not: most come in time again.
func (p presence) changes(peer control.Peer) bool {
	if peer.Status == "suspect" || !p.members[peer.ID] && !slices.Contains(peer.Rooms, p.room) {
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
			post.say.Wait = "here"
		}
		said, err := post.once(ctx)
		if err != nil {
			return err
		}
		if last = time.Now(); final {
			ctx, cancel := context.WithTimeout(stay.ctx, leaveLimit)
			defer cancel()
			stay.await(ctx, said.ID)
			return v.verdict(said, "", "here")
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
