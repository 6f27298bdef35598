package chat

import (
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

func TestReceiptsAreSentSoonWhenWanted(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	rec := a.say("x", true)
	b.hear(a, whole(rec))
	b.wait(50 * time.Millisecond)
	if r := b.want("an ack is wanted", wire.TypeReceipt, 1)[0]; r.To != a.self {
		t.Errorf("receipt to %v", r.To)
	}
	for range 5 {
		b.hear(a, headOf(rec))
		b.wait(10 * time.Millisecond)
	}
	b.wait(100 * time.Millisecond)
	if n := len(b.take(wire.TypeReceipt)); n < 1 || n > 2 {
		t.Errorf("the author asks five times in 50 ms: %d answers", n)
	}
	b.wait(2 * time.Second)
	b.hear(a, headOf(a.say("y", false)))
	b.wait(2 * time.Second)
	b.want("nothing new is stored", wire.TypeReceipt, 0)
}

func TestUnaskedReceiptsAreOneASecondAtMost(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	said := 0
	for range 100 {
		b.hear(a, whole(a.say("x", false)))
		said++
		b.wait(100 * time.Millisecond)
	}
	b.wait(time.Second)
	receipts := b.take(wire.TypeReceipt)
	if n := len(receipts); n < 9 || n > 12 {
		t.Errorf("%d receipts in eleven seconds", n)
	}
	last := receipts[len(receipts)-1].Frame.(wire.Receipt)
	if len(last.Stored) != 1 || last.Stored[0].High != uint64(said) {
		t.Errorf("the last one says %+v", last.Stored)
	}
}

func TestOneReceiptForAllFeedsOfAnAuthor(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	b.Present(b.now, Peer{ID: a.self, RecvBuffer: wire.MinDatagram, InRoom: true})
	claimed := map[record.ShortFeed]bool{}
	for range 15 {
		a.Doubt()
		b.hear(a, whole(a.say("x", false)))
	}
	b.wait(time.Second)
	first := b.want("fifteen feeds", wire.TypeReceipt, 1)[0].Frame.(wire.Receipt)
	b.wait(2 * time.Second)
	rest := b.want("those that do not fit", wire.TypeReceipt, 1)[0].Frame.(wire.Receipt)
	for _, c := range append(first.Stored, rest.Stored...) {
		claimed[c.Feed] = true
	}
	if len(first.Stored) != 11 || len(claimed) != 15 {
		t.Errorf("%d in the first, %d in all", len(first.Stored), len(claimed))
	}
}

func TestAuthorThatWasAwayIsTold(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	b.meet(c)
	b.hear(c, whole(a.say("passed on by another", true)))
	b.wait(time.Minute)
	b.want("its author is away", wire.TypeReceipt, 0)
	b.meet(a)
	b.wait(time.Second)
	b.want("its author is here", wire.TypeReceipt, 1)
	b.hear(a, whole(a.say("y", false)))
	b.Absent(b.now, a.self)
	b.wait(5 * time.Second)
	b.want("it went before it was told", wire.TypeReceipt, 0)
	b.meet(a)
	b.wait(2 * time.Second)
	b.want("it came again", wire.TypeReceipt, 1)
}

// A room of 500 does not implode: one talking author gets about twenty receipts a second, one that wants them all and
// asks again is not flooded either.
func TestReceiptsOfALargeRoom(t *testing.T) {
	const members = 500
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	for _, s := range []*speaker{a, b} {
		for n := range members - 2 {
			s.Present(s.now, Peer{ID: identity.DeviceID{9, byte(n), byte(n >> 8)}, RecvBuffer: 65535, InRoom: true})
		}
	}
	a.meet(b)
	for range 300 {
		b.hear(a, whole(a.say("x", false)))
		b.wait(time.Second)
	}
	if n := len(b.take(wire.TypeReceipt)); n < 10 || n > 14 { // one each 25 s: 500 members make 20 a second
		t.Errorf("%d receipts of one member in five minutes", n)
	}
	var late time.Duration
	for range 8 {
		b.wait(time.Minute)
		b.sent = nil
		for range 50 {
			b.hear(a, whole(a.say("a burst", false)))
		}
		for len(b.take(wire.TypeReceipt)) == 0 {
			b.wait(100 * time.Millisecond)
			late += 100 * time.Millisecond
		}
	}
	if late < 40*time.Second { // 12 s each
		t.Errorf("receipts of eight bursts come after %v in all", late)
	}
	a.wait(15 * time.Minute) // its clock is that of the other one, or later
	a.sent = nil
	b.hear(a, whole(a.say("x", true)))
	asked := 0
	for range 60 {
		a.wait(time.Second)
		b.wait(time.Second)
		heads := a.take(wire.TypeHead)
		asked += len(heads)
		for _, h := range heads {
			if h.To.IsZero() || h.To == b.self {
				b.hear(a, h.Frame)
			}
		}
	}
	if n := asked; n > 40 {
		t.Errorf("asked %d times in a minute", n)
	}
	if n := len(b.take(wire.TypeReceipt)); n < 2 || n > 8 {
		t.Errorf("%d receipts of one member for one post that nobody acknowledges", n)
	}
}
