package engine

import (
	"math"
	"net/netip"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// Our own key may speak from another run: a home was copied. To the others the run that proved itself last is the
// device, and the one before has ended (P10). So a run that hears a later one lets it speak, and begins anew when that
// is gone: were both to insist, they would end each other for ever.
//
//	alone ── a run that is not older than ours is heard ── ended ── it says goodbye, or nothing for long ── a new run

// Times of twins.
const (
	// twinGone is after how much silence, at least, another run of our key counts as gone: some of its beats.
	twinGone = 20 * time.Second
	// twinBeats is how many of its promised beats have to be missed; twinPromise the longest promise that is believed.
	twinBeats   = 4
	twinPromise = time.Minute
)

// twin is the latest other run of our key.
type twin struct {
	boot uint32
	gone time.Duration // when it counts as gone; never: none was heard
}

// receiveTwin notices that our own key speaks from another run: a copied home, or our own past being replayed. What has
// been heard before says nothing.
func (e *Engine) receiveTwin(now Now, p *wire.Presence, from netip.AddrPort) wire.Drop {
	if p.Instance.Boot < e.cfg.Instance.Boot {
		return wire.DropOwn
	}
	who := speaker{e.id, p.Instance}
	w := e.windows[who]
	if w != nil && !w.Fresh(p.Counter) {
		return wire.DropOwn
	}
	if !e.discovery.Admit(now.Mono, p.Key, from) {
		return wire.DropBudget
	}
	if !p.Verify(e.cfg.Verify) {
		return wire.DropOwn
	}
	if w == nil {
		e.out.Events = append(e.out.Events, Event{Kind: TwinEvent})
		e.doubtFeeds()
	}
	e.mark(who, p.Counter)
	silence := max(twinGone, twinBeats*min(p.NextBeat, twinPromise))
	if p.Type == wire.TypeBye {
		silence = 0
	}
	e.twin = twin{max(e.twin.boot, p.Instance.Boot), now.Mono + silence}
	return wire.DropOwn
}

// doubtFeeds has every room begin a new feed: what the other run says must not get our numbers.
func (e *Engine) doubtFeeds() {
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			s.chat.Doubt()
		}
	}
}

// outlive begins a new run when the twin is gone, later than both: to the others we had ended. What was recorded of the
// twin is older from then on, and so makes us do nothing more.
func (e *Engine) outlive(now Now) {
	if now.Mono < e.twin.gone {
		return
	}
	boot := max(e.cfg.Instance.Boot, e.twin.boot)
	if boot < math.MaxUint32 {
		boot++
	}
	e.twin.gone = never
	e.cfg.Instance = identity.Instance{Boot: boot, Nonce: e.cfg.Timing.Uint64()}
	e.out.Events = append(e.out.Events, Event{Kind: InstanceEvent, Instance: e.cfg.Instance})
	e.discovery.Announce(now.Mono)
}
