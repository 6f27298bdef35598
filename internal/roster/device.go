package roster

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Device is one device of the subnet, and how it is known.
type Device struct {
	Key       string     `json:"key,omitempty"` // names it for as long as it is remembered, if it is
	ID        string     `json:"id,omitempty"`
	Nick      string     `json:"nick,omitempty"`
	Name      string     `json:"name"`
	Host      string     `json:"host,omitempty"`
	Addrs     []string   `json:"addrs"` // IPv4 first
	MAC       string     `json:"mac"`
	Vendor    string     `json:"vendor,omitempty"`
	UUID      string     `json:"uuid,omitempty"`
	Kind      string     `json:"kind"` // bcast, what it says it is, or host
	Model     string     `json:"model,omitempty"`
	Services  []Service  `json:"services"`
	FoundBy   []Source   `json:"found_by"`
	Evidence  []Evidence `json:"evidence"`
	Conflicts []string   `json:"conflicts,omitempty"` // addresses for which several cards answer in turn
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
	Status    string     `json:"status"` // of a bcast device: here, suspect, lost or left; of another: seen or gone
	Tag       string     `json:"-"`
	addrs     []netip.Addr
}

// Evidence is a sighting that a device is made of.
type Evidence struct {
	By     Source   `json:"by"`
	Key    string   `json:"key"`              // what the protocol calls it
	Shares []string `json:"shares,omitempty"` // what it has in common with the device's other sightings
	Gone   bool     `json:"gone,omitempty"`
}

// describe makes a device of sightings that belong together. What several of them tell is taken from the first.
func describe(entries []*entry) Device {
	d := Device{Addrs: []string{}, Services: []Service{}}
	shared := map[mark]int{}
	for _, e := range entries {
		for _, m := range e.marks {
			shared[m]++
		}
	}
	status, uuid := presence(entries), ""
	for _, e := range entries {
		d.ID, d.Nick, d.Tag = cmp.Or(d.ID, e.ID), cmp.Or(d.Nick, e.Nick), cmp.Or(d.Tag, e.Tag)
		d.Name, d.Host, d.MAC = cmp.Or(d.Name, e.Name), cmp.Or(d.Host, e.Host), cmp.Or(d.MAC, e.MAC)
		d.Kind, d.Model = cmp.Or(d.Kind, e.Kind), cmp.Or(d.Model, e.Model)
		uuid = cmp.Or(uuid, plainUUID(e.UUID))
		if e.gone.IsZero() {
			d.Conflicts = append(d.Conflicts, e.conflict()...)
			d.Status = cmp.Or(d.Status, e.Status)
			d.Services = append(d.Services, e.Services...)
		}
		if e.gone.IsZero() || len(d.addrs) == 0 { // where it was does not matter once it is known where it is
			d.addrs = append(d.addrs, e.Addrs...)
		}
		if !slices.Contains(d.FoundBy, e.source) {
			d.FoundBy = append(d.FoundBy, e.source)
		}
		if d.FirstSeen.IsZero() || e.First.Before(d.FirstSeen) {
			d.FirstSeen = e.First
		}
		if e.Last.After(d.LastSeen) {
			d.LastSeen = e.Last
		}
		evidence := Evidence{By: e.source, Key: e.Key, Gone: !e.gone.IsZero()}
		for _, m := range e.marks {
			if shared[m] > 1 {
				evidence.Shares = append(evidence.Shares, m.String())
			}
		}
		d.Evidence = append(d.Evidence, evidence)
	}
	d.UUID, d.Status = uuid, cmp.Or(d.Status, status)
	d.Name, d.Kind = cmp.Or(d.Name, PlainHost(d.Host)), cmp.Or(d.Kind, "host")
	d.tidy()
	return d
}

// presence is whether a device is there. The neighbour table decides only about what nothing else tells of: an entry
// stays for long after its host went.
func presence(entries []*entry) string {
	others := slices.ContainsFunc(entries, func(e *entry) bool { return e.source != ARP })
	if slices.ContainsFunc(entries, func(e *entry) bool { return e.gone.IsZero() && (e.source != ARP || !others) }) {
		return Seen
	}
	return Gone
}

// tidy puts lists into their order, everything once.
func (d *Device) tidy() {
	slices.SortFunc(d.addrs, netip.Addr.Compare) // IPv4 first
	d.addrs = slices.Compact(d.addrs)
	for _, addr := range d.addrs {
		d.Addrs = append(d.Addrs, addr.String())
	}
	compare := func(a, b Service) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port))
	}
	slices.SortStableFunc(d.Services, func(a, b Service) int {
		return cmp.Or(compare(a, b), cmp.Compare(len(b.Text), len(a.Text))) // one protocol may have room for fewer texts
	})
	d.Services = slices.CompactFunc(d.Services, func(a, b Service) bool { return compare(a, b) == 0 })
	slices.Sort(d.FoundBy)
}

// Offers reports whether a device has a service of a type, written as its protocol does or without a leading dot.
func (d Device) Offers(service string) bool {
	return slices.ContainsFunc(d.Services, func(s Service) bool { return strings.EqualFold(s.Type, service) })
}

func (d Device) compare(other Device) int {
	if len(d.addrs) > 0 && len(other.addrs) > 0 {
		return cmp.Or(d.addrs[0].Compare(other.addrs[0]), strings.Compare(d.ID, other.ID))
	}
	return cmp.Or(boolean(len(d.addrs) == 0, len(other.addrs) == 0), strings.Compare(d.Name, other.Name))
}

// print is all that a person watches for; that a device was heard again is not in it.
func (d Device) print() string {
	d.FirstSeen, d.LastSeen = time.Time{}, time.Time{}
	return fmt.Sprintf("%+v", d)
}
