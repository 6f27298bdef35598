package bcast

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/meter"
	"bcast/internal/node"
	"bcast/internal/record"
)

const (
	// benchBudget is what a sender may broadcast while it measures, in bytes a second: more than any link carries.
	benchBudget = 1 << 30
	// benchLinger, and benchLingerEach for each member, is how long a receiver stays when it has it all, for its receipt
	// to reach the sender: those of a crowd are spread.
	benchLinger     = 50 * time.Millisecond
	benchLingerEach = 25 * time.Millisecond
	// benchSettle is how long a sender waits after it met the first member, for others answer at the same moment.
	benchSettle = 50 * time.Millisecond
)

// counting is a measurement that this node receives.
type counting struct {
	room  identity.RoomName
	count int // that many are all
	mu    sync.Mutex
	tally meter.Tally
	whole chan struct{} // closed once all is there
}

// hear counts what happened, if it is a probe of another. It runs with the node's turn.
func (c *counting) hear(now engine.Now, ev engine.Event, self identity.DeviceID) {
	if ev.Kind != engine.RoomEvent || ev.Chat.Kind != chat.Posted || ev.Room != c.room || ev.Chat.Device == self {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range ev.Chat.Posts {
		text := ev.Chat.Posts[i].Text
		if p, ok := meter.Parse(text); ok {
			c.tally.Add(p, len(text), now.Wall)
		}
	}
	if c.whole != nil && c.tally.Complete(c.count) {
		close(c.whole)
		c.whole = nil
	}
}

// last is when the newest probe came.
func (c *counting) last() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Last()
}

// Bench measures what this node and its network carry.
func (n *Node) Bench(ctx context.Context, b Bench) (Benched, error) {
	silence, err := fillBench(&b)
	if err != nil {
		return Benched{}, err
	}
	room, err := identity.ParseRoomName(b.Room)
	if err != nil {
		return Benched{}, invalid(err, "")
	}
	if !n.benching.TryLock() {
		return Benched{}, control.NewError(control.CodeBusy, nil, "this node measures already", "one at a time")
	}
	defer n.benching.Unlock()
	whole := make(chan struct{})
	c := &counting{room: room, count: b.Count, whole: whole}
	if b.Do == "recv" {
		n.counting.Store(c) // before others see us in the room
		defer n.counting.Store(nil)
	}
	joined, err := n.Join(ctx, b.Room, JoinOptions{Ephemeral: !b.Stored})
	if err != nil {
		return Benched{}, err
	}
	if joined.New {
		defer n.Leave(context.WithoutCancel(ctx), b.Room, !b.Stored)
	} else if err := n.fitsBench(ctx, b); err != nil {
		return Benched{}, err
	}
	if b.Do == "recv" {
		quiet(ctx, whole, c.last, silence)
		return n.benchReceive(ctx, b, c)
	}
	return n.benchSend(ctx, b, room, silence)
}

// fillBench checks b and puts the defaults in.
func fillBench(b *Bench) (silence time.Duration, err error) {
	refuse := func(format string, args ...any) error {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf(format, args...), "bcast bench --help")
	}
	if b.Size == 0 {
		b.Size = control.BenchSize
	}
	silence = control.BenchSilence
	if b.Silence != "" {
		silence, err = time.ParseDuration(b.Silence)
	}
	switch {
	case b.Do != "send" && b.Do != "recv":
		err = refuse("bench %q: neither send nor recv", b.Do)
	case err != nil || silence <= 0:
		err = refuse("silence %q is not a duration such as 10s", b.Silence)
	case b.Count < 0 || b.Count > meter.MaxCount || b.Count == 0 && b.Do == "send":
		err = refuse("count %d: out of range, 1 to %d", b.Count, meter.MaxCount)
	case b.Size < meter.MinSize || b.Size > control.MaxText:
		err = refuse("size %d: out of range, %d to %d", b.Size, meter.MinSize, control.MaxText)
	case !(b.Rate >= 0) || b.Rate > maxRate:
		err = refuse("rate %v: out of range, 0 to %d", b.Rate, int(maxRate))
	}
	return silence, err
}

// maxRate is the largest rate that is told from none.
const maxRate = 1e6

// fitsBench tells whether a room that was joined before is kept as b wants it: a measurement must not fill a room's
// history unasked.
func (n *Node) fitsBench(ctx context.Context, b Bench) error {
	room, err := n.roomState(ctx, b.Room)
	switch {
	case err != nil || room.Ephemeral != b.Stored:
		return err
	case room.Ephemeral:
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("room %s is in memory only", room.Name),
			"measure without --stored, or in another room")
	}
	return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("room %s has a history that this would fill", room.Name),
		"measure in another room, or with --stored")
}

// quiet waits until all is there, or nothing came for so long. It wakes nobody meanwhile: a process that looks a
// hundred times a second takes the processor from those it measures.
func quiet(ctx context.Context, whole <-chan struct{}, last func() time.Time, silence time.Duration) {
	until := time.NewTimer(silence)
	defer until.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-whole:
			return
		case <-until.C:
		}
		left := time.Until(last().Add(silence))
		if left <= 0 {
			return
		}
		until.Reset(left)
	}
}

// benchReceive tells what was counted.
func (n *Node) benchReceive(ctx context.Context, b Bench, c *counting) (Benched, error) {
	room, err := n.roomState(context.WithoutCancel(ctx), b.Room)
	if err != nil {
		return Benched{}, err
	}
	c.mu.Lock()
	s := c.tally.Summary()
	c.mu.Unlock()
	if s.Received == 0 {
		return Benched{}, control.NewError(control.CodeTimeout, ctx.Err(), "nobody measures in room "+b.Room,
			"on another device: bcast bench send "+b.Room)
	}
	wait(ctx, benchLinger+time.Duration(len(room.Members))*benchLingerEach)
	found := Benched{
		Sent: s.Sent, Received: s.Received, Lost: s.Lost, Duplicates: s.Duplicates, Bytes: s.Bytes,
		Seconds: s.Took.Seconds(), P50ms: milliseconds(s.P50), P99ms: milliseconds(s.P99), MaxMs: milliseconds(s.Max),
	}
	if s.Took > 0 {
		found.PerSecond = float64(s.Received) / found.Seconds
	}
	return found, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// benchSend says probes to those who are here, and waits until they have them.
func (n *Node) benchSend(
	ctx context.Context, b Bench, room identity.RoomName, silence time.Duration,
) (Benched, error) {
	if err := n.company(ctx, b.Room, silence); err != nil {
		return Benched{}, err
	}
	warning, err := n.warnWifi(ctx)
	if err != nil {
		return Benched{}, err
	}
	if _, err := n.node.Do(ctx, engine.SetBudget{Broadcast: benchBudget}); err != nil {
		return Benched{}, failure(err)
	}
	defer n.node.Do(context.WithoutCancel(ctx), engine.SetBudget{Broadcast: n.cfg.BroadcastBudget})
	s := &sending{n: n, room: room, b: b, run: rand.Uint64()}
	next, _ := n.events.cursor("")
	began := time.Now()
	if b.Rate > 0 {
		err = s.atRate(ctx)
	} else {
		err = s.flatOut(ctx)
	}
	if err != nil {
		return Benched{}, roomFailure(err, b.Room)
	}
	took := time.Since(began)
	found := Benched{
		Sent: b.Count, Seconds: took.Seconds(), PerSecond: float64(b.Count) / took.Seconds(), Warning: warning,
		Bytes: int64(b.Count) * int64(max(b.Size, meter.MinSize)),
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	enough, err := parseWait("here")
	if err != nil {
		return found, err
	}
	said, err := n.awaitReceipts(ctx, Said{ID: record.Ref{Record: s.last}.String()}, enough, n.events.id(next-1))
	found.Members, found.Have = said.Members, said.Have
	if control.AsError(err) != nil && control.AsError(err).Code != control.CodeTimeout {
		return found, err
	}
	return found, nil
}

// company waits until another member of the room is here, and those had time to answer who do so at the same moment.
func (n *Node) company(ctx context.Context, room string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	after := n.events.newest()
	met, err := n.present(ctx, room)
	if err != nil || met > 0 {
		return err
	}
	for range n.events.after(ctx, after) {
		if met, err = n.present(ctx, room); err != nil || met > 0 {
			break
		}
	}
	if err != nil {
		return err
	}
	if met == 0 {
		return control.NewError(control.CodeTimeout, ctx.Err(), "nobody else is in room "+room,
			"on another device: bcast bench recv "+room)
	}
	wait(ctx, benchSettle)
	return nil
}

// wait passes d, or less if ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// warnWifi says what a person should know before the budget that spares the air is lifted.
func (n *Node) warnWifi(ctx context.Context) (string, error) {
	wifi := 0
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		for _, p := range e.Peers() {
			if p.Wifi && here(presenceOf(e, p.ID)) {
				wifi++
			}
		}
	})
	for _, i := range n.interfaces() {
		if i.Used && i.Wifi {
			wifi++
		}
	}
	if wifi == 0 {
		return "", err
	}
	return fmt.Sprintf("%d of the devices are on Wi-Fi: there a broadcast takes the air from everybody, and no budget "+
		"bounded this run", wifi), err
}
