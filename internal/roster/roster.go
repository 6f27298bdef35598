// Package roster makes one list of devices of what several protocols tell of a subnet.
//
// Its invariant: the devices follow from the sightings, whatever order they came in, and their number is bounded
// whatever is told. It takes time as an argument, and what it is told as a claim: most of these protocols are unsigned.
package roster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Source is a protocol that sightings come by. The first in order is believed first where two name a device.
type Source string

// All sources.
const (
	Bcast Source = "bcast"
	MDNS  Source = "mdns"
	WSD   Source = "wsd"
	SSDP  Source = "ssdp"
	ARP   Source = "arp" // the host's neighbour table, of both address families
)

var ranks = map[Source]int{Bcast: 0, MDNS: 1, WSD: 2, SSDP: 3, ARP: 4}

// Statuses of a device that is not known by bcast, whose own are here, suspect, lost and left.
const (
	Seen = "seen"
	Gone = "gone" // said goodbye, or its protocol's time is up
)

// Sighting is what one source tells of one device. Fields that it does not tell are empty.
type Sighting struct {
	Key      string // names it within its source: what is told later under the same key replaces it
	ID       string // key of a bcast device; with it Nick, Tag and Status
	Nick     string
	Tag      string
	Status   string
	Addrs    []netip.Addr
	MAC      string
	UUID     string
	Host     string // host name
	Name     string // what it calls itself
	Kind     string // what it says it is
	Model    string
	Services []Service
	First    time.Time // when it was first heard, if the source knows better than this roster
	Last     time.Time // when it was last heard
}

// Service is something that a device offers.
type Service struct {
	Type string   `json:"type"` // as its protocol writes it: _http._tcp, urn:schemas-upnp-org:…
	Name string   `json:"name,omitempty"`
	Port int      `json:"port,omitempty"`
	Text []string `json:"txt,omitempty"`
	By   Source   `json:"by"`
}

// Roster merges what the sources tell. The zero value is empty and ready.
type Roster struct {
	Vendors Vendors // who made what, if the user has a registry

	sources map[Source]map[string]*entry
	refused map[Source]int
	told    map[string]bool // prints of the devices that Changed was given
}

// entry is a sighting remembered.
type entry struct {
	Sighting
	source Source
	gone   time.Time // zero while its source tells it
	marks  []mark
	cards  []card // who answered for its address, the last one last
}

// Update replaces what is known by a source: sightings is all that it knows now. What it knew before and does not tell
// any more is gone.
func (r *Roster) Update(now time.Time, source Source, sightings []Sighting) {
	if r.sources == nil {
		r.sources, r.refused = map[Source]map[string]*entry{}, map[Source]int{}
	}
	known := r.sources[source]
	if known == nil {
		known = map[string]*entry{}
		r.sources[source] = known
	}
	current := r.admit(source, sightings)
	for key, e := range known {
		if !current[key] && e.gone.IsZero() {
			e.gone = now
		}
	}
	for _, s := range sightings {
		if current[s.Key] {
			known[s.Key] = remember(now, source, s, known[s.Key])
		}
	}
	forget(now, known)
}

// admit chooses whose sightings are kept: when there are too many, those that were there before.
func (r *Roster) admit(source Source, sightings []Sighting) map[string]bool {
	known, current := r.sources[source], make(map[string]bool, min(len(sightings), perSource))
	for _, s := range sightings {
		if e := known[s.Key]; e != nil && e.gone.IsZero() {
			current[s.Key] = true
		}
	}
	r.refused[source] = 0
	for _, s := range sightings {
		if len(current) < perSource {
			current[s.Key] = true
		} else if !current[s.Key] {
			r.refused[source]++
		}
	}
	return current
}

// remember makes an entry of a sighting, as the successor of the one before, if there is one.
func remember(now time.Time, source Source, s Sighting, before *entry) *entry {
	s = bounded(s)
	if s.Last.IsZero() {
		s.Last = now
	}
	if before != nil && (s.First.IsZero() || before.First.Before(s.First)) {
		s.First = before.First
	}
	if s.First.IsZero() {
		s.First = s.Last
	}
	for i := range s.Services {
		s.Services[i].By = source
	}
	e := &entry{Sighting: s, source: source, marks: marksOf(s)}
	if before != nil {
		e.cards = before.cards
	}
	e.answered(now)
	return e
}

// forget drops who is gone for long, and of the others that are gone the longest gone, until there is room.
func forget(now time.Time, known map[string]*entry) {
	maps.DeleteFunc(known, func(_ string, e *entry) bool { return !e.gone.IsZero() && now.Sub(e.gone) > rememberGone })
	if len(known) <= perSource {
		return
	}
	gone := slices.SortedFunc(maps.Values(known), func(a, b *entry) int {
		return cmp.Or(boolean(a.gone.IsZero(), b.gone.IsZero()), a.gone.Compare(b.gone), cmp.Compare(a.Key, b.Key))
	})
	for _, e := range gone[:len(known)-perSource] {
		delete(known, e.Key)
	}
}

// boolean orders false before true.
func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Refused is how many of the sightings told last found no room.
func (r *Roster) Refused() int {
	total := 0
	for _, n := range r.refused {
		total += n
	}
	return total
}

// Devices lists the devices, in order of address. Those that are gone are among them for a while.
func (r *Roster) Devices() []Device {
	var devices []Device
	for _, entries := range merge(r.entries()) {
		d := describe(entries)
		d.Vendor = r.Vendors.Of(d.MAC)
		devices = append(devices, d)
	}
	slices.SortStableFunc(devices, Device.compare)
	return devices
}

// Changed lists those of the devices that are new or changed since it was last called. That one was merely heard again
// is no change.
func (r *Roster) Changed(devices []Device) []Device {
	var changed []Device
	prints := make(map[string]bool, len(devices))
	for _, d := range devices {
		print := d.print()
		prints[print] = true
		if !r.told[print] {
			changed = append(changed, d)
		}
	}
	r.told = prints
	return changed
}

// entries are all sightings in the order of merging: sources by rank, each by key. Those that are here come first, so
// that who left a place does not decide what is there now.
func (r *Roster) entries() []*entry {
	var all []*entry
	for _, known := range r.sources {
		for _, e := range known {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int {
		return cmp.Or(boolean(!a.gone.IsZero(), !b.gone.IsZero()), cmp.Compare(ranks[a.source], ranks[b.source]),
			strings.Compare(a.Key, b.Key))
	})
	return all
}
