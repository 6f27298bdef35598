package chat

import (
	"testing"
	"time"

	"bcast/internal/wire"
)

// While a crowd comes each has something else and so would send a digest each interval. They stop at what all look into;
// who sends many counts as one.
func TestACrowdThatComesSendsFewDigests(t *testing.T) {
	a := newSpeaker(t, 1)
	var crowd []*speaker
	for i := range trickleMost {
		crowd = append(crowd, newSpeaker(t, byte(2+i)))
	}
	a.meet(crowd...)
	told := byte(0)
	sends := func(rule string, want int, from ...*speaker) {
		t.Helper()
		a.trickle.begin(a.now.Mono, a.profile.digestMin, a.cfg.Rand)
		a.sent = nil
		for _, s := range from {
			told++
			a.hear(s, wire.Digest{Root: [32]byte{told}, Feeds: 1})
		}
		a.wait(a.profile.digestMin - time.Nanosecond)
		a.want(rule, wire.TypeDigest, want)
	}
	sends("enough are heard", 0, crowd...)
	sends("one is missing", 1, crowd[1:]...)
	sends("one speaks twice", 1, append(crowd[1:], crowd[1])...)
}
