package hook

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
)

// maxDevices are looked after; beyond it those that are gone are forgotten, and if that does not help newcomers are not
// noticed.
const maxDevices = 4096

// state is what a hook believes of a device.
type state uint8

const (
	unknown state = iota
	present
	gone
)

// presence tells hooks of devices that came and went for good: what a hook believes changes only when the device was
// the other way for as long as the hook wants, so that one that flaps is no news.
//
//	unknown ─here─► present ◄─here for D─┐
//	                   └──gone for D──► gone
//
// The first time that it is here counts at once, but for a hook on newcomers: those are to stay for D.
type presence struct {
	hooks   []Hook // those on devices, in order
	places  []int  // theirs among all hooks
	devices map[string]*device
	pending map[string]*device // those of which some hook does not believe what is so
}

// device is one device as it is.
type device struct {
	event    control.Event // that told of it last
	here     bool
	since    time.Time
	stranger bool    // it was not met before this run
	believed []state // by each hook
}

// happened is an event on a device that a hook waits for.
type happened struct {
	hook  int // its place among all
	id    string
	event control.Event
}

// newPresence is for those of the hooks that wait for devices to come or go, on all of the subnet or on peers alone.
func newPresence(hooks []Hook, subnet bool) *presence {
	p := &presence{devices: map[string]*device{}, pending: map[string]*device{}}
	for i, h := range hooks {
		if slices.Contains(comings, h.On) && h.Watches() == subnet {
			p.hooks, p.places = append(p.hooks, h), append(p.places, i)
		}
	}
	return p
}

// note takes how a device is now, with the event that tells it, and whether it is a stranger.
func (p *presence) note(id string, here, stranger bool, e control.Event, now time.Time) {
	if len(p.hooks) == 0 {
		return
	}
	d, known := p.devices[id]
	if !known {
		if len(p.devices) >= maxDevices {
			p.forget()
		}
		if len(p.devices) >= maxDevices {
			return
		}
		d = &device{believed: make([]state, len(p.hooks)), since: now, stranger: stranger}
		p.devices[id] = d
	}
	if here != d.here {
		d.here, d.since = here, now
	}
	d.event = e
	p.pending[id] = d
}

// recall takes how a device was before hooks began: one that is gone is back when it comes.
func (p *presence) recall(id string, here bool, e control.Event, now time.Time) {
	p.note(id, here, false, e, now)
	if d := p.devices[id]; d != nil && !here {
		for i := range d.believed {
			d.believed[i] = gone
		}
	}
}

// forget gives up the devices that are gone.
func (p *presence) forget() {
	for id, d := range p.devices {
		if !d.here {
			delete(p.devices, id)
			delete(p.pending, id)
		}
	}
}

// settle changes what hooks believe where it is time, and tells what that means to them and when to look again; zero is
// never.
func (p *presence) settle(now time.Time) (news []happened, next time.Time) {
	for id, d := range p.pending {
		waits := false
		for i, h := range p.hooks {
			is, was := d.state(), d.believed[i]
			if is == was || is == gone && was == unknown {
				continue
			}
			if due := d.since.Add(h.wait(was)); due.After(now) {
				waits = true
				if next.IsZero() || due.Before(next) {
					next = due
				}
				continue
			}
			d.believed[i] = is
			if h.On == turn(was, is, d.stranger) {
				news = append(news, happened{p.places[i], id, d.event})
			}
		}
		if !waits {
			delete(p.pending, id)
		}
	}
	slices.SortFunc(news, func(a, b happened) int {
		return cmp.Or(strings.Compare(a.id, b.id), a.hook-b.hook)
	})
	return news, next
}

// wait is how long something has to be so for a hook to believe it.
func (h Hook) wait(was state) time.Duration {
	if was == unknown && h.On != "device-new" {
		return 0
	}
	return h.For
}

func (d *device) state() state {
	if d.here {
		return present
	}
	return gone
}

// turn is what a change of belief is called.
func turn(was, is state, stranger bool) string {
	switch {
	case is == gone:
		return "device-lost"
	case was == gone:
		return "device-back"
	case stranger:
		return "device-new"
	}
	return ""
}
