// Package tui is the full-screen view of rooms on a terminal: a client of control.API like every face, intents by its
// calls, facts by its events.
//
// Its invariant: Model is changed by messages alone, on one goroutine, and what View shows is a function of it. Nothing
// from the network reaches the terminal but through package show.
package tui

import (
	"context"
	"errors"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
)

// Seat is a place among the participants.
type Seat interface {
	control.API
	io.Closer
}

// Place is where a line was typed: a seat, a room, and the post that was pointed at, if any.
type Place struct {
	API  control.API
	Room string
	Pick string
}

// Outcome is what a line asks of the view that it was typed in.
type Outcome struct {
	Enter  string // go to this room, which may be an invite
	Search string // show the posts that hold these words
	Part   bool   // leave the room for good
	Quit   bool
	Clear  bool // empty the screen
}

// Config is what a view needs of its surroundings.
type Config struct {
	Seat Seat
	// Again takes another seat when the one there was has ended, and tells what changed; nil: end with the first.
	Again func(context.Context) (Seat, string, error)
	// Rooms are entered at the start, none: all that are joined. Options say how one is kept that is new here.
	Rooms   []string
	Options control.JoinOptions
	Leave   bool // at the end leave the rooms that this view joined
	// Obey does what a line says and writes what there is to tell. Commands are the names that may follow a slash.
	Obey     func(ctx context.Context, at Place, line string, out io.Writer) (Outcome, error)
	Commands []string
	Paths    func(word string) []string // what a word that begins a path can become, as a line has it; nil: nothing
	Quiet    bool                       // no bell
	Notify   func(title, text string)   // tells a person who looks elsewhere; nil: nobody does
	Mouse    bool                       // the wheel scrolls; it costs the terminal's own selection
	Now      func() time.Time
	In       io.Reader
	Out      io.Writer
	Environ  []string
}

// frames is how often a second what changed is drawn at most: enough for an eye, and half of the library's costs half
// when nothing happens.
const frames = 30

// leaveLimit bounds how long leaving may take: the person has already gone.
const leaveLimit = time.Second

// Run shows rooms until the person leaves or ctx ends. It closes the seat that it ends on.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	model := New(ctx, cfg)
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(cfg.In), tea.WithOutput(cfg.Out),
		tea.WithEnvironment(cfg.Environ), tea.WithFPS(frames),
		tea.WithWindowSize(model.width, model.height)) // these until the terminal tells others
	line := &wire{seat: cfg.Seat, again: cfg.Again}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		line.run(ctx, program.Send)
	}()
	_, err := program.Run()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		err = nil // it was told to end, or the terminal was closed
	}
	cancel()
	<-ended
	return errors.Join(model.failed, err, model.leave(line.seat), line.seat.Close())
}

// leave gives up the rooms that this view joined, if it is to.
func (m *Model) leave(api control.API) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), leaveLimit)
	defer cancel()
	var errs []error
	for _, r := range m.rooms {
		if m.cfg.Leave && r.ours {
			errs = append(errs, api.Leave(ctx, r.name, false))
		}
	}
	return errors.Join(errs...)
}
