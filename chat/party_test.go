package chat

import (
	"math/rand/v2"
	"testing"
	"time"

	"bcast/identity"
	_ "bcast/internal/fuzztest" // collects less
	"bcast/internal/record"
	"bcast/internal/wire"
)

// party is speakers on one lossy link, who hear each other without delay: say, wait, leave and come read as they happen.
type party struct {
	t     *testing.T
	all   []*speaker
	off   map[*speaker]bool
	loss  float64
	rng   *rand.Rand
	count map[wire.Type]int // datagrams sent
}

func newParty(t *testing.T, size int, loss float64) *party {
	p := &party{
		t: t, off: map[*speaker]bool{}, loss: loss, rng: rand.New(rand.NewPCG(1, uint64(size))), count: map[wire.Type]int{},
	}
	for n := range size {
		p.all = append(p.all, newSpeaker(t, byte(n+1)))
	}
	p.all[0].SetLink(Link{Datagram: 1400, Loss: loss})
	for i, s := range p.all {
		for _, o := range p.all[:i] {
			s.meet(o)
		}
	}
	return p
}

// flush delivers what was sent, until nobody has more to say at this moment.
func (p *party) flush() {
	for again := true; again; {
		again = false
		for _, s := range p.all {
			s.settle()
			sent := s.sent
			s.sent = nil
			for _, send := range sent {
				again = true
				p.count[send.Frame.Type()]++
				p.deliver(s, send)
			}
		}
	}
}

func (p *party) deliver(from *speaker, send Send) {
	for _, s := range p.all {
		if s == from || p.off[s] || p.off[from] || p.rng.Float64() < p.loss ||
			!send.To.IsZero() && send.To != s.self {
			continue
		}
		s.hear(from, send.Frame)
	}
}

// wait lets time pass for all.
func (p *party) wait(d time.Duration) {
	p.flush()
	for end := p.all[0].now.Mono + d; ; {
		next := end
		for _, s := range p.all {
			if !p.off[s] {
				next = min(next, s.Deadline())
			}
		}
		for _, s := range p.all {
			s.now.Wall = s.now.Wall.Add(next - s.now.Mono)
			s.now.Mono = next
			if !p.off[s] && s.Deadline() <= next {
				s.Advance(s.now)
			}
		}
		p.flush()
		if next == end {
			return
		}
	}
}

// leave takes speakers off the link, come brings them back; run tells their runs apart.
func (p *party) leave(speakers ...*speaker) {
	for _, s := range speakers {
		p.off[s] = true
		for _, o := range p.all {
			o.Absent(o.now, s.self)
			s.Absent(s.now, o.self)
		}
	}
}

func (p *party) come(s *speaker, run uint64) {
	delete(p.off, s)
	for _, o := range p.all {
		if o == s || p.off[o] {
			continue
		}
		o.Present(o.now, Peer{ID: s.self, Instance: instance(run), RecvBuffer: 65535, InRoom: true})
		s.Present(s.now, Peer{ID: o.self, RecvBuffer: 65535, InRoom: true})
	}
}

func instance(run uint64) (i identity.Instance) {
	i.Nonce = run
	return i
}

// restart replaces a speaker's process by one that goes on from what its store kept.
func (p *party) restart(i int, run uint64) *speaker {
	old := p.all[i]
	p.leave(old)
	next := old.again(len(old.kept), true)
	p.all[i] = next
	delete(p.off, old)
	p.off[next] = true
	p.come(next, run)
	return next
}

// truth is how many of those that an own record counts against have it in their stores.
func (p *party) truth(rec *record.Record, members []identity.DeviceID) int {
	n := 0
	for _, s := range p.all {
		for _, id := range members {
			if s.self == id && s.feeds[record.Chain{Feed: rec.Header.Feed}] != nil &&
				s.feeds[record.Chain{Feed: rec.Header.Feed}].high >= rec.Header.Seq {
				n++
			}
		}
	}
	return n
}

func entryOf(rec *record.Record) record.Entry { return record.Entry{Record: rec} }

func (s *speaker) wantTally(rule string, rec *record.Record, members, have int) {
	s.t.Helper()
	if m, h := s.Tally(entryOf(rec)); m != members || h != have {
		s.t.Errorf("%s: %d of %d have it, want %d of %d", rule, h, m, have, members)
	}
}

// received is the last Received event of a record.
func (s *speaker) received(rec *record.Record) (last Event) {
	for _, e := range s.events {
		if e.Kind == Received && e.Record.ID == rec.ID {
			last = e
		}
	}
	return last
}
