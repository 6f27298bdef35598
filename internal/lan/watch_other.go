//go:build !linux

package lan

import "context"

// watch asks for a look at the interfaces every second until ctx ends: noticing late is what these systems pay.
func watch(ctx context.Context, events chan<- struct{}) { poll(ctx, events) }
