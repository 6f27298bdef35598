package wire_test

import (
	"encoding/binary"

	"bcast/internal/wire"
)

// A field is some bytes and what PROTOCOL.md calls them.
type field struct {
	label string
	bytes []byte
}

// A knife cuts bytes into labelled fields. What it cannot cut becomes one last field, "rest": it is made for writing
// vectors, and so for bytes that are wrong on purpose.
type knife struct {
	b      []byte
	fields []field
}

func (k *knife) cut(label string, n int) []byte {
	if n < 0 || n > len(k.b) {
		label, n = "rest", len(k.b)
	}
	piece := k.b[:n]
	if n > 0 {
		k.fields = append(k.fields, field{label, piece})
	}
	k.b = k.b[n:]
	return piece
}

func (k *knife) number(label string, n int) int {
	var padded [8]byte
	copy(padded[8-n:], k.cut(label, n))
	return int(binary.BigEndian.Uint64(padded[:]))
}

// list cuts a count and then that many items, as far as they are there.
func (k *knife) list(label string, item func()) {
	for range k.number(label, 1) {
		if len(k.b) == 0 {
			return
		}
		item()
	}
}

// dissect labels a section; front is the datagram that an inside came in.
func dissect(s section, front []byte, wasCut bool) []field {
	k := &knife{b: s.bytes}
	switch {
	case s.kind == "record":
		k.record(true)
	case s.kind == "inside":
		k.inside(wire.Type(front[3]))
	case wasCut || len(s.bytes) < wire.PrefixSize:
		k.prefix()
		k.cut("cut", len(k.b))
	case s.bytes[2] != wire.Version || !wire.Type(s.bytes[3]).Known():
		k.prefix()
		k.cut("unknown", len(k.b))
	case wire.Type(s.bytes[3]).Presence():
		k.presence()
	default:
		k.prefix()
		k.cut("nonce", 24)
		k.cut("tag", 16)
		k.cut("ciphertext", len(k.b)-16)
		k.cut("mac", 16)
	}
	return k.fields
}

func (k *knife) prefix() {
	k.cut("magic", 2)
	k.cut("version", 1)
	k.cut("type", 1)
}

func (k *knife) sender() {
	k.cut("key", 32)
	k.cut("instance", 12)
	k.cut("counter", 8)
	k.cut("to", 12)
}

func (k *knife) presence() {
	k.prefix()
	k.sender()
	longer := max(0, len(k.b)-(wire.PresenceSize-68)) // an echo's, behind the signature
	k.cut("claims", k.number("claims-length", 2))
	k.cut("padding", len(k.b)-longer-64)
	k.cut("signature", 64)
	k.cut("ignored", longer)
}

func (k *knife) inside(t wire.Type) {
	frame := &knife{}
	n := k.number("length", 2)
	frame.b, k.b = k.b[:n], k.b[n:]
	if t.Signed() {
		end := len(frame.b) - 64
		signature := frame.b[end:]
		frame.b = frame.b[:end]
		frame.sender()
		frame.frame(t)
		frame.cut("ignored", len(frame.b))
		frame.fields = append(frame.fields, field{"signature", signature})
	} else {
		frame.frame(t)
	}
	k.fields = append(k.fields, frame.fields...)
	k.cut("padding", len(k.b))
}

func (k *knife) frame(t wire.Type) {
	switch t {
	case wire.TypeRecord, wire.TypeHead:
		k.record(t == wire.TypeRecord)
	case wire.TypeFrag:
		k.cut("record", 16)
		k.cut("total", 2)
		k.cut("offset", 2)
		k.cut("data", len(k.b))
	case wire.TypeFork:
		k.cut("a", k.number("a-length", 2))
		k.cut("b", len(k.b))
	case wire.TypeDigest:
		k.cut("root", 32)
		k.cut("feeds", 4)
		k.claims()
	case wire.TypeRange:
		k.list("span-count", k.span)
	case wire.TypeWant:
		k.want()
	case wire.TypeReceipt:
		k.claims()
		k.cut("loss", 2)
		k.cut("drops", 4)
	case wire.TypeCut:
		k.cut("nonce", 24)
		k.cut("received", 2)
		k.cut("size", 4)
	case wire.TypeSignal:
		k.cut("kind", 1)
		k.cut("text", k.number("text-length", 1))
	case wire.TypeBusy:
		k.cut("retry", 2)
	}
}

func (k *knife) claims() {
	k.list("claim-count", func() {
		k.cut("feed", 8)
		k.cut("low", 8)
		k.cut("high", 8)
		k.cut("head", 4)
	})
}

func (k *knife) span() {
	k.cut("from", 8)
	k.cut("to", 8)
	if k.number("form", 1) == 0 {
		k.cut("fingerprint", 16)
	} else {
		k.claims()
	}
}

func (k *knife) want() {
	k.cut("limit", 2)
	k.list("range-count", func() {
		k.cut("feed", 8)
		k.cut("from", 8)
		k.cut("to", 8)
	})
	k.list("id-count", func() { k.cut("record", 16) })
	k.list("part-count", func() {
		k.cut("record", 16)
		k.cut("from", 2)
		k.cut("to", 2)
	})
}

// pathLengths is how long the Merkle path of a leaf of a flight is, for the flights that vectors have.
var pathLengths = map[[2]int]int{
	{0, 1}: 0, {0, 3}: 2, {1, 3}: 2, {2, 3}: 1, {0, 48}: 6, {31, 48}: 6, {32, 48}: 5, {47, 48}: 5,
}

func (k *knife) record(body bool) {
	index, count := k.number("index", 1), k.number("count", 1)
	for range pathLengths[[2]int{index, count}] {
		k.cut("path", 16)
	}
	k.cut("signature", 64)
	for _, f := range []struct {
		label string
		n     int
	}{
		{"version", 1}, {"flags", 1}, {"key-epoch", 4}, {"author", 32}, {"feed-epoch", 8}, {"seq", 8}, {"prev", 16},
		{"order", 8}, {"wall", 8}, {"body-length", 2}, {"body-hash", 32},
	} {
		k.cut(f.label, f.n)
	}
	k.list("parent-count", func() { k.cut("parent", 16) })
	if body {
		k.cut("body", len(k.b))
	}
}
