package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"bcast/internal/control"
	"bcast/internal/roster"
)

// Config says for whom hooks do what they do.
type Config struct {
	Home string // of the programs, and of what is remembered; empty: nothing is
	Log  *slog.Logger
}

// Runner does what hooks say. Its methods may be called from many goroutines, but for Run.
type Runner struct {
	cfg  Config
	list []Hook
	do   func(ctx context.Context, h Hook, e control.Event) error
	call caller
}

// New returns a Runner of the hooks.
func New(hooks []Hook, cfg Config) *Runner {
	r := &Runner{cfg: cfg, list: hooks, call: newCaller()}
	r.do = r.act
	return r
}

// act does what a hook says about an event.
func (r *Runner) act(ctx context.Context, h Hook, e control.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	body = append(body, '\n')
	if h.Webhook != "" {
		return r.call.call(ctx, h, body)
	}
	_, err = Program{Command: h.Exec, Time: h.time, Home: r.cfg.Home}.run(ctx, environ(h.On, e), body)
	return err
}

// Try does at once what the hooks on an event say that match it, and tells of each how it went. It heeds no pace.
func (r *Runner) Try(
	ctx context.Context, on string, e control.Event, tell func(Hook, error) error,
) (tried int, err error) {
	for _, h := range r.list {
		if h.matches(on, e) {
			tried++
			if err := tell(h, r.do(ctx, h, e)); err != nil {
				return tried, err
			}
		}
	}
	return tried, nil
}

// watch is one run.
type watch struct {
	*Runner
	self     string // the device's own id
	began    time.Time
	paces    []pace
	peers    *presence // of bcast's peers
	subnet   *presence // of all devices, if the subnet is watched
	met      *acquaintances
	programs *pool // of their own, so that an address that does not answer holds up no program
	calls    *pool
}

// Run watches until ctx ends or the participant does, whose error it returns.
func (r *Runner) Run(ctx context.Context, api control.API) error {
	if len(r.list) == 0 {
		return nil
	}
	status, err := api.Status(ctx)
	if err != nil {
		return err
	}
	w := &watch{Runner: r, self: status.ID, began: time.Now(), paces: make([]pace, len(r.list))}
	if w.met, err = readMet(r.cfg.Home); err != nil {
		r.cfg.Log.Warn("devices that were met before are new again", "err", err)
	}
	for i, h := range r.list {
		w.paces[i].most = h.Most
	}
	w.peers, w.subnet = newPresence(r.list, false), newPresence(r.list, true)
	ctx, cancel := context.WithCancel(ctx)
	w.programs, w.calls = newPool(ctx, r.cfg.Log), newPool(ctx, r.cfg.Log)
	defer w.programs.close()
	defer w.calls.close()
	defer cancel()
	peers, err := api.Peers(ctx)
	if err != nil {
		return err
	}
	for _, p := range peers {
		w.notePeer(control.Event{Type: control.EventPeer, Peer: &p}, w.began)
	}
	if err := w.recall(ctx, api); err != nil {
		return err
	}
	return w.follow(ctx, control.Watch(ctx, api, status.EventID))
}

// recall takes the devices that a watched subnet has now: none of them is new.
func (w *watch) recall(ctx context.Context, api control.API) error {
	if len(w.subnet.hooks) == 0 {
		return nil
	}
	devices, err := api.Devices(ctx)
	for _, d := range devices {
		e := control.Event{Type: control.EventDevice, Device: &control.DeviceChange{Device: d}}
		w.subnet.recall(d.Key, d.IsHere(), e, w.began)
	}
	return err
}

func (w *watch) follow(ctx context.Context, events <-chan control.Happening) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		news, next := w.peers.settle(time.Now())
		more, soon := w.subnet.settle(time.Now())
		if next.IsZero() || !soon.IsZero() && soon.Before(next) {
			next = soon
		}
		for _, n := range append(news, more...) {
			w.deviceChanged(n)
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case h, more := <-events:
			switch {
			case !more:
				return nil
			case h.Err != nil:
				return h.Err
			}
			w.note(h.Event)
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// note takes an event.
func (w *watch) note(e control.Event) {
	switch {
	case e.Type == control.EventPost && !e.Post.Own && news(*e.Post, w.began):
		w.fire("post", e)
		if e.Post.Mention || e.Post.Direct != "" {
			w.fire("mention", e)
		}
		if e.Post.File != nil {
			w.fire("file-offered", e)
		}
	case e.Type == control.EventOffer:
		w.fire("file-offered", e)
	case e.Type == control.EventFile && e.File.State == control.FileWhole:
		w.fire("file-received", e)
	case e.Type == control.EventMember && e.Member.ID != w.self && e.Member.Change != "nick":
		w.fire(e.Member.Change, e)
	case e.Type == control.EventCut:
		w.fire("cut", e)
	case e.Type == control.EventPeer:
		w.notePeer(e, time.Now())
	case e.Type == control.EventDevice:
		w.noteDevice(e, time.Now())
	case e.Type == control.EventGap:
		w.cfg.Log.Warn("more happened than hooks could follow: nothing is done about some of it")
	}
}

func (w *watch) notePeer(e control.Event, now time.Time) {
	w.peers.note(e.Peer.ID, control.Here(e.Peer.Status), !w.met.has(e.Peer.ID), e, now)
}

// noteDevice takes what became of a device of the subnet: what the memory of that calls new, nobody met.
func (w *watch) noteDevice(e control.Event, now time.Time) {
	switch c := e.Device; c.Change {
	case roster.Changed:
		w.fire("device-changed", e)
	case roster.AddressConflict, roster.NameConflict:
		w.fire(c.Change, e)
	default:
		w.subnet.note(c.Device.Key, c.Device.IsHere(), c.Change == roster.New, e, now)
	}
}

// fire has the hooks on an event do what they say.
func (w *watch) fire(on string, e control.Event) {
	for i, h := range w.list {
		if h.matches(on, e) {
			w.start(i, e)
		}
	}
}

// deviceChanged has one hook on devices do what it says.
func (w *watch) deviceChanged(n happened) {
	h := w.list[n.hook]
	if h.On == "device-new" && n.event.Peer != nil {
		if err := w.met.add(n.id); err != nil {
			w.cfg.Log.Warn("a device will be new again after the next start", "err", err)
		}
	}
	n.event.Time = time.Now().UTC()
	if h.matches(h.On, n.event) {
		w.start(n.hook, n.event)
	}
}

// start has a hook's action done beside us, if that is not too much.
func (w *watch) start(i int, e control.Event) {
	h, pool := w.list[i], w.programs
	if h.Webhook != "" {
		pool = w.calls
	}
	if !w.paces[i].pass(time.Now()) {
		pool.skip()
		return
	}
	pool.do(func(ctx context.Context) {
		if err := w.do(ctx, h, e); err != nil && ctx.Err() == nil {
			w.cfg.Log.Warn("a hook failed", "line", h.Line, "on", h.On, "err", err)
		}
	})
}
