package bcast

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"bcast/internal/control"
	"bcast/internal/mdns"
	"bcast/internal/roster"
	"bcast/internal/zeroconf"
)

// Evidence is one protocol's word of a [Device]: all of it is claimed by whoever is on the link.
type Evidence = roster.Evidence

// Statuses of a [Device] that is no bcast device; those of one are those of a [Peer].
const (
	DeviceSeen = roster.Seen
	DeviceGone = roster.Gone // it said goodbye, or what its protocol promised has not come
)

const (
	// browseLook is how often the neighbour table is read, which tells nobody when it changes.
	browseLook = time.Second
	// browseLeast is how long news of foreign protocols may gather: what a device tells there comes in several datagrams.
	browseLeast = 40 * time.Millisecond
)

// Browsing says what to look for.
type Browsing struct {
	// Types are those of services to ask for by mDNS, such as _http._tcp; none: all that there are.
	Types []string
	// Vendors names the makers of network cards: a registry such as oui.txt or manuf. It is read at once.
	Vendors io.Reader
	// Probe has every address of this host's own IPv4 subnets, but of no more than a /24, asked for by ARP, 250 a second:
	// that finds who is silent. Else nobody is asked but by multicast.
	Probe bool
	// With is who takes part, whose peers are devices, too: a [Node], or who speaks for one. nil: a guest, for as long
	// as the browser is open. A Node of a [LAN] looks at that.
	With Participant
}

// Participant is who takes part in bcast.
type Participant interface {
	Status(context.Context) (Status, error)
	Peers(context.Context) ([]Peer, error)
	Events(ctx context.Context, after string) iter.Seq2[Event, error]
}

// Browser looks at what is on the subnet: by bcast's presence, mDNS, SSDP, WS-Discovery and the neighbour table of the
// system. It scans nothing unless told to and answers nobody. Its methods may be called from many goroutines, but
// Changes from one.
type Browser struct {
	with   Participant
	guest  *Node // nil: it is somebody else's
	survey *zeroconf.Survey
}

// Browse begins to look. It returns at once: what there is comes within a second or two, most of it in the first tenth.
// ctx bounds all of it, and Close ends it. What one device, one protocol and all together may tell is bounded; what is
// beyond that is counted in Refused. Errors are of CodeInvalid, and those of [Start].
func Browse(ctx context.Context, b Browsing, options ...Option) (*Browser, error) {
	cfg := zeroconf.SurveyConfig{Types: b.Types, Probe: b.Probe}
	for _, kind := range b.Types {
		if err := mdns.CheckType(kind); err != nil {
			return nil, invalid(err, "e.g. _http._tcp")
		}
	}
	if b.Vendors != nil {
		vendors, err := roster.ReadVendors(b.Vendors)
		if err != nil {
			return nil, invalid(err, "e.g. the IEEE's oui.txt, or Wireshark's manuf")
		}
		cfg.Vendors = vendors
	}
	browser := &Browser{with: b.With}
	if b.With == nil {
		guest, err := Start(ctx, options...)
		if err != nil {
			return nil, err
		}
		browser.guest, browser.with = guest, guest
	}
	cfg.Host = hostOf(browser.with, options)
	found, err := zeroconf.StartSurvey(ctx, cfg)
	if err != nil {
		browser.Close()
		return nil, control.NewError(control.CodeNoNetwork, err, err.Error(), "")
	}
	browser.survey = found
	return browser, nil
}

// hostOf is where to look: what an option says, the LAN of a Node in memory, or this host, which is nil.
func hostOf(with Participant, options []Option) zeroconf.Host {
	var cfg Config
	for _, o := range options {
		o.configure(&cfg)
	}
	if cfg.subnet != nil {
		return cfg.subnet
	}
	if node, is := with.(*Node); is {
		if host := node.virtual(); host != nil {
			return host
		}
	}
	return nil
}

// Devices lists the devices known now, in the order of their addresses; those that are gone for some minutes.
func (b *Browser) Devices(ctx context.Context) ([]Device, error) {
	devices, _, err := b.look(ctx)
	return devices, err
}

// Changes yields each device that is new or has changed since Devices or Changes told it last, as it comes, until ctx
// ends. That one was merely heard again is no change. The error is the participant's.
func (b *Browser) Changes(ctx context.Context) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		status, err := b.with.Status(ctx)
		if err != nil {
			b.fail(ctx, err, yield)
			return
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		events := control.Watch(ctx, b.with, status.EventID)
		for {
			began := time.Now()
			_, changed, err := b.look(ctx)
			if err != nil {
				b.fail(ctx, err, yield)
				return
			}
			for _, device := range changed {
				if !yield(device, nil) {
					return
				}
			}
			wait(ctx, 4*time.Since(began)) // a fifth of the time, whatever comes
			if !b.wait(ctx, &events, time.Since(began)) {
				return
			}
		}
	}
}

// fail yields an error, unless it is that the reader has had enough.
func (b *Browser) fail(ctx context.Context, err error, yield func(Device, error) bool) {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		yield(Device{}, err)
	}
}

// wait returns when there may be news, after a look that was so long ago: at once if it is of a peer, who is told
// whole; false if ctx ends.
func (b *Browser) wait(ctx context.Context, events *<-chan control.Happening, since time.Duration) bool {
	timer := time.NewTimer(browseLook)
	defer timer.Stop()
	gathered := time.NewTimer(browseLeast - since)
	defer gathered.Stop()
	var news <-chan struct{} // of foreign protocols, once what was told last has gathered
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-gathered.C:
			news = b.survey.News()
		case <-news:
			return true
		case event, open := <-*events:
			if !open {
				*events = nil // the next look tells why
			} else if event.Peer != nil {
				return true
			}
		}
	}
}

// look asks all sources.
func (b *Browser) look(ctx context.Context) (devices, changed []Device, err error) {
	peers, err := b.with.Peers(ctx)
	if err != nil {
		return nil, nil, err
	}
	return b.survey.Look(sightingsOf(peers))
}

// Problems are what cannot be listened to, and so may be missed.
func (b *Browser) Problems() []error { return b.survey.Problems() }

// Refused counts datagrams that were malformed, and what found no room.
func (b *Browser) Refused() int { return b.survey.Refused() }

// Close ends it.
func (b *Browser) Close() error {
	if b.survey != nil {
		b.survey.Close()
	}
	if b.guest != nil {
		return b.guest.Close()
	}
	return nil
}
