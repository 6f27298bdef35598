package main

import (
	"context"
	"sync"
	"time"

	"bcast/internal/control"
)

// settled is how long nobody more has told to have a post until it is said who has it.
const settled = 2 * time.Second

// sightings tells people who has the newest post of theirs, and so all before it: when all have it, or when nothing has
// changed for a while. That is at most a line a post, and another only when somebody gets it later.
type sightings struct {
	ask  func(post string) (control.Ledger, error)
	tell func(control.Ledger) // nil: nobody reads along

	mu    sync.Mutex
	post  string // the newest; empty: none yet
	told  int    // so many had it when that was told; -1: not told yet
	timer *time.Timer
}

func newSightings(ask func(post string) (control.Ledger, error), tell func(control.Ledger)) *sightings {
	s := &sightings{ask: ask, tell: tell}
	s.timer = time.AfterFunc(settled, s.speak)
	s.timer.Stop()
	return s
}

// note takes an event after it has been shown.
func (s *sightings) note(event control.Event) {
	if s.tell == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := settled
	switch {
	case event.Type == control.EventPost && event.Post.Own && event.ID != "": // without an id it is of the past
		s.post, s.told = event.Post.ID, -1
	case event.Receipt != nil && event.Receipt.Post == s.post:
		if event.Receipt.Have >= event.Receipt.Members {
			wait = 0
		}
	default:
		return
	}
	s.timer.Reset(wait)
}

func (s *sightings) stop() { s.timer.Stop() }

// speak says who has the newest post, if that is news.
func (s *sightings) speak() {
	s.mu.Lock()
	post := s.post
	s.mu.Unlock()
	ledger, err := s.ask(post)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || post != s.post || ledger.Members == 0 || ledger.Have == s.told {
		return
	}
	s.told = ledger.Have
	s.tell(ledger)
}

// sightings are those of a visit.
func (v *conversation) sightings(ctx context.Context, stay *visit) *sightings {
	s := newSightings(func(post string) (control.Ledger, error) { return stay.sitting().Ledger(ctx, post) }, nil)
	if v.screen {
		s.tell = func(l control.Ledger) { v.note("%s", v.p.seen(l.Have, l.Members, l.Missing)) }
	}
	return s
}
