package push

import (
	"bytes"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/identity"
)

// A member that changes shards has nobody take a wrong block for right: what is wrong is asked for again.
func TestADV_push_A_liar_changes_no_file(t *testing.T) {
	n := newNet(t, 6*StripeSize, 2, 0)
	lies := 40
	n.lie = func(datagram []byte) {
		if lies > 0 && n.random.IntN(20) == 0 {
			lies--
			stripe, i, err := shardPlace(datagram)
			if err != nil {
				t.Fatal(err)
			}
			copy(datagram, appendShard(nil, n.keys, stripe, i, make([]byte, shardSize)))
		}
	}
	n.run(20 * time.Second)
	n.check()
	if lies > 0 || n.places[0].damaged+n.places[1].damaged == 0 {
		t.Error("no lie was noticed")
	}
}

// Marks are the author's: of another member, and of before, they move nothing.
func TestADV_push_A_mark_is_the_authors(t *testing.T) {
	n := newNet(t, 3*StripeSize, 1, 0)
	p := n.places[0]
	mark := func(key *identity.Key, m Mark) []byte {
		b, err := sealSigned(typeMark, n.keys, key, n.config(key).Rand, appendMark(nil, &m))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := mark(n.key, Mark{Number: 5, Top: 2})
	for _, c := range []struct {
		what     string
		datagram []byte
		want     error
	}{
		{"the author's", first, nil},
		{"another member's", mark(p.key, Mark{Number: 9, Top: 4, Over: true}), DropBadSignature},
		{"a recording", first, DropReplayed},
		{"beyond the file", mark(n.key, Mark{Number: 6, Top: 5}), DropMalformed},
		{"cut short", first[:40], DropDamaged},
	} {
		if err := p.Take(time.Second, bytes.Clone(c.datagram)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if p.last.Number != 5 || p.last.Top != 2 || p.last.Over {
			t.Fatalf("%s: the last mark is %+v", c.what, p.last)
		}
	}
}

// What a receiver said once does not count again, nor what others say in its name.
func TestADV_push_A_need_is_its_receivers(t *testing.T) {
	n := newNet(t, 3*StripeSize, 1, 0)
	p := n.places[0]
	said := func(signer *identity.Key, need Need) []byte {
		b, err := sealSigned(typeNeed, n.keys, signer, n.config(signer).Rand, appendNeed(nil, &need))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	need := Need{Key: p.key.Public(), Instance: n.instance(), Counter: 7, State: Taking, Base: 1}
	if _, verify, err := OpenNeed(n.config(n.key), said(n.key, need)); err != nil || verify() {
		t.Errorf("signed by another: %v", err)
	}
	old := need
	old.Counter, old.State, old.Base = 6, Whole, 4
	for _, say := range []Need{need, old} {
		got, verify, err := OpenNeed(n.config(n.key), said(p.key, say))
		if err != nil || !verify() {
			t.Fatal(err)
		}
		n.sender.Need(time.Second, &got, false)
	}
	if takers := n.sender.Takers(); len(takers) != 1 || takers[0].State != Taking || takers[0].Base != 1 {
		t.Errorf("the sender knows %+v", takers)
	}
}

// A kilobyte asks for megabytes; who asks all the time gets no more than its share.
func TestADV_push_Help_is_bounded(t *testing.T) {
	n := newNetOf(t, blank(40*StripeSize), 0, 0)
	need := Need{Key: testKey(t, 1).Public(), Ask: true, Loss: math.MaxUint16}
	for i := range maxWanted {
		need.Wanted = append(need.Wanted, want{stripe: i + 1})
	}
	sent := 0
	for i := range 250 { // a quarter of a second of asking
		var out Batch
		need.Counter++
		n.holder.Answer(time.Duration(i)*time.Millisecond, &need, testAddr(1), false, &out)
		sent += out.Bytes()
	}
	if most := helpBurst + helpRate/4 + 2*StripeSize; sent > most || sent < helpRate/8 {
		t.Errorf("%d bytes sent within a quarter of a second, at most %d", sent, most)
	}
}

// asking is how long a Holder is asked.
const asking = time.Second / 4

// helped is what a Holder of a large file gives, while it is asked each millisecond for a while: what is asked, and by
// whom from where, ask says. The source is of zeros, and counts what is read.
func helped(t *testing.T, ask func(i int) (need Need, from netip.Addr)) (sent int, read *counted) {
	n := newNetOf(t, blank(3*StripeSize), 0, 0)
	read = &counted{}
	holder := NewHolder(NewCut(1000*StripeSize), n.keys, read, NewHelp())
	for i := range int(asking / time.Millisecond) {
		var out Batch
		need, from := ask(i)
		need.Counter, need.Ask = uint64(i+1), true
		holder.Answer(time.Duration(i)*time.Millisecond, &need, from, false, &out)
		sent += out.Bytes()
	}
	return sent, read
}

// counted is a source of zeros that counts what is read of it.
type counted struct{ stripes int }

func (c *counted) Stripe(int, []byte) error {
	c.stripes++
	return nil
}

// wholeStripes are so many wants of all of a stripe, from one on.
func wholeStripes(from, count int) (all []want) {
	for i := range count {
		all = append(all, want{stripe: from + i})
	}
	return all
}

// Identities cost nothing in a public room: those of one host get together what one of them would, and those of many
// hosts no more than is given to all.
func TestADV_push_Help_is_bounded_for_all_together(t *testing.T) {
	keys := make([]identity.PublicKey, 40)
	for i := range keys {
		keys[i] = testKey(t, i).Public()
	}
	for _, test := range []struct{ hosts, most int }{{1, helpRate/4 + helpBurst}, {len(keys), helpAll/4 + allBurst}} {
		sent, _ := helped(t, func(i int) (Need, netip.Addr) {
			return Need{Key: keys[i%len(keys)], Loss: math.MaxUint16, Wanted: wholeStripes(i*8%960, 32)},
				testAddr(i % len(keys) % test.hosts)
		})
		if sent > test.most+2*StripeSize || sent < test.most*3/4 {
			t.Errorf("%d hosts: %d bytes sent, at most %d", test.hosts, sent, test.most)
		}
	}
}

// The same is asked for again and again, and twice in a need: it goes twice, for what gets lost, and not all the time.
func TestADV_push_The_same_goes_twice_at_once(t *testing.T) {
	key := testKey(t, 1).Public()
	sent, _ := helped(t, func(int) (Need, netip.Addr) {
		return Need{Key: key, Wanted: slices.Concat(wholeStripes(9, 1), wholeStripes(9, 1))}, testAddr(1)
	})
	if most := (1 + int(asking/holdOff)) * 2 * dataShards * DatagramSize; sent > most || sent < most*9/10 {
		t.Errorf("%d bytes sent, at most %d", sent, most)
	}
}

// Who lacks one shard of each stripe is sent little, and has much be read: a need of a kilobyte 8 MiB.
func TestADV_push_What_is_read_for_help_is_bounded(t *testing.T) {
	key := testKey(t, 1).Public()
	_, read := helped(t, func(i int) (Need, netip.Addr) {
		need := Need{Key: key, Wanted: wholeStripes(i*31%960, 32)}
		for k := range need.Wanted {
			for shard := 1; shard < dataShards; shard++ {
				need.Wanted[k].have.add(shard)
			}
		}
		return need, testAddr(1)
	})
	if most := (helpBurst+helpRate/4)/helpLeast + 2; read.stripes > most || read.stripes < most/2 {
		t.Errorf("%d stripes read, at most %d", read.stripes, most)
	}
}

// Receivers that lie about what they lack, and shards of stripes that are not there, take bounded memory.
func TestADV_push_What_waits_is_bounded(t *testing.T) {
	const stripes = 2 * maxHeld
	n := newNetOf(t, blank(stripes*StripeSize), 1, 0)
	p := n.places[0]
	for stripe := range stripes {
		if stripe < n.file.cut.list {
			continue
		}
		d := appendShard(nil, n.keys, stripe, 3, make([]byte, shardSize))
		if err := p.Take(time.Second, d); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.held)+len(p.spare) > maxHeld+1 {
		t.Errorf("%d stripes are in memory, %d spare", len(p.held), len(p.spare))
	}
	if err := p.Take(time.Second, appendShard(nil, n.keys, 5000, 3, make([]byte, shardSize))); !errors.Is(err, DropMalformed) {
		t.Errorf("a stripe that is not there: %v", err)
	}
}

// Stripes that came whole before the list wait for it: more of them changes nothing.
func TestShardsOfWhatWaitsForTheList(t *testing.T) {
	n := newNet(t, 3*StripeSize, 1, 0)
	p := n.places[0]
	stripe := make([]byte, paddedSize)
	if err := readStripe(n.file, n.file.cut, 3, stripe); err != nil {
		t.Fatal(err)
	}
	k := n.file.cut.shards(3)
	for i := range k {
		if err := p.Take(time.Second, appendShard(nil, n.keys, 3, i, shard(stripe, i))); err != nil {
			t.Fatal(err)
		}
	}
	parity := appendShard(nil, n.keys, 3, dataShards, appendParity(nil, stripe, k, dataShards))
	if err := p.Take(time.Second, parity); !errors.Is(err, DropNothingNew) {
		t.Errorf("parity of a stripe that waits: %v", err)
	}
	n.run(10 * time.Second)
	n.check()
}

// full is a Target that has no place for a block.
type full struct{ copied }

var errFull = errors.New("the disk is full")

func (full) Block(int, []byte) (bool, error) { return false, errFull }

// What the disk does not take is no end of the process: it is said, and asked for by nobody.
func TestTargetThatFails(t *testing.T) {
	n := newNet(t, StripeSize, 0, 0)
	p := &full{copied{of: n.file, bytes: make([]byte, len(n.file.bytes))}}
	r := NewReceiver(n.config(testKey(t, 1)), n.key.Public(), n.instance(), p)
	var out Batch
	n.sender.takers[r.Key.ID()] = &Taker{State: Taking}
	if err := n.sender.advance(0, &out); err != nil {
		t.Fatal(err)
	}
	n.sender.Finish(0)
	if err := n.sender.mark(0, &out); err != nil {
		t.Fatal(err)
	}
	var failed error
	for _, d := range out.Datagrams {
		failed = errors.Join(failed, r.Take(time.Second, bytes.Clone(d)))
	}
	if !errors.Is(failed, errFull) {
		t.Errorf("taken: %v", failed)
	}
	for i := range 100 {
		if _, _, err := r.Advance(time.Second + time.Duration(i)*10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// Numbers beyond an int of 32 bits are of no stripe.
func TestNumbersThatAreTooLarge(t *testing.T) {
	n := newNet(t, StripeSize, 1, 0)
	far := uint32(math.MaxUint32) // what an int makes of it depends on the machine
	d := appendShard(nil, n.keys, int(far), 0, make([]byte, shardSize))
	if err := n.places[0].Take(time.Second, d); !errors.Is(err, DropMalformed) {
		t.Errorf("a shard: %v", err)
	}
	if _, err := parseNeed(appendNeed(nil, &Need{Base: int(far)})); !errors.Is(err, DropMalformed) {
		t.Errorf("a need: %v", err)
	}
}

// A need that asks is answered once: a recording makes nobody send anything.
func TestADV_push_A_recorded_need_moves_nothing(t *testing.T) {
	n := newNet(t, 3*StripeSize, 0, 0)
	need := Need{Key: testKey(t, 1).Public(), Instance: n.instance(), Counter: 9, Ask: true, Wanted: []want{{stripe: 1}}}
	var out Batch
	if drop := n.holder.Answer(time.Second, &need, testAddr(1), false, &out); drop != "" || out.Bytes() == 0 {
		t.Fatalf("%q, %d bytes", drop, out.Bytes())
	}
	out.Reset()
	if drop := n.holder.Answer(time.Minute, &need, testAddr(1), false, &out); drop != DropReplayed || out.Bytes() > 0 {
		t.Errorf("again: %q, %d bytes", drop, out.Bytes())
	}
}

// Noise with the name of a push, which everybody on the link reads, takes no place and no shard's.
func TestADV_push_Noise_takes_no_place(t *testing.T) {
	n := newNet(t, 3*StripeSize, 1, 0)
	p := n.places[0]
	for stripe := range 3 {
		d := appendShard(nil, n.keys, stripe, 0, make([]byte, shardSize))
		d[len(d)-1] ^= 1
		if err := p.Take(time.Second, d); !errors.Is(err, DropDamaged) {
			t.Errorf("noise: %v", err)
		}
	}
	if len(p.held) > 0 || p.news > 0 {
		t.Errorf("%d stripes are begun, %d shards counted", len(p.held), p.news)
	}
}

// A member that says for ever to lack the same is not waited for.
func TestADV_push_Who_never_gets_on_holds_up_nobody(t *testing.T) {
	n := newNet(t, 36*StripeSize, 1, 64<<20)
	liar := testKey(t, 30)
	counter := uint64(0)
	n.each = func() {
		counter++
		need := Need{Key: liar.Public(), Instance: identity.Instance{Boot: 9}, Counter: counter, State: Taking,
			Heard: n.sender.number}
		for i := range min(maxWanted, n.sender.top) {
			need.Wanted = append(need.Wanted, want{stripe: i})
		}
		n.sender.Need(n.now, &need, false)
	}
	n.run(10 * time.Second)
	if wire := n.check(); wire > 3 {
		t.Errorf("%.2f times on the wire", wire)
	}
}

func FuzzFrames(f *testing.F) {
	n := &net{file: newFile(1, 3*StripeSize), keys: testRing(f).Push([18]byte{7})[0]}
	key := testKey(f, 0)
	need := appendNeed(nil, &Need{Key: key.Public(), Instance: n.instance(), Counter: 1, State: Taking, Wanted: []want{{stripe: 2}}})
	mark := appendMark(nil, &Mark{Number: 1, Base: 1, Top: 2, Holders: []Holding{{key.ID(), 2}}})
	f.Add(need)
	f.Add(mark)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNeed(b); err == nil {
			if again := appendNeed(nil, &n); !slices.Equal(again, b[:len(again)]) && b[len(n.Key)+instanceSize+9] < 2 {
				t.Errorf("a need is written otherwise than it was read: %x, %x", b, again)
			}
		}
		if m, err := parseMark(b); err == nil {
			if again := appendMark(nil, &m); !bytes.HasPrefix(b, again) && b[16] < 2 {
				t.Errorf("a mark is written otherwise than it was read: %x, %x", b, again)
			}
		}
	})
}

// Whatever comes, in whatever order, a receiver takes nothing for a block that is none. A script has three bytes for each
// datagram: stripe, shard, and what is done to it.
func FuzzTake(f *testing.F) {
	n := &net{file: newFile(1, 2*StripeSize+shardSize+9), keys: testRing(f).Push([18]byte{7})[0]}
	key := testKey(f, 0)
	mark, err := sealSigned(typeMark, n.keys, key, n.config(key).Rand, appendMark(nil, &Mark{Number: 1, Top: 2}))
	if err != nil {
		f.Fatal(err)
	}
	stripes := make([][]byte, n.file.cut.Stripes())
	for i := range stripes {
		stripes[i] = make([]byte, paddedSize)
		if err := readStripe(n.file, n.file.cut, i, stripes[i]); err != nil {
			f.Fatal(err)
		}
	}
	const right, lie, noise, marked = 0, 1, 2, 3                                            // what is done
	f.Add([]byte{3, 0, right, 3, 1, right, 3, 192, right, 0, 0, right})                     // the short block, parity, then the list
	f.Add([]byte{0, 192, right, 3, 192, right, 3, 193, right, 0, 0, marked})                // parity alone
	f.Add([]byte{0, 0, lie, 3, 0, lie, 3, 1, right, 0, 0, right, 3, 0, right, 3, 1, right}) // lies first
	f.Add([]byte{9, 0, right, 3, 191, right, 3, 0, noise, 1, 7, right})
	f.Fuzz(func(t *testing.T, script []byte) {
		c := n.config(key)
		c.Chance = mathrand.New(mathrand.NewPCG(1, 2))
		got := &copied{of: n.file, bytes: make([]byte, len(n.file.bytes))}
		r := NewReceiver(c, key.Public(), n.instance(), got)
		for ; len(script) >= 3; script = script[3:] {
			stripe, i, how := int(script[0]), int(script[1]), script[2]%4
			data := make([]byte, shardSize)
			if how != lie && stripe < len(stripes) {
				if i < dataShards {
					copy(data, shard(stripes[stripe], i))
				} else {
					data = appendParity(nil, stripes[stripe], n.file.cut.shards(stripe), i)
				}
			}
			d := appendShard(nil, n.keys, stripe, i, data)
			switch how {
			case noise:
				d[len(d)-1] ^= 1
			case marked:
				d = bytes.Clone(mark)
			}
			r.Take(time.Second, d)
			if _, _, err := r.Advance(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		for stripe := range stripes {
			if i, ofFile := n.file.cut.Block(stripe); ofFile && r.Has(stripe) &&
				!bytes.Equal(n.file.block(i), got.bytes[i*StripeSize:][:len(n.file.block(i))]) {
				t.Errorf("block %d was taken, and is another", i)
			}
		}
	})
}
