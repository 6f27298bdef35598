package mdns

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/speech"
)

// unicastWanted marks in a question's class that the answer may go to the asker alone (section 5.4).
const unicastWanted = 1 << 15

// ask takes a query: what is asked for is answered to all at its time, or to who asks alone, at once.
func (r *Responder) ask(now time.Time, from netip.AddrPort, m *dns.Msg) {
	f, legacy, probe := familyOf(from.Addr()), from.Port() != Port, len(m.Ns) > 0
	if len(m.Question) == 0 {
		r.spare(f, from.Addr(), m.Answer)
		return
	}
	var alone []*own
	for _, q := range m.Question {
		if class := q.Qclass &^ unicastWanted; class != dns.ClassINET && class != dns.ClassANY {
			continue
		}
		for _, o := range r.match(q) {
			switch {
			case !legacy && o.isKnown(m.Answer):
			case legacy, q.Qclass&unicastWanted != 0 && !probe && o.isFresh(now, f):
				if !slices.Contains(alone, o) {
					alone = append(alone, o)
				}
			default:
				r.promise(now, o, f, from.Addr(), m)
			}
		}
	}
	if len(alone) > 0 && !r.answerAlone(now, from, m, alone, legacy) {
		for _, o := range alone {
			r.promise(now, o, f, from.Addr(), m)
		}
	}
}

// isKnown reports whether a record is among the answers that the asker knows already, for half its time at least
// (section 7.1).
func (o *own) isKnown(known []dns.RR) bool {
	return slices.ContainsFunc(known, func(rr dns.RR) bool {
		h, ours := rr.Header(), o.rr.Header()
		return h.Rrtype == ours.Rrtype && h.Ttl >= ours.Ttl/2 && dns.CanonicalName(h.Name) == o.name && keyOf(rr) == o.key
	})
}

// isFresh reports whether a record was multicast within a quarter of its time: then who asks for an answer to itself
// alone gets one (section 5.4).
func (o *own) isFresh(now time.Time, f family) bool {
	return o.within(now, f, time.Duration(o.rr.Header().Ttl)*time.Second/4)
}

// promise has a record multicast when it is time: at once if nobody else can answer, else a little later, and later
// still if the asker goes on to tell what it knows.
func (r *Responder) promise(now time.Time, o *own, f family, asker netip.Addr, m *dns.Msg) {
	wait, every := time.Duration(0), recordEvery
	switch {
	case m.Truncated:
		wait = speech.Between(r.dice, moreLeast, moreMost)
	case len(m.Ns) > 0:
		every = defendEvery // somebody is about to take the name
	case !o.unique:
		wait = speech.Between(r.dice, sharedLeast, sharedMost)
	}
	if !m.Truncated {
		asker = netip.Addr{}
	}
	r.schedule(now, o, f, wait, every, asker)
}

// schedule has a record multicast after a time, if it was not sent just now. An asker that is named can still say that
// it knows the record.
func (r *Responder) schedule(now time.Time, o *own, f family, wait, every time.Duration, asker netip.Addr) {
	at := now.Add(wait)
	if !o.sent[f].IsZero() {
		at = speech.Later(at, o.sent[f].Add(every))
	}
	switch {
	case o.due[f].IsZero():
		o.due[f], o.asker[f] = at, asker
	default:
		if at.Before(o.due[f]) {
			o.due[f] = at
		}
		if o.asker[f] != asker {
			o.asker[f] = netip.Addr{} // somebody else wants it, too
		}
	}
}

// spare takes more known answers of who has asked.
func (r *Responder) spare(f family, asker netip.Addr, known []dns.RR) {
	for _, c := range r.claims {
		for _, o := range c.records {
			if o.asker[f] == asker && asker.IsValid() && o.isKnown(known) {
				o.due[f], o.asker[f] = time.Time{}, netip.Addr{}
			}
		}
	}
}

// match are the records that answer a question.
func (r *Responder) match(q dns.Question) []*own {
	var found []*own
	name := dns.CanonicalName(q.Name)
	for _, c := range r.claims {
		if !c.public {
			continue
		}
		before := len(found)
		var none *own
		for _, o := range c.records {
			h := o.rr.Header()
			switch {
			case o.denial:
				none = o
			case o.name == name && (q.Qtype == h.Rrtype || q.Qtype == dns.TypeANY):
				if !slices.ContainsFunc(found, func(other *own) bool { return other.key == o.key }) {
					found = append(found, o)
				}
			}
		}
		if c.name == name && len(found) == before {
			found = append(found, none) // section 6.1: it has no such record
		}
	}
	return found
}

// answer multicasts the records that are due.
func (r *Responder) answer(now time.Time, f family) {
	var due []*own
	for _, c := range r.claims {
		for _, o := range c.records {
			if at := o.due[f]; at.IsZero() || at.After(now) {
				continue
			}
			o.due[f], o.asker[f] = time.Time{}, netip.Addr{}
			if c.public && !slices.ContainsFunc(due, func(other *own) bool { return other.key == o.key }) {
				due = append(due, o)
			}
		}
	}
	if len(due) == 0 {
		return
	}
	extras := slices.DeleteFunc(r.extras(due), func(o *own) bool { return o.within(now, f, recordEvery) })
	for _, o := range slices.Concat(due, extras) {
		o.sent[f] = now
	}
	r.send(f.group(), bare(due), bare(extras))
}

func bare(records []*own) []dns.RR {
	var rrs []dns.RR
	for _, o := range records {
		rrs = append(rrs, o.rr)
	}
	return rrs
}

// extras are what who asked for records will ask for next (RFC 6763, section 12): of a type's pointer the service, of a
// service the host's addresses, of an address the others.
func (r *Responder) extras(answers []*own) []*own {
	var extras []*own
	add := func(c *claim, pick func(*own) bool) {
		for _, o := range c.records {
			if pick(o) && !slices.Contains(answers, o) && !slices.Contains(extras, o) {
				extras = append(extras, o)
			}
		}
	}
	ours := func(o *own) bool { return o.unique && !o.denial }
	host := r.claims[0]
	for _, o := range answers {
		switch rr := o.rr.(type) {
		case *dns.PTR:
			for _, c := range r.claims[1:] {
				if c.public && c.records[0].rr == o.rr {
					add(c, ours)
					add(host, ours)
				}
			}
		case *dns.SRV, *dns.A, *dns.AAAA:
			add(host, ours)
			if _, service := rr.(*dns.SRV); !service && r.single(host) {
				add(host, func(o *own) bool { return o.denial })
			}
		}
	}
	return extras
}

// single tells whether a host has addresses of one family alone: then who asks for one learns that there is no other.
func (r *Responder) single(host *claim) bool {
	types := map[uint16]bool{}
	for _, o := range host.records {
		types[o.rr.Header().Rrtype] = true
	}
	return !types[dns.TypeA] || !types[dns.TypeAAAA]
}

// answerAlone answers who asked, and nobody else. It reports false if all are to be told instead, because that does not
// fit; what is beyond the pace is not answered at all, for the address may be forged.
func (r *Responder) answerAlone(now time.Time, to netip.AddrPort, query *dns.Msg, answers []*own, legacy bool) bool {
	m := &dns.Msg{Compress: true, MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
	extras := bare(r.extras(answers))
	m.Answer = bare(answers)
	if legacy { // who asks so knows nothing of caches that live by announcements (section 6.7)
		m.Id, m.Question = query.Id, query.Question[:1]
		m.Answer, extras = simple(m.Answer), simple(extras)
		for m.Len() > largestUnicast && len(m.Answer) > 0 {
			m.Answer, m.Truncated = m.Answer[:len(m.Answer)-1], true
		}
	}
	if len(m.Answer) == 0 || m.Len() > largestUnicast {
		return legacy // a question that long has no answer
	}
	m.Extra = fit(m, extras, largestUnicast)
	if r.paced.Take(now) {
		r.pack(to, m)
	}
	return true
}

// simple are records for who knows DNS alone.
func simple(records []dns.RR) []dns.RR {
	var all []dns.RR
	for _, rr := range records {
		rr = dns.Copy(rr)
		h := rr.Header()
		h.Class, h.Ttl = h.Class&^flush, min(h.Ttl, legacyTTL)
		all = append(all, rr)
	}
	return all
}
