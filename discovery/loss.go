package discovery

import "math"

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
