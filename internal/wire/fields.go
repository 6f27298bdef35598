package wire

// Fields takes fields off the front of some bytes. After the first that is not there every take yields zeros and Failed
// stays set, so that a parser checks once, at its end.
type Fields struct {
	b      []byte
	failed bool
}

// NewFields reads b. What is taken of it is of its memory.
func NewFields(b []byte) Fields { return Fields{b: b} }

var zeros [64]byte

// Take is the next n bytes: of those that are not there, at most 64 zeros.
func (f *Fields) Take(n int) []byte {
	if f.failed || len(f.b) < n {
		f.failed = true
		return zeros[:min(n, len(zeros))]
	}
	field := f.b[:n:n]
	f.b = f.b[n:]
	return field
}

// U8 is the next byte; U16, U32 and U64 are the next numbers.
func (f *Fields) U8() uint8   { return f.Take(1)[0] }
func (f *Fields) U16() uint16 { return be.Uint16(f.Take(2)) }
func (f *Fields) U32() uint32 { return be.Uint32(f.Take(4)) }
func (f *Fields) U64() uint64 { return be.Uint64(f.Take(8)) }

// Rest is all that is left; Left, how much that is.
func (f *Fields) Rest() []byte { return f.Take(len(f.b)) }
func (f *Fields) Left() int    { return len(f.b) }

// Count reads how many items of at least size bytes follow; it fails when they cannot all be there or are more than
// limit.
func (f *Fields) Count(limit, size int) int {
	n := int(f.U8())
	if n > limit || n*size > len(f.b) {
		f.failed = true
		return 0
	}
	return n
}

// FailIf fails what is read, if wrong is set; Failed tells whether it failed.
func (f *Fields) FailIf(wrong bool) { f.failed = f.failed || wrong }
func (f *Fields) Failed() bool      { return f.failed }
