package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
)

const (
	// batchLimit is how many events are shown at once at most, and gatherFor how long they are gathered: a flood is taken
	// sixty times a second at most, not once a post.
	batchLimit = 1000
	gatherFor  = 16 * time.Millisecond
	// againEach is how often another seat is looked for.
	againEach = time.Second
)

// wire carries facts from the seat of the moment to the model. When that ends it takes another.
type wire struct {
	seat  Seat
	again func(context.Context) (Seat, string, error)
}

type (
	// seated tells that there is a seat and what is so there.
	seated struct {
		api    control.API
		status control.Status
		told   string // what changed; empty at the first
	}
	// happened is what happened, in order.
	happened []control.Event
	// unseated tells that the seat has ended, or that no other could be had.
	unseated struct {
		err   error
		final bool // none is looked for
	}
)

// run sends until ctx ends.
func (w *wire) run(ctx context.Context, send func(tea.Msg)) {
	for told := ""; ; {
		err := w.stretch(ctx, told, send)
		if ctx.Err() != nil {
			return
		}
		send(unseated{err, w.again == nil})
		if w.again == nil {
			<-ctx.Done()
			return
		}
		for {
			next, what, err := w.again(ctx)
			if err == nil {
				w.seat.Close()
				w.seat, told = next, what
				break
			}
			if ctx.Err() == nil {
				send(unseated{err, false})
			}
			select {
			case <-time.After(againEach):
			case <-ctx.Done():
				return
			}
		}
	}
}

// stretch sends what happens at one seat until it ends.
func (w *wire) stretch(ctx context.Context, told string, send func(tea.Msg)) error {
	status, err := w.seat.Status(ctx) // before any posts: what comes in between is seen twice, not never
	if err != nil {
		return err
	}
	send(seated{w.seat, status, told})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, failed := make(chan control.Event), make(chan error, 1)
	go func() {
		defer close(events)
		for event, err := range w.seat.Events(ctx, status.EventID) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case events <- event:
			case <-ctx.Done():
				return
			}
		}
		failed <- ctx.Err()
	}()
	for event := range events {
		send(gather(event, events))
	}
	return <-failed
}

// gather is an event and those that follow at once.
func gather(first control.Event, events <-chan control.Event) happened {
	batch := happened{first}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	for len(batch) < batchLimit {
		select {
		case event, more := <-events:
			if !more {
				return batch
			}
			batch = append(batch, event)
		case <-timer.C:
			return batch
		}
	}
	return batch
}
