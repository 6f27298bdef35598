package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

func TestMACIsHMAC(t *testing.T) {
	for _, size := range []int{0, 1, 32, 64} {
		key := bytes.Repeat([]byte{byte(size)}, size)
		m := NewMAC(key)
		for _, text := range []string{"", "a", "the front of a datagram", string(make([]byte, 63))} {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(text))
			if got := m.Sum([]byte(text)); !bytes.Equal(got[:], h.Sum(nil)) {
				t.Errorf("key of %d bytes, text of %d: %x", size, len(text), got)
			}
			if sum := h.Sum(nil); !m.Equal([]byte(text), sum[:16]) || m.Equal([]byte(text+"x"), sum[:16]) {
				t.Error("Equal tells otherwise")
			}
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	key, front := make([]byte, 32), make([]byte, PrefixSize+NonceSize)
	b.Run("keyed once", func(b *testing.B) {
		m := NewMAC(key)
		b.ReportAllocs()
		for b.Loop() {
			m.Sum(front)
		}
	})
	b.Run("keyed each time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h := hmac.New(sha256.New, key)
			h.Write(front)
			h.Sum(nil)
		}
	})
}

// A datagram of the usual size: found to be for the room and opened, and made.
func BenchmarkSeal(b *testing.B) {
	room, err := Open(PublicSecret("lobby"), 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	inner, random := make([]byte, 1300), rand.NewChaCha8([32]byte{})
	seal := func() []byte {
		outer, err := room.Outer([PrefixSize]byte{}, random)
		if err != nil {
			b.Fatal(err)
		}
		return room.Seal(outer, inner, 1400)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			seal()
		}
	})
	datagram := seal()
	b.Run("owns", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			room.Owns(datagram)
		}
	})
	b.Run("unseal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := room.Unseal(datagram); err != nil {
				b.Fatal(err)
			}
		}
	})
}
