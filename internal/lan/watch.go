package lan

import (
	"context"
	"time"
)

// pollEvery is how soon a change is noticed where the operating system announces none.
const pollEvery = time.Second

// poll asks for a look at the interfaces every second until ctx ends.
func poll(ctx context.Context, events chan<- struct{}) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			announce(events)
		}
	}
}

// announce leaves an event; one that is still waiting stands for this one too.
func announce(events chan<- struct{}) {
	select {
	case events <- struct{}{}:
	default:
	}
}
