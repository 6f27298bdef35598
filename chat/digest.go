package chat

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// sum is the multiset hash of all claims: the sum modulo 2^256 of a hash of each, so that a change costs two hashes
// whatever the number of feeds. Big-endian words.
type sum [4]uint64

// claimHash is what one feed's claim adds to the sum.
func claimHash(f *feed) sum {
	h := sha256.Sum256(f.appendClaim([]byte("bcast/1 claim\x00")))
	var s sum
	for i := range s {
		s[i] = binary.BigEndian.Uint64(h[8*i:])
	}
	return s
}

// claimSize is how many bytes appendClaim adds.
const claimSize = 8 + 8 + 8 + 32

// appendClaim adds the claim with the whole id of its head: what is hashed, never sent.
func (f *feed) appendClaim(b []byte) []byte {
	b = append(b, f.short[:]...)
	b = binary.BigEndian.AppendUint64(b, f.low)
	b = binary.BigEndian.AppendUint64(b, f.high)
	return append(b, f.head[:]...)
}

func (s *sum) add(f *feed) {
	var carry uint64
	h := claimHash(f)
	for i := len(s) - 1; i >= 0; i-- {
		s[i], carry = bits.Add64(s[i], h[i], carry)
	}
}

func (s *sum) remove(f *feed) {
	var borrow uint64
	h := claimHash(f)
	for i := len(s) - 1; i >= 0; i-- {
		s[i], borrow = bits.Sub64(s[i], h[i], borrow)
	}
}

func (s *sum) bytes() (b [32]byte) {
	for i, w := range s {
		binary.BigEndian.PutUint64(b[8*i:], w)
	}
	return b
}

// trickle is the timer of the digest (RFC 6206): frequent after a change or a difference, rare in agreement, and
// silent where enough others have just said the same, or so many something else that nobody can look into more.
//
//	interval doubles from digestMin to digestMax; in each, at a random moment of its second half, a digest is sent
//	unless equal ones of trickleK members were heard, or any of trickleMost: then in one of trickleRare intervals; a
//	difference or a change begins again at digestMin
type trickle struct {
	interval time.Duration
	ends     time.Duration
	fire     time.Duration       // never: already decided in this interval
	agreed   []identity.DeviceID // who sent an equal digest in this interval
	heard    []identity.DeviceID // who sent any, trickleMost of them
}

const (
	// trickleK is how many equal digests make an own one needless.
	trickleK = 2
	// trickleMost is how many digests are enough, whatever they say, in all but one of trickleRare intervals. While a
	// crowd comes no two are equal; each is heard by all, and all compare with one of them twice a second at most. But
	// whoever makes up so many devices must not silence what others have.
	trickleMost = 50
	trickleRare = 8
)

func (t *trickle) deadline() time.Duration { return min(t.fire, t.ends) }

func (t *trickle) begin(now, interval time.Duration, rng *rand.Rand) {
	t.interval, t.agreed, t.heard = interval, nil, t.heard[:0]
	t.ends = now + interval
	t.fire = now + interval/2 + time.Duration(rng.Int64N(int64(interval/2)))
}

// hear counts a member that sent a digest, and whether it has what we have, once in each interval: one that says it
// again and again is still one.
func (t *trickle) hear(id identity.DeviceID, equal bool) {
	if len(t.heard) < trickleMost && !slices.Contains(t.heard, id) {
		t.heard = append(t.heard, id)
	}
	if equal && len(t.agreed) < trickleK && !slices.Contains(t.agreed, id) {
		t.agreed = append(t.agreed, id)
	}
}

// reset begins again at the shortest interval, unless it is running already.
func (t *trickle) reset(now time.Duration, p *profile, rng *rand.Rand) {
	if t.interval != p.digestMin {
		t.begin(now, p.digestMin, rng)
	}
}

// changed says that there is something new to tell. In a lively room digests go on at up to four times the shortest
// interval; a reset for each post would double them.
func (t *trickle) changed(now time.Duration, p *profile, rng *rand.Rand) {
	if t.interval > 4*p.digestMin {
		t.reset(now, p, rng)
	}
}

// advance tells whether to send a digest now.
func (t *trickle) advance(now time.Duration, p *profile, rng *rand.Rand) (send bool) {
	if now >= t.fire {
		t.fire = never
		send = len(t.agreed) < trickleK && (len(t.heard) < trickleMost || rng.IntN(trickleRare) == 0)
	}
	if now >= t.ends {
		t.begin(now, min(2*t.interval, p.digestMax), rng)
	}
	return send
}

// sendDigest tells everyone what is stored here: the sum of all, and the claims that changed last.
func (r *Room) sendDigest() {
	var claims []wire.FeedClaim
	for i := len(r.recent) - 1; i >= 0 && len(claims) < digestClaims; i-- {
		claims = append(claims, r.recent[i].wireClaim())
	}
	r.sendClaims(identity.DeviceID{}, claims)
}

// sendClaims tells some claims beside the sum of all.
func (r *Room) sendClaims(to identity.DeviceID, claims []wire.FeedClaim) {
	r.send(to, Control, wire.Digest{Root: r.sum.bytes(), Feeds: uint32(len(r.recent)), Claims: claims})
}

// digest takes what another member has (R15). It learns of gaps from the claims, and where those agree and the sums do
// not, or both sums stay, begins to compare by ranges: what one of us gave up differs for good, and explains nothing.
func (r *Room) digest(now Now, from identity.DeviceID, d wire.Digest) {
	equal := d.Root == r.sum.bytes()
	if r.trickle.hear(from, equal); equal {
		r.agrees(from)
		r.agreed(now.Mono, from)
		return
	}
	differ := false
	for _, c := range d.Claims {
		differ = r.learn(now, from, c) || differ
	}
	if int(d.Feeds) == len(d.Claims) {
		r.listed(now.Mono, from, everything, d.Claims)
	}
	diff := r.differ(now.Mono, from, d.Root)
	if now.Mono-r.changedAt < settleTime && now.Mono-diff.since < settleTime {
		return // what makes the difference is on its way
	}
	if diff.rounds <= maxRounds { // else we cannot agree, about a fork or about what one of us gave up: no hurry
		r.trickle.reset(now.Mono, r.profile, r.cfg.Rand)
	}
	hidden := !differ || int(d.Feeds) != len(r.short) || diff.rounds > 1
	if hidden && now.Mono-r.compared >= r.profile.digestMin {
		r.compared = now.Mono
		r.compare(from, everything)
	}
}

// difference is what is known of a member whose sum is not ours.
type difference struct {
	since        time.Duration
	theirs, ours [32]byte
	rounds       int // digests heard with this pair of sums: neither side changed
}

// differ notes that a member's sum is not ours.
func (r *Room) differ(now time.Duration, from identity.DeviceID, theirs [32]byte) difference {
	diff, known := r.differing[from]
	if !known {
		diff.since = now
	}
	if ours := r.sum.bytes(); diff.theirs != theirs || diff.ours != ours {
		diff.theirs, diff.ours, diff.rounds = theirs, ours, 0
	}
	diff.rounds++
	if r.differing == nil {
		r.differing = map[identity.DeviceID]difference{}
	}
	r.differing[from] = diff
	return diff
}

// agrees notes that a member's sum is ours, or that it is gone. Of a crowd that agrees no memory stays taken.
func (r *Room) agrees(id identity.DeviceID) {
	if delete(r.differing, id); len(r.differing) == 0 {
		r.differing = nil
	}
}

// learn takes one claim of a member: what it has that we lack is asked for. It tells whether the claim differs from
// ours.
func (r *Room) learn(now Now, from identity.DeviceID, c wire.FeedClaim) bool {
	f := r.feedNamed(c.Feed)
	if f == nil || c.Low > c.High || c.High == 0 {
		return false
	}
	if r.denies(now.Mono, from, f, c) {
		return true
	}
	r.goBackBy(f, from, c)
	r.begin(f, c.Low) // also if what it has ends before where we took the feed to begin
	r.credit(now.Mono, from, c)
	if f == r.own && c.High >= f.next {
		r.doubt(now.Mono)
	}
	if c.High >= max(f.next, 1) {
		r.beginAnew(now.Mono, f)
		r.noticeGap(now.Mono, f, none)
		r.turnTo(now.Mono, f, from)
	}
	return f.high != c.High || f.low != c.Low || f.wireClaim().Head != c.Head
}

// credit notes who has what: for the ledger, and as a source of what we lack.
func (r *Room) credit(now time.Duration, from identity.DeviceID, c wire.FeedClaim) {
	f := r.short[c.Feed]
	if f == nil || f.contradicts(c) {
		return
	}
	r.told(now, from, f, c)
	if f.heldBy(from, c) {
		r.mayLack(f)
	}
}
