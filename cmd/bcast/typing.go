package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

// keys notices that a person types on this screen, and says so: at most every control.TypingEach, never of a command,
// beside the editor, which waits for nobody.
type keys struct {
	say  func()
	now  func() time.Time
	last time.Time
}

// pressed takes a key before the editor does. It leaves it to the editor.
func (k *keys) pressed(line string, _ int, key rune) (string, int, bool) {
	text := line
	if text == "" {
		text = string(key)
	}
	if now := k.now(); key >= ' ' && !strings.HasPrefix(text, "/") && now.Sub(k.last) >= control.TypingEach {
		k.last = now
		go k.say()
	}
	return "", 0, false
}

// typists are the others who are typing now.
type typists struct {
	show func(who string) // "" is nobody

	mu    sync.Mutex
	now   map[string]typist // by device id
	timer *time.Timer
}

// typist is who said to be typing, and until when that is believed.
type typist struct {
	name  string
	until time.Time
}

func newTypists(show func(who string)) *typists {
	t := &typists{show: show, now: map[string]typist{}}
	t.timer = time.AfterFunc(control.TypingFor, t.expire)
	t.timer.Stop()
	return t
}

// note takes an event of the room on the screen. name is how people are shown.
func (t *typists) note(event control.Event, name func(id, nick string) string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case event.Signal != nil && event.Signal.Kind == "typing":
		t.now[event.Signal.ID] = typist{name(event.Signal.ID, event.Signal.Nick), time.Now().Add(control.TypingFor)}
		t.wake()
	case event.Signal != nil:
		delete(t.now, event.Signal.ID)
	case event.Type == control.EventPost && event.ID != "":
		delete(t.now, event.Post.From)
	default:
		return
	}
	t.tell()
}

// expire forgets those who said nothing more.
func (t *typists) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.now, func(_ string, who typist) bool { return time.Until(who.until) <= 0 })
	t.wake()
	t.tell()
}

// wake sets the clock for the first who is to be forgotten, however often others go on. It wants mu held.
func (t *typists) wake() {
	if len(t.now) > 0 {
		first := slices.MinFunc(slices.Collect(maps.Values(t.now)), func(a, b typist) int { return a.until.Compare(b.until) })
		t.timer.Reset(time.Until(first.until))
	}
}

// tell wants mu held.
func (t *typists) tell() {
	var names []string
	for _, who := range t.now {
		names = append(names, who.name)
	}
	slices.Sort(names)
	t.show(show.Typing(names))
}

// clear forgets all, as of another room.
func (t *typists) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.now)
	t.tell()
}

// end stops the clock.
func (t *typists) end() { t.timer.Stop() }

// sayTyping tells the room on the screen that its person is typing. That it did not get there is no matter.
func (v *conversation) sayTyping(ctx context.Context, stay *visit) {
	stay.sitting().Signal(ctx, control.Signal{Room: stay.room, Kind: "typing"})
}
