package roster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// subnet is a roster and a memory of it, looked at each second.
type subnet struct {
	t   *testing.T
	now time.Time
	r   Roster
	m   Memory
}

// looks has so many seconds pass while sources tell the same, and returns what was told, each change with its second.
func (s *subnet) looks(seconds int, told map[Source][]Sighting) string {
	s.t.Helper()
	var all []string
	for range seconds {
		s.now = s.now.Add(time.Second)
		for _, source := range []Source{Bcast, MDNS, ARP} {
			s.r.Update(s.now, source, told[source])
		}
		for _, c := range s.m.Note(s.now, s.r.Devices()) {
			line := fmt.Sprintf("%d %s %s", int(s.now.Sub(start).Seconds()), c.Change, strings.Join(c.Device.Addrs, "+"))
			if len(c.What) > 0 {
				line += " " + strings.Join(c.What, ",")
			}
			if c.With != nil {
				line += " with " + strings.Join(c.With.Addrs, "+")
			}
			all = append(all, line)
		}
	}
	return strings.Join(all, "; ")
}

func (s *subnet) want(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func TestMemoryTellsWhatLasts(t *testing.T) {
	printer := func(name, addr string) map[Source][]Sighting {
		return map[Source][]Sighting{
			MDNS: {{Key: "p", Host: "printer.local", Name: name, Kind: "printer", Addrs: addrs(addr)}},
			ARP:  {arp(addr, "02:00:00:00:00:09")},
		}
	}
	s := &subnet{t: t, now: start}
	s.want("it comes", s.looks(10, printer("Printer", "10.0.0.9")), "4 new 10.0.0.9")
	s.want("it flaps", s.looks(10, nil)+s.looks(5, printer("Printer", "10.0.0.9")), "")
	s.want("another name for a moment", s.looks(2, printer("Printer 2", "10.0.0.9"))+s.looks(5, printer("Printer", "10.0.0.9")), "")
	s.want("another address for good", s.looks(8, printer("Printer", "10.0.0.7")), "36 changed 10.0.0.7 addrs")
	s.want("it goes", s.looks(30, nil), "56 lost 10.0.0.7")
	s.want("and comes back elsewhere", s.looks(8, printer("Printer", "10.0.0.8")), "74 back 10.0.0.8")
	if d := s.m.Devices(); len(d) != 1 || d[0].FirstSeen != start.Add(time.Second) || d[0].LastSeen != s.now || d[0].Status != Seen {
		t.Errorf("remembered %+v", d)
	}
}

// The system keeps an entry of its neighbour table long after its host went.
func TestWhoSpokeAndWentIsNotBackByTheNeighbourTable(t *testing.T) {
	entry := map[Source][]Sighting{ARP: {arp("10.0.0.9", "02:00:00:00:00:09")}}
	both := map[Source][]Sighting{MDNS: {{Key: "p", Name: "Printer", Addrs: addrs("10.0.0.9")}}, ARP: entry[ARP]}
	s := &subnet{t: t, now: start}
	s.want("it comes, and goes", s.looks(5, both)+s.looks(1200, entry), "4 new 10.0.0.921 lost 10.0.0.9")
	before := s.m.Devices()
	s.r, s.m = Roster{}, Memory{}
	s.m.Recall(s.now, before)
	s.want("after a restart", s.looks(60, entry), "")
	s.want("it speaks again", s.looks(5, both), "1269 back 10.0.0.9")
	if d := s.m.Devices(); len(d) != 1 || d[0].Name != "Printer" || d[0].Status != Seen {
		t.Errorf("remembered %+v", d)
	}
}

func TestMemoryOutlivesTheProcess(t *testing.T) {
	one, two := arp("10.0.0.1", "02:00:00:00:00:01"), arp("10.0.0.2", "02:00:00:00:00:02")
	s := &subnet{t: t, now: start}
	s.want("two come", s.looks(5, map[Source][]Sighting{ARP: {one, two}}), "4 new 10.0.0.1; 4 new 10.0.0.2")
	text, err := json.Marshal(s.m.Devices())
	if err != nil {
		t.Fatal(err)
	}
	next := &subnet{t: t, now: s.now}
	var before []Device
	if err := json.Unmarshal(text, &before); err != nil {
		t.Fatal(err)
	}
	next.m.Recall(next.now, before)
	three := arp("10.0.0.3", "02:00:00:00:00:03")
	next.want("one is there, one not any more, one new", next.looks(20, map[Source][]Sighting{ARP: {one, three}}),
		"9 new 10.0.0.3; 20 lost 10.0.0.2")
	if d := next.m.Devices(); len(d) != 3 || d[0].FirstSeen != start.Add(time.Second) || d[2].Status != Gone {
		t.Errorf("remembered %+v", d)
	}
}

func TestConflicts(t *testing.T) {
	told := func(mac string) map[Source][]Sighting {
		return map[Source][]Sighting{ARP: {arp("10.0.0.1", mac)}}
	}
	const a, b = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
	s := &subnet{t: t, now: start}
	s.want("one card", s.looks(5, told(a)), "4 new 10.0.0.1")
	s.want("given to another", s.looks(5, told(b)), "9 new 10.0.0.1")
	s.want("and back", s.looks(5, told(a)), "11 address-conflict 10.0.0.1 10.0.0.1")
	s.want("and again", s.looks(5, told(b)), "16 address-conflict 10.0.0.1 10.0.0.1")
	s.looks(660, told(b))
	if d := s.r.Devices(); len(d) != 1 || d[0].Conflicts != nil {
		t.Errorf("in conflict after eleven minutes: %+v", d)
	}
	s.want("long after", s.looks(10, told(a)), "684 back 10.0.0.1")

	s = &subnet{t: t, now: start}
	named := func(names ...string) map[Source][]Sighting {
		var all []Sighting
		for i, name := range names {
			addr := fmt.Sprintf("10.0.0.%d", i+1)
			all = append(all, Sighting{Key: addr, Name: name, Addrs: addrs(addr)})
		}
		return map[Source][]Sighting{MDNS: all}
	}
	s.looks(5, named("Kitchen"))
	s.want("two of a name", s.looks(5, named("Kitchen", "kitchen")),
		"9 new 10.0.0.2; 9 name-conflict 10.0.0.2 kitchen with 10.0.0.1")
	s.want("one is renamed", s.looks(6, named("Kitchen", "Hall")), "14 changed 10.0.0.2 name")
	s.want("and back", s.looks(6, named("Kitchen", "Kitchen")), "17 name-conflict 10.0.0.2 Kitchen with 10.0.0.1; 20 changed 10.0.0.2 name")
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	for crowd := range 3 {
		devices := make([]Device, maxRemembered)
		for i := range devices {
			devices[i] = Device{Addrs: []string{fmt.Sprint(crowd, ".", i)}, MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", crowd, i>>8, i&255), Status: Seen}
		}
		m.Note(start, devices)
		m.Note(start.Add(time.Second), nil)
	}
	if n := len(m.known); n != maxRemembered || len(m.byMark) != 2*maxRemembered {
		t.Errorf("%d remembered by %d marks", n, len(m.byMark))
	}
}
