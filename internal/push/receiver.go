package push

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
	"time"

	"bcast/identity"
)

const (
	// maxHeld is how many incomplete stripes are in memory: 12 MiB, and up to 4 MiB of parity.
	maxHeld = 48
	// answerEach is how often marks are answered at least apart, and for each receiver more of a crowd.
	answerEach  = 4 * time.Millisecond
	answerCrowd = time.Millisecond
	// Who asks for help waits so long for it, longer each time that nothing came.
	firstPatience = 30 * time.Millisecond
	lastPatience  = time.Second
	leastPause    = 4 * time.Millisecond
	// vainAsks may bring nothing, and so many more of who loses much, before another is asked and longer waited.
	vainAsks, lossyAsks = 1, 16
	// lossWeight is that of the newest mark in what is lost lately.
	lossWeight = 0.2
	// mostAsked is how many stripes are asked for at once.
	mostAsked = 8
)

// Target is where a file is gathered.
type Target interface {
	// Hashes takes the hashes of all blocks, 32 bytes each, and tells whether they are the file's.
	Hashes(list []byte) bool
	// Kept are the blocks that are there from before and right; it is asked once, behind Hashes.
	Kept() ([]int, error)
	// Block takes a block, if it is right.
	Block(i int, p []byte) (right bool, err error)
	// Aside keeps what there is of a block, at its place, and Back reads that again. Nobody trusts it.
	Aside(i int, p []byte) error
	Back(i int, p []byte) error
}

// Receiver gathers what a Sender broadcasts. It is not safe on many goroutines.
type Receiver struct {
	Config
	author   identity.PublicKey
	instance identity.Instance
	target   Target

	state   State
	done    []uint64 // a bit for each stripe
	left    int      // stripes that are not done
	base    int
	known   bool // the hashes of the blocks
	list    []byte
	held    map[int]*arriving
	aside   map[int]shardSet
	spare   [][]byte
	opened  [shardSize]byte
	damaged int // stripes that were not right

	last     Mark
	marked   bool
	news     int // shards of data that were broadcast and came since the last mark, of stripes behind it
	heard    int // shards that loss is of
	loss     float64
	counter  uint64
	answerAt time.Duration // when the mark is to be answered; 0: it was
	answered time.Duration

	asked    []int
	askedAt  time.Duration
	askAt    time.Duration // when to ask again, whatever is missing then
	pause    time.Duration // between two shards, after which no more are awaited
	asks     int           // stripes asked for at once
	came     int           // shards since the last ask
	vain     int           // asks in a row after which none came
	patience time.Duration
	helper   identity.DeviceID
	tried    map[identity.DeviceID]bool
}

// arriving is a stripe of which not all is here.
type arriving struct {
	have   shardSet
	bytes  []byte
	parity map[int][]byte
	ripe   bool // all of it is here, and cannot be checked yet
}

// NewReceiver makes a Receiver for what the author pushes.
func NewReceiver(c Config, author identity.PublicKey, instance identity.Instance, target Target) *Receiver {
	stripes := c.Cut.Stripes()
	return &Receiver{
		Config: c, author: author, instance: instance, target: target, state: Taking,
		done: make([]uint64, (stripes+63)/64), left: stripes, known: c.Cut.list == 0,
		held: map[int]*arriving{}, aside: map[int]shardSet{},
		asks: 2, patience: firstPatience, tried: map[identity.DeviceID]bool{},
	}
}

// SetState changes what the receiver says of itself.
func (r *Receiver) SetState(s State) { r.state, r.answerAt = s, max(r.answerAt, 1) }

// Complete tells whether every block is here.
func (r *Receiver) Complete() bool { return r.left == 0 }

// Has tells whether a stripe is here and right.
func (r *Receiver) Has(stripe int) bool { return r.done[stripe/64]>>(stripe%64)&1 != 0 }

// Done is how many stripes are here and right, of all.
func (r *Receiver) Done() (stripes, all int) { return r.Cut.Stripes() - r.left, r.Cut.Stripes() }

// Damaged is how many stripes were not right: some member lies.
func (r *Receiver) Damaged() int { return r.damaged }

// Broadcasts tells whether not all of the file was broadcast yet.
func (r *Receiver) Broadcasts() bool { return r.last.Top < r.Cut.Stripes() && !r.last.Over }

// keep notes a stripe that was here before.
func (r *Receiver) keep(n int) {
	if r.held[n] != nil {
		r.release(n)
	}
	delete(r.aside, n)
	r.done[n/64] |= 1 << (n % 64)
	r.left--
	r.moveBase()
}

func (r *Receiver) moveBase() {
	for r.base < r.Cut.Stripes() && r.Has(r.base) {
		// whole words at once: a receiver that begins again has most of a large file
		if skipped := bits.TrailingZeros64(^(r.done[r.base/64] >> (r.base % 64))); skipped > 0 {
			r.base += skipped
		}
	}
	r.base = min(r.base, r.Cut.Stripes())
}

// Take takes a datagram with a shard or a mark. Its memory is used.
func (r *Receiver) Take(now time.Duration, datagram []byte) error {
	switch kind(datagram) {
	case typeShard:
		return r.takeShard(now, datagram)
	case typeMark:
		return r.takeMark(now, datagram)
	}
	return DropMalformed
}

func (r *Receiver) takeShard(now time.Duration, datagram []byte) error {
	n, i, err := shardPlace(datagram)
	if err != nil {
		return err
	}
	if n >= r.Cut.Stripes() || i >= r.Cut.shards(n) && i < dataShards {
		return DropMalformed
	}
	if r.Has(n) || r.state != Taking {
		return DropNothingNew
	}
	if a := r.held[n]; a != nil && (a.ripe || a.have.has(i)) {
		return DropNothingNew
	}
	if err := openShard(r.opened[:], r.Keys, datagram); err != nil { // before anything makes place for it
		return err
	}
	a, err := r.open(n)
	if err != nil {
		return err
	}
	if a.have.has(i) {
		return DropNothingNew
	}
	r.put(a, i)
	if n >= r.last.Top && i < dataShards {
		r.news++
	}
	if slices.Contains(r.asked, n) {
		r.helped(now)
	}
	if a.have.lacks(r.Cut.shards(n)) > 0 {
		return nil
	}
	return r.complete(n, a)
}

// put takes the shard that was opened.
func (r *Receiver) put(a *arriving, i int) {
	a.have.add(i)
	if i >= dataShards {
		a.parity[i] = bytes.Clone(r.opened[:])
		return
	}
	copy(shard(a.bytes, i), r.opened[:])
}

// open is a stripe in memory.
func (r *Receiver) open(n int) (*arriving, error) {
	if a := r.held[n]; a != nil {
		return a, nil
	}
	if len(r.held) >= maxHeld {
		if err := r.makePlace(); err != nil {
			return nil, err
		}
	}
	a := &arriving{bytes: r.blank(), parity: map[int][]byte{}}
	clear(a.bytes[r.Cut.Length(n):])
	if have, aside := r.aside[n]; aside {
		i, _ := r.Cut.Block(n)
		if err := r.target.Back(i, a.bytes[:r.Cut.Length(n)]); err != nil {
			return nil, err
		}
		a.have = have
		delete(r.aside, n)
	}
	r.held[n] = a
	return a, nil
}

func (r *Receiver) blank() []byte {
	if n := len(r.spare); n > 0 {
		b := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return b
	}
	return make([]byte, paddedSize)
}

// makePlace puts aside what is not going to be completed next: of the stripes that are not asked for, the lowest.
func (r *Receiver) makePlace() error {
	lowest := -1
	for n := range r.held {
		if !slices.Contains(r.asked, n) && n >= r.Cut.list && (lowest < 0 || n < lowest) {
			lowest = n
		}
	}
	if lowest < 0 {
		return DropQueueFull
	}
	a, i := r.held[lowest], lowest-r.Cut.list
	if err := r.target.Aside(i, a.bytes[:r.Cut.Length(lowest)]); err != nil {
		return err
	}
	for p := dataShards; p < allShards; p++ { // parity is not kept
		a.have[p/64] &^= 1 << (p % 64)
	}
	r.aside[lowest] = a.have
	r.release(lowest)
	return nil
}

func (r *Receiver) release(n int) {
	r.spare = append(r.spare, r.held[n].bytes)
	delete(r.held, n)
}

// complete takes a stripe of which enough is here.
func (r *Receiver) complete(n int, a *arriving) error {
	k := r.Cut.shards(n)
	if !a.ripe {
		recover(a.bytes, k, &a.have, a.parity)
		for i := range k {
			a.have.add(i)
		}
		a.ripe, a.parity = true, nil
	}
	p := a.bytes[:r.Cut.Length(n)]
	i, ofFile := r.Cut.Block(n)
	if !ofFile {
		if r.list == nil {
			r.list = make([]byte, r.Cut.list*StripeSize)
		}
		copy(r.list[n*StripeSize:], p)
		r.keep(n)
		return r.takeList()
	}
	if !r.known {
		return nil
	}
	right, err := r.target.Block(i, p)
	if err != nil {
		r.release(n)
		return err
	}
	if !right { // one of its shards was a lie: all are asked for again, and of others
		r.damaged++
		r.release(n)
		r.tried[r.helper] = true
		return DropDamaged
	}
	r.keep(n)
	return nil
}

// takeList takes the list of hashes when all of it is here, and then what waited for it.
func (r *Receiver) takeList() error {
	for n := range r.Cut.list {
		if !r.Has(n) {
			return nil
		}
	}
	if !r.target.Hashes(r.list[:r.Cut.blocks*hashSize]) {
		for n := range r.Cut.list {
			r.done[n/64] &^= 1 << (n % 64)
		}
		r.left, r.base, r.damaged = r.left+r.Cut.list, 0, r.damaged+1
		return DropDamaged
	}
	r.known = true
	kept, failed := r.target.Kept()
	for _, i := range kept {
		r.keep(i + r.Cut.list)
	}
	more := func(err error) { // a lie among them is asked for again, and no failure
		if DropOf(err) == "" {
			failed = errors.Join(failed, err)
		}
	}
	for n, a := range r.held {
		if a.ripe {
			more(r.complete(n, a))
		}
	}
	for n, have := range r.aside {
		if have.lacks(r.Cut.shards(n)) == 0 {
			a, err := r.open(n)
			if err == nil {
				a.ripe = true
				err = r.complete(n, a)
			}
			more(err)
		}
	}
	return failed
}

func (r *Receiver) takeMark(now time.Duration, datagram []byte) error {
	said, signature, err := openSigned(r.Keys, datagram)
	if err != nil {
		return err
	}
	m, err := parseMark(said)
	switch {
	case err != nil:
		return err
	case m.Top > r.Cut.Stripes():
		return DropMalformed
	case r.marked && m.Number <= r.last.Number:
		return DropReplayed
	case !r.author.Verify(signed(typeMark, r.Keys, said), signature):
		return DropBadSignature
	}
	r.measure(m)
	r.last, r.marked = m, true
	if r.answerAt == 0 {
		crowd := time.Duration(m.Takers) * answerCrowd
		r.answerAt = max(now+time.Duration(r.Chance.Int64N(int64(1+crowd/4))), r.answered+max(answerEach, crowd))
	}
	return nil
}

// measure follows what share of what is broadcast does not come.
func (r *Receiver) measure(m Mark) {
	if m.Top == r.last.Top && r.marked {
		return // a group is under way, or a pause
	}
	expected := 0
	for n := r.last.Top; n < m.Top; n++ {
		expected += r.Cut.shards(n)
	}
	if r.marked && expected > 0 {
		lost := max(0, 1-float64(r.news)/float64(expected))
		r.heard += expected
		r.loss += max(float64(expected)/float64(r.heard), lossWeight) * (lost - r.loss)
	}
	r.news = 0
}

// Message is a datagram to the author, or to another that may help.
type Message struct {
	To       identity.DeviceID // the author's or a holder's
	Datagram []byte
}

// Advance is what is to be said now, and how long to wait for what is due next.
func (r *Receiver) Advance(now time.Duration) (out []Message, wait time.Duration, err error) {
	wait = lastPatience
	if r.answerAt > 0 && now >= r.answerAt && r.marked {
		r.answerAt, r.answered = 0, now
		n := r.need()
		if r.state == Taking {
			n.Wanted = r.wanted(max(r.base, r.last.Base), r.last.Top, maxWanted)
		}
		if out, err = r.say(out, r.author.ID(), n); err != nil {
			return out, wait, err
		}
	}
	if r.answerAt > 0 {
		wait = max(0, r.answerAt-now)
	}
	if r.state != Taking || !r.marked {
		return out, wait, nil
	}
	until := r.last.Base
	if r.last.Over {
		until = r.Cut.Stripes()
	}
	if r.base >= until {
		return out, wait, nil
	}
	if out, err = r.ask(now, out, until); err != nil {
		return out, wait, err
	}
	return out, min(wait, max(0, r.askAt-now)), nil
}

func (r *Receiver) need() Need {
	r.counter++
	return Need{
		Key: r.Key.Public(), Instance: r.instance, Counter: r.counter, State: r.state, Loss: uint16(r.loss * 65535),
		Heard: r.last.Number, Base: r.base,
	}
}

// wanted are the first stripes from one to another that are not complete.
func (r *Receiver) wanted(from, to, most int) []want {
	var all []want
	for n := from; n < to && len(all) < most; n++ {
		if r.Has(n) {
			continue
		}
		w := want{stripe: n}
		if a := r.held[n]; a != nil {
			w.have = a.have
		} else if have, aside := r.aside[n]; aside {
			w.have = have
		}
		if w.have.lacks(r.Cut.shards(n)) > 0 {
			all = append(all, w)
		}
	}
	return all
}

func (r *Receiver) say(out []Message, to identity.DeviceID, n Need) ([]Message, error) {
	b, err := sealSigned(typeNeed, r.Keys, r.Key, r.Rand, appendNeed(nil, &n))
	if err != nil {
		return out, err
	}
	return append(out, Message{to, b}), nil
}

// OpenNeed opens what a receiver says. Who it is of, and that it is of the run that is present, is for the caller to
// check, and that its signature is right afterwards.
func OpenNeed(c Config, datagram []byte) (n Need, verify func() bool, err error) {
	if kind(datagram) != typeNeed {
		return n, nil, DropMalformed
	}
	said, signature, err := openSigned(c.Keys, datagram)
	if err != nil {
		return n, nil, err
	}
	n, err = parseNeed(said)
	return n, func() bool { return n.Key.Verify(signed(typeNeed, c.Keys, said), signature) }, err
}
