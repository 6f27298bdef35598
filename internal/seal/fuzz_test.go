package seal

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bcast/internal/fuzztest"
)

// goldenDatagrams are the datagrams of the golden vectors.
func goldenDatagrams(f *testing.F) [][]byte {
	files, _ := filepath.Glob("../wire/testdata/vectors/*.txt")
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for i, part := range strings.Split(string(text), "\n= ") {
			body, isDatagram := strings.CutPrefix(part, "datagram\n")
			if i == 0 || !isDatagram {
				continue
			}
			var b []byte
			for line := range strings.Lines(body) {
				code, _, _ := strings.Cut(line, "#")
				piece, err := hex.DecodeString(strings.Join(strings.Fields(code), ""))
				if err != nil {
					f.Fatalf("%s: %v", file, err)
				}
				b = append(b, piece...)
			}
			all = append(all, b)
		}
	}
	if len(all) == 0 {
		f.Fatal("no datagrams in the golden vectors")
	}
	return all
}

func FuzzUnseal(f *testing.F) {
	for _, b := range goldenDatagrams(f) {
		f.Add(b)
	}
	room := openRoom(f, "lobby", 0)
	room.Owns(make([]byte, Overhead)) // what is built once is built now
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var owned bool
		var inner []byte
		var err error
		if got := fuzztest.Allocated(func() {
			owned = room.Owns(b)
			inner, err = room.Unseal(b)
		}); got > 2*len(b)+4<<10 {
			t.Errorf("%d bytes taken for %d", got, len(b))
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if !owned || len(inner) > len(b)-Overhead {
			t.Fatalf("owned %v, %d bytes inside %d", owned, len(inner), len(b))
		}
		again := room.Seal(bytes.Clone(b[:OuterSize]), inner, len(b))
		if !bytes.Equal(again, b) {
			t.Error("sealed again it is another datagram") // only a member that does not pad with zeros makes one
		}
	})
}
