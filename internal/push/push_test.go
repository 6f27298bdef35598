package push

import (
	"bytes"
	"crypto/sha256"
	"errors"
	mathrand "math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/seal"
)

// file is a Source and what a Target is to be the same as. Its blocks' hashes are SHA-256 here.
type file struct {
	cut    Cut
	bytes  []byte
	hashes []byte
}

func newFile(seed uint64, size int) *file {
	f := &file{cut: NewCut(int64(size)), bytes: make([]byte, size)}
	mathrand.NewChaCha8([32]byte{byte(seed)}).Read(f.bytes)
	for i := range f.cut.blocks {
		sum := sha256.Sum256(f.block(i))
		f.hashes = append(f.hashes, sum[:]...)
	}
	return f
}

// blank is a file that nobody is to get: of zeros, whose hashes are not made.
func blank(size int) *file {
	cut := NewCut(int64(size))
	return &file{cut: cut, bytes: make([]byte, size), hashes: make([]byte, cut.blocks*hashSize)}
}

func (f *file) block(i int) []byte {
	return f.bytes[i*StripeSize : min((i+1)*StripeSize, len(f.bytes))]
}

func (f *file) Stripe(n int, p []byte) error {
	if i, ofFile := f.cut.Block(n); ofFile {
		copy(p, f.block(i))
	} else {
		copy(p, f.hashes[n*StripeSize:])
	}
	return nil
}

// copied is a Target.
type copied struct {
	of    *file
	bytes []byte
	right int
}

func (c *copied) Hashes(list []byte) bool { return bytes.Equal(list, c.of.hashes) }

func (c *copied) Block(i int, p []byte) (bool, error) {
	if sum := sha256.Sum256(p); !bytes.Equal(sum[:], c.of.hashes[i*hashSize:][:hashSize]) {
		return false, nil
	}
	c.right++
	copy(c.bytes[i*StripeSize:], p)
	return true, nil
}

func (c *copied) Kept() ([]int, error)        { return nil, nil }
func (c *copied) Aside(i int, p []byte) error { copy(c.bytes[i*StripeSize:], p); return nil }
func (c *copied) Back(i int, p []byte) error  { copy(p, c.bytes[i*StripeSize:]); return nil }

// Stripe has a receiver that is complete help others.
func (c *copied) Stripe(n int, p []byte) error {
	return (&file{c.of.cut, c.bytes, c.of.hashes}).Stripe(n, p)
}

// place is a receiver on the network of a test, with what it loses of all that comes and goes.
type place struct {
	*Receiver
	copied *copied
	holder *Holder
	loss   float64
	from   time.Duration // when it is there
	until  time.Duration // when it is killed; 0: never
	done   time.Duration
	wakeAt time.Duration
	key    *identity.Key
	addr   netip.Addr
}

// Stripe has a receiver help others with what it has.
func (p *place) Stripe(n int, into []byte) error {
	if !p.Has(n) {
		return DropQueueFull
	}
	return (&file{p.Cut, p.copied.bytes, p.copied.of.hashes}).Stripe(n, into)
}

// net is a sender and receivers; a datagram takes latency.
type net struct {
	t       *testing.T
	file    *file
	keys    *seal.Push
	sender  *Sender
	holder  *Holder
	key     *identity.Key
	places  []*place
	random  *mathrand.Rand
	now     time.Duration
	queue   []flight
	lie     func(datagram []byte) // of a member, on the way
	unicast int                   // bytes of help
	each    func()                // is called every moment
}

type flight struct {
	at time.Duration
	do func()
}

const latency = 200 * time.Microsecond

func testKey(t testing.TB, n int) *identity.Key {
	t.Helper()
	key, err := identity.KeyFromSeed(bytes.Repeat([]byte{byte(n + 1)}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func testRing(t testing.TB) *seal.Ring {
	t.Helper()
	ring, err := seal.NewRing(seal.Secret{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newNet(t *testing.T, size, receivers int, rate int) *net {
	return newNetOf(t, newFile(1, size), receivers, rate)
}

func newNetOf(t *testing.T, f *file, receivers int, rate int) *net {
	n := &net{t: t, file: f, keys: testRing(t).Push([seal.PostIDSize]byte{7})[0], key: testKey(t, 0), random: mathrand.New(mathrand.NewPCG(1, 2))}
	n.sender = NewSender(0, n.config(n.key), n.file, rate)
	n.sender.Begin()
	n.holder = NewHolder(n.file.cut, n.keys, n.file, NewHelp())
	for i := range receivers {
		n.add(testKey(t, i+1), 0)
	}
	return n
}

func (n *net) config(key *identity.Key) Config {
	return Config{Cut: n.file.cut, Keys: n.keys, Key: key, Rand: mathrand.NewChaCha8([32]byte{9}), Chance: n.random}
}

func (n *net) add(key *identity.Key, from time.Duration) *place {
	p := &place{copied: &copied{of: n.file, bytes: make([]byte, len(n.file.bytes))}, from: from, key: key, addr: testAddr(len(n.places))}
	p.Receiver = NewReceiver(n.config(key), n.key.Public(), n.instance(), p.copied)
	p.holder = NewHolder(n.file.cut, n.keys, p, NewHelp())
	n.places = append(n.places, p)
	return p
}

func (n *net) instance() identity.Instance {
	return identity.Instance{Boot: 1, Nonce: uint64(len(n.places))}
}

func (n *net) later(do func()) { n.queue = append(n.queue, flight{n.now + latency, do}) }

func (n *net) there(p *place) bool { return n.now >= p.from && (p.until == 0 || n.now < p.until) }

func (n *net) broadcast(datagram []byte) {
	for _, p := range n.places {
		if !n.there(p) || n.random.Float64() < p.loss {
			continue
		}
		n.later(func() { n.arrive(p, datagram) })
	}
}

func (n *net) arrive(p *place, d []byte) {
	if !n.there(p) {
		return
	}
	if n.lie != nil && kind(d) == typeShard {
		d = bytes.Clone(d) // others hear the truth
		n.lie(d)
	}
	err := p.Take(n.now, d)
	if err != nil && !errors.Is(err, DropNothingNew) && !errors.Is(err, DropQueueFull) && n.lie == nil {
		n.t.Fatalf("%v: %v", n.now, err)
	}
	p.wakeAt = n.now
	if p.Complete() && p.done == 0 {
		p.done = n.now
		p.SetState(Whole)
	}
}

// speak has a receiver say what is due.
func (n *net) speak(p *place) {
	if !n.there(p) || n.now < p.wakeAt {
		return
	}
	out, wait, err := p.Advance(n.now)
	if err != nil {
		n.t.Fatal(err)
	}
	p.wakeAt = n.now + wait
	for _, m := range out {
		if n.random.Float64() < p.loss {
			continue
		}
		n.later(func() { n.answer(p, m) })
	}
}

func (n *net) answer(from *place, m Message) {
	c := n.config(n.key)
	need, verify, err := OpenNeed(c, m.Datagram)
	if err != nil || !verify() {
		n.t.Fatalf("need: %v", err)
	}
	if !need.Ask {
		n.sender.Need(n.now, &need, false)
		return
	}
	var holder *Holder
	if m.To == n.key.ID() {
		holder = n.holder
	}
	for _, p := range n.places {
		if p.key.ID() == m.To && n.there(p) {
			holder = p.holder
		}
	}
	if holder == nil {
		return // it is killed
	}
	var out Batch
	holder.Answer(n.now, &need, from.addr, n.sender.Broadcasts(), &out)
	n.unicast += out.Bytes()
	for _, d := range out.Datagrams {
		if n.random.Float64() < from.loss {
			continue
		}
		n.later(func() { n.arrive(from, d) })
	}
}

// run lets time pass until all that stay have the file, at most so long.
func (n *net) run(most time.Duration) {
	n.t.Helper()
	var out Batch
	due := time.Duration(0)
	for n.now < most {
		if n.now >= due {
			out.Reset()
			wait, err := n.sender.Next(n.now, &out)
			if err != nil {
				n.t.Fatal(err)
			}
			for _, d := range out.Datagrams {
				n.broadcast(bytes.Clone(d))
			}
			due = n.now + min(wait, time.Millisecond)
		}
		for len(n.queue) > 0 && n.queue[0].at <= n.now {
			do := n.queue[0].do
			n.queue = n.queue[1:]
			do()
		}
		all := true
		for _, p := range n.places {
			n.speak(p)
			all = all && (p.done > 0 || p.until > 0)
		}
		if all {
			return
		}
		if n.each != nil {
			n.each()
		}
		n.now += 100 * time.Microsecond
	}
	for i, p := range n.places {
		done, of := p.Done()
		n.t.Logf("receiver %d: %d of %d, loss %.2f", i, done, of, p.Receiver.loss)
	}
	n.t.Fatalf("after %v not all have it", most)
}

// check compares what everybody has, and returns what the sender broadcast for each byte of the file.
func (n *net) check() float64 {
	n.t.Helper()
	for i, p := range n.places {
		if p.until == 0 && !bytes.Equal(p.copied.bytes, n.file.bytes) {
			n.t.Errorf("receiver %d has another file", i)
		}
	}
	_, sent := n.sender.Sent()
	return float64(sent) / float64(len(n.file.bytes))
}

func TestPush(t *testing.T) {
	for _, size := range []int{1, shardSize, StripeSize, StripeSize + 1, 3*StripeSize - 7, 9 * StripeSize} {
		n := newNet(t, size, 3, 0)
		n.run(10 * time.Second)
		if wire := n.check(); size > 1<<20 && wire > 1.05 {
			t.Errorf("%d bytes: %.3f times on the wire", size, wire)
		}
		if n.unicast > 0 {
			t.Errorf("%d bytes: %d bytes by unicast, and nothing was lost", size, n.unicast)
		}
	}
}

// One shard of parity serves each receiver for another loss: at 5 % of nine a file takes a seventh more, not half.
func TestWhatIsLostIsSentOnceForAll(t *testing.T) {
	n := newNet(t, 8*StripeSize, 9, 0)
	for _, p := range n.places {
		p.loss = 0.05
	}
	n.run(20 * time.Second)
	wire := n.check()
	if t.Logf("%.3f times on the wire", wire); wire < 1.05 || wire > 1.15 {
		t.Error("want a seventh more, at most")
	}
	if n.unicast > 0 {
		t.Errorf("%d bytes by unicast", n.unicast)
	}
}

// Who loses nearly half, is killed and comes again, or comes late gets all, and holds up nobody.
func TestOthersAreNotHeldUp(t *testing.T) {
	const size, rate = 8 * StripeSize, 32 << 20
	n := newNet(t, size, 5, rate)
	n.run(20 * time.Second)
	alone := n.now
	n = newNet(t, size, 5, rate)
	n.places[0].loss = 0.4
	n.places[1].until = alone / 3
	n.add(n.places[1].key, alone/2)
	n.add(testKey(t, 20), alone/2)
	n.run(20 * time.Second)
	if wire := n.check(); wire > 1.15 {
		t.Errorf("%.3f times on the wire", wire)
	}
	for _, p := range n.places[2:5] {
		if p.done > alone*5/4 {
			t.Errorf("it took one %v, and %v when all was well", p.done, alone)
		}
	}
	if n.now > 4*alone {
		t.Errorf("the last has it after %v, and after %v when all was well", n.now, alone)
	}
}
