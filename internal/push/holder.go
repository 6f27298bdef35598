package push

import (
	"maps"
	"math"
	"net/netip"
	"time"

	"bcast/identity"
	"bcast/internal/seal"
)

// Within holdOff a device is sent no more of a stripe than goesTwice of its size: who loses half of what comes needs no
// more, and waits longer when nothing came.
const (
	holdOff   = 20 * time.Millisecond
	goesTwice = 2
)

// Holder answers who asks for what it lacks, with what the source has. It is not safe on many goroutines.
type Holder struct {
	cut    Cut
	keys   *seal.Push
	source Source
	help   *Help
	askers map[identity.DeviceID]*asker
	stripe []byte
}

// asker is what a Holder knows of who asked it.
type asker struct {
	at      time.Duration
	run     identity.Instance
	counter uint64
	given   map[int]given // of stripes, within holdOff
}

type given struct {
	since  time.Duration
	shards int
}

// NewHolder makes a Holder. A source that does not have a stripe says so by an error, and is asked no more for it then.
func NewHolder(cut Cut, keys *seal.Push, source Source, help *Help) *Holder {
	return &Holder{cut: cut, keys: keys, source: source, help: help, askers: map[identity.DeviceID]*asker{}}
}

// Answer appends what a need asks for, as far as so much may be sent now to its device and to the address that it came
// from: less while the file is still broadcast. A recording of one is not answered.
func (h *Holder) Answer(now time.Duration, n *Need, from netip.Addr, broadcasts bool, out *Batch) Drop {
	a := h.asker(now, n.Key.ID())
	if a.run == n.Instance && n.Counter <= a.counter {
		return DropReplayed
	}
	a.run, a.counter = n.Instance, n.Counter
	share := h.help.of(now, n.Key.ID(), from, broadcasts)
	if h.stripe == nil {
		h.stripe = make([]byte, paddedSize)
	}
	for _, w := range n.Wanted {
		if share.spent() {
			break
		}
		if w.stripe >= h.cut.Stripes() || w.have.lacks(h.cut.shards(w.stripe)) == 0 {
			continue
		}
		given, again := a.given[w.stripe]
		if !again {
			given.since = now
		}
		if given.shards >= goesTwice*h.cut.shards(w.stripe) {
			continue
		}
		if readStripe(h.source, h.cut, w.stripe, h.stripe) != nil {
			continue
		}
		before := out.Bytes()
		h.send(w, n.Loss, out)
		bytes := out.Bytes() - before
		share.spend(max(bytes, helpLeast))
		given.shards += bytes / DatagramSize
		a.given[w.stripe] = given
	}
	return ""
}

// send sends so many shards of a stripe that what arrives should do.
func (h *Holder) send(w want, loss uint16, out *Batch) {
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

// asker is what is known of a device. If there are too many, who asked longest ago is forgotten.
func (h *Holder) asker(now time.Duration, id identity.DeviceID) *asker {
	a := h.askers[id]
	if a == nil {
		makePlace(h.askers, func(a *asker) time.Duration { return a.at })
		a = &asker{given: map[int]given{}}
		h.askers[id] = a
	}
	a.at = now
	maps.DeleteFunc(a.given, func(_ int, g given) bool { return now-g.since >= holdOff })
	return a
}
