// Package ssdp finds devices by SSDP, the discovery of UPnP, and announces some (UPnP Device Architecture 2.0,
// sections 1 and 2).
//
// Its invariant: what it remembers, says and has fetched is bounded whatever comes; a document is asked for only at the
// address that announced it, and who asks gets no more alone than it sent. It does no I/O: datagrams and the time go
// in, searches, answers and documents to fetch come out.
package ssdp

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"bcast/internal/document"
	"bcast/internal/roster"
)

// Group is where searches and announcements go.
var Group = netip.MustParseAddrPort("239.255.255.250:1900")

// Limits of what is remembered of a link.
const (
	mostDevices   = 512 // with their embedded ones
	mostPerSource = 64  // told by one address
	mostServices  = 64  // of a device
	mostHeaders   = 32
	mostFetches   = 4 // documents asked for at one address
	longestLife   = 24 * time.Hour
	usualLife     = 30 * time.Minute // the least that section 1.2.2 allows, for who names none
	searchEvery   = 5 * time.Minute
)

// early are the first searches, counted from the start: a datagram may get lost (section 1.3.2).
var early = []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond}

// search asks all devices to answer within a second.
const search = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n" +
	"MX: 1\r\nST: ssdp:all\r\n\r\n"

// Fetch is a description to be fetched: by GET, at the address that announced it and no other.
type Fetch struct {
	From netip.Addr
	URL  string
}

// Searcher searches one link and remembers who answers. It is to be used by one goroutine at a time.
type Searcher struct {
	start   time.Time
	next    time.Time
	round   int
	devices map[place]*device
	sources map[netip.Addr]int // devices by who told them
	asked   map[Fetch]bool
	fetches []Fetch
	refused int
}

// place is a UUID at an address. A device with several addresses is several: so nobody speaks for another.
type place struct {
	uuid string
	from netip.Addr
}

func (p place) compare(other place) int {
	return cmp.Or(strings.Compare(p.uuid, other.uuid), p.from.Compare(other.from))
}

// device is what was told of a place.
type device struct {
	place
	root     bool // not embedded in another
	kind     string
	services map[string]bool
	location Fetch
	told     *description // from its document
	last     time.Time
	ends     time.Time
}

// New returns a searcher of one link, which starts to search shortly after now.
func New(now time.Time, dice *rand.Rand) *Searcher {
	start := now.Add(time.Duration(dice.Int64N(int64(100 * time.Millisecond))))
	return &Searcher{start: start, next: start, devices: map[place]*device{}, sources: map[netip.Addr]int{},
		asked: map[Fetch]bool{}}
}

// Refused is how many datagrams were malformed and devices found no room so far.
func (s *Searcher) Refused() int { return s.refused }

// Deadline is when Advance has something to do.
func (s *Searcher) Deadline() time.Time { return s.next }

// Advance returns the searches that are due, for the group, and forgets whose time is up.
func (s *Searcher) Advance(now time.Time) [][]byte {
	if now.Before(s.next) {
		return nil
	}
	for _, d := range s.devices {
		if !d.ends.After(now) {
			s.drop(d)
		}
	}
	s.round++
	if s.round < len(early) {
		s.next = s.start.Add(early[s.round])
	} else {
		s.next = now.Add(searchEvery)
	}
	return [][]byte{[]byte(search)}
}

// Fetches returns the documents to be fetched; each comes once.
func (s *Searcher) Fetches() []Fetch {
	fetches := s.fetches
	s.fetches = nil
	return fetches
}

// Receive takes a datagram that came from the link: an answer to a search, or an announcement.
func (s *Searcher) Receive(now time.Time, from netip.AddrPort, datagram []byte) {
	first, headers, ok := parse(datagram)
	if !ok {
		s.refused++
		return
	}
	target := headers["st"]
	switch {
	case strings.HasPrefix(first, "NOTIFY "):
		target = headers["nt"]
	case !strings.HasPrefix(first, "HTTP/1.1 200") && !strings.HasPrefix(first, "HTTP/1.0 200"):
		return // a search, perhaps our own
	}
	uuid, _, _ := strings.Cut(headers["usn"], "::")
	if !strings.HasPrefix(strings.ToLower(uuid), "uuid:") || target == "" || len(uuid) > 100 {
		s.refused++
		return
	}
	if strings.EqualFold(headers["nts"], "ssdp:byebye") {
		s.leave(place{uuid, from.Addr()}, target)
		return
	}
	s.meet(now, place{uuid, from.Addr()}, target, headers)
}

// leave takes back what was told of a place: a service, or with anything else the whole device, as all of it goes
// together.
func (s *Searcher) leave(at place, target string) {
	d := s.devices[at]
	if d == nil {
		return
	}
	if strings.Contains(target, ":service:") {
		delete(d.services, target)
		return
	}
	s.drop(d)
}

func (s *Searcher) drop(d *device) {
	delete(s.devices, d.place)
	if s.sources[d.from]--; s.sources[d.from] == 0 {
		delete(s.sources, d.from)
	}
}

func (s *Searcher) meet(now time.Time, at place, target string, headers map[string]string) {
	d := s.devices[at]
	if d == nil {
		if len(s.devices) >= mostDevices || s.sources[at.from] >= mostPerSource {
			s.refused++
			return
		}
		d = &device{place: at, services: map[string]bool{}}
		s.devices[at] = d
		s.sources[at.from]++
	}
	d.last, d.ends = now, now.Add(life(headers["cache-control"]))
	switch {
	case strings.EqualFold(target, "upnp:rootdevice"):
		d.root = true
	case strings.Contains(target, ":service:"):
		if len(d.services) < mostServices {
			d.services[target] = true
		}
	case strings.Contains(target, ":device:"):
		d.kind = cmp.Or(d.kind, kindOf(target))
	}
	if told := (Fetch{at.from, headers["location"]}); told != d.location && document.IsAt(told.URL, told.From) {
		d.location = told
		s.fetch(told)
	}
}

func (s *Searcher) fetch(at Fetch) {
	before := 0
	for f := range s.asked {
		if f.From == at.From {
			before++
		}
	}
	if !s.asked[at] && before < mostFetches && len(s.asked) < mostDevices {
		s.asked[at] = true
		s.fetches = append(s.fetches, at)
	}
}

// life is how long an announcement counts.
func life(cacheControl string) time.Duration {
	for part := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(part, "=")
		seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if err == nil && strings.EqualFold(strings.TrimSpace(name), "max-age") {
			return min(time.Duration(seconds)*time.Second, longestLife)
		}
	}
	return usualLife
}

// Sightings are the devices of the link, each of the embedded ones a sighting of its own.
func (s *Searcher) Sightings(now time.Time) []roster.Sighting {
	var sightings []roster.Sighting
	for _, place := range slices.SortedFunc(maps.Keys(s.devices), place.compare) {
		d := s.devices[place]
		if !d.ends.After(now) {
			continue
		}
		at := roster.Sighting{Key: d.uuid + " " + d.from.String(), UUID: d.uuid, Addrs: []netip.Addr{d.from}, Last: d.last}
		if d.root { // what is embedded has kinds and names that nobody calls the whole by
			at.Kind = d.kind
		}
		for _, service := range slices.Sorted(maps.Keys(d.services)) {
			at.Services = append(at.Services, roster.Service{Type: service})
		}
		if d.root && d.told != nil {
			at.Name, at.Model, at.Kind = d.told.name, d.told.model, cmp.Or(d.told.kind, d.kind)
		}
		sightings = append(sightings, at)
	}
	return sightings
}

// parse takes a datagram apart: the first line, and the headers by name in lower case.
func parse(datagram []byte) (first string, headers map[string]string, ok bool) {
	head, _, _ := strings.Cut(string(datagram), "\r\n\r\n")
	first, rest, _ := strings.Cut(head, "\r\n")
	headers = map[string]string{}
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		if len(headers) == mostHeaders {
			return "", nil, false
		}
		headers[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return first, headers, strings.Contains(first, "HTTP/1.")
}
