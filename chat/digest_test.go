package chat

import (
	"testing"
	"time"

	"bcast/internal/wire"
)

// While a crowd comes each has something else and so would send a digest each interval. Most stop at what all look into,
// who sends many counting as one; and nobody stops for good, for who sends fifty may be one who lies.
func TestACrowdThatComesSendsFewDigests(t *testing.T) {
	a := newSpeaker(t, 1)
	var crowd []*speaker
	for i := range trickleMost {
		crowd = append(crowd, newSpeaker(t, byte(2+i)))
	}
	a.meet(crowd...)
	told := 0
	sends := func(from ...*speaker) (count int) {
		const intervals = 80
		for range intervals {
			a.trickle.begin(a.now.Mono, a.profile.digestMin, a.cfg.Rand)
			a.sent = nil
			for _, s := range from {
				told++
				a.hear(s, wire.Digest{Root: [32]byte{byte(told), byte(told >> 8)}, Feeds: 1})
			}
			a.wait(a.profile.digestMin - time.Nanosecond)
			count += len(a.take(wire.TypeDigest))
		}
		return count * 100 / intervals
	}
	if percent := sends(crowd...); percent == 0 || percent > 30 {
		t.Errorf("enough are heard: a digest in %d %% of all intervals", percent)
	}
	if percent := sends(crowd[1:]...); percent != 100 {
		t.Errorf("one is missing: a digest in %d %%", percent)
	}
	if percent := sends(append(crowd[1:], crowd[1])...); percent != 100 {
		t.Errorf("one speaks twice: a digest in %d %%", percent)
	}
}
