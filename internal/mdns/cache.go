package mdns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// flush marks in the class that a record replaces all others of its name and type (section 10.2).
const flush = 1 << 15

// sweepLeast is the least time between two looks through the cache.
const sweepLeast = 250 * time.Millisecond

// record is an answer remembered.
type record struct {
	key    string // tells records of one name and type apart
	target string // of PTR and SRV, as it was written
	port   int
	texts  []string
	addr   netip.Addr
	from   netip.Addr // who told it
	ttl    time.Duration
	born   time.Time
	ends   time.Time
	step   int // how often it was asked for again
	spread time.Duration
}

// refresh is when a record is asked for again: at 80, 85, 90 and 95 % of its time and up to 2 % more (section 5.2).
func (r *record) refresh() time.Time {
	if r.step == 4 {
		return r.ends
	}
	return r.born.Add(r.ttl*time.Duration(80+5*r.step)/100 + r.spread)
}

// take remembers a record, if it is one that browsing leads to, and tells what it answers.
func (b *Browser) take(now time.Time, from netip.Addr, rr dns.RR) (q question, taken bool) {
	h := rr.Header()
	q = question{dns.CanonicalName(h.Name), h.Rrtype}
	fresh := parse(rr)
	if h.Class&^flush != dns.ClassINET || fresh == nil || !b.wants(q, fresh) {
		return q, false
	}
	fresh.born, fresh.from = now, from
	fresh.ttl = min(time.Duration(h.Ttl)*time.Second, longestTTL)
	fresh.ends = now.Add(max(fresh.ttl, time.Second)) // a goodbye leaves a second for who objects (section 10.1)
	if fresh.ttl > 0 {
		fresh.spread = time.Duration(b.dice.Int64N(int64(fresh.ttl/50) + 1))
	}
	if fresh.ttl == 0 {
		fresh.step = 4 // it is not asked for again
	}
	switch same := b.known[told{q, fresh.key}]; {
	case same != nil:
		fresh.from = same.from // it stays in the share of who told it first
		*same = *fresh
	case fresh.ttl == 0:
		return q, false
	case b.count >= mostRecords || b.sources[from] >= mostPerSource:
		b.refused++
		return q, false
	default:
		b.cache[q] = append(b.cache[q], fresh)
		b.known[told{q, fresh.key}] = fresh
		b.count++
		b.sources[from]++
		b.follow(now, q, fresh)
	}
	b.lookAt(now, fresh)
	return q, true
}

// outdate gives records of a name and type a second, if they are older than that: others came, which replace them, and
// what came in the same train of datagrams stays.
func (b *Browser) outdate(now time.Time, q question) {
	for _, r := range b.cache[q] {
		if now.Sub(r.born) > time.Second && r.ends.After(now.Add(time.Second)) {
			r.ends, r.step = now.Add(time.Second), 4
			b.lookAt(now, r)
		}
	}
}

func (b *Browser) lookAt(now time.Time, r *record) {
	at := r.refresh()
	if r.ends.Before(at) {
		at = r.ends
	}
	if least := now.Add(sweepLeast); at.Before(least) {
		at = least
	}
	if b.look.IsZero() || at.Before(b.look) {
		b.look = at
	}
}

// parse keeps of a record what browsing needs; nil if that is nothing.
func parse(rr dns.RR) *record {
	switch rr := rr.(type) {
	case *dns.PTR:
		return &record{key: dns.CanonicalName(rr.Ptr), target: rr.Ptr}
	case *dns.SRV:
		if rr.Target == "." {
			return nil // there is no such service (RFC 2782)
		}
		key := fmt.Sprintf("%d %s", rr.Port, dns.CanonicalName(rr.Target))
		return &record{key: key, target: rr.Target, port: int(rr.Port)}
	case *dns.TXT:
		r := &record{key: strings.Join(rr.Txt, "\x00")}
		for _, text := range rr.Txt {
			if text != "" {
				r.texts = append(r.texts, plain(text))
			}
		}
		return r
	case *dns.A:
		return address(netip.AddrFromSlice(rr.A))
	case *dns.AAAA:
		return address(netip.AddrFromSlice(rr.AAAA))
	}
	return nil
}

func address(addr netip.Addr, ok bool) *record {
	if addr = addr.Unmap(); !ok || addr.IsUnspecified() || addr.IsMulticast() {
		return nil
	}
	return &record{key: addr.String(), addr: addr}
}

// wants reports whether a record is one that browsing leads to.
func (b *Browser) wants(q question, r *record) bool {
	switch q.kind {
	case dns.TypePTR:
		if q.name == all {
			return len(b.types) == 0 && serviceType(dns.SplitDomainName(r.target))
		}
		_, kind, ok := instance(r.target)
		return ok && kind == q.name && b.browses(kind)
	case dns.TypeSRV, dns.TypeTXT:
		_, kind, ok := instance(q.name)
		return ok && b.browses(kind)
	}
	return strings.HasSuffix(q.name, ".local.")
}

func (b *Browser) browses(kind string) bool { return len(b.types) == 0 || b.types[kind] }

// follow asks for what a record leads to.
func (b *Browser) follow(now time.Time, q question, r *record) {
	if b.soon.Before(now) { // what several answers lead to is asked for at once
		b.soon = now.Add(10*time.Millisecond + time.Duration(b.dice.Int64N(int64(20*time.Millisecond))))
	}
	soon := b.soon
	switch {
	case q.kind == dns.TypePTR && q.name == all:
		b.ask(question{dns.CanonicalName(r.target), dns.TypePTR}, r.from, soon, forever)
	case q.kind == dns.TypePTR:
		name := dns.CanonicalName(r.target)
		b.ask(question{name, dns.TypeSRV}, r.from, soon, tries)
		b.ask(question{name, dns.TypeTXT}, r.from, soon, tries)
	case q.kind == dns.TypeSRV:
		name := dns.CanonicalName(r.target)
		b.ask(question{name, dns.TypeA}, r.from, soon, tries)
		b.ask(question{name, dns.TypeAAAA}, r.from, soon, tries)
	}
}

// expire forgets records whose time is up and asks again for those whose time is nearly up.
func (b *Browser) expire(now time.Time) {
	if b.look.IsZero() || now.Before(b.look) {
		return
	}
	b.look = time.Time{}
	for q, records := range b.cache {
		kept := records[:0]
		for _, r := range records {
			if !r.ends.After(now) {
				b.drop(q, r)
				continue
			}
			kept = append(kept, r)
			for r.step < 4 && !r.refresh().After(now) {
				r.step++
				b.ask(q, r.from, now, 1)
			}
			b.lookAt(now, r)
		}
		clear(records[len(kept):])
		if b.cache[q] = kept; len(kept) == 0 {
			delete(b.cache, q)
		}
	}
}

func (b *Browser) drop(q question, r *record) {
	delete(b.known, told{q, r.key})
	b.count--
	if b.sources[r.from]--; b.sources[r.from] == 0 {
		delete(b.sources, r.from)
	}
}
