package discovery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bcast/internal/wire"
)

// k = ⌈ln 10⁻⁴ / ln(1 − (1 − p)²)⌉, at least 3.
func TestProbes(t *testing.T) {
	for _, c := range []struct {
		loss float64
		want int
	}{{0, 3}, {0.01, 3}, {0.05, 4}, {0.1, 6}, {0.2, 10}, {0.3, 14}, {0.5, maxProbes}, {1, maxProbes}} {
		if k := probes(c.loss); k != c.want {
			t.Errorf("at a loss of %.2f %d probes, want %d", c.loss, k, c.want)
		}
	}
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		n    int
		wifi bool
		want time.Duration
	}{
		{1, false, 4 * time.Second}, {32, false, 4 * time.Second}, {80, false, 10 * time.Second},
		{1, true, 8 * time.Second}, {32, true, 8 * time.Second}, {80, true, 20 * time.Second},
		{maxPeers, true, 512 * time.Second},
	} {
		if got := (Interface{Wifi: c.wifi}).interval(c.n); got != c.want || latest(got) > maxPromise {
			t.Errorf("%d hosts, wifi %v: every %v, want %v", c.n, c.wifi, got, c.want)
		}
	}
}

func TestLossEstimate(t *testing.T) {
	var l loss
	if p := l.estimate(lossPrior); p != lossPrior {
		t.Errorf("nothing known: %.2f", p)
	}
	for range 100 {
		l.count(false, lossMemory)
	}
	if p := l.estimate(lossPrior); p > lossyLink {
		t.Errorf("nothing lost: %.3f", p)
	}
	for range 100 {
		l.count(true, lossMemory)
	}
	if p := l.estimate(lossPrior); p < 0.8 {
		t.Errorf("all lost: %.2f", p)
	}
}

// "A late one leads to k probes within 500 ms, begun after random 0–100 ms", and the peer is lost when none is answered:
// in one round, or in three on a link that is known to lose.
func TestSilentPeerIsProbedAndLost(t *testing.T) {
	for rounds, missed := range map[int]float64{1: 0, lossyRounds: 1} {
		silentPeer(t, rounds, loss{missed: missed, seen: 3 * missed})
	}
}

func silentPeer(t *testing.T, rounds int, known loss) {
	t.Helper()
	c := newTalk(t)
	c.d.pooled = known
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	c.wait(4*time.Second + wiredGrace - time.Millisecond)
	c.wantEvents(bob)
	c.wait(time.Millisecond)
	c.wantEvents(bob, Suspected)
	c.wantStatus(bob, Suspect)
	c.wait(probeDelay + time.Duration(rounds)*probeSpread)
	for range rounds * probes(c.d.Loss()) {
		if p := c.next(wire.TypeProbe, bob.addr); p.To != bob.instance || p.Challenge.IsZero() {
			t.Fatalf("PROBE %+v", p)
		}
	}
	c.wantSilence()
	c.wantEvents(bob, Vanished)
	c.wantStatus(bob, Lost)
	// Whoever was lost proves itself again.
	bob.says(wire.TypeBeat)
	c.wantStatus(bob, Lost)
	answer := c.want(wire.TypeAnswer, bob)
	bob.tells(wire.TypeAck, answer.Challenge)
	c.wantEvents(bob, Appeared)
}

// "… cancelled by hearing it": anything signed.
func TestLifeEndsSuspicion(t *testing.T) {
	for name, live := range map[string]func(*other){
		"a BEAT": func(bob *other) { bob.says(wire.TypeBeat) },
		"a room frame": func(bob *other) {
			bob.c.d.Alive(bob.c.now, bob.key, bob.instance, bob.addr, 1, true)
			bob.c.drain()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTalk(t)
			bob := c.device("10.0.0.2:27475", false)
			bob.meets()
			c.wait(4*time.Second + wiredGrace + probeDelay)
			c.wantEvents(bob, Suspected)
			c.sent = nil
			live(bob)
			c.wantEvents(bob, Changed)
			c.wantStatus(bob, Here)
			c.wait(3 * time.Second)
			c.wantSilence()
		})
	}
}

// A room frame is a sign of life of the instance that is here, and of no other; it moves no address.
func TestAlive(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	c.d.Alive(c.now, bob.key, bob.instance, bob.addr, 1, true) // unknown
	bob.meets()
	met := c.now
	c.wait(time.Second)
	old := bob.instance
	old.Boot--
	c.d.Alive(c.now, bob.key, old, bob.addr, 1, true)
	if p := c.wantStatus(bob, Here); p.LastSeen != met {
		t.Error("another instance is a sign of life")
	}
	elsewhere := c.device("10.0.0.9:27475", false)
	c.d.Alive(c.now, bob.key, bob.instance, elsewhere.addr, 1, false)
	if p := c.wantStatus(bob, Here); p.LastSeen != c.now || p.Addr != bob.addr || p.LastUnicast != c.now {
		t.Errorf("peer %+v", p)
	}
	// It puts suspicion off while the device talks, and revives nobody who is lost.
	for range 8 {
		c.wait(900 * time.Millisecond)
		c.d.Alive(c.now, bob.key, bob.instance, bob.addr, 1, true)
	}
	c.wantEvents(bob)
	c.wait(5 * time.Second)
	c.wantStatus(bob, Lost)
	c.d.Alive(c.now, bob.key, bob.instance, bob.addr, 1, true)
	c.wantStatus(bob, Lost)
}

// "The probed answers with one broadcast beat (≤ 4/s) that serves all", and by unicast when those are used up.
func TestProbeIsAnsweredForAll(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	for range promptedMax {
		bob.tells(wire.TypeProbe, wire.Challenge{})
		if p := c.wantOpen(wire.TypeBeat); p.Echo != bob.question() || p.NextBeat == 0 {
			t.Fatalf("BEAT %+v", p)
		}
	}
	bob.tells(wire.TypeProbe, wire.Challenge{})
	c.want(wire.TypeBeat, bob)
	c.now += promptedWindow
	bob.tells(wire.TypeProbe, wire.Challenge{})
	c.wantOpen(wire.TypeBeat)
	c.wantSilence()
	stranger := c.device("10.0.0.3:27475", false)
	stranger.tells(wire.TypeProbe, wire.Challenge{})
	c.want(wire.TypeAnswer, stranger)
	c.wantSilence()
}

// "A peer whose unicast fails more often than chance would have it while its broadcasts arrive is answered by broadcast
// and shown as unicast blocked", until unicast is answered.
func TestUnicastBlocked(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	for range tries(lossPrior, blockedChance) {
		bob.says(wire.TypeBeat)
		c.want(wire.TypeAnswer, bob)
		c.wait(time.Second)
		c.sent = nil // our own BEATs: they echo what bob asks
	}
	bob.says(wire.TypeBeat)
	answer := c.wantOpen(wire.TypeAnswer)
	if answer.To != bob.instance || answer.Echo != bob.question() {
		t.Fatalf("ANSWER %+v", answer)
	}
	bob.send(bob.datagram(wire.TypeAck, answer.Challenge), true)
	c.wantEvents(bob, Appeared)
	if p := c.wantStatus(bob, Here); !p.UnicastBlocked || p.RTT != 0 {
		t.Errorf("peer %+v", p)
	}
	// An ANSWER by broadcast is acknowledged by broadcast.
	bob.send(bob.datagram(wire.TypeAnswer, wire.Challenge{}), true)
	c.wantOpen(wire.TypeAck)
	// It is probed by broadcast.
	c.wait(4*time.Second + wiredGrace + probeDelay + time.Millisecond)
	if p := c.wantOpen(wire.TypeProbe); p.To != bob.instance {
		t.Errorf("PROBE for %v", p.To)
	}
	bob.says(wire.TypeBeat)
	c.sent, c.events = nil, nil
	// Once a minute unicast is tried again.
	blocked := c.now
	for len(c.sent) == 0 && c.now < blocked+unicastRetry {
		c.wait(4 * time.Second)
		bob.says(wire.TypeBeat)
	}
	again := c.want(wire.TypeAnswer, bob)
	c.events = nil
	bob.tells(wire.TypeAck, again.Challenge)
	c.wantEvents(bob, Changed)
	if p := c.wantStatus(bob, Here); p.UnicastBlocked {
		t.Error("still blocked")
	}
}

// The loss by which is repeated is that of the peer in the middle: two of five that promise beats and send none add
// nothing. That of all is a mean, and they do add to that.
func TestLossIsThatOfTheMiddle(t *testing.T) {
	d := New(Config{Rand: rand.New(rand.NewPCG(1, 1))})
	for range 5 {
		p := &peer{}
		d.peers = append(d.peers, p)
		d.setStatus(p, Here)
	}
	for range 100 {
		for i, p := range d.peers {
			d.countBeat(p, i < 2)
		}
	}
	if p := d.Loss(); p > 0.01 {
		t.Errorf("two liars of five make it %.2f", p)
	}
	if p := d.mean(); p < 0.3 {
		t.Errorf("the mean is %.2f, nobody lied", p)
	}
	for i := range 100 {
		for _, p := range d.peers {
			d.countBeat(p, i%10 < 3)
		}
	}
	if p := d.Loss(); p < 0.2 || p > 0.4 {
		t.Errorf("a link that loses 30 %% makes it %.2f", p)
	}
	for _, p := range d.peers[2:] {
		d.setStatus(p, Lost)
	}
	if d.Loss() != d.mean() {
		t.Error("of two nobody is in the middle")
	}
}

// Whatever becomes of peers, the median is over those that are here and of whom something was counted.
func TestMiddleIsOfThoseHere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := New(Config{Rand: rng})
	for range 9 {
		d.peers = append(d.peers, &peer{})
	}
	for range 1000 {
		p := d.peers[rng.IntN(len(d.peers))]
		if rng.IntN(4) == 0 {
			d.setStatus(p, []Status{Here, Suspect, Lost, Left}[rng.IntN(4)])
		} else {
			d.countBeat(p, rng.IntN(3) == 0)
		}
		var shares []float64
		for _, p := range d.peers {
			if p.status.present() && p.shares.seen >= 1 {
				shares = append(shares, p.shares.share())
			}
		}
		slices.Sort(shares)
		if !slices.Equal(shares, d.shares) {
			t.Fatalf("of %v the median is taken, want %v", d.shares, shares)
		}
	}
}
