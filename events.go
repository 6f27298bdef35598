package bcast

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
)

// maxEvents is how many events are kept for subscribers that come back; one that is further behind is told of a gap
// and resumes from the posts.
const maxEvents = 4096

// eventLog is what happened lately. Subscribers read it at their own pace; a slow one costs nobody anything.
type eventLog struct {
	run string // ids of another run are not ours

	mu      sync.Mutex
	events  []control.Event
	first   uint64        // number of events[0]
	changed chan struct{} // closed and replaced when an event comes
	closed  bool
}

func newEventLog(run string) *eventLog {
	return &eventLog{run: run, first: 1, changed: make(chan struct{})}
}

// add appends an event and gives it its id.
func (l *eventLog) add(e control.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = l.id(l.first + uint64(len(l.events)))
	l.events = append(l.events, e)
	if len(l.events) > maxEvents {
		l.events = l.events[1:]
		l.first++
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// newest is the id of the last event, or one that stands before the first.
func (l *eventLog) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id(l.first + uint64(len(l.events)) - 1)
}

// close ends every subscription once it has read all.
func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.changed)
	}
}

// cursor is the number of the event that follows the one with id after; lost tells that some in between are gone.
func (l *eventLog) cursor(after string) (next uint64, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.first + uint64(len(l.events))
	if after == "" {
		return end, false
	}
	run, number, _ := strings.Cut(after, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	if run != l.run || err != nil || n >= end {
		return end, true
	}
	return n + 1, false
}

// read returns the events from number next on, or a channel that closes when there are some. lost tells that the first
// of them are gone.
func (l *eventLog) read(next uint64) (events []control.Event, wait <-chan struct{}, lost, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next < l.first {
		return l.events, nil, true, false
	}
	events = l.events[next-l.first:]
	if len(events) == 0 {
		return nil, l.changed, false, l.closed
	}
	return events, nil, false, false
}

// after yields what happens after the event with that id.
func (l *eventLog) after(ctx context.Context, id string) iter.Seq2[control.Event, error] {
	next, lost := l.cursor(id) // now, not at the first event: what happens meanwhile is not to be missed
	return func(yield func(control.Event, error) bool) {
		gap := lost
		for {
			events, wait, lost, ended := l.read(next)
			if lost {
				gap, next = true, l.number(events[0])
			}
			if gap {
				gap = false
				if !yield(control.Event{Type: control.EventGap, ID: l.id(next - 1), Time: time.Now().UTC()}, nil) {
					return
				}
			}
			if ended {
				return
			}
			if wait != nil {
				select {
				case <-wait:
					continue
				case <-ctx.Done():
					return
				}
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
			next += uint64(len(events))
		}
	}
}

// id names the event with that number; resuming after it yields the one that follows.
func (l *eventLog) id(number uint64) string { return fmt.Sprintf("%s.%d", l.run, number) }

func (l *eventLog) number(e control.Event) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(e.ID, l.run+"."), 10, 64)
	if err != nil {
		panic("an event of this log has no number: " + e.ID)
	}
	return n
}
