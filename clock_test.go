package bcast

import (
	"testing"
	"time"

	"bcast/internal/engine"
)

// What happened once is told with one time, however the two clocks were read, and with another when the clock was set.
func TestMomentsHaveOneTime(t *testing.T) {
	var n Node
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i, late := range []time.Duration{0, 3 * time.Microsecond, 70 * time.Nanosecond, 2 * time.Millisecond} {
		mono := time.Duration(i) * time.Minute
		now := engine.Now{Mono: mono, Wall: noon.Add(mono + late)}
		if at := n.clock(now).at(time.Second); !at.Equal(noon.Add(time.Second)) {
			t.Errorf("read %v late: %v", late, at)
		}
	}
	set := engine.Now{Mono: time.Hour, Wall: noon.Add(3 * time.Hour)}
	if at := n.clock(set).at(time.Second); !at.Equal(noon.Add(2*time.Hour + time.Second)) {
		t.Errorf("after the clock was set it is told as %v", at)
	}
}
