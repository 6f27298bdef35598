package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"bcast/internal/control"
	"bcast/internal/show"
)

// screen is a terminal with a line being edited at the bottom and everything else scrolling above it.
type screen struct {
	editor *term.Terminal
	size   func() (width, height int)

	mu     sync.Mutex
	room   string
	typing string // who is, besides the person at the screen
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

// ask says in front of the line being edited in which room it goes.
func (s *screen) ask(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room, s.typing = room, ""
	s.editor.SetPrompt(s.prompt())
}

// tell says there who else is typing. The line being edited stays as it is.
func (s *screen) tell(typing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.typing == typing {
		return
	}
	s.typing = typing
	s.editor.SetPrompt(s.prompt())
	s.Write(nil) // draws it
}

// prompt wants mu held.
func (s *screen) prompt() string {
	if s.typing != "" {
		return s.room + " (" + s.typing + ")> "
	}
	return s.room + "> "
}

// read reads a line and takes it off the screen: it comes back as a post. Ctrl-C and Ctrl-D are io.EOF.
func (s *screen) read() (string, error) {
	line, err := s.editor.ReadLine()
	width, _ := s.size()
	if err == nil && width > 0 {
		s.mu.Lock()
		rows := cells(s.prompt()+line)/width + 1
		s.mu.Unlock()
		fmt.Fprintf(s.editor, "\x1b[%dA\r\x1b[J", rows)
	}
	return line, err
}

// onScreen is a conversation on a screen.
func (v *conversation) onScreen(ctx context.Context, room string, s *screen) error {
	v.p, v.screen = v.printerOn(s, false), true
	v.typists = newTypists(s.tell)
	defer v.typists.end()
	stay, err := v.enterRoom(ctx, room)
	if err != nil {
		return err
	}
	var now atomic.Pointer[visit]
	now.Store(stay)
	typed := keys{now: time.Now, say: func() { v.sayTyping(ctx, now.Load()) }}
	s.editor.AutoCompleteCallback = typed.pressed
	s.ask(stay.title)
	v.note("you are in %s; /help tells what else you can do, Ctrl-D leaves", stay.title)
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
			now.Store(stay)
			v.typists.clear()
			s.ask(stay.title)
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
	v.p.line("%s", v.p.paint(colorAlert, "! "+show.Failure(err)))
}

var errQuit = errors.New("quit")

// obey does what a line says. It returns the visit that goes on.
func (v *conversation) obey(ctx context.Context, stay *visit, line string) (*visit, error) {
	api := stay.sitting()
	asked, err := talk{api: api, room: stay.room, p: v.p}.obey(ctx, line)
	switch {
	case err != nil:
		return stay, err
	case asked.Enter != "":
		return v.move(ctx, stay, asked.Enter)
	case asked.Search != "":
		posts, err := api.Posts(ctx, stay.room, control.PostQuery{Search: asked.Search, Limit: recent})
		if err != nil {
			return stay, err
		}
		return stay, v.p.posts(posts)
	case asked.Clear:
		return stay, v.p.line("\x1b[2J\x1b[H")
	case asked.Part:
		stay.mine = true
		return stay, errQuit
	case asked.Quit:
		return stay, errQuit
	}
	return stay, nil
}

// move goes to another room; who cannot enter stays where they are.
func (v *conversation) move(ctx context.Context, stay *visit, room string) (*visit, error) {
	if room == stay.room {
		return stay, nil
	}
	v.seat = stay.sitting()
	v.options.Private = false // that was for the first one
	next, err := v.enterRoom(ctx, room)
	if err != nil {
		return stay, err
	}
	return next, v.leaveRoom(ctx, stay)
}
