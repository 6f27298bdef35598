package zeroconf

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bcast/internal/roster"
)

const (
	// watchLook is how often a Watcher looks: what it tells has to have been so for seconds.
	watchLook = time.Second
	// keepEach is how often what it remembers is kept, if anything changed.
	keepEach = time.Minute
)

// Watching says what a Watcher does with what it sees.
type Watching struct {
	SurveyConfig
	Peers  func(context.Context) ([]roster.Sighting, error) // that bcast's presence knows
	Before []roster.Device                                  // remembered from an earlier run
	Tell   func(roster.Change)
	Keep   func([]roster.Device) error
	Log    *slog.Logger
}

// Watcher surveys until Close, and remembers what it saw.
type Watcher struct {
	cfg    Watching
	cancel context.CancelFunc
	work   sync.WaitGroup
	anew   chan struct{}
	survey *Survey // nil: there was nothing to listen to; it is tried again
	kept   time.Time
	dirty  bool

	mu     sync.Mutex // guards the memory
	memory roster.Memory
}

// Watch begins to watch. What cannot be listened to is logged; that there is nothing at all is an error.
func Watch(ctx context.Context, cfg Watching) (*Watcher, error) {
	w := &Watcher{cfg: cfg, anew: make(chan struct{}, 1), kept: time.Now()}
	w.memory.Recall(time.Now(), cfg.Before)
	ctx, w.cancel = context.WithCancel(ctx)
	if err := w.begin(ctx); err != nil {
		w.cancel()
		return nil, err
	}
	w.work.Go(func() { w.run(ctx) })
	return w, nil
}

// begin surveys the segments that there are now.
func (w *Watcher) begin(ctx context.Context) (err error) {
	if w.survey, err = StartSurvey(ctx, w.cfg.SurveyConfig); err != nil {
		w.survey = nil
		return err
	}
	for _, problem := range w.survey.Problems() {
		w.cfg.Log.Warn("a part of the subnet is not watched", "err", problem)
	}
	return nil
}

// Renew has it listen to the segments that there are by now.
func (w *Watcher) Renew() {
	select {
	case w.anew <- struct{}{}:
	default:
	}
}

// Devices lists all that it remembers, those that are gone at the end.
func (w *Watcher) Devices() []roster.Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.memory.Devices()
}

// Close ends it and keeps what it remembers.
func (w *Watcher) Close() {
	w.cancel()
	w.work.Wait()
}

func (w *Watcher) run(ctx context.Context) {
	ticker := time.NewTicker(watchLook)
	defer ticker.Stop()
	defer w.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.anew:
			w.end()
			w.survey = nil
		case <-ticker.C:
		}
		if w.survey == nil && w.begin(ctx) != nil {
			continue // interfaces are between two states; the next look tries again
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Log.Warn("the subnet could not be looked at", "err", err)
		}
	}
}

// end ends the survey and keeps what is remembered.
func (w *Watcher) end() {
	if w.survey != nil {
		w.survey.Close()
	}
	w.keep()
}

// look takes what is known now and tells what became of whom.
func (w *Watcher) look(ctx context.Context) error {
	peers, err := w.cfg.Peers(ctx)
	if err != nil {
		return err
	}
	devices, _, err := w.survey.Look(peers)
	if err != nil {
		return err
	}
	w.mu.Lock()
	changes := w.memory.Note(time.Now().UTC(), devices)
	w.mu.Unlock()
	for _, c := range changes {
		w.cfg.Tell(c)
	}
	w.dirty = w.dirty || len(changes) > 0
	if w.dirty && time.Since(w.kept) >= keepEach {
		w.keep()
	}
	return nil
}

func (w *Watcher) keep() {
	w.kept, w.dirty = time.Now(), false
	if err := w.cfg.Keep(w.Devices()); err != nil {
		w.cfg.Log.Warn("the devices of the subnet are not remembered", "err", fmt.Errorf("keep them: %w", err))
	}
}
