package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"bcast/identity"
)

func claims(n int) []FeedClaim {
	var all []FeedClaim
	for i := range n {
		all = append(all, FeedClaim{Feed: [8]byte{byte(i)}, Low: 1, High: uint64(i + 1), Head: [4]byte{byte(i)}})
	}
	return all
}

func signedFrames() []Frame {
	wants := Want{Limit: 512}
	for i := range MaxWants {
		wants.Ranges = append(wants.Ranges, SeqRange{[8]byte{byte(i)}, 1, 2})
		wants.IDs = append(wants.IDs, [16]byte{byte(i)})
		wants.Parts = append(wants.Parts, Part{[16]byte{byte(i)}, 3, 4})
	}
	spans := make([]Span, MaxSpans)
	for i := range spans {
		spans[i] = Span{From: [8]byte{byte(i)}, To: [8]byte{byte(i), 1}, Listed: i%2 == 0}
		if spans[i].Listed {
			spans[i].Claims = claims(i % 5)
		} else {
			spans[i].Fingerprint = [16]byte{byte(i)}
		}
	}
	return []Frame{
		Digest{}, Digest{Root: [32]byte{1}, Feeds: 1<<32 - 1, Claims: claims(MaxClaims)},
		Range{Spans: []Span{}}, Range{Spans: spans}, Want{}, wants,
		Receipt{}, Receipt{Stored: claims(2), Loss: 65535, Drops: 1<<32 - 1},
		Cut{}, Cut{Nonce: [24]byte{1}, Received: 16, Size: 65507},
		Signal{Kind: 1}, Signal{Kind: 255, Text: strings.Repeat("x", 255)}, Busy{}, Busy{RetryMillis: 65535},
	}
}

var (
	testRoom  = [16]byte{9}
	testOuter = bytes.Repeat([]byte{7}, 44)
)

func testSender(key *identity.Key) Sender {
	return Sender{Key: key.Public(), Instance: identity.Instance{Boot: 1, Nonce: 2}, Counter: 3,
		To: identity.Instance{Boot: 4, Nonce: 5}}
}

func TestSignedFramesRoundTrip(t *testing.T) {
	key := testKey(t, 1)
	for _, f := range signedFrames() {
		b := AppendSigned([]byte("front"), f, testSender(key), key, testRoom, testOuter)[len("front"):]
		s, err := ParseSigned(f.Type(), b)
		if err != nil {
			t.Errorf("%v: %v", f.Type(), err)
			continue
		}
		if !reflect.DeepEqual(s.Frame, f) || s.Sender != testSender(key) || !s.Verify(verify, testRoom, testOuter) {
			t.Errorf("%v comes back as %+v of %+v", f.Type(), s.Frame, s.Sender)
		}
		if again := AppendSigned(nil, s.Frame, s.Sender, key, testRoom, testOuter); !bytes.Equal(again, b) {
			t.Errorf("%v: another frame the second time", f.Type())
		}
		for n := range len(b) {
			if short, err := ParseSigned(f.Type(), b[:n]); err == nil && short.Verify(verify, testRoom, testOuter) {
				t.Errorf("%v: the first %d bytes pass", f.Type(), n)
			}
		}
	}
}

func TestADV_23_A_signature_binds_room_and_datagram(t *testing.T) {
	key := testKey(t, 1)
	b := AppendSigned(nil, Busy{RetryMillis: 1}, testSender(key), key, testRoom, testOuter)
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if s, err := ParseSigned(TypeBusy, bad); err == nil && s.Verify(verify, testRoom, testOuter) {
			t.Errorf("byte %d does not count", i)
		}
	}
	s, err := ParseSigned(TypeBusy, b)
	if err != nil || !s.Verify(verify, testRoom, testOuter) {
		t.Fatal(err)
	}
	if s.Verify(verify, [16]byte{8}, testOuter) {
		t.Error("another room")
	}
	for i := range testOuter { // the type is a byte of it
		outer := bytes.Clone(testOuter)
		outer[i] ^= 1
		if s.Verify(verify, testRoom, outer) {
			t.Errorf("byte %d of the outside does not count", i)
		}
	}
	forged := AppendSigned(nil, Busy{}, testSender(key), testKey(t, 2), testRoom, testOuter)
	if s, err := ParseSigned(TypeBusy, forged); err != nil || s.Verify(verify, testRoom, testOuter) {
		t.Errorf("signed by another key: %v", err)
	}
}

func TestBytesOfLaterVersionsAreIgnored(t *testing.T) {
	key := testKey(t, 1)
	for _, f := range signedFrames() {
		b := AppendSigned(nil, f, testSender(key), key, testRoom, testOuter)
		body := append(bytes.Clone(b[:len(b)-64]), 1, 2, 3)
		b = append(body, key.Sign(signedMessage(testRoom, testOuter, body))...)
		s, err := ParseSigned(f.Type(), b)
		if err != nil || !reflect.DeepEqual(s.Frame, f) || !s.Verify(verify, testRoom, testOuter) {
			t.Errorf("%v: %v", f.Type(), err)
		}
	}
}

// CVE-2021-21404 (Syncthing's relay): a count or length that the bytes left cannot hold is refused.
func TestADV_11_Lengths_beyond_the_datagram(t *testing.T) {
	frame := func(body ...byte) []byte {
		return append(append(bytes.Repeat([]byte{1}, SenderSize), body...), make([]byte, 64)...)
	}
	list := func(front, count, size int) []byte {
		b := append(make([]byte, front), byte(count))
		return append(b, bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 1}, count*size/8+1)[:count*size]...)
	}
	for name, c := range map[string]struct {
		t Type
		b []byte
	}{
		"too short for a sender": {TypeBusy, make([]byte, SignedOverhead-1)},
		"digest cut":             {TypeDigest, frame(make([]byte, 35)...)},
		"digest: 49 claims":      {TypeDigest, frame(list(36, MaxClaims+1, 28)...)},
		"digest: claims missing": {TypeDigest, frame(append(make([]byte, 36), 1, 0)...)},
		"range: 33 spans":        {TypeRange, frame(list(0, MaxSpans+1, 33)...)},
		"range: form 2":          {TypeRange, frame(append(append([]byte{1}, make([]byte, 16)...), 2)...)},
		"range: no fingerprint":  {TypeRange, frame(append([]byte{1}, make([]byte, 18)...)...)},
		"want: 65 ranges":        {TypeWant, frame(list(2, MaxWants+1, 24)...)},
		"want: 65 ids":           {TypeWant, frame(list(3, MaxWants+1, 16)...)},
		"want: 65 parts":         {TypeWant, frame(list(4, MaxWants+1, 20)...)},
		"want: no counts":        {TypeWant, frame(2, 0)},
		"receipt cut":            {TypeReceipt, frame(0, 0, 0, 0, 0, 0)},
		"cut cut":                {TypeCut, frame(make([]byte, 29)...)},
		"signal: text missing":   {TypeSignal, frame(1, 3, 'a', 'b')},
		"signal: not UTF-8":      {TypeSignal, frame(1, 1, 0xff)},
		"busy cut":               {TypeBusy, frame(1)},
		"unknown type":           {63, frame(1, 2, 3)},
		"proves itself":          {TypeRecord, frame(1, 2, 3)},
	} {
		if s, err := ParseSigned(c.t, c.b); err == nil {
			t.Errorf("%s passes as %+v", name, s.Frame)
		}
	}
}

func TestClaimsOutOfRange(t *testing.T) {
	for _, c := range []struct {
		low, high uint64
		ok        bool
	}{{1, 1, true}, {1, maxSeq, true}, {maxSeq, maxSeq, true}, {0, 1, false}, {0, 0, false}, {2, 1, false},
		{1, maxSeq + 1, false}, {1, 1<<64 - 1, false}} {
		b := appendClaims(nil, []FeedClaim{{Low: c.low, High: c.high}})
		r := reader{Fields: NewFields(b)}
		if r.claims(); r.Failed() == c.ok {
			t.Errorf("%d to %d: refused %v", c.low, c.high, r.Failed())
		}
	}
}

func TestProvingFramesRoundTrip(t *testing.T) {
	for _, f := range []Frame{
		Record{Bytes: []byte{1, 2}}, Head{Bytes: []byte{3}}, Fork{A: []byte{1}, B: []byte{2, 3}},
		Frag{Record: [16]byte{1}, Total: 65535, Offset: 65534, Data: []byte{1}},
		Frag{Record: [16]byte{1}, Total: 3, Offset: 0, Data: []byte{1, 2, 3}},
	} {
		b := AppendFrame([]byte("front"), f)[len("front"):]
		got, err := ParseFrame(f.Type(), b)
		if err != nil || !reflect.DeepEqual(got, f) || !bytes.Equal(AppendFrame(nil, got), b) {
			t.Errorf("%+v comes back as %+v, %v", f, got, err)
		}
	}
	for name, c := range map[string]struct {
		t Type
		b []byte
	}{
		"frag cut": {TypeFrag, make([]byte, 19)}, "frag empty": {TypeFrag, append(make([]byte, 17), 9, 0, 0)},
		"frag of nothing": {TypeFrag, make([]byte, 21)},
		"frag beyond":     {TypeFrag, append(make([]byte, 17), 1, 0, 0, 1, 2)},
		"frag overflow":   {TypeFrag, append(make([]byte, 16), 0, 2, 0xff, 0xff, 1, 2)},
		"fork cut":        {TypeFork, []byte{0}}, "fork: a missing": {TypeFork, []byte{0, 2, 1}},
		"signed": {TypeBusy, make([]byte, 200)}, "unknown": {47, nil}, "presence": {TypeHello, make([]byte, 512)},
	} {
		if f, err := ParseFrame(c.t, c.b); err == nil {
			t.Errorf("%s passes as %+v", name, f)
		}
	}
}

func TestLongSignalIsCutShort(t *testing.T) {
	for text, want := range map[string]int{strings.Repeat("x", 300): 255, strings.Repeat("é", 200): 254} {
		if b := AppendFrame(nil, Signal{Text: text}); len(b) != 2+want || int(b[1]) != want {
			t.Errorf("%d bytes of text became %d", len(text), len(b)-2)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		b       string
		t       Type
		version byte
		ok      bool
	}{
		{"", 0, 0, false}, {"bc\x01", 0, 0, false}, {"bd\x01\x01", 0, 0, false}, {"BC\x01\x01", 0, 0, false},
		{"bc\x01\x01", TypeHello, 1, true}, {"bc\x02\xff", 255, 2, true}, {"bc\x01\x32more", TypeWant, 1, true},
	} {
		if typ, version, ok := Classify([]byte(c.b)); typ != c.t || version != c.version || ok != c.ok {
			t.Errorf("%q: %v, %d, %v", c.b, typ, version, ok)
		}
	}
	for i := range 256 {
		typ := Type(i)
		if typ.Presence() && typ.Signed() || typ.Known() == (typ.String() == "unknown") {
			t.Errorf("type %d", i)
		}
		if p := Prefix(typ); typ.Known() {
			if got, version, ok := Classify(p[:]); got != typ || version != Version || !ok {
				t.Errorf("prefix of %v", typ)
			}
		}
	}
}

// What is counted to fit a datagram is what it takes.
func TestSpanSize(t *testing.T) {
	for _, s := range []Span{{}, {Listed: true}, {Listed: true, Claims: make([]FeedClaim, 3)}} {
		empty, one := len(Range{}.appendTo(nil)), len(Range{Spans: []Span{s}}.appendTo(nil))
		if s.Size() != one-empty {
			t.Errorf("%+v counts as %d bytes and takes %d", s, s.Size(), one-empty)
		}
	}
}
