package record

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"bcast/identity"
)

func testKey(tb testing.TB, b byte) *identity.Key {
	tb.Helper()
	key, err := identity.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

var testRoom = RoomID{1, 2, 3}

func verify(key identity.PublicKey, message, sig []byte) bool { return key.Verify(message, sig) }

func drafts(key *identity.Key, n int) []Draft {
	all := make([]Draft, n)
	for i := range all {
		body, err := EncodePosts([]Post{{Kind: KindText, Text: fmt.Sprint("post ", i)}})
		if err != nil {
			panic(err)
		}
		all[i] = Draft{Body: body, Header: Header{
			Feed: Feed{Author: key.Public(), Epoch: 9}, Seq: uint64(i + 1), Prev: ID{byte(i)}, Order: uint64(1000 + i),
			Wall: -5, Parents: make([]ID, i%(MaxParents+1)),
		}}
	}
	return all
}

// merkleRoot is MTH of RFC 9162, 2.1.1, as it stands there, with bcast's leaf and halved nodes.
func merkleRoot(leaves [][]byte) []byte {
	n := len(leaves)
	if n == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	left, right := merkleRoot(leaves[:k]), merkleRoot(leaves[k:])
	sum := sha256.Sum256(append(append([]byte{1}, left[:16]...), right[:16]...))
	return sum[:]
}

// merklePath is PATH of RFC 9162, 2.1.3.1.
func merklePath(m int, leaves [][]byte) [][]byte {
	n := len(leaves)
	if n == 1 {
		return nil
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	if m < k {
		return append(merklePath(m, leaves[:k]), merkleRoot(leaves[k:])[:16])
	}
	return append(merklePath(m-k, leaves[k:]), merkleRoot(leaves[:k])[:16])
}

// merkleVerify is RFC 9162, 2.1.3.2: bits of the index from the leaf up, not a recursion.
func merkleVerify(index, size int, leaf []byte, path [][]byte) []byte {
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return nil
		}
		if fn&1 == 1 || fn == sn {
			sum := sha256.Sum256(append(append([]byte{1}, p...), r[:16]...))
			r = sum[:]
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sum := sha256.Sum256(append(append([]byte{1}, r[:16]...), p...))
			r = sum[:]
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return nil
	}
	return r
}

func TestFlightsAgainstRFC9162(t *testing.T) {
	key := testKey(t, 7)
	found := map[string]bool{} // a flight's records share one signature
	right := func(key identity.PublicKey, message, sig []byte) bool {
		of := string(key[:]) + string(sig) + string(message)
		if _, known := found[of]; !known {
			found[of] = verify(key, message, sig)
		}
		return found[of]
	}
	for n := 1; n <= MaxFlight; n++ {
		records := Sign(key, testRoom, drafts(key, n))
		leaves := make([][]byte, n)
		for i, r := range records {
			header := r.Header.Append(nil)
			sum := sha256.Sum256(append(append([]byte{0}, testRoom[:]...), header...))
			leaves[i] = sum[:]
		}
		want := merkleRoot(leaves)
		signed := append(append([]byte("bcast/1 flight\x00"), want...), byte(n))
		public := key.Public()
		for i, r := range records {
			b := r.Bytes()
			path := merklePath(i, leaves)
			if got := bytes.Join(path, nil); !bytes.HasPrefix(b[2:], got) || int(b[0]) != i || int(b[1]) != n {
				t.Fatalf("record %d of %d: path", i, n)
			}
			if !bytes.Equal(merkleVerify(i, n, leaves[i], path), want) {
				t.Fatalf("record %d of %d: the RFC's check refuses the path", i, n)
			}
			if sig := b[2+16*len(path):][:64]; !right(public, signed, sig) {
				t.Fatalf("record %d of %d: signature", i, n)
			}
			if !bytes.Equal(r.ID[:], leaves[i][:16]) {
				t.Fatalf("record %d of %d: id", i, n)
			}
			again, err := Parse(testRoom, b)
			if err != nil || !again.Verify(right) || again.ID != r.ID ||
				again.SignatureKey() != records[0].SignatureKey() {
				t.Fatalf("record %d of %d comes back: %v", i, n, err)
			}
		}
	}
}

func TestProofBindsIndexCountAndRoom(t *testing.T) {
	key := testKey(t, 7)
	for _, n := range []int{1, 2, 3, 7, 8, 33} {
		for i, r := range Sign(key, testRoom, drafts(key, n)) {
			if other, err := Parse(RoomID{9}, r.Bytes()); err != nil || other.Verify(verify) || other.ID == r.ID {
				t.Errorf("record %d of %d passes in another room (%v)", i, n, err)
			}
			for index := range n {
				for count := index + 1; count <= MaxFlight; count++ {
					if index == i && count == n {
						continue
					}
					b := bytes.Clone(r.Bytes())
					b[0], b[1] = byte(index), byte(count)
					if other, err := Parse(testRoom, b); err == nil && bytes.Equal(other.signed, r.signed) {
						t.Errorf("record %d of %d passes as %d of %d", i, n, index, count)
					}
				}
			}
		}
	}
}

// Every byte of a record counts: whichever changes, it is refused or names something else that nobody signed.
func TestADV_23_Every_byte_of_a_record_is_signed(t *testing.T) {
	key := testKey(t, 7)
	for _, n := range []int{1, 3} {
		r := Sign(key, testRoom, drafts(key, n))[n-1]
		for i := range r.Bytes() {
			for _, mask := range []byte{1, 0x80} {
				b := bytes.Clone(r.Bytes())
				b[i] ^= mask
				if other, err := Parse(testRoom, b); err == nil && other.Verify(verify) {
					t.Errorf("flight of %d: byte %d ^ %x passes", n, i, mask)
				}
			}
			if _, err := Parse(testRoom, r.Bytes()[:i]); err == nil {
				t.Errorf("flight of %d: %d bytes pass", n, i)
			}
		}
		if _, err := Parse(testRoom, append(bytes.Clone(r.Bytes()), 0)); err == nil {
			t.Error("a byte more passes")
		}
	}
}

func TestSwappedBody(t *testing.T) {
	key := testKey(t, 7)
	all := Sign(key, testRoom, drafts(key, 2)) // bodies of one length
	swapped := append(bytes.Clone(all[0].Head()), all[1].Body...)
	if _, err := Parse(testRoom, swapped); err == nil {
		t.Error("another record's body passes")
	}
}

func TestHeads(t *testing.T) {
	key := testKey(t, 7)
	for _, r := range Sign(key, testRoom, drafts(key, 5)) {
		if r.IsHead() {
			t.Error("a record is a head")
		}
		head, err := ParseHead(testRoom, r.Head())
		if err != nil || !head.Verify(verify) || !head.IsHead() || head.ID != r.ID ||
			!bytes.Equal(head.Bytes(), r.Head()) ||
			!bytes.Equal(head.Head(), r.Head()) {
			t.Errorf("head: %v", err)
		}
		if _, err := Parse(testRoom, r.Head()); err == nil {
			t.Error("a head passes for a record")
		}
		if _, err := ParseHead(testRoom, r.Bytes()); err == nil {
			t.Error("a record passes for a head")
		}
		prefix, rest, err := ParseHeadPrefix(testRoom, r.Bytes()[:len(r.Bytes())-1])
		if err != nil || !bytes.Equal(prefix.Bytes(), r.Head()) || len(rest) != len(r.Body)-1 {
			t.Errorf("head in front: %v", err)
		}
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, h := range []Header{
		{Seq: 1},
		{Flags: 0xff, KeyEpoch: 1<<32 - 1, Feed: Feed{Author: identity.PublicKey{1}, Epoch: 1<<64 - 1}, Seq: 1 << 62,
			Prev: ID{2}, Order: MaxOrder, Wall: -1 << 63, BodyLength: MaxBody, BodyHash: [32]byte{3},
			Parents: []ID{{4}, {5}, {6}, {7}}},
	} {
		b := h.Append(nil)
		got, n, err := parseHeader(append(b, 1, 2, 3))
		if err != nil || n != len(b) || !bytes.Equal(got.Append(nil), b) || len(got.Parents) != len(h.Parents) {
			t.Errorf("%+v comes back as %+v, %v", h, got, err)
		}
		if !got.Time().Equal(time.Unix(0, h.Wall)) {
			t.Errorf("time %v", got.Time())
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	good := (&Header{Seq: 1}).Append(nil)
	for name, change := range map[string]func(b []byte){
		"version 0":     func(b []byte) { b[0] = 0 },
		"version 2":     func(b []byte) { b[0] = 2 },
		"seq 0":         func(b []byte) { b[53] = 0 },
		"seq over 2^62": func(b []byte) { b[46] = 0x40 },
		"order 2^47":    func(b []byte) { b[72] = 0x80 },
		"body":          func(b []byte) { b[86], b[87] = 0x44, 0x01 },
		"parents":       func(b []byte) { b[120] = MaxParents + 1 },
	} {
		b := append(bytes.Clone(good), make([]byte, 16*(MaxParents+1))...)
		change(b)
		if _, _, err := parseHeader(b); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, _, err := parseHeader(good); err != nil {
		t.Error(err)
	}
	if MaxSize != 17755 {
		t.Errorf("a record takes up to %d bytes", MaxSize)
	}
}

func TestCompareIsOrderThenID(t *testing.T) {
	a := &Record{Header: Header{Order: 1}, ID: ID{9}}
	b := &Record{Header: Header{Order: 2}, ID: ID{1}}
	c := &Record{Header: Header{Order: 2}, ID: ID{2}}
	for _, p := range [][2]*Record{{a, b}, {b, c}, {a, c}} {
		if Compare(p[0], p[1]) >= 0 || Compare(p[1], p[0]) <= 0 || Compare(p[0], p[0]) != 0 {
			t.Errorf("%v and %v", p[0].ID, p[1].ID)
		}
	}
}

func TestShortFeed(t *testing.T) {
	f := Feed{Author: identity.PublicKey{1}, Epoch: 2}
	sum := sha256.Sum256(append(append([]byte{1}, make([]byte, 31)...), 0, 0, 0, 0, 0, 0, 0, 2))
	if short := f.Short(); !bytes.Equal(short[:], sum[:8]) || f.Author[1] != 0 {
		t.Errorf("%x", short)
	}
}
