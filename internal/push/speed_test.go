package push

import (
	"testing"
	"time"
)

// BenchmarkTake is what a receiver does with a stripe: a target that checks nothing.
func BenchmarkTake(b *testing.B) {
	n := &net{file: newFile(1, 64*StripeSize)}
	ring, key := testRing(b), testKey(b, 0)
	n.keys = ring.Push([18]byte{7})[0]
	s := NewSender(0, n.config(key), n.file, AsTaken)
	var all Batch
	s.Begin()
	s.top, s.base = n.file.cut.list, n.file.cut.list
	s.takers[key.ID()] = &Taker{State: Taking}
	for range 8 {
		if err := s.advance(0, &all); err != nil {
			b.Fatal(err)
		}
	}
	memory := make([][]byte, len(all.Datagrams))
	for i := range memory {
		memory[i] = make([]byte, DatagramSize)
	}
	b.SetBytes(8 * StripeSize)
	for b.Loop() {
		r := NewReceiver(n.config(key), key.Public(), n.instance(), blind{})
		r.known = true
		for i, d := range all.Datagrams {
			copy(memory[i], d)
		}
		for _, d := range memory {
			if kind(d) == typeShard {
				if err := r.Take(time.Second, d); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// BenchmarkSend is what a sender does for a stripe.
func BenchmarkSend(b *testing.B) {
	n := &net{file: newFile(1, 64*StripeSize)}
	key := testKey(b, 0)
	n.keys = testRing(b).Push([18]byte{7})[0]
	var out Batch
	b.SetBytes(8 * StripeSize)
	for b.Loop() {
		s := NewSender(0, n.config(key), n.file, AsTaken)
		s.Begin()
		s.takers[key.ID()] = &Taker{State: Taking}
		for range 8 {
			out.Reset()
			if err := s.advance(0, &out); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// blind takes everything for right.
type blind struct{}

func (blind) Hashes([]byte) bool              { return true }
func (blind) Kept() ([]int, error)            { return nil, nil }
func (blind) Block(int, []byte) (bool, error) { return true, nil }
func (blind) Aside(int, []byte) error         { return nil }
func (blind) Back(int, []byte) error          { return nil }
