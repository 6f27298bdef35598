package main

import (
	"context"
	"sync"

	"bcast/internal/control"
)

// seenLimit is how many posts a follower knows again: as many as can be in doubt after a gap or a change of daemon.
const seenLimit = 4096

// follower shows what happens in a room, each post once, across gaps in the event stream and across the end of the
// daemon that it listens to: then it takes over.
type follower struct {
	room  string
	query control.PostQuery                        // what to show of the past when it starts
	again func(context.Context) (*seat, error)     // another seat when the daemon has gone; nil: end with it
	enter func(context.Context, control.API) error // joins the room; called on each seat
	show  func(control.Event) error
	aside func(control.Event) error // a post of another room, a direct one; nil: that is not shown
	taken func()                    // tells that it took over

	mu   sync.Mutex
	seat *seat
	seen seenPosts
	grew chan struct{} // closed when a post has been shown; nil while nobody awaits one
}

// sitting is the seat of the moment.
func (f *follower) sitting() *seat {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seat
}

// run shows until ctx ends.
func (f *follower) run(ctx context.Context) error {
	for {
		err := f.stretch(ctx)
		gone := err != nil && control.AsError(err).Code == control.CodeNoDaemon
		switch {
		case ctx.Err() != nil:
			return nil
		case !gone || f.again == nil || f.sitting().own:
			return err
		}
		next, err := f.again(ctx)
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.seat.Close()
		f.seat = next
		f.mu.Unlock()
		f.query = control.PostQuery{}
		if next.own && f.taken != nil {
			f.taken()
		}
	}
}

// stretch shows what happens at one participant.
func (f *follower) stretch(ctx context.Context) error {
	api := f.sitting()
	if err := f.enter(ctx, api); err != nil {
		return err
	}
	status, err := api.Status(ctx) // before the posts: what comes in between is seen twice, not never
	if err != nil {
		return err
	}
	if err := f.past(ctx, api, f.query); err != nil {
		return err
	}
	for event, err := range api.Events(ctx, status.EventID) {
		if err == nil {
			err = f.handle(ctx, api, event, status.ID)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (f *follower) handle(ctx context.Context, api control.API, event control.Event, self string) error {
	switch {
	case event.Type == control.EventGap:
		return f.past(ctx, api, control.PostQuery{})
	case event.Type == control.EventPost || event.Type == control.EventTopic:
		return f.post(event)
	case roomOf(event) != "" && roomOf(event) != f.room:
		return nil
	case event.Member != nil && event.Member.ID == self:
		if event.Member.Change == "leave" { // another terminal of this device left; this one is still here
			return f.enter(ctx, api)
		}
		return nil
	default:
		return f.show(event)
	}
}

// roomOf is the room that an event happened in; empty for what concerns no room.
func roomOf(event control.Event) string {
	switch {
	case event.Post != nil:
		return event.Post.Room
	case event.Member != nil:
		return event.Member.Room
	case event.Receipt != nil:
		return event.Receipt.Room
	case event.Signal != nil:
		return event.Signal.Room
	case event.Sync != nil:
		return event.Sync.Room
	case event.Fork != nil:
		return event.Fork.Room
	case event.File != nil:
		return event.File.Room
	}
	return ""
}

// past shows posts that are there already.
func (f *follower) past(ctx context.Context, api control.API, query control.PostQuery) error {
	posts, err := api.Posts(ctx, f.room, query)
	if err != nil {
		return err
	}
	for i := range posts {
		if err := f.post(control.Event{Type: control.EventPost, Time: posts[i].Time, Post: &posts[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) post(event control.Event) error {
	if f.aside != nil && event.Post.Direct != "" && event.Post.Room != f.room {
		return f.aside(event)
	}
	if event.Post.Room != f.room || f.isShown(event.Post.ID) {
		return nil
	}
	err := f.show(event)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen.add(event.Post.ID)
	if f.grew != nil {
		close(f.grew)
		f.grew = nil
	}
	return err
}

func (f *follower) isShown(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen.ids[id]
}

// await returns when the post with id has been shown, or at the end of ctx.
func (f *follower) await(ctx context.Context, id string) {
	for {
		f.mu.Lock()
		shown := f.seen.ids[id]
		if !shown && f.grew == nil {
			f.grew = make(chan struct{})
		}
		grew := f.grew
		f.mu.Unlock()
		if shown {
			return
		}
		select {
		case <-grew:
		case <-ctx.Done():
			return
		}
	}
}

// seenPosts remembers the ids of the last seenLimit posts.
type seenPosts struct {
	ids   map[string]bool
	order []string
}

// add remembers an id that is new.
func (s *seenPosts) add(id string) {
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	if len(s.order) == seenLimit {
		delete(s.ids, s.order[0])
		s.order = s.order[1:]
	}
	s.ids[id] = true
	s.order = append(s.order, id)
}
