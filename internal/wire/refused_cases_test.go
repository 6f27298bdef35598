package wire_test

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// refusedOutside is what is dropped before anything is opened.
func (s *studio) refusedOutside() {
	hello := wire.Presence{Type: wire.TypeHello, Instance: aliceRun, Counter: 44, Claims: vectorClaims()}
	good := wire.SealPresence(hello, s.alice)

	s.begin("not-bcast", "3, 8", "drop not_bcast").add("datagram", []byte("bC\x01\x01"))
	s.begin("presence-short", "4, 8", "drop malformed").add("datagram", good[:wire.PresenceSize-1])

	long := bytes.Clone(good)
	long[68], long[69] = 0x01, 0x7b // 379: one more than there is room for
	s.begin("presence-claims-too-long", "4, 8", "drop malformed").add("datagram", long)

	padding := bytes.Clone(good)
	padding[wire.PresenceSize-identity.SignatureSize-1] = 1
	s.begin("presence-padding-changed", "4, 8", "drop bad_signature").add("datagram", padding)

	kind := bytes.Clone(good)
	kind[3] = byte(wire.TypeBye)
	s.begin("presence-type-changed", "4, 8", "drop bad_signature").add("datagram", kind)

	for _, c := range []struct {
		name     string
		from, to int // instance, counter
	}{{"presence-instance-zero", 36, 48}, {"presence-counter-zero", 48, 56}} {
		bad := bytes.Clone(good[:wire.PresenceSize-identity.SignatureSize])
		clear(bad[c.from:c.to])
		s.begin(c.name, "4, 8", "drop malformed").add("datagram", s.signPresence(bad))
	}

	for _, c := range []struct{ name, claims string }{
		{"presence-claims-twice", "a2 00 6161 00 6162"},           // {0: "a", 0: "b"}
		{"presence-claims-key", "a2 00 6161 4163 01"},             // {0: "a", h'63': 1}
		{"presence-nick-decomposed", "a1 00 6365cc81"},            // {0: "e\u0301"}
		{"presence-room-decomposed", "a2 00 6161 0b 81 6365cc81"}, // {0: "a", 11: ["e\u0301"]}
		{"presence-room-upper-case", "a2 00 6161 0b 81 6141"},     // {0: "a", 11: ["A"]}
		// {0: "a", 14: [["b", type, port, []]]}
		{"presence-service-type", "a2 00 6161 0e 81 84 6162 69 687474702e5f746370 1850 80"}, // "http._tcp"
		{"presence-service-port", "a2 00 6161 0e 81 84 6162 6a 5f687474702e5f746370 00 80"},
	} {
		bad := append(bytes.Clone(good[:70]), unhex(s.t, c.claims)...)
		bad[68], bad[69] = 0, byte(len(bad)-70)
		s.begin(c.name, "4, 8", "drop malformed").add("datagram", s.signPresence(bad))
	}

	whole := s.room.Seal(s.outer(&vector{name: "cut-datagram"}, wire.TypeRecord),
		wire.AppendFrame(nil, wire.Record{Bytes: s.hello().Bytes()}), wire.MaxDatagram)
	v := s.begin("cut-datagram", "8, 9", "drop cut")
	v.set("size", "%d", len(whole))
	v.add("datagram", whole[:600])

	elsewhere := *s
	elsewhere.room = roomOf(s.t, "kitchen")
	v = s.begin("other-room", "5, 8", "drop unknown_room")
	elsewhere.say(v, wire.Busy{RetryMillis: 1}, bobRun, 10)

	for _, c := range []struct {
		name, expect string
		at           int
	}{
		{"tag-changed", "drop unknown_room", seal.OuterSize - 1},
		{"nonce-changed", "drop unknown_room", wire.PrefixSize},
		{"type-changed", "drop unknown_room", 3}, {"ciphertext-changed", "drop damaged", seal.OuterSize},
		{"mac-changed", "drop damaged", 255},
	} {
		v := s.begin(c.name, "5, 8", c.expect)
		s.say(v, wire.Busy{RetryMillis: 1}, bobRun, 11)
		v.sections[0].bytes[c.at] ^= 2
		v.sections = v.sections[:1]
	}
	v = s.begin("inside-length-too-long", "5, 8", "drop damaged")
	v.add("datagram", s.withInside(v, wire.TypeBusy, 0xff, 0xff))
}

// withInside seals a plaintext as it is, without a length in front.
func (s *studio) withInside(v *vector, t wire.Type, plain ...byte) []byte {
	outer := s.outer(v, t)
	return s.aead().Seal(outer, outer[wire.PrefixSize:][:seal.NonceSize], plain, outer)
}

// aead is the room's cipher, by the book.
func (s *studio) aead() cipher.AEAD {
	secret := seal.PublicSecret("lobby")
	key, err := hkdf.Key(sha256.New, secret[:], nil, "bcast/1 datagram key\x00\x00\x00\x00\x00", 32)
	if err != nil {
		s.t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return aead
}

// sayBytes adds a frame that no code of ours would make, signed by alice.
func (s *studio) sayBytes(v *vector, t wire.Type, body []byte) {
	s.sayBytesAs(v, t, aliceRun, 12, body)
}

func (s *studio) sayBytesAs(v *vector, t wire.Type, run identity.Instance, counter uint64, body []byte) {
	outer := s.outer(v, t)
	public := s.alice.Public()
	inner := identity.AppendInstance(public[:len(public):len(public)], run)
	inner = identity.AppendInstance(binary.BigEndian.AppendUint64(inner, counter), bobRun)
	inner = append(inner, body...)
	message := bytes.Join([][]byte{[]byte("bcast/1 frame\x00"), s.room.ID[:], outer, inner}, nil)
	inner = append(inner, s.alice.Sign(message)...)
	s.seal(v, outer, inner, padded(len(inner), wire.MaxDatagram), true)
}

// claimOfBytes is a list of one claim, whatever its numbers.
func claimOfBytes(low, high uint64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 1+8, 29), low)
	b = append(binary.BigEndian.AppendUint64(b, high), 1, 2, 3, 4)
	b[0] = 1
	return b
}

// wantOfBytes asks for one range, whatever its numbers.
func wantOfBytes(from, to uint64) []byte {
	b := append([]byte{5, 120, 1}, make([]byte, 8)...)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, from), to)
	return append(b, 0, 0)
}

// refusedInside is what a member that is wrong, or wicked, seals.
func (s *studio) refusedInside() {
	many := bytes.Repeat([]byte{0xcc}, 64)
	for _, c := range []struct {
		name string
		t    wire.Type
		body []byte
	}{
		{"digest-count-too-long", wire.TypeDigest, append(make([]byte, 36), append([]byte{49}, many...)...)},
		{"digest-claims-missing", wire.TypeDigest, append(make([]byte, 36), append([]byte{3}, many...)...)},
		{"range-count-too-long", wire.TypeRange, append([]byte{33}, many...)},
		{"range-form-unknown", wire.TypeRange, append([]byte{1}, append(make([]byte, 16), 2)...)},
		{"want-count-too-long", wire.TypeWant, append([]byte{2, 88, 65}, many...)},
		{"want-from-zero", wire.TypeWant, wantOfBytes(0, 5)},
		{"want-backwards", wire.TypeWant, wantOfBytes(6, 5)},
		{"want-too-high", wire.TypeWant, wantOfBytes(1<<62+1, 1<<62+1)},
		{"receipt-short", wire.TypeReceipt, []byte{0, 0, 0}},
		{"digest-claim-low-zero", wire.TypeDigest, append(make([]byte, 36), claimOfBytes(0, 5)...)},
		{"digest-claim-backwards", wire.TypeDigest, append(make([]byte, 36), claimOfBytes(6, 5)...)},
		{"digest-claim-too-high", wire.TypeDigest, append(make([]byte, 36), claimOfBytes(1, 1<<62+1)...)},
		{"signal-not-utf8", wire.TypeSignal, []byte{1, 2, 'a', 0xff}},
		{"signal-text-missing", wire.TypeSignal, []byte{1, 200, 'a'}},
	} {
		v := s.begin(c.name, "7, 8", "drop malformed")
		s.sayBytes(v, c.t, c.body)
	}
	retry := []byte{0, 1} // of a busy
	s.sayBytesAs(s.begin("signed-instance-zero", "7, 8", "drop malformed"), wire.TypeBusy, identity.Instance{}, 12, retry)
	s.sayBytesAs(s.begin("signed-counter-zero", "7, 8", "drop malformed"), wire.TypeBusy, aliceRun, 0, retry)

	v := s.begin("signature-changed", "7, 8", "drop bad_signature")
	outer := s.outer(v, wire.TypeBusy)
	inner := s.sign(outer, wire.Busy{RetryMillis: 1}, bobRun, 13, nil)
	inner[len(inner)-1] ^= 1
	s.seal(v, outer, inner, 256, true)

	v = s.begin("signed-for-another-datagram", "7, 8", "drop bad_signature")
	inner = s.sign(s.outer(&vector{name: "another"}, wire.TypeBusy), wire.Busy{RetryMillis: 1}, bobRun, 13, nil)
	s.seal(v, s.outer(v, wire.TypeBusy), inner, 256, true)

	r := s.hello()
	s.prove(s.begin("frag-beyond-total", "7, 8", "drop malformed"),
		wire.Frag{Record: r.ID, Total: 100, Offset: 99, Data: []byte{1, 2}}, 1400, true)
	s.prove(s.begin("frag-empty", "7, 8", "drop malformed"), wire.Frag{Record: r.ID, Total: 100}, 1400, true)
}

// refusedRecords is records that are not what their author signed.
func (s *studio) refusedRecords() {
	change := func(name, expect string, r *record.Record, at int, to byte) {
		b := bytes.Clone(r.Bytes())
		b[at] = to
		s.begin(name, "6, 8", expect).add("record", b)
	}
	const header = 2 + identity.SignatureSize // of a flight of one
	r := s.hello()
	change("record-version", "drop malformed", r, header, 2)
	change("record-body-changed", "drop malformed", r, len(r.Bytes())-1, 'Y')
	change("record-header-changed", "drop bad_signature", r, header+1, 1)
	change("record-signature-changed", "drop bad_signature", r, 2, r.Bytes()[2]^1)
	change("record-seq-zero", "drop malformed", s.hello(), header+53, 0)
	change("record-order-too-large", "drop malformed", r, header+70, 1)
	change("record-parents-too-many", "drop malformed", r, header+120, 5)
	change("record-body-length", "drop malformed", r, header+87, r.Bytes()[header+87]+1)

	three := s.flight(3, func(i int) string { return "same" })
	change("flight-path-changed", "drop bad_signature", three[0], 2, three[0].Bytes()[2]^1)
	change("flight-index-changed", "drop bad_signature", three[0], 0, 1)
	change("flight-index-beyond", "drop malformed", three[0], 0, 3)
	change("flight-count-too-large", "drop malformed", three[0], 1, 49)
	elsewhere := *s
	elsewhere.room = roomOf(s.t, "kitchen")
	s.begin("record-of-another-room", "6, 8", "drop bad_signature").add("record", elsewhere.hello().Bytes())
}
