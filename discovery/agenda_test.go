package discovery

import (
	"math/rand/v2"
	"testing"
	"time"

	"bcast/identity"
)

// A peer is looked at by the earliest time that was planned for it since it was looked at last, with all others that are
// due by then, in the order of their ids.
func TestAgenda(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	d := New(Config{Rand: dice})
	peers, want := make([]*peer, 20), map[*peer]time.Duration{}
	for i := range peers {
		peers[i] = &peer{id: identity.DeviceID{byte(i)}}
	}
	for now := range time.Duration(5000) {
		p := peers[dice.IntN(len(peers))]
		at := now + 1 + time.Duration(dice.IntN(100))
		if was, planned := want[p]; !planned || at < was {
			want[p] = at
		}
		d.plan(p, at)
		due := d.duePeers(now)
		for _, p := range peers {
			at, planned := want[p]
			is := len(due) > 0 && due[0] == p
			if is != (planned && at <= now) {
				t.Fatalf("at %v: looked at %v, planned for %v", now, is, at)
			}
			if is {
				due = due[1:]
				delete(want, p)
			}
		}
	}
}
