package bcast

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"bcast/internal/control"
)

// collect reads the types of n events after id.
func collect(l *eventLog, id string, n int) (types, ids []string) {
	for e, err := range l.after(context.Background(), id) {
		if err != nil {
			return append(types, err.Error()), ids
		}
		types, ids = append(types, e.Type), append(ids, e.ID)
		if len(types) == n {
			break
		}
	}
	return types, ids
}

func TestEventsResume(t *testing.T) {
	l := newEventLog("7-1")
	for _, kind := range []string{"a", "b", "c"} {
		l.add(control.Event{Type: kind})
	}
	if types, _ := collect(l, "7-1.1", 2); !slices.Equal(types, []string{"b", "c"}) {
		t.Errorf("after the first event: %v", types)
	}
	for _, strange := range []string{"7-0.1", "7-1.99", "7-1.x", "nonsense"} {
		types, ids := collect(l, strange, 1)
		if !slices.Equal(types, []string{control.EventGap}) || ids[0] != "7-1.3" {
			t.Errorf("after %q: %v %v, want a gap that goes on from now", strange, types, ids)
		}
	}
}

func TestNothingIsMissedAfterTheNewest(t *testing.T) {
	l := newEventLog("1")
	for _, kind := range []string{"first", "second"} {
		newest := l.newest()
		l.add(control.Event{Type: kind})
		if types, _ := collect(l, newest, 1); !slices.Equal(types, []string{kind}) {
			t.Errorf("after %q: %v, want %s", newest, types, kind)
		}
	}
}

func TestSlowSubscriberIsToldOfTheGap(t *testing.T) {
	l := newEventLog("1")
	l.add(control.Event{Type: "first"})
	for range maxEvents + 10 {
		l.add(control.Event{Type: "more"})
	}
	types, _ := collect(l, "1.1", 3)
	if !slices.Equal(types, []string{control.EventGap, "more", "more"}) {
		t.Errorf("a subscriber that fell behind got %v", types)
	}
	if n := len(l.kept); n > maxEvents {
		t.Errorf("%d events kept, at most %d", n, maxEvents)
	}
}

func TestSubscriptionMissesNothingSaidMeanwhile(t *testing.T) {
	l := newEventLog("1")
	events := l.after(context.Background(), "")
	l.add(control.Event{Type: "between"})
	for e := range events {
		if e.Type != "between" {
			t.Errorf("got %q", e.Type)
		}
		break
	}
}

func TestSubscribersWakeAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newEventLog("1")
		var got []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for e := range l.after(context.Background(), "") {
				got = append(got, e.Type)
			}
		}()
		synctest.Wait()
		l.add(control.Event{Type: "a"})
		synctest.Wait()
		l.add(control.Event{Type: "b"})
		l.close()
		<-ended
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %v", got)
		}

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range newEventLog("2").after(ctx, "") {
			t.Error("an event from an empty log")
		}
	})
}

// Posts said together are events of their own, and read once by each subscriber.
func TestPostsSaidTogetherAreReadOnce(t *testing.T) {
	l := newEventLog("1")
	opened := 0
	indexes := []int{2, 3, 4}
	l.addPosts(control.Event{Type: "post"}, 2, 3, func() func(*control.Event, int) {
		opened++
		return func(e *control.Event, index int) { e.Post = &control.Post{Index: index} }
	})
	l.add(control.Event{Type: "end"})
	var got []int
	var last string
	for e := range l.after(context.Background(), "1.0") {
		if last = e.ID; e.Type == "end" {
			break
		}
		got = append(got, e.Post.Index)
	}
	if !slices.Equal(got, indexes) || opened != 1 || last != "1.4" {
		t.Errorf("posts %v, opened %d times, the end is %s", got, opened, last)
	}
	for e := range l.after(context.Background(), "1.2") {
		if e.Post.Index != 4 || e.ID != "1.3" {
			t.Errorf("resumed at %s, post %d", e.ID, e.Post.Index)
		}
		break
	}
}
