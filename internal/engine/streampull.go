package engine

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// pullOn begins the pull that is due first, if there is none, or goes on with the one that there is.
func (e *Engine) pullOn(now Now) {
	st := e.pulling
	switch {
	case st == nil:
		e.beginPull(now)
	case e.readOnly(now) != nil: // what comes now could not be kept
		st.scope.chat.PullLater(now, retryStore)
		e.endPull(now, st)
	case st.step == choosing && e.backlog <= pullBacklog:
		e.take(now, st)
	}
}

// beginPull dials the member that a room wants to pull from.
func (e *Engine) beginPull(now Now) {
	if e.cfg.StreamPort == 0 || e.Watching() || e.readOnly(now) != nil || len(e.streams) >= maxStreams {
		return
	}
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			from, due := s.chat.Pull(now, e.reachable)
			if !due {
				continue
			}
			p, _ := e.discovery.Peer(from)
			e.dialled += 2
			st := &stream{
				id: e.dialled - 1, peer: from, key: p.Key, dialled: true, room: r, scope: s, quietAt: now.Mono + streamQuiet,
				endAt: never,
			}
			e.streams, e.pulling = append(e.streams, st), st
			e.out.Streams = append(e.out.Streams, StreamOp{
				Kind: StreamDial, ID: st.id, To: netip.AddrPortFrom(p.Addr.Addr(), p.StreamPort), Key: p.Key,
			})
			return
		}
	}
}

// reachable tells whether a stream to a device may come about: it takes some, and is where its datagrams come from.
func (e *Engine) reachable(id identity.DeviceID) bool {
	p, known := e.discovery.Peer(id)
	return known && p.Proven && p.Reached && p.Status == discovery.Here && p.StreamPort != 0
}

// choose waits with the next take until our store has taken in what came.
func (e *Engine) choose(now Now, st *stream) {
	st.step, st.asked, st.quietAt, st.endAt = choosing, nil, never, never
}

// take asks for the next part, or ends the pull.
func (e *Engine) take(now Now, st *stream) {
	next := st.scope.chat.NextTake(now)
	if len(next.Ranges) == 0 {
		st.scope.chat.PullDone(now)
		e.endPull(now, st)
		return
	}
	st.step, st.asked = taking, next.Ranges
	st.quietAt, st.endAt = now.Mono+streamQuiet, now.Mono+takeTime
	e.write(st, next)
	e.takeChat(now, st.room, st.scope)
}

// endPull closes the stream of a pull that the room has already ended.
func (e *Engine) endPull(now Now, st *stream) {
	e.breakOff(now, st)
	e.takeChat(now, st.room, st.scope)
}

// pulled takes a record. It may only be one that was asked for, in the order in which it was: so there is an end.
func (e *Engine) pulled(now Now, st *stream, m wire.Entry) error {
	rec, err := record.Parse(record.RoomID(st.room.keys.ID), bytes.Clone(m.Bytes)) // without what came with it
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	chain := record.Chain{Feed: rec.Header.Feed, Branch: m.Branch}
	if !st.awaits(chain.Short(), rec.Header.Seq) {
		return errUnasked
	}
	if !rec.Verify(e.cfg.Verify) {
		return errUnsigned
	}
	st.quietAt = now.Mono + streamQuiet
	st.scope.chat.Record(now, rec)
	return nil
}

// awaits tells whether a record is one of those that may still come. What was asked for before it is not given.
func (st *stream) awaits(chain record.ShortFeed, seq uint64) bool {
	for len(st.asked) > 0 && (st.asked[0].Feed != chain || st.asked[0].To < seq) {
		st.asked = st.asked[1:]
	}
	if len(st.asked) == 0 || seq < st.asked[0].From {
		return false
	}
	st.asked[0].From = seq + 1
	return true
}

// beenRefused leaves the member alone for as long as it asks, within reason.
func (e *Engine) beenRefused(now Now, st *stream, m wire.Busy) {
	wait := time.Duration(m.RetryMillis) * time.Millisecond
	st.scope.chat.PullLater(now, max(wait, busyMin))
	e.endPull(now, st)
}
