package seal

// windowSize is how far behind the highest counter a datagram may come: reordering on a LAN, with room to spare.
const windowSize = 1024

const (
	wordBits    = 64
	windowWords = windowSize/wordBits + 1 // one word is always being refilled (RFC 6479)
)

// Window remembers which counters of one sender were seen. Read it before the costly check of a signature, write it
// only after: a forger must not move it. The zero Window has seen nothing; counters begin at 1.
type Window struct {
	highest uint64
	seen    [windowWords]uint64
}

// Fresh tells whether counter is new and not too old.
func (w *Window) Fresh(counter uint64) bool {
	switch {
	case counter == 0:
		return false
	case counter > w.highest:
		return true
	case w.highest-counter >= windowSize:
		return false
	}
	return w.seen[word(counter)]&bit(counter) == 0
}

// Mark records that counter was seen. One that became too old since Fresh was asked is forgotten: its place belongs to
// a newer one.
func (w *Window) Mark(counter uint64) {
	if counter < w.highest && w.highest-counter >= windowSize {
		return
	}
	if counter > w.highest {
		first := w.highest/wordBits + 1
		last := counter / wordBits
		if last-min(last, first) >= windowWords {
			first = last - windowWords + 1
		}
		for i := first; i <= last; i++ {
			w.seen[i%windowWords] = 0
		}
		w.highest = counter
	}
	w.seen[word(counter)] |= bit(counter)
}

func word(counter uint64) uint64 { return counter / wordBits % windowWords }
func bit(counter uint64) uint64  { return 1 << (counter % wordBits) }
