//go:build !linux

package lan

import (
	"context"
	"time"
)

// watch asks for a look at the interfaces every second until ctx ends: noticing late is what these systems pay.
func watch(ctx context.Context, events chan<- struct{}) { poll(ctx, events) }

// started is when the clocks are compared from.
var started = time.Now()

// asleep is by how much the wall clock is ahead of the monotonic one, which sleeps with the host on some systems. A
// wall clock that is set ahead looks the same, and makes the node say once more that it is here.
func asleep() time.Duration {
	now := time.Now()
	return now.Round(0).Sub(started.Round(0)) - now.Sub(started)
}
