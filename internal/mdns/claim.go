package mdns

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/speech"
)

// phase is how far a name is ours:
//
//	idle ──▶ probing ──▶ announcing ──▶ settled
//	          ▲   │ taken: with another name   │ told otherwise by another
//	          └───┴────────────────────────────┘
type phase int

const (
	idle phase = iota
	probing
	announcing
	settled
)

// claim is a name that is to be ours alone on the link, and the records that go with it.
type claim struct {
	id      int
	service Service // of the host's own claim: zero
	wanted  string  // the label asked for
	turn    int     // how many labels were tried
	label   string  // the one in force, or tried
	name    string  // with its domain, as it is compared
	phase   phase
	public  bool      // it was announced under that label
	sent    int       // probes, or announcements, of this phase
	next    time.Time // of them
	records []*own
}

// own is a record of ours.
type own struct {
	rr     dns.RR
	name   string              // as it is compared
	key    string              // equal for equal records, whatever their time to live
	unique bool                // nobody else has one of its name
	denial bool                // says which types there are (section 6.1)
	kept   bool                // others on the link may say the same: no goodbye
	sent   [families]time.Time // when it was last multicast
	due    [families]time.Time // when it is to be, because somebody asked
	asker  [families]netip.Addr
}

// within reports whether a record was multicast within some time.
func (o *own) within(now time.Time, f family, d time.Duration) bool {
	return !o.sent[f].IsZero() && now.Sub(o.sent[f]) < d
}

func (c *claim) host() bool { return c.service.Type == "" }

// told are the records that others may remember.
func (c *claim) told() []*own {
	if !c.public {
		return nil
	}
	return c.positive()
}

// positive are the records of a claim but for the one that says what there is not.
func (c *claim) positive() []*own {
	return slices.DeleteFunc(slices.Clone(c.records), func(o *own) bool { return o.denial })
}

// begin claims a name from the first probe on.
func (r *Responder) begin(now time.Time, c *claim, wait time.Duration) {
	c.phase, c.sent, c.public = probing, 0, false
	c.next = now.Add(wait + time.Duration(r.dice.Int64N(int64(probeEvery))))
	for r.build(c); r.twice(c); r.build(c) {
		c.turn++
	}
}

// twice tells whether another claim of ours has the name.
func (r *Responder) twice(c *claim) bool {
	return slices.ContainsFunc(r.claims, func(other *claim) bool { return other != c && other.name == c.name })
}

// build makes the records of a claim; those that stay remember when they were sent.
func (r *Responder) build(c *claim) {
	before := c.records
	c.label, c.records = another(c.wanted, c.turn, c.host()), nil
	if c.host() {
		c.name = written(dns.CanonicalName(escape(c.label) + ".local."))
		r.buildHost(c)
	} else {
		r.buildService(c)
	}
	for _, o := range c.records {
		o.name, o.key = dns.CanonicalName(written(o.rr.Header().Name)), keyOf(o.rr)
		if at := slices.IndexFunc(before, func(b *own) bool { return b.key == o.key }); at >= 0 {
			o.sent, o.due, o.asker = before[at].sent, before[at].due, before[at].asker
		}
	}
}

func (r *Responder) buildHost(c *claim) {
	name := escape(c.label) + ".local."
	var types []uint16
	for _, addr := range published(r.addrs) {
		h := dns.RR_Header{Name: name, Class: dns.ClassINET | flush, Ttl: hostTTL}
		var rr dns.RR
		if addr.Is4() {
			h.Rrtype = dns.TypeA
			rr = &dns.A{Hdr: h, A: addr.AsSlice()}
		} else {
			h.Rrtype = dns.TypeAAAA
			rr = &dns.AAAA{Hdr: h, AAAA: addr.AsSlice()}
		}
		c.records = append(c.records, &own{rr: rr, unique: true})
		types = append(types, h.Rrtype)
	}
	c.records = append(c.records, denial(name, hostTTL, types))
}

// published are the addresses that a host's name stands for: link-local ones only if there are no others, as other
// programs on this host, whose records of that name must not contradict ours, have it.
func published(addrs []netip.Addr) []netip.Addr {
	wide := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.IsLinkLocalUnicast)
	if len(wide) == 0 {
		wide = slices.Clone(addrs)
	}
	for i := range wide {
		wide[i] = wide[i].Unmap().WithZone("")
	}
	return wide
}

func (r *Responder) buildService(c *claim) {
	s := c.service
	kind := s.Type + ".local."
	name := escape(c.label) + "." + kind
	c.name = written(dns.CanonicalName(name))
	header := func(name string, rrtype uint16, class uint16, ttl uint32) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: class, Ttl: ttl}
	}
	text := slices.Clone(s.Text)
	for i := range text {
		text[i] = escape(text[i])
	}
	if len(text) == 0 {
		text = []string{""} // section 6.1 of RFC 6763: never none
	}
	c.records = []*own{
		{rr: &dns.PTR{Hdr: header(kind, dns.TypePTR, dns.ClassINET, otherTTL), Ptr: name}},
		{rr: &dns.PTR{Hdr: header(all, dns.TypePTR, dns.ClassINET, otherTTL), Ptr: kind}, kept: true},
		{rr: &dns.SRV{Hdr: header(name, dns.TypeSRV, dns.ClassINET|flush, hostTTL), Port: uint16(s.Port),
			Target: escape(r.claims[0].label) + ".local."}, unique: true},
		{rr: &dns.TXT{Hdr: header(name, dns.TypeTXT, dns.ClassINET|flush, otherTTL), Txt: text}, unique: true},
		denial(name, hostTTL, []uint16{dns.TypeTXT, dns.TypeSRV}),
	}
}

// denial says that a name has no records but of those types.
func denial(name string, ttl uint32, types []uint16) *own {
	slices.Sort(types)
	return &own{unique: true, denial: true, rr: &dns.NSEC{
		Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET | flush, Ttl: ttl},
		NextDomain: name, TypeBitMap: slices.Compact(types),
	}}
}

// keyOf is a record without its time to live, in one way of writing.
func keyOf(rr dns.RR) string {
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Name, h.Class, h.Ttl = dns.CanonicalName(written(h.Name)), h.Class&^flush, 0
	switch rr := rr.(type) {
	case *dns.PTR:
		rr.Ptr = dns.CanonicalName(written(rr.Ptr))
	case *dns.SRV:
		rr.Target = dns.CanonicalName(written(rr.Target))
	case *dns.NSEC:
		rr.NextDomain = dns.CanonicalName(written(rr.NextDomain))
	}
	return string(data(rr)) + "\x00" + h.Name + dns.TypeToString[h.Rrtype]
}

// data is what a record says, as it is compared (section 8.2).
func data(rr dns.RR) []byte {
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil
	}
	_, begin, err := dns.UnpackDomainName(buf, 0)
	if begin += 10; err != nil || begin > end { // type, class, time to live, length
		return nil
	}
	return buf[begin:end]
}

// change has the records of a claim made and told anew: the addresses, or the host's name, are others now.
func (r *Responder) change(now time.Time, c *claim) {
	told := c.told()
	r.build(c)
	gone := slices.DeleteFunc(told, func(o *own) bool {
		return slices.ContainsFunc(c.records, func(n *own) bool { return n.key == o.key })
	})
	if c.public {
		r.goodbye(gone)
		c.phase, c.sent, c.next = announcing, 0, now
	}
}

// claim sends the probes and announcements that are due.
func (r *Responder) claim(now time.Time) {
	var probe, tell []*claim
	for _, c := range r.claims {
		if c.phase != probing && c.phase != announcing || c.next.After(now) {
			continue
		}
		if c.phase == probing && c.sent < probes {
			c.sent, c.next = c.sent+1, now.Add(probeEvery)
			probe = append(probe, c)
			continue
		}
		if host := r.claims[0]; c != host && host.phase == probing { // what it stands on is not known yet
			c.next = host.next
			continue
		}
		if c.phase == probing {
			c.phase, c.sent = announcing, 0
		}
		c.sent, c.next, c.public = c.sent+1, now.Add(announceEvery), true
		tell = append(tell, c)
	}
	r.probe(probe)
	r.announce(now, tell)
	for _, c := range tell {
		if c.sent == announcements {
			c.phase = settled
		}
	}
}

// probe asks whether somebody has the names, and says what ours would stand for (section 8.1). The answer is to be
// heard by all: the port is shared by programs of this host, of which only one hears what is for the host alone
// (section 15.1).
func (r *Responder) probe(claims []*claim) {
	m := &dns.Msg{Compress: true}
	flushed := func() {
		for _, f := range r.here() {
			if len(m.Question) > 0 {
				r.pack(f.group(), m)
			}
		}
	}
	for _, c := range claims {
		if m.Len() > largestQuery-longestText-mostText/2 {
			flushed()
			m = &dns.Msg{Compress: true}
		}
		m.Question = append(m.Question, dns.Question{Name: c.records[len(c.records)-1].rr.Header().Name, Qtype: dns.TypeANY,
			Qclass: dns.ClassINET})
		for _, o := range c.proposed() {
			rr := dns.Copy(o.rr)
			rr.Header().Class &^= flush
			m.Ns = append(m.Ns, rr)
		}
	}
	flushed()
}

// proposed are the records that a name stands for.
func (c *claim) proposed() []*own {
	return slices.DeleteFunc(slices.Clone(c.records), func(o *own) bool { return !o.unique || o.denial })
}

// announce tells all records of claims.
func (r *Responder) announce(now time.Time, claims []*claim) {
	var records []dns.RR
	said := map[string]bool{}
	for _, c := range claims {
		for _, o := range c.told() {
			for _, f := range r.here() {
				o.sent[f], o.due[f] = now, time.Time{}
			}
			if !said[o.key] {
				said[o.key] = true
				records = append(records, o.rr)
			}
		}
	}
	for _, f := range r.here() {
		r.send(f.group(), records, nil)
	}
}

// weigh compares what others who probe would have a name of ours stand for (section 8.2).
func (r *Responder) weigh(now time.Time, from netip.Addr, records []dns.RR) {
	if len(records) == 0 {
		return
	}
	for _, c := range r.claims {
		if c.phase != probing || c.host() && r.isOurs(from) {
			continue
		}
		var theirs, ours [][]byte
		for _, rr := range records {
			if dns.CanonicalName(rr.Header().Name) == c.name {
				theirs = append(theirs, weight(rr))
			}
		}
		for _, o := range c.proposed() {
			ours = append(ours, weight(o.rr))
		}
		if len(theirs) > 0 && compareAll(ours, theirs) < 0 {
			c.sent, c.next = 0, speech.Later(c.next, now.Add(lostWait))
		}
	}
}

// weight is a record as it is compared: class, type, data.
func weight(rr dns.RR) []byte {
	h := rr.Header()
	class := h.Class &^ flush
	return append([]byte{byte(class >> 8), byte(class), byte(h.Rrtype >> 8), byte(h.Rrtype)}, data(rr)...)
}

func compareAll(a, b [][]byte) int {
	slices.SortFunc(a, bytes.Compare)
	slices.SortFunc(b, bytes.Compare)
	return slices.CompareFunc(a, b, bytes.Compare)
}

// isOurs tells whether an address is of this host: another program of it speaks from there, or we do, by another
// interface that ends on the same link.
func (r *Responder) isOurs(addr netip.Addr) bool {
	return slices.ContainsFunc(r.all, func(a netip.Addr) bool { return a.Unmap().WithZone("") == addr.WithZone("") })
}

// hear takes what others answer: what they say of our names contradicts us, what they say of our records may spare us
// to say it, or have us say that it still holds.
func (r *Responder) hear(now time.Time, from netip.Addr, records []dns.RR) {
	contradicted := map[*claim]bool{}
	for _, rr := range records {
		h := rr.Header()
		if h.Class&^flush != dns.ClassINET {
			continue
		}
		name, key := dns.CanonicalName(h.Name), ""
		for _, c := range r.claims {
			for _, o := range c.records {
				if o.rr.Header().Rrtype != h.Rrtype || o.denial || o.name != name {
					continue
				}
				if key == "" {
					key = keyOf(rr)
				}
				if o.key == key {
					r.echoed(now, c, o, from, h.Ttl)
				}
			}
			if c.name == name && h.Ttl > 0 && c.contradicts(h.Rrtype, key, rr) && !(c.host() && r.isOurs(from)) {
				contradicted[c] = true
			}
		}
	}
	for _, c := range r.claims {
		if contradicted[c] {
			r.conflict(now, c)
		}
	}
}

// contradicts reports whether a record of a claim's name says something else than ours do. While we ask for a name
// anything of these types says that somebody has it.
func (c *claim) contradicts(rrtype uint16, key string, rr dns.RR) bool {
	switch rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT:
	default:
		return false
	}
	if key == "" {
		key = keyOf(rr)
	}
	has := func(o *own) bool { return o.key == key }
	typed := func(o *own) bool { return !o.denial && o.rr.Header().Rrtype == rrtype }
	switch c.phase {
	case probing:
		return !slices.ContainsFunc(c.records, has)
	case announcing, settled:
		return slices.ContainsFunc(c.records, typed) && !slices.ContainsFunc(c.records, has)
	}
	return false
}

// echoed notes that somebody else said what a record of ours says: another program of this host, or ourselves.
func (r *Responder) echoed(now time.Time, c *claim, o *own, from netip.Addr, ttl uint32) {
	switch f := familyOf(from); {
	case !c.public:
	case ttl < o.rr.Header().Ttl/2: // it is to be forgotten, and is not to be (section 6.6)
		r.schedule(now, o, f, speech.Between(r.dice, sharedLeast, sharedMost), recordEvery, netip.Addr{})
	case ttl >= o.rr.Header().Ttl && !r.isOurs(from):
		o.due[f] = time.Time{} // section 7.4
	}
}

// conflict gives way to who has a name, or makes sure that it is ours.
func (r *Responder) conflict(now time.Time, c *claim) {
	r.conflicts = slices.DeleteFunc(r.conflicts, func(t time.Time) bool { return now.Sub(t) > conflictMemory })
	if len(r.conflicts) < manyConflicts+8 {
		r.conflicts = append(r.conflicts, now)
	}
	wait := time.Duration(0)
	if n := len(r.conflicts) - manyConflicts; n >= 0 {
		wait = min(conflictWait<<n, longestWait)
	}
	if c.phase != probing { // section 9: it may be that nobody insists
		r.begin(now, c, wait)
		return
	}
	if c.turn++; c.turn > mostTurns {
		c.turn = 1
	}
	r.begin(now, c, wait)
	if !c.host() {
		return
	}
	for _, service := range r.claims[1:] { // they stand on the host's name
		r.change(now, service)
	}
}
