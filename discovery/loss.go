package discovery

import (
	"math"
	"slices"
)

// loss estimates how many of the BEATs that were promised get lost: counts that fade with every sample.
type loss struct{ missed, seen float64 }

// count adds one promised BEAT, missed or heard, and fades what is older than about memory samples.
func (l *loss) count(missed bool, memory float64) {
	keep := 1 - 1/memory
	l.missed, l.seen = l.missed*keep, l.seen*keep+1
	if missed {
		l.missed++
	}
}

// share is what was counted; below 0: nothing was.
func (l loss) share() float64 {
	if l.seen == 0 {
		return -1
	}
	return l.missed / l.seen
}

// estimate is the share lost, drawn towards prior while there are few samples.
func (l loss) estimate(prior float64) float64 {
	return (l.missed + prior*lossWeight) / (l.seen + lossWeight)
}

// counts tells whether a peer's share is one of those of which the median is taken.
func (p *peer) counts() bool { return p.status.present() && p.shares.seen >= 1 }

// reckon carries out a change of whether a peer is here, or of its share. The shares stay sorted: in a crowd each BEAT
// changes one, and the median is asked for after it.
func (d *Discovery) reckon(p *peer, change func()) {
	if p.counts() {
		i, _ := slices.BinarySearch(d.shares, p.shares.share())
		d.shares = slices.Delete(d.shares, i, i+1)
	}
	change()
	if p.counts() {
		i, _ := slices.BinarySearch(d.shares, p.shares.share())
		d.shares = slices.Insert(d.shares, i, p.shares.share())
	}
	d.expected = -1
}

// middle is the median over the peers here, so that a minority which promises BEATs and does not send them drives
// nobody's repeats. Of fewer than enoughShares peers no majority is to be had, and of them the mean counts.
func (d *Discovery) middle() loss {
	n := len(d.shares)
	if n < enoughShares {
		return d.pooled
	}
	seen := float64(lossMemoryPooled) // at most, and each of them has one at least
	if n < lossMemoryPooled {
		all := 0.0
		for _, p := range d.peers {
			if p.counts() {
				all += p.shares.seen
			}
		}
		seen = min(seen, all)
	}
	return loss{missed: (d.shares[(n-1)/2] + d.shares[n/2]) / 2 * seen, seen: seen}
}

// probes is how many PROBEs miss a living peer with a probability of at most probeMiss, if question and answer are
// each lost with probability p.
func probes(p float64) int { return min(max(tries(p, probeMiss), minProbes), maxProbes) }

// tries is how many questions in a row go unanswered with a probability of at most chance, if question and answer are
// each lost with probability p: the least k with (1 − (1−p)²)^k ≤ chance.
func tries(p, chance float64) int {
	miss := 1 - (1-p)*(1-p)
	switch {
	case miss <= 0:
		return 1
	case miss >= 1:
		return maxProbes
	}
	return int(math.Ceil(math.Log(chance) / math.Log(miss)))
}

// isBlocked tells whether so many in a row went unanswered that unicast does not reach the place.
func (d *Discovery) isBlocked(t *path) bool {
	return t.failed >= unicastFailures && // is seldom: the loss is only then to be known
		t.failed >= min(tries(max(d.Loss(), lossPrior), blockedChance), maxProbes)
}
