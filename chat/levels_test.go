package chat

import (
	"math/rand/v2"
	"testing"

	"bcast/identity"
	"bcast/internal/record"
)

// TestLevelsAreShared holds the levels of a chain against a map from device to what it has and which run said so.
func TestLevelsAreShared(t *testing.T) {
	type key struct {
		chain record.Chain
		id    identity.DeviceID
	}
	dice := rand.New(rand.NewPCG(1, 2))
	var l ledger
	l.init()
	want, runs := map[key]level{}, map[identity.DeviceID]identity.Instance{}
	for range 20_000 {
		k := key{record.Chain{Branch: record.ID{byte(dice.IntN(3))}}, identity.DeviceID{byte(dice.IntN(20))}}
		lv := level{stretch: stretch{1, uint64(dice.IntN(5))}}
		if dice.IntN(4) > 0 {
			lv.run.Boot = uint32(1 + dice.IntN(100)/99) // hardly ever the second one
			if runs[k.id] != lv.run {
				for other, is := range want {
					if other.id == k.id {
						want[other] = level{stretch: is.stretch}
					}
				}
			}
			runs[k.id] = lv.run
		}
		l.put(l.of(k.chain, false), k.id, lv, false)
		want[k] = lv
		if dice.IntN(500) == 0 {
			l.levels[k.chain].cut(4)
			for other, is := range want {
				if other.chain == k.chain {
					is.high = min(is.high, 3)
					want[other] = is
				}
			}
		}
	}
	for k, lv := range want {
		if got, known := l.get(l.levels[k.chain], k.id); !known || got != lv {
			t.Errorf("%v has %+v, want %+v", k, got, lv)
		}
	}
	for _, ls := range l.levels {
		if devices := len(ls.of); devices != 20 || len(ls.stretches) > 20 {
			t.Errorf("%d devices have %d stretches", devices, len(ls.stretches))
		}
	}
}
