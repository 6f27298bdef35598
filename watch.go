package bcast

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"bcast/internal/control"
	"bcast/internal/roster"
	"bcast/internal/zeroconf"
)

// watch is the watcher of the subnet, if there is one.
type watch struct {
	mu      sync.Mutex
	watcher *zeroconf.Watcher
	closed  bool
}

// Watch looks at the whole subnet from now on, by all protocols, until Close: what becomes of a device is an event, and
// Devices lists those remembered, in a Home beyond this run. A Node that does not watch asks nobody by foreign
// protocols. A second call changes nothing.
func (n *Node) Watch(context.Context) error {
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	if n.watch.watcher != nil || n.watch.closed {
		return nil
	}
	if n.cfg.lan != nil && n.cfg.subnet == nil {
		return control.NewError(control.CodeUnsupported, nil, "on a LAN in memory there are bcast devices alone", "see Peers")
	}
	watcher, err := zeroconf.Watch(context.Background(), zeroconf.Watching{
		SurveyConfig: zeroconf.SurveyConfig{Host: n.cfg.subnet}, Before: n.devicesBefore(), Log: n.cfg.Logger,
		Peers: func(ctx context.Context) ([]roster.Sighting, error) {
			peers, err := n.Peers(ctx)
			return sightingsOf(peers), err
		},
		Tell: func(c roster.Change) {
			n.events.add(Event{Type: control.EventDevice, Time: time.Now().UTC(), Device: &c})
		},
		Keep: n.rememberDevices,
	})
	if err != nil {
		return control.NewError(control.CodeNoNetwork, err, err.Error(), "see bcast ifaces")
	}
	n.watch.watcher = watcher
	return nil
}

// Devices lists every device of the subnet that this Node remembers, by all protocols, those that are gone at the end.
// A Node that does not watch has none: the error is of CodeNotFound.
func (n *Node) Devices(context.Context) ([]Device, error) {
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	if n.watch.watcher == nil {
		return nil, control.NewError(control.CodeNotFound, nil, "this device does not watch the subnet",
			"bcast daemon --watch")
	}
	return n.watch.watcher.Devices(), nil
}

// renew has other interfaces watched.
func (w *watch) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watcher != nil {
		w.watcher.Renew()
	}
}

// close ends it, without the lock: who has the node's turn may want that, and the watcher asks for the turn.
func (w *watch) close() {
	w.mu.Lock()
	watcher := w.watcher
	w.closed = true
	w.mu.Unlock()
	if watcher != nil {
		watcher.Close()
	}
}

// devicesBefore are the devices that an earlier run saw. A damaged file is none: what it held can be seen again.
func (n *Node) devicesBefore() (before []Device) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return nil
	}
	if err := n.home.ReadDevices(&before); err != nil {
		n.cfg.Logger.Warn("devices that were seen before are new again", "err", err)
		return nil
	}
	return before
}

func (n *Node) rememberDevices(devices []Device) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return nil
	}
	return n.home.WriteDevices(devices)
}

// sightingsOf are bcast's peers as the roster takes them.
func sightingsOf(peers []Peer) []roster.Sighting {
	var sightings []roster.Sighting
	for _, peer := range peers {
		s := roster.Sighting{Key: peer.ID, ID: peer.ID, Nick: peer.Nick, Tag: peer.Tag, Name: peer.Nick, Status: peer.Status,
			Kind: "bcast", First: peer.FirstSeen, Last: peer.LastSeen}
		if at, err := netip.ParseAddrPort(peer.Addr); err == nil {
			s.Addrs = []netip.Addr{at.Addr()}
		} else if addr, err := netip.ParseAddr(peer.Addr); err == nil {
			s.Addrs = []netip.Addr{addr}
		}
		for _, service := range peer.Services {
			s.Services = append(s.Services, roster.Service{Type: service.Type, Name: service.Name, Port: service.Port,
				Text: service.Text})
		}
		sightings = append(sightings, s)
	}
	return sightings
}
