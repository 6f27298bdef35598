package mdns

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/speech"
)

// How often is asked.
const (
	forever   = -1 // a question that many may answer is never done
	tries     = 3  // for what one host knows
	firstWait = time.Second
	lastWait  = time.Hour // section 5.2: the wait doubles up to this
)

// Sizes of what is sent.
const (
	largestQuery = 1400 // bytes
	knownPackets = 4    // datagrams of known answers behind one query
)

// ask is a question to be sent, again and again.
type ask struct {
	due  time.Time
	wait time.Duration // until it is sent once more
	left int           // how often yet; forever: without end
	sent int
	from netip.Addr // who led to it; invalid: nobody
	last time.Time  // when it was sent last
}

// ask has a question sent at a time, and so many times. One that is open already is sent by then, too, if a second has
// passed.
func (b *Browser) ask(q question, from netip.Addr, at time.Time, times int) {
	a := b.asks[q]
	switch {
	case a != nil:
		if least := a.last.Add(firstWait); a.sent > 0 && at.Before(least) {
			at = least
		}
		if !at.Before(a.due) {
			return
		}
		a.due = at
	case len(b.asks) >= mostAsks || b.leads[from] >= mostLedTo:
		b.refused++
		return
	default:
		b.asks[q] = &ask{due: at, wait: firstWait, left: times, from: from}
		b.leads[from]++
	}
	if b.due.IsZero() || at.Before(b.due) {
		b.due = at
	}
}

// done ends a question.
func (b *Browser) done(q question) {
	from := b.asks[q].from
	delete(b.asks, q)
	if b.leads[from]--; b.leads[from] == 0 {
		delete(b.leads, from)
	}
}

// query makes datagrams of the questions that are due, within what may be sent now.
func (b *Browser) query(now time.Time) [][]byte {
	if b.due.IsZero() || now.Before(b.due) {
		return nil
	}
	due := b.questions(now)
	var packets [][]byte
	for len(due) > 0 && b.paced.Take(now) {
		n := fitting(due)
		packets = append(packets, b.compose(now, due[:n])...)
		for _, q := range due[:n] {
			b.asked(now, q)
		}
		due = due[n:]
	}
	b.due = time.Time{}
	for _, a := range b.asks {
		b.due = speech.Sooner(b.due, a.due)
	}
	return packets
}

// questions are those due, the longest due first; of each who led to some one before anybody's second, so that a flood
// delays nobody else's. What is answered by now is no question any more.
func (b *Browser) questions(now time.Time) []question {
	var due []question
	for q, a := range b.asks {
		switch {
		case a.due.After(now):
		case a.left != forever && b.answered(now, q, a):
			b.done(q)
		default:
			due = append(due, q)
		}
	}
	slices.SortFunc(due, func(x, y question) int {
		return cmp.Or(b.asks[x].due.Compare(b.asks[y].due), strings.Compare(x.name, y.name), cmp.Compare(x.kind, y.kind))
	})
	turn, turns := make(map[question]int, len(due)), map[netip.Addr]int{}
	for _, q := range due {
		from := b.asks[q].from
		turn[q] = turns[from]
		turns[from]++
	}
	slices.SortStableFunc(due, func(x, y question) int { return cmp.Compare(turn[x], turn[y]) })
	return due
}

// answered reports whether nothing is left to ask: there is a record that is not about to end, or, after one question,
// an address of the other family.
func (b *Browser) answered(now time.Time, q question, a *ask) bool {
	known := func(q question) bool {
		return slices.ContainsFunc(b.cache[q], func(r *record) bool { return r.step == 0 && r.ends.After(now) })
	}
	switch {
	case known(q):
		return true
	case a.sent > 0 && q.kind == dns.TypeA:
		return known(question{q.name, dns.TypeAAAA})
	case a.sent > 0 && q.kind == dns.TypeAAAA:
		return known(question{q.name, dns.TypeA})
	}
	return false
}

// asked notes that a question was sent.
func (b *Browser) asked(now time.Time, q question) {
	a := b.asks[q]
	a.sent, a.last = a.sent+1, now
	if a.left > 0 {
		a.left--
	}
	if a.left == 0 {
		b.done(q)
		return
	}
	a.due = now.Add(a.wait)
	a.wait = min(2*a.wait, lastWait)
}

// fitting is how many questions go into one datagram; names are counted as if nothing were abbreviated.
func fitting(due []question) int {
	size := 12
	for n, q := range due {
		if size += len(q.name) + 5; size > largestQuery && n > 0 {
			return n
		}
	}
	return len(due)
}

// compose makes a query with the answers that are known and good for half their time yet, so that nobody sends them
// again (section 7.1). Those that do not fit follow in datagrams of their own (section 7.2).
func (b *Browser) compose(now time.Time, questions []question) [][]byte {
	messages := []*dns.Msg{{Compress: true}}
	size := 12
	for _, q := range questions {
		messages[0].Question = append(messages[0].Question, dns.Question{Name: q.name, Qtype: q.kind, Qclass: dns.ClassINET})
		size += len(q.name) + 5
	}
	for _, q := range questions {
		if q.kind != dns.TypePTR {
			continue // one host alone answers
		}
		for _, r := range b.cache[q] {
			rest := r.ends.Sub(now)
			if r.ttl == 0 || rest <= r.ttl/2 {
				continue
			}
			more := len(q.name) + len(r.target) + 12
			if size+more > largestQuery && len(messages) < knownPackets {
				messages[len(messages)-1].Truncated = true
				messages, size = append(messages, &dns.Msg{Compress: true}), 12
			}
			if size+more > largestQuery {
				break
			}
			size += more
			last := messages[len(messages)-1]
			last.Answer = append(last.Answer, &dns.PTR{Ptr: r.target, Hdr: dns.RR_Header{
				Name: q.name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: uint32(rest / time.Second)}})
		}
	}
	var packets [][]byte
	for _, m := range messages {
		packet, err := m.Pack()
		if err != nil {
			b.refused++ // a name that came off the wire and does not go back on it
			continue
		}
		packets = append(packets, packet)
	}
	return packets
}
