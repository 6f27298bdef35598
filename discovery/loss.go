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

// estimate is the share lost, drawn towards prior while there are few samples.
func (l loss) estimate(prior float64) float64 {
	return (l.missed + prior*lossWeight) / (l.seen + lossWeight)
}

// probes is how many PROBEs miss a living peer with a probability of at most probeMiss, if question and answer are
// each lost with probability p: the least k with (1 − (1−p)²)^k ≤ probeMiss.
func probes(p float64) int {
	miss := 1 - (1-p)*(1-p)
	switch {
	case miss <= 0:
		return minProbes
	case miss >= 1:
		return maxProbes
	}
	k := math.Ceil(math.Log(probeMiss) / math.Log(miss))
	return int(min(max(k, minProbes), maxProbes))
}
