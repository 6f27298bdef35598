package bcast

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/record"
)

const (
	// flowWindow is how many bytes are said in a room ahead of the slowest member that is here: less than a room in
	// memory keeps and than a socket queues, so that all can still be repaired. Receipts tell how far the members are:
	// asked for every flowMarkEach, in a room of more than nine every flowMarkShare for each member, so that a large
	// room's receipts cost who speaks no more than a small one's, and four times in a window at least.
	flowWindow    = 5 << 20
	flowMarkEach  = 512 << 10
	flowMarkShare = flowMarkEach / 9
	flowMarkMost  = flowWindow / 4
	// flowShed is how long one who speaks waits for those behind the window before going on without them.
	flowShed = 2 * time.Second
	// flowEarly is how many receipts are remembered of records that may yet turn out to be marked: said lately.
	flowEarly = 64
)

// flow slows who says more in a room than its slowest member takes. A member that does not keep up for long is not
// waited for until it has caught up. Whoever says as much as people do never waits.
type flow struct {
	mu     sync.Mutex
	said   int64 // bytes
	marked int64 // of them up to the last mark, 0: none was made
	every  int64 // from a mark to the next
	taken  int64 // of them known to be with all who are waited for
	shed   int   // so many are not
	marks  []flowMark
	early  []flowMark // receipts that came before their mark, if it has one
	wake   chan struct{}
}

// flowMark is a record that asked for receipts, how many told to have it, how many were here, and how much was said up
// to it.
type flowMark struct {
	rec  record.ID
	have int
	here int
	at   int64
}

func newFlow() *flow { return &flow{every: flowMarkEach, wake: make(chan struct{})} }

// hear takes it that so many have a record.
func (f *flow) hear(rec record.ID, have int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.marked == 0 {
		return
	}
	is := func(m flowMark) bool { return m.rec == rec }
	if i := slices.IndexFunc(f.marks, is); i >= 0 {
		f.marks[i].have = have
		f.recount()
		return
	}
	f.early = slices.DeleteFunc(f.early, is)
	f.early = append(f.early[max(0, len(f.early)-flowEarly+1):], flowMark{rec: rec, have: have})
}

// mark notes that who has a record has all that was said up to at, so many being here.
func (f *flow) mark(at int64, rec record.ID, here int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.every = min(max(flowMarkEach, int64(here)*flowMarkShare), flowMarkMost)
	m := flowMark{rec: rec, here: here, at: at}
	for _, told := range f.early {
		if told.rec == rec {
			m.have = told.have
		}
	}
	f.marks = append(f.marks, m)
	f.recount()
}

// recount wants f.mu held.
func (f *flow) recount() {
	for _, m := range f.marks {
		if m.have >= m.here {
			f.shed = 0
		}
		if m.have >= m.here-f.shed {
			f.taken = max(f.taken, m.at)
		}
	}
	f.marks = slices.DeleteFunc(f.marks, func(m flowMark) bool { return m.at <= f.taken })
	close(f.wake)
	f.wake = make(chan struct{})
}

// giveUp goes on with those who told most.
func (f *flow) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, m := range f.marks {
		if missing := m.here - m.have; i == 0 || missing < f.shed {
			f.shed = missing
		}
	}
	f.taken = f.said
	f.recount()
}

// enter waits until there is place for size bytes in the window, and tells where they end and whether they are to ask
// for receipts. Whoever is behind for too long is not waited for any more.
func (f *flow) enter(ctx context.Context, size int) (at int64, marking bool, err error) {
	late := time.NewTimer(flowShed)
	defer late.Stop()
	for {
		wake, at, marking := f.take(int64(size))
		if wake == nil {
			return at, marking, nil
		}
		select {
		case <-wake:
		case <-late.C:
			f.giveUp()
		case <-ctx.Done():
			return 0, false, ctx.Err()
		}
	}
}

// take takes place in the window if there is some, else what tells that there may be.
func (f *flow) take(size int64) (wake <-chan struct{}, at int64, marking bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said-f.taken > flowWindow {
		return f.wake, 0, false
	}
	f.said += size
	if marking = f.said-f.marked >= f.every; marking {
		f.marked = f.said
	}
	return nil, f.said, marking
}

// speak says posts as fast as the room's members take them. Receipts are asked for if ack, and by the flow.
func (n *Node) speak(ctx context.Context, room identity.RoomName, posts []record.Post, ack bool) (engine.Reply, error) {
	size := 0
	for _, p := range posts {
		size += len(p.Text)
	}
	known, _ := n.flows.LoadOrStore(room, newFlow())
	f := known.(*flow)
	at, marking, err := f.enter(ctx, size)
	if err != nil {
		return engine.Reply{}, err
	}
	here := 0
	if marking {
		if here, err = n.present(ctx, string(room)); err != nil {
			return engine.Reply{}, err
		}
	}
	reply, err := n.node.Do(ctx, engine.Say{Room: room, Posts: posts, Ack: ack || marking})
	switch {
	case errors.Is(err, engine.ErrNotJoined):
		n.flows.Delete(room)
	case err == nil && marking:
		f.mark(at, reply.Record, here)
	}
	return reply, err
}

// flowed takes receipts for who speaks. It runs with the node's turn.
func (n *Node) flowed(ev engine.Event) {
	if ev.Kind != engine.RoomEvent || ev.Chat.Kind != chat.Received {
		return
	}
	if f, known := n.flows.Load(ev.Room); known {
		f.(*flow).hear(ev.Chat.Record.ID, ev.Chat.Have)
	}
}

// present is how many other members of the room are here.
func (n *Node) present(ctx context.Context, room string) (count int, err error) {
	err = n.viewRoom(context.WithoutCancel(ctx), room, func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
		for _, m := range r.Members {
			if control.Here(presenceOf(e, m.ID)) {
				count++
			}
		}
		return nil
	})
	return count, err
}
