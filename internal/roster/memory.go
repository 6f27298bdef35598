package roster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// What becomes of a device, as a Memory tells it.
const (
	New             = "new"              // it was never here before
	Back            = "back"             // it was lost, and is here again
	Lost            = "lost"             // it is here no more
	Changed         = "changed"          // what it says of itself is something else now
	AddressConflict = "address-conflict" // two cards answer for its address in turn
	NameConflict    = "name-conflict"    // another device that is here goes by its name
)

// Hysteresis: what is so for a moment only is no news, and what one device says comes in several datagrams.
const (
	settleHere = 3 * time.Second
	settleGone = 15 * time.Second
)

// maxRemembered devices are remembered; beyond it the longest gone make place, and if all are here newcomers are not
// noticed.
const maxRemembered = 4096

// Change is something that became of a device.
type Change struct {
	Change string   `json:"change"` // new | back | lost | changed | address-conflict | name-conflict
	Device Device   `json:"device"`
	What   []string `json:"what,omitempty"` // of a change: which fields; of a conflict: what is claimed twice
	With   *Device  `json:"with,omitempty"` // of a name-conflict: who else goes by the name
}

// Memory follows the devices of a roster over time, by what names each best: its id, UUID, MAC address, host name or an
// address. It tells of each what became of it once that has been so for a while. The zero value is empty and ready.
//
//	unknown ─here for 3 s─► here ◄─here for 3 s─┐
//	                          └─gone for 15 s─► lost
type Memory struct {
	known  []*remembered
	byMark map[mark]*remembered
}

// remembered is one device as it is, and as it was told.
type remembered struct {
	Device
	marks   []mark // the best first
	here    bool
	since   time.Time // so long it has been here, or gone
	told    string    // New or Back: it was told to be here; Lost: to be gone; empty: nothing was told
	facts   map[string]string
	changed time.Time // when its facts became what they are
	saw     map[string]string
	rivals  map[string]bool // the names and addresses that are told to be claimed twice
	current bool            // in the list noted last
}

// Note takes the devices that a roster lists now, and returns what is to be told.
func (m *Memory) Note(now time.Time, devices []Device) []Change {
	if m.byMark == nil {
		m.byMark = map[mark]*remembered{}
	}
	for _, k := range m.known {
		k.current = false
	}
	for _, d := range devices {
		if k := m.find(now, d); k != nil {
			k.note(now, d)
			m.index(k)
		}
	}
	for _, k := range m.known {
		if !k.current {
			k.turn(now, false)
		}
	}
	var told []Change
	for _, k := range m.known {
		told = append(told, k.settle(now)...)
	}
	return append(told, m.conflicts()...)
}

// namesOf are the marks of a device that it may be found again by, the best first.
func namesOf(d Device) []mark {
	var names marks
	names.add(byID, d.ID)
	names.add(byUUID, plainUUID(d.UUID))
	names.add(byMAC, plainMAC(d.MAC))
	names.add(byHost, PlainHost(d.Host))
	for _, addr := range d.Addrs {
		names.add(byAddress, addr)
	}
	return names
}

// find is what is remembered of a device, or a place for it; nil if there is none.
func (m *Memory) find(now time.Time, d Device) *remembered {
	names := namesOf(d)
	for _, name := range names {
		if k := m.byMark[name]; k != nil && !k.current && k.mayBe(d, name) {
			return k
		}
	}
	if len(names) == 0 || len(m.known) >= maxRemembered && !m.forget() {
		return nil
	}
	d.Key = names[0].String()
	k := &remembered{Device: d, since: now, rivals: map[string]bool{}}
	m.known = append(m.known, k)
	return k
}

// mayBe reports whether a device may be the one remembered, because of something that names both. Two ids are two
// devices, and who has the address of another card now is another host.
func (k *remembered) mayBe(d Device, because mark) bool {
	if k.ID != "" && d.ID != "" {
		return k.ID == d.ID
	}
	return because.kind != byAddress || k.MAC == "" || d.MAC == "" || plainMAC(k.MAC) == plainMAC(d.MAC)
}

// forget gives up the devices that are gone for longest, if there are any: many at once, so that a flood of newcomers
// costs each little.
func (m *Memory) forget() bool {
	var gone []*remembered
	for _, k := range m.known {
		if !k.here && !k.current {
			gone = append(gone, k)
		}
	}
	slices.SortStableFunc(gone, func(a, b *remembered) int { return a.LastSeen.Compare(b.LastSeen) })
	forgotten := map[*remembered]bool{}
	for _, k := range gone[:min(len(gone), maxRemembered/4)] {
		m.unindex(k)
		forgotten[k] = true
	}
	m.known = slices.DeleteFunc(m.known, func(k *remembered) bool { return forgotten[k] })
	return len(gone) > 0
}

// index has a device found by what names it now. What is another's stays with it, as long as it is here.
func (m *Memory) index(k *remembered) {
	m.unindex(k)
	k.marks = namesOf(k.Device)
	for _, name := range k.marks {
		if other := m.byMark[name]; other == nil || !other.here {
			m.byMark[name] = k
		}
	}
}

func (m *Memory) unindex(k *remembered) {
	for _, name := range k.marks {
		if m.byMark[name] == k {
			delete(m.byMark, name)
		}
	}
}

// note takes how a device is now.
func (k *remembered) note(now time.Time, d Device) {
	k.current = true
	if k.told == Lost && silent(d.FoundBy) && !silent(k.FoundBy) {
		return // the system keeps its entry for as long as it has room: who spoke once and is back speaks again
	}
	was, first, last := k.Device, k.FirstSeen, k.LastSeen
	k.Device = d
	k.keep(was)
	if first.Before(k.FirstSeen) && !first.IsZero() {
		k.FirstSeen = first
	}
	if last.After(k.LastSeen) {
		k.LastSeen = last
	}
	k.turn(now, d.IsHere())
	if facts := k.Device.facts(); !maps.Equal(facts, k.facts) {
		k.facts, k.changed = facts, now
	}
}

// silent reports whether nothing but the neighbour table tells of a device.
func silent(by []Source) bool {
	return !slices.ContainsFunc(by, func(s Source) bool { return s != ARP })
}

// keep fills in what was known of a device and nobody tells any more: whose own protocol has become silent, and who is
// still in the neighbour table, is known by its name.
func (k *remembered) keep(was Device) {
	k.Key = was.Key
	k.Name, k.Host, k.MAC = cmp.Or(k.Name, was.Name), cmp.Or(k.Host, was.Host), cmp.Or(k.MAC, was.MAC)
	k.UUID, k.Model, k.Vendor = cmp.Or(k.UUID, was.UUID), cmp.Or(k.Model, was.Model), cmp.Or(k.Vendor, was.Vendor)
	if k.Kind == "host" {
		k.Kind = was.Kind
	}
}

// turn takes whether a device is here.
func (k *remembered) turn(now time.Time, here bool) {
	if here != k.here {
		k.here, k.since = here, now
	}
	if !here && !k.current && (k.told == "" || k.told == Lost) {
		k.Status = Gone
	}
}

// mostTold is how many services of a device are told with a change of it, and remembered when it is gone.
const mostTold = 16

// brief is a device without what takes room: strangers may fill megabytes, and an event goes to all that listen.
func (d Device) brief() Device {
	d.Evidence = []Evidence{}
	d.Services = slices.Clone(d.Services[:min(len(d.Services), mostTold)])
	for i := range d.Services {
		d.Services[i].Text = nil
	}
	return d
}

// IsHere reports whether a device is there now: one that is late is not taken for gone.
func (d Device) IsHere() bool { return d.Status == Seen || d.Status == "here" || d.Status == "suspect" }

// facts are what a device says of itself, and where it is, by the names of its fields.
func (d Device) facts() map[string]string {
	var services []string
	for _, s := range d.Services[:min(len(d.Services), mostTold)] {
		services = append(services, s.Type+" "+s.Name)
	}
	return map[string]string{
		"name": d.Name, "host": d.Host, "addrs": strings.Join(d.Addrs, " "), "mac": d.MAC, "kind": d.Kind, "model": d.Model,
		"services": strings.Join(slices.Compact(services), "\n"),
	}
}

// settle tells what has been so for long enough.
func (k *remembered) settle(now time.Time) []Change {
	believed, in := k.told != "" && k.told != Lost, now.Sub(k.since)
	switch {
	case k.here && k.told == "" && in >= settleHere:
		return k.tell(New, nil)
	case k.here && k.told == Lost && in >= settleHere:
		return k.tell(Back, nil)
	case !k.here && believed && in >= settleGone:
		if !k.current {
			k.Status = Gone
		}
		k.Device = k.brief()
		return k.tell(Lost, nil)
	case k.here && believed && now.Sub(k.changed) >= settleHere && !maps.Equal(k.facts, k.saw):
		return k.tell(Changed, differing(k.facts, k.saw))
	}
	return nil
}

// tell makes a change, which is what is believed of the device from now on.
func (k *remembered) tell(change string, what []string) []Change {
	if change != Changed {
		k.told = change
	}
	k.saw = k.facts
	if change == Changed && len(what) == 0 {
		return nil
	}
	return []Change{{Change: change, Device: k.brief(), What: what}}
}

// differing are the facts in which two differ. What is known for the first time is no change.
func differing(is, was map[string]string) []string {
	var what []string
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if is[name] != was[name] && was[name] != "" {
			what = append(what, name)
		}
	}
	return what
}

// conflicts tells of names and addresses that are claimed twice by now, each once until it is over.
func (m *Memory) conflicts() []Change {
	holders := map[string][]*remembered{}
	for _, k := range m.known {
		if name := strings.ToLower(k.Name); name != "" && k.here && k.told != "" {
			holders[name] = append(holders[name], k)
		}
	}
	var told []Change
	for _, k := range m.known {
		claims := map[string]bool{}
		if first := firstOf(holders[strings.ToLower(k.Name)]); first != nil && first != k && k.here && k.told != "" {
			claims[k.Name] = true
			if !k.rivals[k.Name] {
				with := first.brief()
				told = append(told, Change{Change: NameConflict, Device: k.brief(), What: []string{k.Name}, With: &with})
			}
		}
		for _, conflict := range k.Conflicts {
			claims[conflict] = true
			if !k.rivals[conflict] {
				told = append(told, Change{Change: AddressConflict, Device: k.brief(), What: []string{conflict}})
			}
		}
		k.rivals = claims
	}
	return told
}

// firstOf is who had a name first; nil of nobody.
func firstOf(holders []*remembered) *remembered {
	if len(holders) == 0 {
		return nil
	}
	return slices.MinFunc(holders, func(a, b *remembered) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), a.Device.compare(b.Device))
	})
}

// Devices lists all that are remembered, in order of address, those that are gone by the end.
func (m *Memory) Devices() []Device {
	devices := make([]Device, 0, len(m.known))
	for _, k := range m.known {
		devices = append(devices, k.Device)
	}
	slices.SortStableFunc(devices, func(a, b Device) int {
		return cmp.Or(boolean(!a.IsHere(), !b.IsHere()), a.compare(b))
	})
	return devices
}

// Recall takes what was remembered before, as Devices lists it. Who was here then is lost if it is not seen soon, and
// nobody who was ever here is new.
func (m *Memory) Recall(now time.Time, devices []Device) {
	if m.byMark == nil {
		m.byMark = map[mark]*remembered{}
	}
	for _, d := range devices[:min(len(devices), maxRemembered)] {
		d.addrs = nil
		for _, text := range d.Addrs {
			if addr, err := netip.ParseAddr(text); err == nil {
				d.addrs = append(d.addrs, addr)
			}
		}
		k := &remembered{Device: d, since: now, told: Lost, facts: d.facts(), rivals: map[string]bool{}}
		if d.IsHere() {
			k.told = Back
		}
		k.saw = k.facts
		k.Device = k.brief()
		m.known = append(m.known, k)
		m.index(k)
	}
}
