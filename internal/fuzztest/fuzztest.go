// Package fuzztest measures what a parser takes for an input, for the ceilings of the fuzz targets.
//
// Its invariant: it counts what the measured function takes, not what goes on beside it. It is for tests only.
package fuzztest

import (
	"runtime"
	"testing"
)

// Allocated is how many bytes f takes from the heap: the least of three calls, because the counter is the process's and
// the first call may build what is built once.
func Allocated(f func()) int {
	least := int(^uint(0) >> 1)
	for range 3 {
		least = min(least, once(f))
	}
	return least
}

func once(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// Within fails the test if f takes more than perByte bytes from the heap for each of size, and base besides.
func Within(t *testing.T, size, perByte, base int, f func()) {
	t.Helper()
	most := perByte*size + base
	if once(f) <= most {
		return
	}
	if got := Allocated(f); got > most {
		t.Errorf("%d bytes taken for %d", got, size)
	}
}
