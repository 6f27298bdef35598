package push

import (
	"slices"
	"time"

	"bcast/identity"
)

// helped notes a shard that was asked for. When no more come for a while the rest is asked for again.
func (r *Receiver) helped(now time.Duration) {
	if r.came++; r.came == 1 {
		r.vain, r.patience, r.pause = 0, firstPatience, max(leastPause, 2*(now-r.askedAt))
	}
	r.askAt = now + r.pause
}

// ask asks for help with what is broadcast no more.
func (r *Receiver) ask(now time.Duration, out []Message, until int) ([]Message, error) {
	open := 0
	for _, n := range r.asked {
		if !r.Has(n) {
			open++
		}
	}
	switch {
	case open > 0 && now < r.askAt:
		return out, nil
	case open > 0 && r.came == 0:
		if r.vain++; float64(r.vain) > vainAsks+lossyAsks*r.loss { // more often than by what gets lost
			r.asks, r.patience = max(1, r.asks/2), min(lastPatience, 2*r.patience)
			r.tried[r.helper] = true
		}
	case 2*open <= len(r.asked):
		r.asks = min(mostAsked, r.asks+1)
	}
	n := r.need()
	n.Ask, n.Wanted = true, r.wanted(r.base, until, r.asks)
	if len(n.Wanted) == 0 { // all of it is here, and waits for the list
		return out, nil
	}
	r.asked = r.asked[:0]
	for _, w := range n.Wanted {
		r.asked = append(r.asked, w.stripe)
	}
	r.choose()
	r.came, r.askedAt, r.askAt = 0, now, now+r.patience
	return r.say(out, r.helper, n)
}

// choose finds who has what is asked for. The author has, and more to do than others.
func (r *Receiver) choose() {
	var can []identity.DeviceID
	for _, h := range r.last.Holders {
		if h.Device != r.Key.ID() && h.Base > r.asked[len(r.asked)-1] && !r.tried[h.Device] {
			can = append(can, h.Device)
		}
	}
	switch author := r.author.ID(); {
	case slices.Contains(can, r.helper):
	case len(can) > 0:
		r.helper = can[r.Chance.IntN(len(can))]
	case !r.tried[author]:
		r.helper = author
	default: // all were tried: once more
		clear(r.tried)
		r.helper = author
	}
}
