package mdns

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bcast/internal/fuzztest"
)

func TestAvahiAsCaptured(t *testing.T) {
	l := newLink(t)
	captures := fuzztest.Captures(t, "testdata/captures.txt")
	best := ""
	for _, datagram := range captures {
		l.now = l.now.Add(10 * time.Millisecond)
		l.Receive(l.now, shelf, datagram)
		if seen := l.seen(); len(seen) > len(best) {
			best = seen
		}
	}
	for _, want := range []string{"h1 10.77.0.1 ", `_http._tcp/Web 1.0 on h1:80["path=/"]`, `_ipp._tcp/Printer:631["rp=x"]`,
		`_sftp-ssh._tcp/Käse:22["u=me"]`} {
		if !strings.Contains(best, want) {
			t.Errorf("no %s in %s", want, best)
		}
	}
	if l.Refused() != 0 {
		t.Errorf("%d were refused", l.Refused())
	}
	l.now = l.now.Add(1001 * time.Millisecond)
	if l.Advance(l.now); l.seen() != "" {
		t.Errorf("after the goodbye: %s", l.seen())
	}
}

func FuzzReceive(f *testing.F) {
	for _, datagram := range fuzztest.Captures(f, "testdata/captures.txt") {
		f.Add(datagram)
	}
	f.Add(answer(f, whole...))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		b := New(start, "e0", nil, rand.New(rand.NewPCG(1, 2)))
		// A name of 255 bytes, escaped, may stand behind each pointer of two bytes.
		fuzztest.Within(t, len(datagram), 512, 64<<10, func() { b.Receive(start, shelf, datagram) })
		now := start
		for range 8 {
			b.Sightings(now)
			if at := b.Deadline(); at.After(now) {
				now = at
			}
			for _, packet := range b.Advance(now) {
				if len(packet) > largestQuery+300 || packet[2]&0x80 != 0 {
					t.Fatalf("%d bytes were sent: %x", len(packet), packet)
				}
			}
		}
		if b.count > mostInDatagram || len(b.asks) > 2*mostInDatagram+1 {
			t.Fatalf("%d records, %d questions of one datagram", b.count, len(b.asks))
		}
	})
}
