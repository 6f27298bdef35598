package bcast

import (
	"context"
	"iter"
	"slices"
	"sort"
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
	kept    []logged      // in order, without gaps
	next    uint64        // number of the event that comes next
	changed chan struct{} // closed and replaced when an event comes for which somebody waits
	awaited bool
	closed  bool
}

// logged is one event, or those of posts that were said together: count of them, the first of which has that number
// and tells of the post with that index. Those are made when they are read, by each who reads them: most are read by
// nobody, and who has the node's turn has better things to do.
type logged struct {
	number       uint64
	index, count int
	event        *control.Event // without its id
	posts        opening
}

// end is the number of the event behind it.
func (e *logged) end() uint64 { return e.number + uint64(e.count) }

// opening reads posts that were said together, at any time and on any goroutine, and gives back what completes the
// event of the one with that index.
type opening func() func(e *control.Event, index int)

// maker makes events for one reader. What was said together it reads once, if it comes in a row.
type maker struct {
	of   *control.Event
	post func(e *control.Event, index int)
}

// event is the one with that number, of those in e.
func (m *maker) event(e *logged, number uint64, id string) control.Event {
	event := *e.event
	event.ID = id
	if e.posts == nil {
		return event
	}
	if m.of != e.event {
		m.of, m.post = e.event, e.posts()
	}
	m.post(&event, e.index+int(number-e.number))
	return event
}

func newEventLog(run string) *eventLog {
	return &eventLog{run: run, next: 1, changed: make(chan struct{})}
}

// add appends an event; its id follows from its place.
func (l *eventLog) add(e control.Event) { l.append(logged{event: &e, count: 1}) }

// addPosts appends an event for each of count posts from that index on, all of which begin as e.
func (l *eventLog) addPosts(e control.Event, index, count int, posts opening) {
	l.append(logged{event: &e, index: index, count: count, posts: posts})
}

func (l *eventLog) append(e logged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.number = l.next
	l.kept, l.next = append(l.kept, e), e.end()
	for l.kept[0].end()+maxEvents <= l.next {
		l.kept[0] = logged{} // what is behind the front is not let go of before the next growth
		l.kept = l.kept[1:]
	}
	if l.awaited {
		close(l.changed)
		l.changed, l.awaited = make(chan struct{}), false
	}
}

// newest is the id of the last event, or one that stands before the first.
func (l *eventLog) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id(l.next - 1)
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
	if after == "" {
		return l.next, false
	}
	run, number, _ := strings.Cut(after, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	if run != l.run || err != nil || n >= l.next {
		return l.next, true
	}
	return n + 1, false
}

// maxRead is how much that was said together is read at once.
const maxRead = 64

// read returns what holds the events from number next on, or, if those are gone, from the first that is there, and its
// number; or a channel that closes when there are some.
func (l *eventLog) read(next uint64) (events []logged, first uint64, wait <-chan struct{}, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first = next; len(l.kept) > 0 {
		first = max(first, l.kept[0].number)
	}
	if first >= l.next {
		l.awaited = true
		return nil, first, l.changed, l.closed
	}
	at := sort.Search(len(l.kept), func(i int) bool { return l.kept[i].end() > first })
	return slices.Clone(l.kept[at:min(at+maxRead, len(l.kept))]), first, nil, false
}

// after yields what happens after the event with that id.
func (l *eventLog) after(ctx context.Context, id string) iter.Seq2[control.Event, error] {
	next, lost := l.cursor(id) // now, not at the first event: what happens meanwhile is not to be missed
	return func(yield func(control.Event, error) bool) {
		var made maker
		for {
			events, first, wait, ended := l.read(next)
			if lost || first != next {
				lost, next = false, first
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
			for i := range events {
				for e := &events[i]; next < e.end(); next++ {
					if !yield(made.event(e, next, l.id(next)), nil) {
						return
					}
				}
			}
		}
	}
}

// id names the event with that number; resuming after it yields the one that follows.
func (l *eventLog) id(number uint64) string { return l.run + "." + strconv.FormatUint(number, 10) }
