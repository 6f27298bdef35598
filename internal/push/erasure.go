package push

import "github.com/klauspost/reedsolomon"

// Parity is a systematic Reed-Solomon code with a Cauchy matrix: shard r of parity is the sum over the data shards c of
// 1/(r XOR c) times shard c, in GF(2^8) modulo x^8+x^4+x^3+x^2+1. Any k of a stripe's shards make the stripe. Of such a
// matrix every square part can be inverted (Blömer and others, "An XOR-Based Erasure-Resilient Coding Scheme", 1995),
// so only as many equations are solved as shards of data are missing.

var field reedsolomon.LowLevel

func coefficient(parity, data int) byte { return reedsolomon.Inv(byte(parity) ^ byte(data)) }

// shard is one of a stripe that lies padded in memory.
func shard(stripe []byte, i int) []byte {
	return stripe[i*shardSize : (i+1)*shardSize : (i+1)*shardSize]
}

// appendParity appends shard r of parity of a stripe of k data shards.
func appendParity(dst, stripe []byte, k, r int) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, shardSize)...)
	for c := range k {
		field.GalMulSliceXor(coefficient(r, c), shard(stripe, c), dst[at:])
	}
	return dst
}

// recover completes a stripe of k data shards, of which some are there and as many of parity as are missing. It uses up
// the parity.
func recover(stripe []byte, k int, have *shardSet, parity map[int][]byte) {
	var missing, rows []int
	for c := range k {
		if !have.has(c) {
			missing = append(missing, c)
		}
	}
	for r := dataShards; r < allShards && len(rows) < len(missing); r++ {
		if parity[r] != nil {
			rows = append(rows, r)
		}
	}
	matrix := make([][]byte, len(rows))
	for i, r := range rows {
		for c := range k {
			if have.has(c) {
				field.GalMulSliceXor(coefficient(r, c), shard(stripe, c), parity[r])
			}
		}
		matrix[i] = make([]byte, len(missing))
		for j, c := range missing {
			matrix[i][j] = coefficient(r, c)
		}
	}
	solve(matrix, func(i int) []byte { return parity[rows[i]] })
	for i, c := range missing {
		copy(shard(stripe, c), parity[rows[i]])
	}
}

// solve makes of the right sides of equations their unknowns (Gauss and Jordan, without a search for pivots: none is
// zero in a Cauchy matrix).
func solve(matrix [][]byte, right func(int) []byte) {
	for i, row := range matrix {
		inverse := reedsolomon.Inv(row[i])
		field.GalMulSlice(inverse, row, row)
		field.GalMulSlice(inverse, right(i), right(i))
		for j, other := range matrix {
			if factor := other[i]; j != i && factor != 0 {
				field.GalMulSliceXor(factor, row, other)
				field.GalMulSliceXor(factor, right(i), right(j))
			}
		}
	}
}
