package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Options are what a run is like. Draw draws them from the seed; a test may change them before Run.
type Options struct {
	Seed  uint64
	Nodes int

	Duration time.Duration // of the whole run
	Heal     time.Duration // until then there are faults; afterwards only what the link itself does

	// The link: shares of datagrams, and times.
	Loss      float64
	Duplicate float64
	Reorder   float64 // held back by up to ReorderBy
	Corrupt   float64 // one byte changed on the way
	Delay     time.Duration
	ReorderBy time.Duration
	DTIM      time.Duration // broadcasts wait for the next beacon; 0: they do not
	Bursty    float64       // share lost in bursts (Gilbert–Elliott) beside Loss

	Wifi      bool          // devices say that they are on Wi-Fi
	Small     int           // how many have a receive buffer of 600 bytes
	Posts     float64       // a second, of all together
	Largest   int           // post, bytes of text
	Faults    time.Duration // mean time between two; 0: none
	Only      []string      // the faults that there are; none: all kinds
	Profiles  []string      // the scenarios drawn
	Clocks    bool          // all are off, by up to ten years
	Ports     int           // interfaces of each third device, all on one segment; 0: one
	MTUs      []int         // drawn for each device; none: 1500
	Deaf      float64       // share of what the last device does not hear, for all of the run
	Copies    int           // of what is doubled; 0: one more
	Retain    int           // every second device keeps about that many records; 0: all
	Outsider  float64       // datagrams a second that somebody without a key of the room sends
	Insiders  int           // members with code of their own
	Restless  bool          // and these do something every other second
	Late      float64       // share of the devices that start during the faults
	Refused   float64       // share of the streams dialled that are refused
	Breaks    float64       // of the writes to one after which it is cut off, until the heal
	Stalls    float64       // and that hang, by up to half a minute
	Snapshots bool          // of whole machines may come up
	Private   bool          // the room's keys are secret, and change
	Families  bool          // a third each have IPv4 alone, IPv6 alone, and both
	Strangers bool          // some live on a second segment, in a room of the same name
	Gateway   bool          // networks are known again by their gateway
	Echo      bool          // own broadcasts come back
	Storing   time.Duration // longest time that the store takes; 0: it is done at once
	Together  time.Duration // within which the devices start
	Real      bool          // the real AEAD
	Verify    bool          // the real signature checks
}

// Draw is what the seed asks for.
func Draw(seed uint64) Options {
	rng := rand.New(rand.NewChaCha8(seedOf(seed, "options")))
	one := func(in int) bool { return rng.IntN(in) == 0 }
	up := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	o := Options{
		Seed: seed, Nodes: someNodes(rng),
		Duration: 30 * time.Minute, Heal: 20 * time.Minute,
		Loss: rng.Float64() * 0.3, Delay: 100*time.Microsecond + up(2*time.Millisecond),
		Posts: 0.015 * math.Pow(10, rng.Float64()), Largest: 16 << 10, Together: up(20 * time.Second),
		Strangers: true, Gateway: one(2), Echo: one(2), Real: one(10), Verify: one(50),
	}
	switch rng.IntN(3) { // most links lose little
	case 0:
		o.Loss = 0
	case 1:
		o.Loss /= 6
	}
	if one(3) {
		o.Duplicate = rng.Float64() * 0.1
	}
	if one(3) {
		o.Reorder, o.ReorderBy = rng.Float64()*0.1, up(time.Duration(1+rng.IntN(2)*9)*100*time.Millisecond)
	}
	if one(4) {
		o.Corrupt = rng.Float64() * 0.01
	}
	if one(4) {
		o.Storing = up(50 * time.Millisecond)
	}
	if one(5) {
		o.Wifi, o.Largest = true, 2000
		o.Loss = min(o.Loss, 0.1)
		o.DTIM, o.Bursty = 100*time.Millisecond+up(200*time.Millisecond), 0.05+0.05*rng.Float64()
	}
	if one(3) {
		o.Small = 1 + rng.IntN(max(o.Nodes/3, 1))
	}
	if !one(6) {
		// Of many devices each notices every fault: in a crowd there are fewer.
		o.Faults = time.Duration(float64(4*time.Second) * math.Pow(20, rng.Float64()) * max(1, float64(o.Nodes)/10))
		o.Late = rng.Float64() * 0.5
	}
	o.drawProfiles(rng)
	// Drawn apart, so that what other seeds draw stays as it was.
	o.Families = rand.New(rand.NewChaCha8(seedOf(seed, "families"))).IntN(8) == 0
	return o
}

// someNodes draws 2 to 50 devices, ten in the middle. The time that a run takes grows with the square of their number:
// one run in ten has more than twenty, one in fifty more than forty.
func someNodes(rng *rand.Rand) int {
	n := int(math.Round(2 * math.Pow(25, rng.Float64())))
	if n > 20 && rng.IntN(3) > 0 {
		n /= 2
	}
	return n
}

// crowd has a run be of many devices: of as many faults and posts as a smaller one, and with nothing that multiplies
// datagrams, which are many enough.
func (o *Options) crowd(nodes int) {
	if o.Faults > 0 {
		o.Faults = time.Duration(float64(o.Faults) * max(1, float64(nodes)/10) / max(1, float64(o.Nodes)/10))
	}
	o.Nodes, o.Copies, o.Duplicate = nodes, 0, min(o.Duplicate, 0.05)
	o.Real, o.Verify = false, false
}

// plain tells whether the link does nothing but lose: only then posts have to be quick.
func (o *Options) plain() bool {
	return o.ReorderBy <= time.Second && o.Bursty <= 0.1 && o.Deaf == 0 && o.Copies == 0
}

// brisk tells whether nothing but a datagram lost now and then keeps a post from being shown at once.
func (o *Options) brisk() bool {
	return !o.Wifi && o.Loss <= 0.1 && o.Bursty == 0 && o.Reorder == 0 && o.Storing == 0 && o.Deaf == 0 && o.Insiders == 0
}

// String names everything that was drawn.
func (o Options) String() string {
	return fmt.Sprintf("seed %d: %d devices, %.1f %% loss, %.1f %% doubled, %.1f %% held back by %v, "+
		"%.2f %% damaged, delay %v, Wi-Fi %v (DTIM %v, %.1f %% in bursts), %d small, "+
		"%.2f posts/s up to %d B, a fault every %v until %v of %v, "+
		"%.0f %% late, gateway %v, echo %v, storing %v, starting within %v, real AEAD %v, real checks %v, families %v, %v %v",
		o.Seed, o.Nodes, 100*o.Loss, 100*o.Duplicate, 100*o.Reorder, o.ReorderBy, 100*o.Corrupt, o.Delay,
		o.Wifi, o.DTIM, 100*o.Bursty, o.Small, o.Posts, o.Largest, o.Faults, o.Heal, o.Duration,
		100*o.Late, o.Gateway, o.Echo, o.Storing, o.Together, o.Real, o.Verify, o.Families,
		o.Profiles, o.Only)
}

// seedOf is a ChaCha8 seed for one purpose of a run.
func seedOf(seed uint64, purpose string) (s [32]byte) {
	copy(s[:], fmt.Sprintf("%016x %s", seed, purpose))
	return s
}
