package push

import (
	"cmp"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/seal"
)

const (
	// window is how many stripes are broadcast before the first of them is complete everywhere: 8 MiB.
	window = 32
	// together is how many stripes are broadcast together. After each such group the receivers are told, and answer.
	together = 8
	// While nothing is sent the last mark is repeated: what was lost with it is asked for soon.
	firstRepeat = 10 * time.Millisecond
	lastRepeat  = 500 * time.Millisecond
	// quiet is how long a receiver that gathers may say nothing before nobody waits for it any more.
	quiet = 250 * time.Millisecond
	// mostRepairs of its first incomplete stripe change nothing for nobody that loses less than nearly all.
	mostRepairs = 16
	// forsaken is how long nobody may say anything before nothing more is broadcast.
	forsaken = 3 * time.Second
	// gone is how long a receiver may say nothing before it takes no part any more.
	gone = 10 * time.Second
	// A receiver is helped by unicast when it loses more than the first share and twice what is usual here, until it
	// loses less than the second.
	muchLoss, littleLoss = 65535 / 5, 65535 / 10
	// The rate follows what the receivers lose, every paceEach: where they may set it, it begins at firstRate.
	paceEach  = 50 * time.Millisecond
	firstRate = 32 << 20
	leastRate = 1 << 20
	mostRate  = 4 << 30
	// burst is what may go at once after a pause, in bytes: a stripe, or what the rate allows in slack, by which timers
	// may be late.
	burst = dataShards * DatagramSize
	slack = 5 * time.Millisecond
	// grantEach is how often it makes sense to look for more to be granted.
	grantEach = 20 * time.Millisecond
)

// Source is a file to be sent: Stripe reads one into p, which is as long as it.
type Source interface {
	Stripe(n int, p []byte) error
}

// Taker is what a sender knows of a receiver.
type Taker struct {
	Device  identity.DeviceID
	State   State
	Base    int  // stripes before it are complete there
	Apart   bool // it is not waited for: it loses too much, or is on Wi-Fi, or says nothing
	loss    uint16
	counter uint64
	run     identity.Instance
	heardAt time.Duration
	wifi    bool
	came    int // stripes that had been broadcast when it came
	stuck   int // repairs of its first incomplete stripe in a row
}

// Config makes a Sender or a Receiver.
type Config struct {
	Cut  Cut
	Keys *seal.Push
	Key  *identity.Key
	Rand io.Reader
	// Chance spreads what many would do at once.
	Chance *mathrand.Rand
}

// Sender broadcasts a file. It is not safe on many goroutines.
type Sender struct {
	Config
	source  Source
	rate    float64 // bytes a second
	follows bool    // the rate follows what receivers lose
	paced   time.Duration
	credit  float64
	refill  time.Duration

	takers    map[identity.DeviceID]*Taker
	base, top int
	sent      map[int]*broadcast // stripes from base to top
	number    uint64             // of the last mark
	fresh     int                // stripes broadcast or repaired since
	group     group
	markAt    time.Duration // when the next repeat is due
	pause     time.Duration
	begun     bool
	over      bool
	stripe    []byte // memory of one
	bytes     uint64
}

// broadcast is a stripe that was broadcast.
type broadcast struct {
	mark    uint64   // the first that follows what was last sent of it
	lacking int      // the most that one of the receivers lacks
	missing shardSet // what one or another has not
	parity  int      // the next shard of parity that nobody had yet
}

// Rates that are no bytes a second.
const (
	AsTaken = 0  // as fast as the receivers take it
	Granted = -1 // what Grant allows
)

// NewSender makes a Sender, which broadcasts at most so many bytes a second. Until Begin it only tells that it is
// there.
func NewSender(now time.Duration, c Config, source Source, rate int) *Sender {
	s := &Sender{
		Config: c, source: source, rate: max(0, float64(rate)), follows: rate == AsTaken, paced: now, refill: now,
		takers: map[identity.DeviceID]*Taker{}, sent: map[int]*broadcast{}, stripe: make([]byte, paddedSize),
	}
	if s.follows {
		s.rate = firstRate
	}
	if rate != Granted {
		s.credit = burst
	}
	return s
}

// Begin has it broadcast.
func (s *Sender) Begin() { s.begun = true }

// Begun tells whether Begin or BeginApart was called.
func (s *Sender) Begun() bool { return s.begun }

// BeginApart has it broadcast nothing, and those that want it ask.
func (s *Sender) BeginApart() {
	s.begun, s.top, s.base, s.group.stripes = true, s.Cut.Stripes(), s.Cut.Stripes(), 0
	clear(s.sent)
}

// Wants is how much more than it was granted it could broadcast now, in bytes; 0 if it has a rate of its own, or
// nothing to send.
func (s *Sender) Wants() int {
	if s.rate > 0 || !s.begun || s.over {
		return 0
	}
	return max(0, burst-int(s.credit))
}

// Grant allows so many bytes more.
func (s *Sender) Grant(bytes int) { s.credit += float64(bytes) }

// Takers are the receivers that spoke, by id.
func (s *Sender) Takers() []Taker {
	all := make([]Taker, 0, len(s.takers))
	for _, t := range s.takers {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Taker) int { return a.Device.Compare(b.Device) })
	return all
}

// Awaits tells whether a device that is there, and was heard lately, has yet to take the file, or, while its user may
// be asked for it, to say whether it does.
func (s *Sender) Awaits(now time.Duration, asked bool, there func(identity.DeviceID) bool) bool {
	for _, t := range s.takers {
		waits := t.State == Taking || t.State == Asking && asked
		if waits && now-t.heardAt < gone && there(t.Device) {
			return true
		}
	}
	return false
}

// Broadcasts tells whether not all of the file was broadcast yet.
func (s *Sender) Broadcasts() bool { return s.top < s.Cut.Stripes() && !s.over }

// Sent is how far the broadcast has come, in stripes, and how many bytes of datagrams that took.
func (s *Sender) Sent() (stripes int, bytes uint64) { return s.top, s.bytes }

// Finish tells those that listen that nothing is broadcast any more.
func (s *Sender) Finish(now time.Duration) { s.over, s.markAt, s.group.stripes = true, now, 0 }

// Need takes what a receiver says, whose signature and run were checked. On Wi-Fi broadcasts are slow, and are stopped
// everybody's.
func (s *Sender) Need(now time.Duration, n *Need, wifi bool) {
	id := n.Key.ID()
	t := s.takers[id]
	switch {
	case t == nil || t.run != n.Instance:
		t = &Taker{Device: id, run: n.Instance, came: s.top}
		s.takers[id] = t
	case n.Counter <= t.counter:
		return
	}
	t.counter, t.heardAt, t.wifi = n.Counter, now, wifi
	if n.Base > t.Base {
		t.stuck = 0
	}
	t.State, t.Base, t.loss = n.State, min(n.Base, s.Cut.Stripes()), n.Loss
	s.judge(now, t)
	if t.State == Taking && !t.Apart {
		s.demand(t, n)
	}
}

// judge decides whether a receiver is waited for.
func (s *Sender) judge(now time.Duration, t *Taker) {
	limit := max(muchLoss, 2*int(s.usualLoss()))
	if t.Apart {
		limit = littleLoss
	}
	t.Apart = t.wifi || int(t.loss) > limit || now-t.heardAt > quiet || t.stuck > mostRepairs ||
		t.Base < max(s.base, t.came) // what it lacks is not broadcast any more, or was before it came
}

func (s *Sender) usualLoss() uint16 {
	var losses []uint16
	for _, t := range s.takers {
		if t.State == Taking {
			losses = append(losses, t.loss)
		}
	}
	if len(losses) == 0 {
		return 0
	}
	slices.Sort(losses)
	return losses[(len(losses)-1)/2]
}

// demand notes what a receiver lacks of what it should have heard.
func (s *Sender) demand(t *Taker, n *Need) {
	for i, w := range n.Wanted {
		b := s.sent[w.stripe]
		if b == nil || n.Heard < b.mark { // what it lacks may be on its way
			continue
		}
		if i == 0 && b.parity > dataShards { // it was repaired, and is lacked still
			t.stuck++
		}
		k := s.Cut.shards(w.stripe)
		b.lacking = max(b.lacking, w.have.lacks(k))
		for i := range k {
			if !w.have.has(i) {
				b.missing.add(i)
			}
		}
	}
}

// settle moves on what is behind all that are waited for.
func (s *Sender) settle(now time.Duration) {
	base := s.top
	for _, t := range s.takers {
		if t.State != Taking {
			continue
		}
		s.judge(now, t)
		if !t.Apart {
			base = min(base, t.Base)
		}
	}
	for ; s.base < base; s.base++ {
		delete(s.sent, s.base)
	}
}

// Next appends datagrams to broadcast, in order, and tells how long to wait before it is called again, if no need comes
// before that. Each has a slice of its own in the memory of the Batch.
func (s *Sender) Next(now time.Duration, out *Batch) (wait time.Duration, err error) {
	s.settle(now)
	s.pace(now)
	before := out.Bytes()
	if s.credit > 0 && !s.over {
		if err = s.repair(out); err == nil && out.Bytes() == before {
			err = s.advance(now, out)
		}
		if err != nil {
			return 0, err
		}
	}
	shards := out.Bytes() > before
	if s.fresh >= together || s.fresh > 0 && !shards || now >= s.markAt {
		if err := s.mark(now, out); err != nil {
			return 0, err
		}
	}
	spent := out.Bytes() - before
	s.credit -= float64(spent)
	s.bytes += uint64(spent)
	if shards {
		return 0, nil
	}
	return max(0, min(s.markAt-now, s.poor())), nil
}

// poor is how long there is nothing to spend.
func (s *Sender) poor() time.Duration {
	switch {
	case s.credit > 0:
		return lastRepeat
	case s.rate == 0:
		return grantEach
	}
	return max(time.Millisecond, time.Duration(-s.credit/s.rate*float64(time.Second)))
}

// repair sends what most is lacking of one stripe. One shard of parity serves each receiver for another loss.
func (s *Sender) repair(out *Batch) error {
	for n := s.base; n < s.top; n++ {
		b := s.sent[n]
		if b == nil || b.lacking == 0 {
			continue
		}
		if err := readStripe(s.source, s.Cut, n, s.stripe); err != nil {
			return err
		}
		k := s.Cut.shards(n)
		for ; b.lacking > 0 && b.parity < allShards; b.parity++ {
			out.add(appendShard(out.next(), s.Keys, n, b.parity, appendParity(nil, s.stripe, k, b.parity)))
			b.lacking--
		}
		for i := 0; b.lacking > 0 && i < k; i++ { // all parity was sent once
			if b.missing.has(i) {
				out.add(appendShard(out.next(), s.Keys, n, i, shard(s.stripe, i)))
			}
		}
		b.lacking, b.missing, b.mark = 0, shardSet{}, s.number+1
		s.fresh++
		return nil
	}
	return nil
}

// advance sends shards of the next stripes, if somebody listens and those that are waited for keep up. Those of a group
// take turns: what gets lost in a row, as a train of datagrams does, is little of each then, and one repair mends it
// for all.
func (s *Sender) advance(now time.Duration, out *Batch) error {
	g := &s.group
	if g.stripes == 0 {
		next := min(together, s.Cut.Stripes()-s.top)
		if !s.begun || next == 0 || s.top+next-s.base > window || !s.heard(now) {
			return nil
		}
		if err := s.load(); err != nil {
			return err
		}
	}
	for sent := 0; sent < dataShards && g.stripes > 0; {
		n := s.top + g.turn
		if g.shard < s.Cut.shards(n) {
			out.add(appendShard(out.next(), s.Keys, n, g.shard, shard(g.bytes[g.turn], g.shard)))
			sent++
		}
		if g.turn++; g.turn == g.stripes {
			g.turn, g.shard = 0, g.shard+1
		}
		if g.shard == dataShards {
			s.finishGroup()
		}
	}
	return nil
}

// group is stripes that are broadcast together.
type group struct {
	bytes   [][]byte
	stripes int // 0: there is none
	shard   int // which of their shards is next
	turn    int // of which stripe
}

// load reads the next group.
func (s *Sender) load() error {
	g := &s.group
	n := min(together, s.Cut.Stripes()-s.top)
	for len(g.bytes) < n {
		g.bytes = append(g.bytes, make([]byte, paddedSize))
	}
	for i := range n {
		if err := readStripe(s.source, s.Cut, s.top+i, g.bytes[i]); err != nil {
			return err
		}
	}
	g.stripes, g.shard, g.turn = n, 0, 0
	return nil
}

// finishGroup notes that a group is broadcast: the mark that follows says so.
func (s *Sender) finishGroup() {
	for range s.group.stripes {
		s.sent[s.top] = &broadcast{mark: s.number + 1, parity: dataShards}
		s.top++
	}
	s.fresh, s.group.stripes = together, 0
}

func (s *Sender) heard(now time.Duration) bool {
	for _, t := range s.takers {
		if t.State == Taking && now-t.heardAt < forsaken {
			return true
		}
	}
	return false
}

// readStripe reads a stripe and pads it.
func readStripe(source Source, cut Cut, n int, into []byte) error {
	length := cut.Length(n)
	clear(into[length:])
	return source.Stripe(n, into[:length])
}

func (s *Sender) mark(now time.Duration, out *Batch) error {
	if s.fresh > 0 {
		s.number, s.fresh, s.pause = s.number+1, 0, firstRepeat
	} else {
		s.number++ // who lost the last one answers this one, and who answered it need not
		s.pause = min(2*max(s.pause, firstRepeat), lastRepeat)
	}
	s.markAt = now + s.pause
	m := Mark{Number: s.number, Base: s.base, Top: s.top, Over: s.over}
	for _, t := range s.takers {
		if t.State == Taking {
			m.Takers++
		}
		if t.State == Taking || t.State == Whole { // who had it before gathered nothing and helps nobody: its base is 0
			m.Holders = append(m.Holders, Holding{t.Device, t.Base})
		}
	}
	slices.SortFunc(m.Holders, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(b.Base, a.Base), a.Device.Compare(b.Device))
	})
	m.Holders = m.Holders[:min(len(m.Holders), maxHolders)]
	b, err := sealSigned(typeMark, s.Keys, s.Key, s.Rand, appendMark(nil, &m))
	if err == nil {
		out.add(append(out.next(), b...))
	}
	return err
}

// pace gives credit for the time that passed, and has the rate follow what is lost.
func (s *Sender) pace(now time.Duration) {
	s.credit = min(max(burst, s.rate*slack.Seconds()), s.credit+s.rate*(now-s.refill).Seconds())
	s.refill = now
	if !s.follows || now-s.paced < paceEach {
		return
	}
	s.paced = now
	worst := uint16(0)
	for _, t := range s.takers {
		if t.State == Taking && !t.Apart {
			worst = max(worst, t.loss)
		}
	}
	if worst > littleLoss {
		s.rate = max(leastRate, s.rate*0.8)
		return
	}
	s.rate = min(mostRate, s.rate*1.25)
}

// Batch is the memory of datagrams that go together, used again and again.
type Batch struct {
	memory    []byte
	Datagrams [][]byte
	bytes     int
}

// Reset empties it.
func (b *Batch) Reset() { b.memory, b.Datagrams, b.bytes = b.memory[:0], b.Datagrams[:0], 0 }

// Bytes is how many bytes the datagrams have.
func (b *Batch) Bytes() int { return b.bytes }

// next is where the next datagram goes.
func (b *Batch) next() []byte {
	if cap(b.memory)-len(b.memory) < DatagramSize { // those that are in the old memory stay there
		b.memory = make([]byte, 0, max(2*cap(b.memory), 64*DatagramSize))
	}
	return b.memory[len(b.memory):][:0:DatagramSize]
}

func (b *Batch) add(datagram []byte) {
	b.memory = b.memory[:len(b.memory)+len(datagram)]
	b.Datagrams = append(b.Datagrams, datagram)
	b.bytes += len(datagram)
}
