// Package announce makes services known by multicast DNS on segments of this host, and answers for them.
//
// Its invariant: it sends nothing unless something changes or somebody on the link asks, it says goodbye for what it
// said, and everything it holds and sends is bounded whatever comes.
package announce

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bcast/internal/mdns"
	"bcast/internal/survey"
)

const (
	// queued is how many datagrams may wait for the loop; what comes beyond is dropped and counted.
	queued = 256
	// longest is the largest datagram of mDNS.
	longest = 9000
	// hops tells who checks it that a datagram has passed no router (RFC 6762, section 11).
	hops = 255
)

// Config says where an Announcer speaks, and as whom.
type Config struct {
	Segments func() ([]survey.Segment, error) // where it speaks now
	Host     string                           // the name of this host
	Seed     [32]byte
}

// State is what has become of a service on a segment.
type State struct {
	Iface string
	mdns.Offered
	Problem error // it is not announced there
}

// Announcer makes services known until Close.
type Announcer struct {
	cfg      Config
	cancel   context.CancelFunc
	work     sync.WaitGroup
	arrivals chan arrival
	wake     chan struct{}
	look     atomic.Bool // the segments are to be looked at again

	mu      sync.Mutex // guards all below
	dice    *rand.Rand
	links   []*link // by name
	offers  map[int]mdns.Service
	next    int
	looked  bool          // at the segments
	told    []State       // when changed was closed last
	changed chan struct{} // closed and replaced when a state changes
	dropped int
	failure error // of the last look
	ended   bool
}

// link is a segment with what is said on it.
type link struct {
	name      string
	families  [2]bool // IPv4, IPv6: those it has addresses of
	responder *mdns.Responder
	senders   map[bool]survey.Link // by whether it is IPv4
	problem   error
}

// arrival is a datagram received.
type arrival struct {
	link *link
	from netip.AddrPort
	data []byte
}

// Start opens the segments. What cannot be opened is in the states of what is offered.
func Start(cfg Config) *Announcer {
	ctx, cancel := context.WithCancel(context.Background())
	seed := cfg.Seed[:]
	a := &Announcer{
		cfg: cfg, cancel: cancel, arrivals: make(chan arrival, queued), wake: make(chan struct{}, 1),
		dice:   rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed), binary.LittleEndian.Uint64(seed[8:]))),
		offers: map[int]mdns.Service{}, changed: make(chan struct{}),
	}
	a.look.Store(true)
	a.work.Go(func() { a.run(ctx) })
	return a
}

// Offer makes a service known, which has passed Check. The number names it for Withdraw and States.
func (a *Announcer) Offer(s mdns.Service) (id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	a.offers[a.next] = s
	for _, l := range a.links {
		l.responder.Offer(time.Now(), a.next, s)
	}
	a.rouse()
	return a.next
}

// Withdraw says goodbye for a service.
func (a *Announcer) Withdraw(id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.offers, id)
	for _, l := range a.links {
		l.responder.Withdraw(id)
	}
	a.advance() // now: who calls may be about to end
	a.rouse()
}

// Look has the segments looked at again: something about the interfaces has changed. It waits for nothing.
func (a *Announcer) Look() {
	a.look.Store(true)
	a.rouse()
}

// rouse has the loop see what is due.
func (a *Announcer) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// States are those of a service on each segment, and a channel that is closed when one of any service changes.
func (a *Announcer) States(id int) ([]State, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.DeleteFunc(a.states(), func(s State) bool { return s.ID != id })
	return all, a.changed
}

// states are those of all services.
func (a *Announcer) states() (all []State) {
	for _, l := range a.links {
		for _, o := range l.responder.Offers() {
			all = append(all, State{l.name, o, l.problem})
		}
	}
	if len(a.links) == 0 && a.looked {
		for id, s := range a.offers {
			problem := cmp.Or(a.failure, errors.New("no network interface can multicast now"))
			all = append(all, State{Offered: mdns.Offered{ID: id, Name: s.Name}, Problem: problem})
		}
		slices.SortFunc(all, func(x, y State) int { return cmp.Compare(x.ID, y.ID) })
	}
	return all
}

// Refused is how many datagrams were malformed or found no room.
func (a *Announcer) Refused() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	total := a.dropped
	for _, l := range a.links {
		total += l.responder.Refused()
	}
	return total
}

// Close says goodbye for all and waits for what it started.
func (a *Announcer) Close() {
	a.mu.Lock()
	for _, l := range a.links {
		l.send(l.responder.Goodbye())
		l.close()
	}
	a.links, a.ended = nil, true
	a.mu.Unlock()
	a.cancel()
	a.work.Wait()
}

// run gives the responders what comes and sends what is due.
func (a *Announcer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		a.mu.Lock()
		if !a.ended && a.look.Swap(false) {
			a.open()
		}
		next := a.advance()
		a.mu.Unlock()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case arrived := <-a.arrivals:
			a.mu.Lock()
			if slices.Contains(a.links, arrived.link) { // else it is gone
				arrived.link.responder.Receive(time.Now(), arrived.from, arrived.data)
			}
			a.mu.Unlock()
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// advance sends what is due, and returns when something is due next; zero: nothing.
func (a *Announcer) advance() (next time.Time) {
	now := time.Now()
	for _, l := range a.links {
		if at := l.responder.Deadline(); !at.IsZero() && !at.After(now) {
			l.send(l.responder.Advance(now))
		}
		if at := l.responder.Deadline(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if states := a.states(); !slices.EqualFunc(states, a.told, State.same) {
		a.told = states
		close(a.changed)
		a.changed = make(chan struct{})
	}
	return next
}

func (s State) same(other State) bool {
	return s.Iface == other.Iface && s.Offered == other.Offered && fmt.Sprint(s.Problem) == fmt.Sprint(other.Problem)
}

// open opens the segments that have come and closes those that are gone. What stays says which addresses it has now.
func (a *Announcer) open() {
	a.looked = true
	segments, err := a.cfg.Segments()
	if a.failure = err; err != nil {
		return // what is open stays
	}
	var links []*link
	var all []netip.Addr
	for _, s := range segments {
		all = append(all, s.Addrs()...)
	}
	for _, s := range segments {
		at := slices.IndexFunc(a.links, func(l *link) bool { return l.name == s.Name() && l.families == familiesOf(s) })
		if at < 0 {
			links = append(links, a.openLink(s, all))
			continue
		}
		a.links[at].responder.Move(time.Now(), s.Addrs(), all)
		links = append(links, a.links[at])
	}
	for _, l := range a.links {
		if !slices.Contains(links, l) {
			l.close()
		}
	}
	slices.SortFunc(links, func(x, y *link) int { return cmp.Compare(x.name, y.name) })
	a.links = links
}

func familiesOf(s survey.Segment) [2]bool {
	return [2]bool{s.Has(mdns.Group4.Addr()), s.Has(mdns.Group6.Addr())}
}

func (a *Announcer) openLink(s survey.Segment, all []netip.Addr) *link {
	l := &link{name: s.Name(), families: familiesOf(s), senders: map[bool]survey.Link{}}
	for i, group := range []netip.AddrPort{mdns.Group4, mdns.Group6} {
		if !l.families[i] {
			continue
		}
		socket, err := s.Open(group, true, hops)
		if err != nil {
			l.problem = err
			continue
		}
		l.senders[group.Addr().Is4()] = socket
		a.work.Go(func() { a.read(l, socket) })
	}
	if len(l.senders) > 0 {
		l.problem = nil // one family does
	}
	now := time.Now()
	l.responder = mdns.NewResponder(mdns.HostLabel(a.cfg.Host), a.dice)
	l.responder.Move(now, s.Addrs(), all)
	ids := make([]int, 0, len(a.offers))
	for id := range a.offers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		l.responder.Offer(now, id, a.offers[id])
	}
	return l
}

// read hands what a socket receives to the loop until it is closed.
func (a *Announcer) read(l *link, socket survey.Link) {
	survey.Each(socket, longest, func(from netip.AddrPort, data []byte) {
		select {
		case a.arrivals <- arrival{l, from, data}:
		default:
			a.mu.Lock()
			a.dropped++
			a.mu.Unlock()
		}
	})
}

func (l *link) send(packets []mdns.Packet) {
	for _, p := range packets {
		socket := l.senders[p.To.Addr().Is4()]
		switch {
		case socket == nil:
		case p.To.Addr().IsMulticast():
			_ = socket.Send(p.Data) // an interface that is down for a moment
		default:
			_ = socket.SendTo(p.Data, p.To)
		}
	}
}

func (l *link) close() {
	for _, socket := range l.senders {
		socket.Close()
	}
}
