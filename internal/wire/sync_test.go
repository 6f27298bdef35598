package wire_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"bcast/internal/fuzztest"
	"bcast/internal/wire"
)

const allKinds = ^wire.Kinds(0)

func someClaims() []wire.FeedClaim {
	return []wire.FeedClaim{{Feed: [8]byte{1}, Low: 3, High: 9, Head: [4]byte{4}}, {Feed: [8]byte{2}, Low: 1, High: 1}}
}

// messages are one of each kind, and their bodies as they go over the wire.
var messages = []struct {
	message wire.Message
	body    string
}{
	{wire.Proof{MAC: [32]byte{1, 2}}, "\x01\x02" + string(make([]byte, 30))},
	{
		wire.StreamClaims{All: true, Claims: []wire.FeedClaim{{Feed: [8]byte{5}, Low: 3, High: 9, Head: [4]byte{4}}, {}}},
		"\x01\x00\x02" + "\x05\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x03" +
			"\x00\x00\x00\x00\x00\x00\x00\x09" + "\x04\x00\x00\x00" + string(make([]byte, 28)),
	},
	{wire.StreamClaims{Claims: []wire.FeedClaim{}}, "\x00\x00\x00"},
	{
		wire.Offer{Claims: []wire.FeedClaim{{Low: 1, High: 2}}},
		"\x00\x01" + string(make([]byte, 15)) + "\x01" + "\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x00",
	},
	{
		wire.Take{Ranges: []wire.SeqRange{{Feed: [8]byte{7}, From: 1, To: 256}}},
		"\x01" + "\x07\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x00\x00\x00\x00\x00\x00\x01\x00",
	},
	{wire.Entry{Branch: [16]byte{8}, Bytes: []byte("record")}, "\x08" + string(make([]byte, 15)) + "record"},
	{wire.End{}, ""},
	{wire.Busy{RetryMillis: 1500}, "\x05\xdc"},
}

func TestMessagesAsWritten(t *testing.T) {
	var stream []byte
	for _, m := range messages {
		want := binary.BigEndian.AppendUint32(nil, uint32(1+len(m.body)))
		want = append(append(want, byte(m.message.Kind())), m.body...)
		if got := wire.AppendMessage(nil, m.message); !bytes.Equal(got, want) {
			t.Errorf("%T is written as\n%x, want\n%x", m.message, got, want)
		}
		stream = wire.AppendMessage(stream, m.message)
	}
	for _, m := range messages {
		got, rest, err := wire.CutMessage(stream, allKinds)
		if err != nil || !reflect.DeepEqual(got, m.message) {
			t.Errorf("read %+v, want %+v: %v", got, m.message, err)
		}
		stream = rest
	}
	if len(stream) != 0 {
		t.Errorf("%d bytes left", len(stream))
	}
}

func TestMessageComesInPieces(t *testing.T) {
	for _, m := range messages {
		b := wire.AppendMessage(nil, m.message)
		for n := range b {
			if got, rest, err := wire.CutMessage(b[:n], allKinds); got != nil || err != nil || len(rest) != n {
				t.Fatalf("%d of %d bytes of a %T make %v, %v", n, len(b), m.message, got, err)
			}
		}
	}
}

func TestMessagesRefused(t *testing.T) {
	front := func(size uint32, kind wire.Kind) []byte {
		return append(binary.BigEndian.AppendUint32(nil, size), byte(kind))
	}
	with := func(kind wire.Kind, body ...byte) []byte { return append(front(uint32(1+len(body)), kind), body...) }
	claim := func(low, high byte) []byte {
		return append(append(make([]byte, 15), low), 0, 0, 0, 0, 0, 0, 0, high, 0, 0, 0, 0)
	}
	ranges := func(numbers ...byte) []byte { // from and to of each, all of one chain
		b := []byte{byte(len(numbers) / 2)}
		for i, n := range numbers {
			b = append(append(b, make([]byte, 15-8*(i%2))...), n)
		}
		return b
	}
	many := func(count byte) []byte { // of the first record of so many chains
		b := []byte{count}
		for chain := range count {
			b = append(append(b, chain), make([]byte, 14)...)
			b = append(append(append(b, 1), make([]byte, 7)...), 1)
		}
		return b
	}
	tests := []struct {
		name     string
		b        []byte
		expected wire.Kinds
	}{
		{"a kind that is not expected", front(33, wire.KindProof), wire.KindsOf(wire.KindClaims, wire.KindBusy)},
		{"nothing is expected", front(1, wire.KindEnd), 0},
		{"no kind", front(1, 0), allKinds},
		{"kind 8", front(1, 8), allKinds},
		{"kind 255", front(1, 255), allKinds},
		{"length 0", front(0, wire.KindEnd), allKinds},
		{"a long proof", front(34, wire.KindProof), allKinds},
		{"a short proof", with(wire.KindProof, 1), allKinds},
		{"4 GiB of a record", front(1<<32-1, wire.KindEntry), allKinds},
		{"a record of 19 KiB", front(19<<10, wire.KindEntry), allKinds},
		{"a record without a branch", with(wire.KindEntry, 1), allKinds},
		{"4,097 claims", front(1+3+4097*28, wire.KindClaims), allKinds},
		{"fewer claims than said", with(wire.KindOffer, append([]byte{0, 2}, claim(1, 1)...)...), allKinds},
		{"more claims than said", with(wire.KindOffer, append([]byte{0, 0}, claim(1, 1)...)...), allKinds},
		{"an offer of nothing", with(wire.KindOffer, append([]byte{0, 1}, claim(0, 0)...)...), allKinds},
		{"a claim upside down", with(wire.KindClaims, append([]byte{0, 0, 1}, claim(2, 1)...)...), allKinds},
		{"a claim from 0", with(wire.KindClaims, append([]byte{0, 0, 1}, claim(0, 1)...)...), allKinds},
		{"flag 2", with(wire.KindClaims, 2, 0, 0), allKinds},
		{"65 ranges", with(wire.KindTake, many(65)...), allKinds},
		{"a range from 0", with(wire.KindTake, ranges(0, 1)...), allKinds},
		{"a range upside down", with(wire.KindTake, ranges(2, 1)...), allKinds},
		{"a record taken twice", with(wire.KindTake, ranges(1, 4, 6, 9, 4, 5)...), allKinds},
		{"a range within another", with(wire.KindTake, ranges(2, 3, 1, 9)...), allKinds},
		{"bytes behind a take", with(wire.KindTake, 0, 0), allKinds},
		{"an end with something", front(2, wire.KindEnd), allKinds},
	}
	for _, b := range [][]byte{ranges(1, 4, 6, 9, 5, 5), many(64)} {
		if m, _, err := wire.CutMessage(with(wire.KindTake, b...), allKinds); err != nil {
			t.Errorf("ranges that have nothing in common: %v, %v", m, err)
		}
	}
	for _, test := range tests {
		if m, _, err := wire.CutMessage(test.b, test.expected); err == nil {
			t.Errorf("%s: taken as %+v", test.name, m)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range messages {
		f.Add(wire.AppendMessage(nil, m.message), uint16(allKinds))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(wire.KindsOf(wire.KindProof)))
	f.Fuzz(func(t *testing.T, b []byte, expected uint16) {
		before := bytes.Clone(b)
		var m wire.Message
		var rest []byte
		var err error
		fuzztest.Within(t, len(b), 2, 4<<10, func() { m, rest, err = wire.CutMessage(b, wire.Kinds(expected)) })
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil || m == nil {
			return
		}
		if expected&(1<<m.Kind()) == 0 {
			t.Fatalf("kind %d was not expected", m.Kind())
		}
		if again := append(wire.AppendMessage(nil, m), rest...); !bytes.Equal(again, b) {
			t.Error("the message has a second encoding")
		}
	})
}

func TestClaimsOfAFullTableFit(t *testing.T) {
	many := make([]wire.FeedClaim, wire.MaxStreamClaims)
	for i := range many {
		many[i] = someClaims()[i%2]
	}
	for _, m := range []wire.Message{wire.StreamClaims{Claims: many}, wire.Offer{Claims: many}} {
		got, _, err := wire.CutMessage(wire.AppendMessage(nil, m), allKinds)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: %v", m, err)
		}
	}
}
