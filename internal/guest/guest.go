package guest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"bcast/internal/control"
)

// Guest is one who came in.
type Guest struct {
	device  Device
	id, tag string
	room    string
	since   time.Time

	asks, posts, signals, nicks pace

	mu      sync.Mutex
	nick    string
	seen    time.Time // when it last asked for something
	streams int       // pages open
	reading int       // files
	sight   sight
}

// noun is how the guest is told of.
func (g *Guest) noun() control.Guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	return control.Guest{ID: g.id, Nick: g.nick, Tag: g.tag, Since: g.since, Here: g.streams > 0}
}

func (g *Guest) touch(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = now
}

// idle tells whether it has left without a word.
func (g *Guest) idle(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.streams == 0 && now.Sub(g.seen) > maxIdle
}

// leave says goodbye in the room and ends the device.
func (g *Guest) leave() error {
	ctx, stop := context.WithTimeout(context.Background(), goodbye)
	defer stop()
	return errors.Join(g.device.Leave(ctx, g.room, true), g.device.Close())
}

// Ask tells whether the guest may ask for one thing more by now.
func (g *Guest) Ask() bool { return g.asks.take(time.Now()) }

// Open counts a page that follows what happens; close ends it. It is nil if too many are open.
func (g *Guest) Open() (closed func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.streams >= maxStreams {
		return nil
	}
	g.streams++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.streams--
		g.seen = time.Now()
	}
}

// reads counts a file that is read, or one less; false if it is one too many.
func (g *Guest) reads(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reading+n > maxReads {
		return false
	}
	g.reading += n
	return true
}

// sight is what of a room a guest may see: what follows a post in the room's order. At first that is the one that tells
// of its link. The device itself gets what every new member gets, in whatever order.
type sight struct {
	after string
	clear bool   // that post is here, so that what follows it is known
	shown recent // posts that are known to follow it
	// until is when all of them were asked for last: what came before and is not among them is not for the guest.
	until time.Time
}

// look asks whether the post is here by now from which on the guest may see; told is whether that is new.
func (g *Guest) look(ctx context.Context) (clear, told bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sight.clear {
		return true, false
	}
	_, err := g.device.Posts(ctx, g.room, control.PostQuery{Since: g.sight.after, Limit: 1})
	g.sight.clear = err == nil
	return g.sight.clear, g.sight.clear
}

// learn asks for what the guest may see: the newest so many posts. Once the post is given up from which that goes, it
// goes from the first that is kept of those known to follow it.
func (g *Guest) learn(ctx context.Context, newest int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	posts, err := g.device.Posts(ctx, g.room, control.PostQuery{Since: g.sight.after, Limit: newest})
	if err != nil && control.AsError(err).Code == control.CodeNotFound {
		posts, err = g.device.Posts(ctx, g.room, control.PostQuery{Limit: maxShown})
		first := slices.IndexFunc(posts, func(p control.Post) bool { return g.sight.shown.known[p.ID] })
		if first < 0 {
			return err
		}
		g.sight.after, posts = posts[first].ID, posts[first:]
	}
	for _, p := range posts {
		g.sight.shown.add(p.ID)
	}
	if err == nil && len(posts) < newest {
		g.sight.until = now
	}
	return err
}

// settled tells whether it is known of a post that came then whether the guest may see it. A clock that was set back
// knows nothing.
func (g *Guest) settled(id string, came time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.sight.until
	return g.sight.shown.known[id] || came.Add(keeping).Before(until) && !time.Now().Before(until)
}

// may leaves of posts those that the guest may see, without what they quote of others.
func (g *Guest) may(posts []control.Post) []control.Post {
	g.mu.Lock()
	defer g.mu.Unlock()
	posts = slices.DeleteFunc(posts, func(p control.Post) bool { return !g.sight.shown.known[p.ID] })
	for i := range posts {
		if p := &posts[i]; !g.sight.shown.known[p.ReplyTo] {
			p.Quote = nil
		}
	}
	return posts
}

// sees tells whether a post is known to be for the guest.
func (g *Guest) sees(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sight.shown.known[id]
}

// events are those of the guest's room.
func (g *Guest) events(ctx context.Context, after string) iter.Seq2[control.Event, error] {
	all := g.device.Events(ctx, after) // now: what happens before somebody reads is not to be missed
	return func(yield func(control.Event, error) bool) {
		for event, err := range all {
			if err == nil && !g.pass(ctx, &event) {
				continue
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// pass makes of an event what the guest is told, and tells whether that is anything.
func (g *Guest) pass(ctx context.Context, e *control.Event) bool {
	switch {
	case e.Type == control.EventGap:
	case e.Type == control.EventPeer: // somebody's presence changed; who is a member is asked for
		*e = control.Event{Type: e.Type, ID: e.ID, Time: e.Time}
	case e.Signal != nil:
		return e.Signal.Room == g.room
	case e.Member != nil:
		return e.Member.Room == g.room
	case e.Receipt != nil:
		return e.Receipt.Room == g.room && g.sees(e.Receipt.Post)
	case e.Post != nil:
		return e.Post.Room == g.room && g.passPost(ctx, e)
	default:
		return false
	}
	return true
}

// passPost is pass for an event of a post. One that makes it known what the guest may see becomes a gap: the page then
// reads all of it.
func (g *Guest) passPost(ctx context.Context, e *control.Event) bool {
	clear, told := g.look(ctx)
	if told {
		*e = control.Event{Type: control.EventGap, ID: e.ID, Time: e.Time}
		return true
	}
	if !clear {
		return false
	}
	// That a post came last does not say that it stands last: of old ones the newest come last, too.
	if said := e.Type == control.EventPost || e.Type == control.EventTopic; said {
		for _, newest := range []int{few, maxShown} {
			if !g.settled(e.Post.ID, e.Time) && g.learn(ctx, newest) != nil {
				return false
			}
		}
	}
	allowed := g.may([]control.Post{*e.Post}) // a copy: the event is everybody's
	if len(allowed) == 0 {
		return false
	}
	e.Post = &allowed[0]
	return true
}
