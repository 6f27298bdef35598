package fuzztest

import (
	"os"
	"runtime/debug"
)

// A test's heap is small and gone in a second. Collecting it at every doubling of a few megabytes took a seventh of all
// tests' time, so those that allocate much import this package, if only for this.
func init() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
