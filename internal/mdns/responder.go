package mdns

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/speech"
)

// Timers of RFC 6762.
const (
	probes        = 3                      // section 8.1
	probeEvery    = 250 * time.Millisecond // the first is as much late at most
	lostWait      = time.Second            // after a probe of somebody who comes before us (section 8.2)
	announcements = 2                      // section 8.3
	announceEvery = time.Second
	sharedLeast   = 20 * time.Millisecond // an answer that others may give, too (section 6)
	sharedMost    = 120 * time.Millisecond
	moreLeast     = 400 * time.Millisecond // more known answers are to come (section 7.2)
	moreMost      = 500 * time.Millisecond
	recordEvery   = time.Second // a record is multicast no more often (section 6) …
	defendEvery   = 250 * time.Millisecond
	hostTTL       = 120 // seconds, of what names a host (section 10)
	otherTTL      = 4500
	legacyTTL     = 10 // at most, for who knows no mDNS (section 6.7)
)

// Limits of a responder.
const (
	manyConflicts  = 15               // section 8.1: from then on
	conflictWait   = 5 * time.Second  // … so long is waited before the next try, doubled each time
	longestWait    = time.Minute      // up to this
	conflictMemory = 10 * time.Minute // the RFC counts those of ten seconds: this is slower
	mostTurns      = 99               // names tried; then it begins anew
	mostServices   = 64
	largestUnicast = 512 // bytes of an answer to one address
	heardBurst     = 300 // datagrams looked at …
	heardEvery     = time.Second / 300
	unicastBurst   = 10
	unicastEvery   = 100 * time.Millisecond // on average, whoever asks
)

// family is one of the two groups: what is sent and heard by one is not known to the other.
type family int

const (
	four family = iota
	six
	families
)

func familyOf(addr netip.Addr) family {
	if addr.Unmap().Is4() {
		return four
	}
	return six
}

func (f family) group() netip.AddrPort {
	if f == four {
		return Group4
	}
	return Group6
}

// Responder makes what this host offers known on one link and answers for it. It claims the names first and takes
// others where they are taken. It is to be used by one goroutine at a time, and is silent unless something changes or
// somebody asks.
type Responder struct {
	dice      *rand.Rand
	addrs     []netip.Addr // of this host on the link
	all       []netip.Addr // of this host
	claims    []*claim     // the host's own first
	out       []speech.Packet
	conflicts []time.Time
	paced     speech.Pace // what is sent to single addresses
	heard     speech.Pace // what is received
	refused   int
}

// Offered is a service as the link knows it.
type Offered struct {
	ID    int
	Name  string // in force, or tried now: another than asked for if that was taken
	Host  string // shelf.local
	Ready bool   // it has been announced
}

// NewResponder returns a responder on a link where this host would like that name (HostLabel). It says nothing before
// Move tells where it is and something is offered.
func NewResponder(host string, dice *rand.Rand) *Responder {
	return &Responder{
		dice: dice, claims: []*claim{{wanted: host, turn: 1}},
		paced: speech.Pace{Burst: unicastBurst, Every: unicastEvery},
		heard: speech.Pace{Burst: heardBurst, Every: heardEvery},
	}
}

// Move says which addresses this host has on the link now, and which on all its links together.
func (r *Responder) Move(now time.Time, addrs, all []netip.Addr) {
	r.all = slices.Clone(all)
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	if slices.Equal(addrs, r.addrs) {
		return
	}
	r.addrs = addrs
	r.change(now, r.claims[0])
}

// Offer makes a service known, which has passed Check. The id is the caller's.
func (r *Responder) Offer(now time.Time, id int, s Service) {
	if len(r.claims) > mostServices {
		r.refused++
		return
	}
	if len(r.claims) == 1 {
		r.begin(now, r.claims[0], 0)
	}
	c := &claim{id: id, service: s, wanted: s.Name, turn: 1}
	r.claims = append(r.claims, c)
	r.begin(now, c, 0)
}

// Withdraw says goodbye for a service.
func (r *Responder) Withdraw(id int) {
	at := slices.IndexFunc(r.claims, func(c *claim) bool { return !c.host() && c.id == id })
	if at < 0 {
		return
	}
	told := r.claims[at].told()
	r.claims = slices.Delete(r.claims, at, at+1)
	if host := r.claims[0]; len(r.claims) == 1 {
		told = append(told, host.told()...)
		host.phase, host.public = idle, false
	}
	r.goodbye(told)
}

// Goodbye says goodbye for all. Nothing is answered after it.
func (r *Responder) Goodbye() []speech.Packet {
	var told []*own
	for _, c := range r.claims {
		told = append(told, c.told()...)
	}
	r.goodbye(told)
	r.claims = []*claim{{wanted: r.claims[0].wanted, turn: 1}}
	out := r.out
	r.out = nil
	return out
}

// Offers lists the services and under which name each is known.
func (r *Responder) Offers() []Offered {
	var all []Offered
	for _, c := range r.claims[1:] {
		all = append(all, Offered{ID: c.id, Name: c.label, Host: r.claims[0].label + ".local", Ready: c.public})
	}
	return all
}

// Refused is how many datagrams were malformed, and services found no room, so far.
func (r *Responder) Refused() int { return r.refused }

// Deadline is when Advance has something to do; zero: nothing until something is received or asked for.
func (r *Responder) Deadline() time.Time {
	if len(r.out) > 0 {
		return time.Unix(0, 0)
	}
	var first time.Time
	for _, c := range r.claims {
		if c.phase == probing || c.phase == announcing {
			first = speech.Sooner(first, c.next)
		}
		for _, o := range c.records {
			first = speech.Sooner(first, speech.Sooner(o.due[four], o.due[six]))
		}
	}
	return first
}

// Advance returns what is to be sent now.
func (r *Responder) Advance(now time.Time) []speech.Packet {
	r.claim(now)
	for f := range families {
		r.answer(now, f)
	}
	out := r.out
	r.out = nil
	return out
}

// here are the families by which this host is on the link.
func (r *Responder) here() (here []family) {
	for f := range families {
		if slices.ContainsFunc(r.addrs, func(a netip.Addr) bool { return familyOf(a) == f }) {
			here = append(here, f)
		}
	}
	return here
}

// Receive takes a datagram that came from the link.
func (r *Responder) Receive(now time.Time, from netip.AddrPort, datagram []byte) {
	var m dns.Msg
	if r.heard.Ready().After(now) || !plausible(datagram) || m.Unpack(datagram) != nil {
		r.refused++
		return
	}
	r.heard.Take(now)
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	switch {
	case !m.Response:
		r.weigh(now, from.Addr(), m.Ns)
		r.ask(now, from, &m)
	case from.Port() == Port: // section 6: an answer from elsewhere is none
		r.hear(now, from.Addr(), append(m.Answer, m.Extra...))
	}
}

// goodbye takes back what was told of records.
func (r *Responder) goodbye(told []*own) {
	var records []dns.RR
	for _, o := range told {
		if o.kept {
			continue
		}
		rr := dns.Copy(o.rr)
		rr.Header().Ttl = 0
		records = append(records, rr)
	}
	for _, f := range r.here() {
		r.send(f.group(), records, nil)
	}
}

// send makes response datagrams of records; extras that do not fit are left out.
func (r *Responder) send(to netip.AddrPort, answers, extras []dns.RR) {
	for len(answers) > 0 {
		m := &dns.Msg{Compress: true, MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
		for n, rr := range answers {
			m.Answer = append(m.Answer, rr)
			if n > 0 && m.Len() > largestQuery {
				m.Answer = m.Answer[:n]
				break
			}
		}
		if answers = answers[len(m.Answer):]; len(answers) == 0 {
			m.Extra = fit(m, extras, largestQuery)
		}
		r.pack(to, m)
	}
}

// fit chooses of extras those that a message has room for.
func fit(m *dns.Msg, extras []dns.RR, limit int) []dns.RR {
	for _, rr := range extras {
		if m.Extra = append(m.Extra, rr); m.Len() > limit {
			return m.Extra[:len(m.Extra)-1]
		}
	}
	return m.Extra
}

func (r *Responder) pack(to netip.AddrPort, m *dns.Msg) {
	data, err := m.Pack()
	if err != nil {
		r.refused++ // a name of a question that does not go back on the wire
		return
	}
	r.out = append(r.out, speech.Packet{To: to, Data: data})
}
