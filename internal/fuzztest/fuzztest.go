// Package fuzztest measures what a parser takes for an input, for the ceilings of the fuzz targets.
//
// Its invariant: it counts what the measured function takes, not what goes on beside it. It is for tests only.
package fuzztest

import "runtime"

// Allocated is how many bytes f takes from the heap: the least of three calls, because the counter is the process's and
// the first call may build what is built once.
func Allocated(f func()) int {
	least := int(^uint(0) >> 1)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}
