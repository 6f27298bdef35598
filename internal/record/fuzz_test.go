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
		if got := fuzztest.Allocated(func() { r, err = Parse(lobby, b) }); got > 8*len(b)+4<<10 {
			t.Errorf("%d bytes taken for %d", got, len(b))
		}
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
		if got := fuzztest.Allocated(func() { posts, err = DecodePosts(b) }); got > 8*len(b)+32<<10 {
			t.Errorf("%d bytes taken for %d", got, len(b))
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
