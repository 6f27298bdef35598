package main

import (
	"context"
	"html"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"bcast/internal/control"
	"bcast/internal/tui"
)

func (a *app) chatCommand() *cli.Command {
	return &cli.Command{
		Name:      "chat",
		Usage:     "chat in several rooms, on the whole screen",
		ArgsUsage: "[ROOM|INVITE…]",
		Description: example("Without a room all that this device has joined. They stay joined; /part leaves one. Alt-1\n"+
			"to Alt-9, Ctrl-N and Ctrl-P change the room, PgUp scrolls back through what is kept, Ctrl-F searches,\n"+
			"Tab finishes names, Alt-Up points at a post to answer. /help tells the rest. Works without a daemon.\n"+
			"A terminal without a whole screen shows the first room, line by line.",
			"bcast chat", "bcast chat lobby ops", "bcast chat @bob"),
		Flags:  append(screenFlags(), guestFlag()),
		Action: a.chat,
	}
}

// screenFlags are those of a view on the whole screen.
func screenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "no-bell", Usage: "ring no bell when you are named and look elsewhere"},
		&cli.BoolFlag{Name: "no-notify", Usage: "send no note to the desktop then"},
		&cli.BoolFlag{Name: "mouse", Usage: "scroll by the wheel; text is then marked with Shift held"},
	}
}

func guestFlag() cli.Flag {
	return &cli.StringFlag{Name: "guest", Usage: "take part as `NICK` with a key in memory, beside your own"}
}

func (a *app) chat(c *cli.Context) error {
	rooms, err := arguments(c, 0, -1)
	if err != nil {
		return err
	}
	for i, word := range rooms {
		if rooms[i], err = a.roomOrInvite(c.Context, word); err != nil {
			return err
		}
	}
	if !isTerminal(a.in) || !isTerminal(a.out) || c.Bool("json") {
		return usageError("chat needs a terminal", "bcast join ROOM works on a pipe, too")
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGHUP) // the terminal was closed
	defer stop()
	if !a.hasScreen() {
		return a.inLines(ctx, c, append(rooms, lobby)[0], control.JoinOptions{}, nil)
	}
	return a.onWholeScreen(ctx, c, tui.Config{Rooms: rooms})
}

// hasScreen tells whether input and output are a terminal that can be written to anywhere. A serial line may tell no
// size: it gets lines.
func (a *app) hasScreen() bool {
	kind := a.getenv("TERM")
	if !isTerminal(a.in) || !isTerminal(a.out) || kind == "dumb" || kind == "" && runtime.GOOS != "windows" {
		return false
	}
	width, height, err := term.GetSize(int(a.out.(*os.File).Fd()))
	return err == nil && width > 0 && height > 0
}

// onWholeScreen shows rooms until the person leaves. What is written to standard error meanwhile follows then.
func (a *app) onWholeScreen(ctx context.Context, c *cli.Context, cfg tui.Config) error {
	var held heldBack
	quiet := *a
	quiet.err = &held
	defer func() { io.WriteString(a.err, held.text.String()) }()
	first, again, err := quiet.joinSeat(ctx, c)
	if err != nil {
		return err
	}
	cfg.Seat, cfg.Again = first, seatAgain(again)
	for _, command := range commands() {
		cfg.Commands = append(cfg.Commands, command.names...)
	}
	slices.Sort(cfg.Commands)
	cfg.Paths = finishedPaths
	cfg.Obey = func(ctx context.Context, at tui.Place, line string, out io.Writer) (tui.Outcome, error) {
		return talk{api: at.API, room: at.Room, pick: at.Pick, p: a.printerOn(out, false)}.obey(ctx, line)
	}
	if !c.Bool("no-notify") {
		cfg.Notify = a.desktop(ctx)
	}
	cfg.Quiet, cfg.Mouse, cfg.Now = c.Bool("no-bell"), c.Bool("mouse"), time.Now
	cfg.In, cfg.Out, cfg.Environ = a.in, a.out, os.Environ()
	return tui.Run(ctx, cfg)
}

// heldLimit bounds what is held back.
const heldLimit = 64 << 10

// heldBack is written to while nothing may be written to the terminal.
type heldBack struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heldBack) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text.Len() < heldLimit {
		h.text.Write(text)
	}
	return len(text), nil
}

// seatAgain is how a view takes another seat; nil if there is none to be had.
func seatAgain(again func(context.Context) (*seat, error)) func(context.Context) (tui.Seat, string, error) {
	if again == nil {
		return nil
	}
	return func(ctx context.Context) (tui.Seat, string, error) {
		next, err := again(ctx)
		switch {
		case err != nil:
			return nil, "", err
		case next.own:
			return next, tookOver, nil
		}
		return next, "connected again", nil
	}
}

// tookOver tells that this process is the node now.
const tookOver = "the other bcast ended; this one carries on"

// notifyLimit is how long a desktop may take to show a note.
const notifyLimit = 5 * time.Second

// desktop tells a person who looks elsewhere, where there is a desktop; else it is nil.
func (a *app) desktop(ctx context.Context) func(title, text string) {
	if a.getenv("DISPLAY") == "" && a.getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	program, err := exec.LookPath("notify-send")
	if err != nil {
		return nil
	}
	return func(title, text string) {
		ctx, cancel := context.WithTimeout(ctx, notifyLimit)
		defer cancel()
		exec.CommandContext(ctx, program, "--app-name=bcast", "--", title, html.EscapeString(text)).Run() // no matter
	}
}
