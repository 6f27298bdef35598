// Package zeroconf is what this host hears and says on its segments by the discovery protocols of other programs:
// multicast DNS, SSDP and WS-Discovery. A Survey listens and makes one roster of what they, the neighbour table and
// bcast's own presence tell; a Watcher surveys for as long as a daemon runs; an Announcer makes services known and
// answers for them.
//
// Its invariant: everything it holds and sends is bounded whatever comes. A survey answers nobody. An announcer sends
// nothing unless something changes, somebody on the link asks, or what was told by SSDP would be forgotten there, and
// says goodbye for what it said.
package zeroconf

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"bcast/internal/mdns"
	"bcast/internal/roster"
	"bcast/internal/ssdp"
	"bcast/internal/wsd"
)

// SurveyConfig says what a survey is to look for.
type SurveyConfig struct {
	Types   []string       // mDNS service types to browse for; empty: all
	Vendors roster.Vendors // of network cards; may be nil
	Probe   bool           // have every address of the own subnets asked for
	Host    Host           // nil: this host
}

// Host is where a survey listens.
type Host interface {
	Segments() ([]Segment, error)
	Neighbours() ([]roster.Sighting, error)
	// Fetch gets a document of at most limit bytes by HTTP, from one address.
	Fetch(ctx context.Context, from netip.Addr, url, post string, limit int) ([]byte, error)
	Seed() [32]byte
}

// Segment is an interface that multicast goes by.
type Segment interface {
	Name() string
	Addrs() []netip.Addr     // of both families
	Subnets() []netip.Prefix // those addresses with their subnets
	Has(like netip.Addr) bool
	// Open opens a socket for a group: bound to its port if join is set, else to any.
	Open(group netip.AddrPort, join bool, hops int) (Link, error)
	// Listen takes connections to an address of this host there, at a port of the system's choice.
	Listen(at netip.Addr) (net.Listener, error)
}

// Link is a socket of one group on one segment.
type Link interface {
	Receive(buf []byte) (int, netip.AddrPort, error)
	Send(datagram []byte) error
	SendTo(datagram []byte, to netip.AddrPort) error // to an address on the link
	Close() error
}

// protocol is one of the protocols on one segment: a value without I/O.
type protocol interface {
	Receive(now time.Time, from netip.AddrPort, datagram []byte)
	Advance(now time.Time) [][]byte
	Deadline() time.Time
	Sightings(now time.Time) []roster.Sighting
	Refused() int
}

// watch is a protocol on a segment, with its sockets.
type watch struct {
	source   roster.Source
	protocol protocol
	senders  []Link
}

// Survey is a survey that goes on until Close.
type Survey struct {
	host     Host
	cancel   context.CancelFunc
	work     sync.WaitGroup
	inbox    *inbox[*watch]
	news     chan struct{}
	links    []Link
	own      map[netip.Addr]bool // of this host
	problems []error
	slots    chan struct{} // of documents being fetched

	mu      sync.Mutex // guards all below
	watches []*watch
	roster  roster.Roster
}

// StartSurvey begins a survey. What cannot be listened to is among Problems; a host without any segment is none.
func StartSurvey(ctx context.Context, cfg SurveyConfig) (*Survey, error) {
	host := cfg.Host
	if host == nil {
		host = thisHost{}
	}
	segments, err := host.Segments()
	if err != nil {
		return nil, fmt.Errorf("survey: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Survey{host: host, cancel: cancel, inbox: newInbox[*watch](), news: make(chan struct{}, 1),
		slots: make(chan struct{}, fetchesAtOnce), own: map[netip.Addr]bool{}, roster: roster.Roster{Vendors: cfg.Vendors}}
	seed := host.Seed()
	dice := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])))
	now := time.Now()
	for _, segment := range segments {
		name := segment.Name()
		for _, addr := range segment.Addrs() {
			s.own[addr.WithZone("")] = true
		}
		s.open(segment, roster.MDNS, mdns.New(now, name, cfg.Types, dice), true, mdnsHops, mdns.Group4, mdns.Group6)
		s.open(segment, roster.SSDP, ssdp.New(now, dice), false, 1, ssdp.Group)
		if cfg.Probe && segment.Has(mdns.Group4.Addr()) {
			s.probe(ctx, segment)
		}
		s.open(segment, roster.WSD, wsd.New(now, dice), false, 1, wsd.Group4, wsd.Group6)
	}
	s.work.Go(func() { s.run(ctx) })
	return s, nil
}

// mdnsHops tells who checks it that a datagram has passed no router (RFC 6762, section 11).
const mdnsHops = 255

// open opens the sockets of a protocol on a segment: one that joined each group, and one to ask from, which may be the
// same if the port of the group is ours, too. Another program may have that port for itself: then answers come to ours.
func (s *Survey) open(on Segment, source roster.Source, p protocol, same bool, hops int, groups ...netip.AddrPort) {
	w := &watch{source: source, protocol: p}
	s.watches = append(s.watches, w)
	for _, group := range groups {
		if !on.Has(group.Addr()) {
			continue
		}
		joined, err := on.Open(group, true, hops)
		if err == nil {
			s.read(w, joined)
		} else {
			s.problems = append(s.problems, fmt.Errorf("%s on %s: announcements are not heard: %w", source, on.Name(), err))
		}
		if err == nil && same {
			w.senders = append(w.senders, joined)
			continue
		}
		asking, err := on.Open(group, false, hops)
		if err != nil {
			s.problems = append(s.problems, fmt.Errorf("%s on %s: nothing can be asked: %w", source, on.Name(), err))
			continue
		}
		s.read(w, asking)
		w.senders = append(w.senders, asking)
	}
}

// read hands what a socket receives to the loop until it is closed.
func (s *Survey) read(w *watch, link Link) {
	s.links = append(s.links, link)
	s.work.Go(func() { s.inbox.read(link, w) })
}

// run gives the protocols what comes and sends what is due.
func (s *Survey) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.inbox.arrivals:
			s.mu.Lock()
			a.at.protocol.Receive(time.Now(), a.from, a.data)
			s.mu.Unlock()
			s.tell()
			s.fetch(ctx, a.at.protocol)
		case <-timer.C:
		}
		timer.Reset(time.Until(s.advance()))
	}
}

// advance sends what is due on all segments and returns when something is due next.
func (s *Survey) advance() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	next := now.Add(time.Hour)
	for _, w := range s.watches {
		if deadline := w.protocol.Deadline(); !deadline.IsZero() && !deadline.After(now) {
			for _, datagram := range w.protocol.Advance(now) {
				for _, link := range w.senders {
					_ = link.Send(datagram) // an interface that is down for a moment; it is asked again
				}
			}
		}
		if deadline := w.protocol.Deadline(); !deadline.IsZero() && deadline.Before(next) {
			next = deadline
		}
	}
	return next
}

// tell says that something was heard.
func (s *Survey) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// News receives when something was heard since it was last received from.
func (s *Survey) News() <-chan struct{} { return s.news }

// Problems are what could not be listened to.
func (s *Survey) Problems() []error { return s.problems }

// Look merges what is known now, with the peers that bcast's presence knows: all devices, and those of them that are
// new or changed since the last look.
func (s *Survey) Look(peers []roster.Sighting) (devices, changed []roster.Device, err error) {
	neighbours, err := s.host.Neighbours()
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UTC()
	told := map[roster.Source][]roster.Sighting{roster.Bcast: peers, roster.ARP: neighbours, roster.MDNS: nil,
		roster.SSDP: nil, roster.WSD: nil}
	for _, w := range s.watches {
		others := slices.DeleteFunc(w.protocol.Sightings(now), s.isThisHost)
		told[w.source] = append(told[w.source], others...)
	}
	for source, sightings := range told {
		s.roster.Update(now, source, sightings)
	}
	devices = s.roster.Devices()
	return devices, s.roster.Changed(devices), nil
}

// isThisHost tells whether something is told by a program of this host: who looks knows where it is.
func (s *Survey) isThisHost(told roster.Sighting) bool {
	return slices.ContainsFunc(told.Addrs, func(addr netip.Addr) bool { return s.own[addr.WithZone("")] })
}

// Refused is how many datagrams and devices were malformed or found no room.
func (s *Survey) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := int(s.inbox.dropped.Load()) + s.roster.Refused()
	for _, w := range s.watches {
		total += w.protocol.Refused()
	}
	return total
}

// Close ends the survey and waits for everything that it started.
func (s *Survey) Close() {
	s.cancel()
	for _, link := range s.links {
		link.Close()
	}
	s.work.Wait()
}
