// Package wsd finds devices by WS-Discovery (OASIS 1.1, and the draft of April 2005 that Windows, printers and cameras
// speak), and by the metadata of the Devices Profile.
//
// Its invariant: what it remembers, sends and has fetched is bounded whatever is announced, and metadata is asked for
// only at the address that announced it. It answers nothing, and does no I/O: datagrams and the time go in, probes and
// documents to fetch come out.
package wsd

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bcast/internal/document"
	"bcast/internal/roster"
)

// Groups of both families.
var (
	Group4 = netip.MustParseAddrPort("239.255.255.250:3702")
	Group6 = netip.MustParseAddrPort("[ff02::c]:3702")
)

// Limits of what is remembered of a link, and the timing.
const (
	mostDevices   = 512
	mostPerSource = 64               // told by one address
	mostTypes     = 16               // of a device
	mostFetches   = 4                // documents asked for at one address
	mostResolves  = 16               // between two probes
	mostQuestions = mostResolves + 6 // ids of own messages that are remembered
	probeEvery    = time.Minute
	// presentFor is how long a device counts that does not answer any more: the protocol has no time of its own, so it is
	// three probes.
	presentFor = 3*probeEvery + 5*time.Second
)

// early are the first probes, counted from the start: a datagram may get lost.
var early = []time.Duration{0, 300 * time.Millisecond, 1300 * time.Millisecond}

// Fetch is metadata to be fetched: by POST of a request, at the address that announced it and no other.
type Fetch struct {
	From     netip.Addr
	URL      string
	Request  string
	endpoint string
}

// Prober probes one link and remembers who answers. It is to be used by one goroutine at a time.
type Prober struct {
	dice      *rand.Rand
	start     time.Time
	next      time.Time
	round     int
	devices   map[place]*device
	sources   map[netip.Addr]int // devices by who told them
	questions []string           // ids of the newest messages sent
	resolve   []string           // endpoints whose addresses are to be asked for
	resolved  int                // how many were asked for since the last probe
	asked     map[string]bool    // address and URL
	fetches   []Fetch
	refused   int
}

// place is an endpoint at an address. A device with several addresses is several: so nobody speaks for another.
type place struct {
	endpoint string
	from     netip.Addr
}

// device is what was told of a place.
type device struct {
	place
	types    []string
	located  bool // it told an address to ask
	metadata metadata
	last     time.Time
	ends     time.Time
}

func (p place) compare(other place) int {
	return cmp.Or(strings.Compare(p.endpoint, other.endpoint), p.from.Compare(other.from))
}

// New returns a prober of one link, which starts to probe shortly after now.
func New(now time.Time, dice *rand.Rand) *Prober {
	start := now.Add(time.Duration(dice.Int64N(int64(100 * time.Millisecond))))
	return &Prober{dice: dice, start: start, next: start, devices: map[place]*device{},
		sources: map[netip.Addr]int{}, asked: map[string]bool{}}
}

// Refused is how many datagrams were malformed and devices found no room so far.
func (p *Prober) Refused() int { return p.refused }

// Deadline is when Advance has something to do.
func (p *Prober) Deadline() time.Time {
	if len(p.resolve) > 0 {
		return p.start
	}
	return p.next
}

// Advance returns the messages that are due, for the group, and forgets whose time is up.
func (p *Prober) Advance(now time.Time) [][]byte {
	var messages [][]byte
	for _, endpoint := range p.resolve {
		messages = append(messages, p.message("Resolve", fmt.Sprintf(resolveBody, escape(endpoint))))
	}
	p.resolve = nil
	if now.Before(p.next) {
		return messages
	}
	for _, d := range p.devices {
		if !d.ends.After(now) {
			p.drop(d)
		}
	}
	p.resolved = 0
	p.round++
	if p.round < len(early) {
		p.next = p.start.Add(early[p.round])
	} else {
		p.next = now.Add(probeEvery)
	}
	return append(messages, p.message("Probe", probeBody), p.message("Probe", typedBody))
}

// message makes a message and remembers its id, because answers name it.
func (p *Prober) message(action, body string) []byte {
	id := p.uuid()
	p.questions = append(p.questions, id)
	p.questions = p.questions[max(0, len(p.questions)-mostQuestions):]
	return fmt.Appendf(nil, envelope, action, id, body)
}

// uuid draws a UUID of version 4.
func (p *Prober) uuid() string {
	a, b := p.dice.Uint64(), p.dice.Uint64()
	return fmt.Sprintf("urn:uuid:%08x-%04x-4%03x-%04x-%012x",
		a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&(1<<48-1))
}

// Fetches returns the documents to be fetched; each comes once.
func (p *Prober) Fetches() []Fetch {
	fetches := p.fetches
	p.fetches = nil
	return fetches
}

// Receive takes a datagram that came from the link: an answer to a probe, or who comes and goes.
func (p *Prober) Receive(now time.Time, from netip.AddrPort, datagram []byte) {
	m, err := parse(datagram)
	if err != nil {
		p.refused++
		return
	}
	switch m.action() {
	case "Hello":
		p.meet(now, from.Addr(), m.Body.Hello)
	case "Bye":
		if d := p.devices[place{m.Body.Bye.endpoint(), from.Addr()}]; d != nil {
			p.drop(d)
		}
	case "ProbeMatches", "ResolveMatches":
		if !slices.Contains(p.questions, strings.TrimSpace(m.Header.RelatesTo)) {
			return // it answers somebody else
		}
		for _, match := range append(m.Body.ProbeMatches, m.Body.ResolveMatches...) {
			p.meet(now, from.Addr(), match)
		}
	}
}

func (p *Prober) drop(d *device) {
	delete(p.devices, d.place)
	if p.sources[d.from]--; p.sources[d.from] == 0 {
		delete(p.sources, d.from)
	}
}

func (p *Prober) meet(now time.Time, from netip.Addr, told target) {
	endpoint := told.endpoint()
	if endpoint == "" || len(endpoint) > 255 {
		p.refused++
		return
	}
	at := place{endpoint, from}
	d := p.devices[at]
	if d == nil {
		if len(p.devices) >= mostDevices || p.sources[from] >= mostPerSource {
			p.refused++
			return
		}
		d = &device{place: at}
		p.devices[at] = d
		p.sources[from]++
	}
	d.last, d.ends = now, now.Add(presentFor)
	if types := strings.Fields(told.Types); len(types) > 0 {
		d.types = types[:min(len(types), mostTypes)]
	}
	locations := strings.Fields(told.XAddrs)
	for _, location := range locations {
		p.fetch(from, endpoint, location)
	}
	d.located = d.located || len(locations) > 0
	if !d.located && p.resolved < mostResolves {
		p.resolved++
		p.resolve = append(p.resolve, endpoint)
	}
}

// fetch asks for the metadata at a location, if it may be.
func (p *Prober) fetch(from netip.Addr, endpoint, location string) {
	if !document.IsAt(location, from) {
		return
	}
	before := 0
	for key := range p.asked {
		if strings.HasPrefix(key, from.String()+" ") {
			before++
		}
	}
	key := from.String() + " " + location
	if !p.asked[key] && before < mostFetches && len(p.asked) < mostDevices {
		p.asked[key] = true
		request := fmt.Sprintf(getEnvelope, escape(endpoint), p.uuid())
		p.fetches = append(p.fetches, Fetch{From: from, URL: location, Request: request, endpoint: endpoint})
	}
}

// Fetched takes the document that was fetched.
func (p *Prober) Fetched(at Fetch, text []byte) {
	told, err := readMetadata(text)
	if err != nil {
		p.refused++
		return
	}
	if d := p.devices[place{at.endpoint, at.From}]; d != nil {
		d.metadata = told
	}
}

// Sightings are the devices of the link.
func (p *Prober) Sightings(now time.Time) []roster.Sighting {
	var sightings []roster.Sighting
	for _, at := range slices.SortedFunc(maps.Keys(p.devices), place.compare) {
		d := p.devices[at]
		if !d.ends.After(now) {
			continue
		}
		s := roster.Sighting{Key: d.endpoint + " " + d.from.String(), UUID: d.endpoint, Addrs: []netip.Addr{d.from},
			Name: d.metadata.name, Host: d.metadata.host, Model: d.metadata.model, Kind: kindOf(d.types), Last: d.last}
		for _, t := range d.types {
			s.Services = append(s.Services, roster.Service{Type: t})
		}
		sightings = append(sightings, s)
	}
	return sightings
}
