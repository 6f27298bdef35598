package push

import (
	"math"
	"time"

	"bcast/identity"
	"bcast/internal/seal"
)

const (
	// helpRate is what one device is sent by unicast, in bytes a second, and helpBurst at once: one need of a kilobyte
	// asks for megabytes.
	helpRate  = 64 << 20
	helpBurst = 4 << 20
	// calmRate is it while the file is still broadcast: who needs help is not to take from all others what they share.
	calmRate = 4 << 20
	// helpLeast is what a stripe counts for at least: to send one shard of it, all of it is read.
	helpLeast = 16 << 10
	// maxHelped is how many devices are kept count of.
	maxHelped = 256
)

// Holder answers who asks for what it lacks, with what the source has. It is not safe on many goroutines.
type Holder struct {
	cut    Cut
	keys   *seal.Push
	source Source
	helped map[identity.DeviceID]*allowance
	stripe []byte
}

type allowance struct {
	credit  float64
	at      time.Duration
	run     identity.Instance
	counter uint64
}

// NewHolder makes a Holder. A source that does not have a stripe says so by an error, and is asked no more for it then.
func NewHolder(cut Cut, keys *seal.Push, source Source) *Holder {
	return &Holder{cut: cut, keys: keys, source: source, helped: map[identity.DeviceID]*allowance{}}
}

// Answer appends what a need asks for, as far as its device may be sent so much now: less while the file is still
// broadcast. A recording of one is not answered.
func (h *Holder) Answer(now time.Duration, n *Need, broadcasts bool, out *Batch) Drop {
	rate := float64(helpRate)
	if broadcasts {
		rate = calmRate
	}
	a := h.allow(now, n.Key.ID(), rate)
	if a.run == n.Instance && n.Counter <= a.counter {
		return DropReplayed
	}
	a.run, a.counter = n.Instance, n.Counter
	if h.stripe == nil {
		h.stripe = make([]byte, paddedSize)
	}
	for _, w := range n.Wanted {
		if a.credit < 0 {
			break
		}
		if w.stripe >= h.cut.Stripes() || w.have.lacks(h.cut.shards(w.stripe)) == 0 {
			continue
		}
		if readStripe(h.source, h.cut, w.stripe, h.stripe) != nil {
			continue
		}
		before := out.Bytes()
		h.help(w, n.Loss, out)
		a.credit -= float64(max(out.Bytes()-before, helpLeast))
	}
	return ""
}

// help sends so many shards of a stripe that what arrives should do.
func (h *Holder) help(w want, loss uint16, out *Batch) {
	k := h.cut.shards(w.stripe)
	left := w.have.lacks(k)
	if p := min(float64(loss)/65535, 0.9); left > 0 && p > 0 {
		sent := float64(left) / (1 - p)
		left = int(math.Ceil(sent + math.Sqrt(sent*p/(1-p)))) // and a deviation more: one that lacks costs a round
	}
	for i := 0; left > 0 && i < k; i++ {
		if !w.have.has(i) {
			out.add(appendShard(out.next(), h.keys, w.stripe, i, shard(h.stripe, i)))
			left--
		}
	}
	for r := dataShards; left > 0 && r < allShards; r++ {
		if !w.have.has(r) {
			out.add(appendShard(out.next(), h.keys, w.stripe, r, appendParity(nil, h.stripe, k, r)))
			left--
		}
	}
}

func (h *Holder) allow(now time.Duration, id identity.DeviceID, rate float64) *allowance {
	a := h.helped[id]
	if a == nil {
		if len(h.helped) >= maxHelped {
			h.forget()
		}
		a = &allowance{credit: helpBurst, at: now}
		h.helped[id] = a
	}
	a.credit = min(helpBurst, a.credit+rate*(now-a.at).Seconds())
	a.at = now
	return a
}

// forget forgets who asked longest ago.
func (h *Holder) forget() {
	var oldest identity.DeviceID
	for id, a := range h.helped {
		if was := h.helped[oldest]; was == nil || a.at < was.at {
			oldest = id
		}
	}
	delete(h.helped, oldest)
}
