package engine

import (
	"errors"
	"math"
	"slices"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/wire"
)

// askWait is how long an Ask waits for its answer: a busy access point takes a tenth of a second for a broadcast.
const askWait = 400 * time.Millisecond

// What an Ask may end with instead of an Answer.
var (
	ErrNotHere = errors.New("the device is not here, or its address not proven")
	ErrSilent  = errors.New("no answer came")
)

// Ask asks a peer to send back a datagram of a size in a way. The Reply brings its Answer, ErrNotHere or ErrSilent.
type Ask struct {
	Peer identity.DeviceID
	Way  wire.Way
	Size int // bytes, wire.PresenceSize to wire.MaxProbe
}

// Answer is what a peer sent back.
type Answer struct {
	Took  time.Duration
	Ahead time.Duration     // its clock, of ours
	Left  int               // bytes that it may be asked for now
	Heard []wire.HeardStart // who is here for it, by the interface it was asked on; as many as fit
}

// asking is an Ask without an answer yet.
type asking struct {
	token     uint64
	challenge wire.Challenge
	until     time.Duration
}

func (c Ask) do(e *Engine, now Now, token uint64) {
	challenge, ok := e.discovery.Ask(now.Mono, c.Peer, c.Way, c.Size)
	if !ok {
		e.answer(token, Reply{Err: ErrNotHere})
		return
	}
	e.asking = append(e.asking, asking{token, challenge, now.Mono + askWait})
}

func (e *Engine) answered(now Now, a discovery.Answer) {
	i := slices.IndexFunc(e.asking, func(q asking) bool { return q.challenge == a.Challenge })
	if i < 0 {
		return // it was given up
	}
	token := e.asking[i].token
	e.asking = slices.Delete(e.asking, i, i+1)
	theirs := time.UnixMilli(int64(min(a.Probe.Clock, math.MaxInt64)))
	e.answer(token, Reply{Answer: Answer{
		Took: a.Took, Ahead: theirs.Sub(now.Wall.Add(-a.Took / 2)), Left: a.Probe.Left, Heard: a.Probe.Heard,
	}})
}

func (e *Engine) askDeadline() time.Duration {
	if len(e.asking) == 0 {
		return never
	}
	return e.asking[0].until // in the order in which they were asked
}

func (e *Engine) giveUpAsking(now Now) {
	for len(e.asking) > 0 && now.Mono >= e.asking[0].until {
		e.answer(e.asking[0].token, Reply{Err: ErrSilent})
		e.asking = e.asking[1:]
	}
}
