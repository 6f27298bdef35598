package ssdp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"bcast/internal/speech"
)

// Timers of an Advertiser (section 1.2.2). What it tells counts for usualLife, and is told again before half of that.
const (
	firstMost  = 100 * time.Millisecond // so much later than asked for the first is at most
	againLeast = time.Second            // the first is repeated, for it may get lost
	againMost  = 1500 * time.Millisecond
	laterLeast = usualLife / 4
	laterMost  = usualLife / 2
	noticeEach = time.Second // a notice goes to the group no more often, whoever asks
	answerMost = time.Second // an answer comes within that, also if the asker would wait for longer
)

// Limits of an Advertiser.
const (
	mostAdverts   = 64
	mostAnswers   = 64 // that wait for their time
	longestSearch = 1400
	groupBurst    = 30
	singleBurst   = 10
	paceEvery     = 100 * time.Millisecond // on average, whoever asks
)

// target is what a root device is announced as, and searched for by (table 1-1).
type target int

const (
	asRoot target = iota
	asItself
	asType
	targets
)

// Advertiser makes devices of this host known on one link, and answers who searches for them. Who asks is answered
// alone only by what is no larger than its question, as its address may be another's; else all are told, once a second
// whoever asks. It is to be used by one goroutine at a time.
type Advertiser struct {
	dice    *rand.Rand
	adverts []*advert
	answers []answer
	out     []speech.Packet
	group   speech.Pace // what goes to all
	single  speech.Pace // … to who asked alone
	refused int
}

// advert is a device that is announced.
type advert struct {
	id           int
	uuid         string
	alive, found [targets][]byte // made once: a flood of searches is not to cost much
	round        int
	next         time.Time // of all notices, unasked
	due, sent    [targets]time.Time
}

// answer is one to who asked alone.
type answer struct {
	advert *advert
	at     time.Time
	speech.Packet
}

// NewAdvertiser returns an advertiser that says nothing before something is offered.
func NewAdvertiser(dice *rand.Rand) *Advertiser {
	return &Advertiser{
		dice:   dice,
		group:  speech.Pace{Burst: groupBurst, Every: paceEvery},
		single: speech.Pace{Burst: singleBurst, Every: paceEvery},
	}
}

// Offer makes a device known whose description is at a location. The id is the caller's.
func (a *Advertiser) Offer(now time.Time, id int, uuid, location string) {
	if len(a.adverts) == mostAdverts {
		a.refused++
		return
	}
	d := &advert{id: id, uuid: uuid, next: now.Add(speech.Between(a.dice, 0, firstMost))}
	for t := range targets {
		d.alive[t], d.found[t] = d.notice(t, location), d.answer(t, location)
	}
	a.adverts = append(a.adverts, d)
}

// Withdraw says goodbye for a device.
func (a *Advertiser) Withdraw(id int) {
	at := slices.IndexFunc(a.adverts, func(d *advert) bool { return d.id == id })
	if at < 0 {
		return
	}
	d := a.adverts[at]
	a.adverts = slices.Delete(a.adverts, at, at+1)
	a.answers = slices.DeleteFunc(a.answers, func(w answer) bool { return w.advert == d })
	a.goodbye(d)
}

// Goodbye says goodbye for all. Nothing is answered after it.
func (a *Advertiser) Goodbye() []speech.Packet {
	for len(a.adverts) > 0 {
		a.Withdraw(a.adverts[0].id)
	}
	out := a.out
	a.out = nil
	return out
}

// goodbye takes back what was told of a device: twice, for who misses it would remember for half an hour.
func (a *Advertiser) goodbye(d *advert) {
	for range 2 {
		for t := range targets {
			if !d.sent[t].IsZero() {
				a.out = append(a.out, speech.Packet{To: Group, Data: d.byebye(t)})
			}
		}
	}
}

// Told reports whether a device has been announced.
func (a *Advertiser) Told(id int) bool {
	return slices.ContainsFunc(a.adverts, func(d *advert) bool { return d.id == id && d.round > 0 })
}

// Refused is how many searches were malformed or found no room, and devices, so far.
func (a *Advertiser) Refused() int { return a.refused }

// Deadline is when Advance has something to do; zero: nothing until something is received or offered.
func (a *Advertiser) Deadline() time.Time {
	if len(a.out) > 0 {
		return time.Unix(0, 0)
	}
	var first time.Time
	for _, d := range a.adverts {
		first = speech.Sooner(first, d.next)
		for _, due := range d.due {
			if !due.IsZero() {
				first = speech.Sooner(first, speech.Later(due, a.group.Ready()))
			}
		}
	}
	for _, w := range a.answers {
		first = speech.Sooner(first, w.at)
	}
	return first
}

// Advance returns what is to be sent now.
func (a *Advertiser) Advance(now time.Time) []speech.Packet {
	for _, d := range a.adverts {
		if !d.next.After(now) {
			a.announce(now, d)
		}
	}
	a.notify(now)
	a.answers = slices.DeleteFunc(a.answers, func(w answer) bool {
		if w.at.After(now) {
			return false
		}
		if a.single.Take(now) {
			a.out = append(a.out, w.Packet)
		} else {
			a.refused++
		}
		return true
	})
	out := a.out
	a.out = nil
	return out
}

// announce has all notices of a device sent, and says when to do so again.
func (a *Advertiser) announce(now time.Time, d *advert) {
	for t := range targets {
		d.want(t, now)
	}
	d.next = now.Add(speech.Between(a.dice, laterLeast, laterMost))
	if d.round == 0 {
		d.next = now.Add(speech.Between(a.dice, againLeast, againMost))
	}
	d.round++
}

// want has a notice sent at a time, unless it will be before, or was just before.
func (d *advert) want(t target, at time.Time) {
	if !d.sent[t].IsZero() {
		at = speech.Later(at, d.sent[t].Add(noticeEach))
	}
	if d.due[t].IsZero() || at.Before(d.due[t]) {
		d.due[t] = at
	}
}

// notify sends the notices that are due, those that wait for longest first: under a flood none is left out for good.
func (a *Advertiser) notify(now time.Time) {
	due := a.find(func(d *advert, t target) bool { return !d.due[t].IsZero() && !d.due[t].After(now) })
	slices.SortStableFunc(due, func(x, y notice) int { return x.due[x.target].Compare(y.due[y.target]) })
	for _, n := range due {
		if !a.group.Take(now) {
			return
		}
		n.due[n.target], n.sent[n.target] = time.Time{}, now
		a.out = append(a.out, speech.Packet{To: Group, Data: n.alive[n.target]})
	}
}

// Receive takes a datagram that came from the link: a search, or what does not matter here.
func (a *Advertiser) Receive(now time.Time, from netip.AddrPort, datagram []byte) {
	if !bytes.HasPrefix(datagram, []byte("M-SEARCH ")) {
		return
	}
	wanted, within, ok := readSearch(datagram)
	if !ok {
		a.refused++
		return
	}
	found, size := a.find(func(d *advert, t target) bool { return d.round > 0 && d.is(t, wanted) }), 0
	for _, n := range found {
		size += len(n.found[n.target])
	}
	at := now.Add(speech.Between(a.dice, 0, min(within, answerMost)))
	for _, n := range found {
		if size <= len(datagram) {
			a.answer(n, at, from)
		} else {
			n.want(n.target, at)
		}
	}
}

// answer has who asked answered alone.
func (a *Advertiser) answer(n notice, at time.Time, from netip.AddrPort) {
	if len(a.answers) == mostAnswers {
		a.refused++
		return
	}
	a.answers = append(a.answers, answer{n.advert, at, speech.Packet{To: from, Data: n.found[n.target]}})
}

// notice is a device as a target.
type notice struct {
	*advert
	target
}

// find are the notices of which something is so.
func (a *Advertiser) find(so func(*advert, target) bool) (found []notice) {
	for _, d := range a.adverts {
		for t := range targets {
			if so(d, t) {
				found = append(found, notice{d, t})
			}
		}
	}
	return found
}
