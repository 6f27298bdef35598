package wire_test

import (
	"bytes"
	"testing"

	"bcast/internal/fuzztest"
	"bcast/internal/wire"
)

// memberlist #357 to #369 (2026): a count from the wire decided how much memory was taken. Here the bytes that are left
// do: the largest counts with nothing behind them take less than eight bytes for each that came.
func TestADV_19_Counts_take_no_memory(t *testing.T) {
	sizes := []int{4, 36, 128, 200, 512, 1400}
	const together = 4 + 36 + 128 + 200 + 512 + 1400
	for _, fill := range []byte{0xff, 0x7f, 48, 32, 1} {
		each := func(parse func([]byte)) {
			fuzztest.Within(t, together, 8, len(sizes)*4<<10, func() {
				for _, size := range sizes {
					parse(bytes.Repeat([]byte{fill}, size))
				}
			})
		}
		each(func(b []byte) { wire.ParsePresence(b) })
		each(func(b []byte) { wire.CutMessage(b, ^wire.Kinds(0)) })
		for kind := range 256 {
			each(func(b []byte) {
				wire.ParseFrame(wire.Type(kind), b)
				wire.ParseSigned(wire.Type(kind), b)
			})
		}
	}
}
