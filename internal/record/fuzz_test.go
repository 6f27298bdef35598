package record

import (
	"bytes"
	"reflect"
	"testing"

	"bcast/internal/fuzztest"
	"bcast/internal/seal"
)

func FuzzRecord(f *testing.F) {
	for _, b := range fuzztest.Golden(f, "../wire/testdata/vectors", "record") {
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	lobby := RoomID(seal.PublicSecret("lobby").RoomID())
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var r *Record
		var err error
		fuzztest.Within(t, len(b), 8, 4<<10, func() { r, err = Parse(lobby, b) })
		head, rest, headErr := ParseHeadPrefix(lobby, b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if headErr == nil && len(head.Bytes())+len(rest) != len(b) {
			t.Errorf("a head of %d bytes and %d are not %d", len(head.Bytes()), len(rest), len(b))
		}
		if err != nil {
			return
		}
		if len(b) > MaxSize || headErr != nil || head.ID != r.ID || !bytes.Equal(r.Bytes(), b) {
			t.Fatalf("%d bytes; as a head: %v", len(b), headErr)
		}
		header := r.Header.Append(nil)
		if !bytes.HasSuffix(b, append(header, r.Body...)) {
			t.Error("the header has a second encoding")
		}
		r.Verify(verify)
	})
}

func FuzzPosts(f *testing.F) {
	lobby := RoomID(seal.PublicSecret("lobby").RoomID())
	for _, b := range fuzztest.Golden(f, "../wire/testdata/vectors", "record") {
		if r, err := Parse(lobby, b); err == nil {
			f.Add(r.Body)
		}
	}
	f.Add(unhex(f, "82a400186401613f0982010261 78f5a200010165706c61696e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxBody {
			return
		}
		var posts []Post
		var err error
		fuzztest.Within(t, len(b), 8, 32<<10, func() { posts, err = DecodePosts(b) })
		if plain, ok := decodePlain(b, string(b), false); ok {
			if any, err := decodeAny(b); err != nil || !reflect.DeepEqual(plain, any) {
				t.Errorf("%x: plainly %+v, else %+v, %v", b, plain, any, err)
			}
		}
		if kinds, ok := kindsOf(b); ok {
			for _, p := range posts {
				kinds &^= 1 << p.Kind
				ok = ok && p.Kind != 0 && p.Target == (Ref{}) && p.Nick == "" && p.Data == nil
			}
			if !ok || err != nil || kinds != 0 {
				t.Errorf("%x: called plain, kinds left %b: %+v, %v", b, kinds, posts, err)
			}
		}
		if err != nil {
			return
		}
		again, err := EncodePosts(posts)
		if err != nil {
			return // a longer form of the same, beyond the limit
		}
		if back, err := DecodePosts(again); err != nil || !reflect.DeepEqual(back, posts) {
			t.Errorf("%+v comes back as %+v, %v", posts, back, err)
		}
	})
}

func FuzzOffer(f *testing.F) {
	f.Add(AppendOffer(nil, Offer{Hash: [32]byte{1}, Size: 2_100_000, Name: "photo.jpg"}))
	f.Add(AppendOffer(nil, Offer{Size: MaxOfferSize, Flags: 255, Name: "\u202e"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOffer(b)
		if err != nil {
			return
		}
		if again := AppendOffer(nil, o); !bytes.Equal(again, b) || o.Size < 0 || o.Size > MaxOfferSize || o.Name == "" {
			t.Errorf("%x is %+v, and that %x", b, o, again)
		}
	})
}
