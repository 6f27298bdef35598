package control

import (
	"context"
	"iter"
)

// Happening is an event, or the error that ended them.
type Happening struct {
	Event
	Err error
}

// Source is where events come from: an API is one.
type Source interface {
	Events(ctx context.Context, after string) iter.Seq2[Event, error]
}

// Watch delivers events on a channel, for who waits for something else, too, until ctx ends or the participant does;
// then the channel closes. The source is asked on a goroutine of its own because it blocks while nothing happens.
func Watch(ctx context.Context, api Source, after string) <-chan Happening {
	happenings := make(chan Happening)
	events := api.Events(ctx, after) // now: what happens before somebody reads is not to be missed
	go func() {
		defer close(happenings)
		for event, err := range events {
			select {
			case happenings <- Happening{event, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return happenings
}
