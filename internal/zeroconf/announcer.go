package zeroconf

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bcast/internal/mdns"
	"bcast/internal/speech"
)

// What a service may be announced by.
const (
	MDNS = "mdns"
	SSDP = "ssdp"
)

// AnnouncerConfig says where an Announcer speaks, and as whom.
type AnnouncerConfig struct {
	Segments func() ([]Segment, error) // where it speaks now
	Host     string                    // the name of this host
	Device   string                    // tells this participant from all others; by SSDP a hash of it is told
	Seed     [32]byte
}

// State is what has become of a service on a segment.
type State struct {
	By    string
	Iface string
	mdns.Offered
	Location string // by SSDP: of its description
	Problem  error  // it is not announced there
}

// offer is a service, and by what it is announced.
type offer struct {
	mdns.Service
	by []string
}

// Announcer makes services known until Close.
type Announcer struct {
	cfg    AnnouncerConfig
	cancel context.CancelFunc
	work   sync.WaitGroup
	inbox  *inbox[*link]
	wake   chan struct{}
	look   atomic.Bool // the segments are to be looked at again

	mu      sync.Mutex // guards all below
	dice    *rand.Rand
	links   []*link // by place
	offers  map[int]offer
	next    int
	looked  bool          // at the segments
	told    []State       // when changed was closed last
	changed chan struct{} // closed and replaced when a state changes
	failure error         // of the last look
	ended   bool
}

// voice is what one protocol says on one segment: a value without I/O.
type voice interface {
	Move(now time.Time, addrs, all []netip.Addr)
	Offer(now time.Time, id int, s mdns.Service)
	Withdraw(id int)
	Goodbye() []speech.Packet
	Receive(now time.Time, from netip.AddrPort, datagram []byte)
	Advance(now time.Time) []speech.Packet
	Deadline() time.Time
	Offers() []mdns.Offered
	Refused() int
}

// place is where and by what a link speaks. Where one of these is another, it is another link.
type place struct {
	iface, by string
	families  [2]bool      // by mDNS: IPv4, IPv6: those the segment has addresses of
	page      netip.Prefix // by SSDP: where descriptions are, and who may read them
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.iface, other.iface), cmp.Compare(p.by, other.by))
}

// link is a protocol on a segment with what it says.
type link struct {
	place
	voice    voice
	senders  map[bool]Link // by whether it is IPv4
	describe *http.Server  // nil: nothing is described
	base     string        // of descriptions
	problem  error
}

// StartAnnouncer opens the segments. What cannot be opened is in the states of what is offered.
func StartAnnouncer(cfg AnnouncerConfig) *Announcer {
	ctx, cancel := context.WithCancel(context.Background())
	seed := cfg.Seed[:]
	a := &Announcer{
		cfg: cfg, cancel: cancel, inbox: newInbox[*link](), wake: make(chan struct{}, 1),
		dice:   rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed), binary.LittleEndian.Uint64(seed[8:]))),
		offers: map[int]offer{}, changed: make(chan struct{}),
	}
	a.look.Store(true)
	a.work.Go(func() { a.run(ctx) })
	return a
}

// Offer makes a service known, which has passed Check, by protocols. The number names it for Withdraw and States.
func (a *Announcer) Offer(s mdns.Service, by ...string) (id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	a.offers[a.next] = offer{s, by}
	for _, l := range a.links {
		if slices.Contains(by, l.by) {
			l.voice.Offer(time.Now(), a.next, s)
		}
	}
	a.Look() // nothing is open for a protocol by which nothing was offered before
	return a.next
}

// Withdraw says goodbye for a service.
func (a *Announcer) Withdraw(id int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.offers, id)
	for _, l := range a.links {
		l.voice.Withdraw(id)
	}
	a.advance() // now: who calls may be about to end
	a.Look()
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

// states are those of all services. By mDNS one may be called something else than was asked for: then it is by SSDP,
// too, for one service is not to have two names.
func (a *Announcer) states() (all []State) {
	type there struct {
		iface string
		id    int
	}
	names := map[there]string{}
	for _, l := range a.links { // on each segment mDNS comes first
		for _, o := range l.voice.Offers() {
			state := State{By: l.by, Iface: l.iface, Offered: o, Problem: l.problem}
			if at := (there{l.iface, o.ID}); l.by == SSDP {
				state.Name, state.Location = cmp.Or(names[at], o.Name), l.locationOf(o.ID)
			} else if o.Ready {
				names[at] = o.Name
			}
			all = append(all, state)
		}
	}
	if !a.looked {
		return all
	}
	for _, id := range slices.Sorted(maps.Keys(a.offers)) {
		o := a.offers[id]
		for _, by := range o.by {
			if !slices.ContainsFunc(a.links, func(l *link) bool { return l.by == by }) {
				problem := cmp.Or(a.failure, errors.New(nowhere[by]))
				all = append(all, State{By: by, Offered: mdns.Offered{ID: id, Name: o.Name}, Problem: problem})
			}
		}
	}
	return all
}

// nowhere says that a protocol finds no segment to speak on.
var nowhere = map[string]string{
	MDNS: "no network interface can multicast now",
	SSDP: "no network interface can multicast by IPv4 now",
}

// Refused is how many datagrams were malformed or found no room.
func (a *Announcer) Refused() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	total := int(a.inbox.dropped.Load())
	for _, l := range a.links {
		total += l.voice.Refused()
	}
	return total
}

// Close says goodbye for all and waits for what it started.
func (a *Announcer) Close() {
	a.mu.Lock()
	for _, l := range a.links {
		l.send(l.voice.Goodbye())
		l.close()
	}
	a.links, a.ended = nil, true
	a.mu.Unlock()
	a.cancel()
	a.work.Wait()
}

// run gives the voices what comes and sends what is due.
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
		case arrived := <-a.inbox.arrivals:
			a.mu.Lock()
			if slices.Contains(a.links, arrived.at) { // else it is gone
				arrived.at.voice.Receive(time.Now(), arrived.from, arrived.data)
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
		if at := l.voice.Deadline(); !at.IsZero() && !at.After(now) {
			l.send(l.voice.Advance(now))
		}
		next = speech.Sooner(next, l.voice.Deadline())
	}
	if states := a.states(); !slices.EqualFunc(states, a.told, State.same) {
		a.told = states
		close(a.changed)
		a.changed = make(chan struct{})
	}
	return next
}

func (s State) same(other State) bool {
	mine, its := s, other
	mine.Problem, its.Problem = nil, nil
	return mine == its && fmt.Sprint(s.Problem) == fmt.Sprint(other.Problem)
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
		for _, p := range a.places(s) {
			l := a.at(p)
			if l == nil {
				l = a.openLink(s, p)
			}
			l.voice.Move(time.Now(), s.Addrs(), all)
			links = append(links, l)
		}
	}
	for _, l := range a.links {
		if !slices.Contains(links, l) {
			l.leave()
		}
	}
	slices.SortFunc(links, func(x, y *link) int { return x.compare(y.place) })
	a.links = links
}

// places are those at which this host is to speak on a segment now.
func (a *Announcer) places(on Segment) (all []place) {
	if a.offered(MDNS) {
		all = append(all, place{iface: on.Name(), by: MDNS,
			families: [2]bool{on.Has(mdns.Group4.Addr()), on.Has(mdns.Group6.Addr())}})
	}
	if page, here := pageOn(on, a.links); here && a.offered(SSDP) {
		all = append(all, place{iface: on.Name(), by: SSDP, page: page})
	}
	return all
}

// offered tells whether anything is to be announced by a protocol.
func (a *Announcer) offered(by string) bool {
	for _, o := range a.offers {
		if slices.Contains(o.by, by) {
			return true
		}
	}
	return false
}

// at is the link at a place; nil if there is none.
func (a *Announcer) at(p place) *link {
	for _, l := range a.links {
		if l.place == p {
			return l
		}
	}
	return nil
}

func (a *Announcer) openLink(on Segment, at place) *link {
	l := &link{place: at, senders: map[bool]Link{}}
	if at.by == SSDP {
		a.openSSDP(on, l)
	} else {
		l.voice = mdns.NewResponder(mdns.HostLabel(a.cfg.Host), a.dice)
		a.join(on, l, mdnsHops, mdns.Group4, mdns.Group6)
	}
	for _, id := range slices.Sorted(maps.Keys(a.offers)) {
		if o := a.offers[id]; slices.Contains(o.by, l.by) {
			l.voice.Offer(time.Now(), id, o.Service)
		}
	}
	return l
}

// join opens the sockets of a link.
func (a *Announcer) join(on Segment, l *link, hops int, groups ...netip.AddrPort) {
	for _, group := range groups {
		if !on.Has(group.Addr()) {
			continue
		}
		socket, err := on.Open(group, true, hops)
		if err != nil {
			l.problem = err
			continue
		}
		l.senders[group.Addr().Is4()] = socket
		a.work.Go(func() { a.inbox.read(socket, l) })
	}
	if len(l.senders) > 0 {
		l.problem = nil // one family does
	}
}

func (l *link) send(packets []speech.Packet) {
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

// leave closes a link of a segment that is gone or has other addresses. By SSDP what was told there is taken back
// first: it leads to an address that may be nobody's now.
func (l *link) leave() {
	if l.by == SSDP {
		l.send(l.voice.Goodbye())
	}
	l.close()
}

func (l *link) close() {
	for _, socket := range l.senders {
		socket.Close()
	}
	if l.describe != nil {
		l.describe.Close()
	}
}
