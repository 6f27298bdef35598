package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"bcast/internal/control"
)

// screen is a terminal with a line being edited at the bottom and everything else scrolling above it.
type screen struct {
	editor *term.Terminal
	size   func() (width, height int)
	prompt string
}

// onTerminal lets a person chat until they leave.
func (v *conversation) onTerminal(ctx context.Context, room string) error {
	in, out := v.in.(*os.File), v.out.(*os.File)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer term.Restore(int(in.Fd()), before)
	return v.onScreen(ctx, room, newScreen(in, out, func() (int, int) {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil || width <= 0 || height <= 0 { // a serial line tells nothing
			return 80, 24
		}
		return width, height
	}))
}

func newScreen(in io.Reader, out io.Writer, size func() (int, int)) *screen {
	s := &screen{size: size}
	s.editor = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "")
	return s
}

// Write writes above the line being edited, at the terminal's size of the moment.
func (s *screen) Write(text []byte) (int, error) {
	s.editor.SetSize(s.size())
	return s.editor.Write(text)
}

func (s *screen) ask(room string) {
	s.prompt = clean(room) + "> "
	s.editor.SetPrompt(s.prompt)
}

// read reads a line and takes it off the screen: it comes back as a post. Ctrl-C and Ctrl-D are io.EOF.
func (s *screen) read() (string, error) {
	line, err := s.editor.ReadLine()
	width, _ := s.size()
	if err == nil && width > 0 {
		rows := cells(s.prompt+line)/width + 1
		fmt.Fprintf(s.editor, "\x1b[%dA\r\x1b[J", rows)
	}
	return line, err
}

// onScreen is a conversation on a screen.
func (v *conversation) onScreen(ctx context.Context, room string, s *screen) error {
	v.p = v.printerOn(s, false)
	stay, err := v.enterRoom(ctx, room)
	if err != nil {
		return err
	}
	s.ask(stay.room)
	v.note("you are in %s; /help tells what else you can do, Ctrl-D leaves", clean(stay.room))
	answered := make(chan struct{}) // the next line is read when the last one has been acted upon
	lines := readScreen(ctx, s, answered)
	for {
		line, more := lines.next(stay.ctx)
		if !more {
			return v.leaveRoom(ctx, stay)
		}
		next, err := v.obey(ctx, stay, line)
		switch {
		case errors.Is(err, errQuit):
			return v.leaveRoom(ctx, stay)
		case err != nil:
			v.complain(err)
		}
		if next != stay {
			stay = next
			s.ask(stay.room)
		}
		answered <- struct{}{}
	}
}

// readScreen reads lines from s, each after the answer to the one before.
func readScreen(ctx context.Context, s *screen, answered <-chan struct{}) *lineQueue {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for {
			line, err := s.read()
			if err != nil {
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
			select {
			case <-answered:
			case <-ctx.Done():
				return
			}
		}
	}()
	return &lineQueue{lines: lines}
}

// complain shows an error where the person looks.
func (v *conversation) complain(err error) {
	e := control.AsError(err)
	text := e.Message
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	v.p.line("%s", v.p.paint(colorAlert, "! "+clean(text)))
}

var errQuit = errors.New("quit")

const chatHelp = `/members      who is in the room
/me TEXT      say what you do
/nick NICK    change your name
/join ROOM    go to another room
/quit         leave; so do Ctrl-C and Ctrl-D
//TEXT        a post that begins with /`

// obey does what a line says: a post, or a command that begins with a slash. It returns the visit that goes on.
func (v *conversation) obey(ctx context.Context, stay *visit, line string) (*visit, error) {
	line = strings.TrimSpace(line)
	api := stay.sitting()
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case line == "":
		return stay, nil
	case strings.HasPrefix(line, "//"):
		_, err := api.Say(ctx, control.Say{Room: stay.room, Text: line[1:]})
		return stay, err
	case !strings.HasPrefix(line, "/"):
		_, err := api.Say(ctx, control.Say{Room: stay.room, Text: line})
		return stay, err
	}
	switch word {
	case "/quit":
		return stay, errQuit
	case "/help":
		return stay, v.p.line("%s", chatHelp)
	case "/me":
		_, err := api.Say(ctx, control.Say{Room: stay.room, Text: rest, Kind: "action"})
		return stay, err
	case "/nick":
		return stay, api.Nick(ctx, rest)
	case "/members":
		members, err := api.Members(ctx, stay.room)
		if err != nil {
			return stay, err
		}
		return stay, v.p.members(members)
	case "/join":
		return v.move(ctx, stay, rest)
	default:
		return stay, usageError(fmt.Sprintf("there is no %s", word), "/help lists what there is")
	}
}

// move goes to another room; who cannot enter stays where they are.
func (v *conversation) move(ctx context.Context, stay *visit, room string) (*visit, error) {
	room, err := parseRoom(room)
	if err != nil || room == stay.room {
		return stay, err
	}
	v.seat = stay.sitting()
	next, err := v.enterRoom(ctx, room)
	if err != nil {
		return stay, err
	}
	return next, v.leaveRoom(ctx, stay)
}
