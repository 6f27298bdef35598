package chat

import (
	"fmt"
	"testing"

	"bcast/internal/record"
)

// What is said together goes under one signature for every 48 records, each of which can be checked alone, and only the
// last asks for receipts, which tell of all.
func TestSayAllSignsOnceAFlight(t *testing.T) {
	p := newParty(t, 3, 0)
	a, b := p.all[0], p.all[1]
	packs := make([][]record.Post, record.MaxFlight+2)
	for i := range packs {
		packs[i] = []record.Post{{Kind: record.KindText, Text: fmt.Sprint("post ", i)}}
	}
	ids, err := a.SayAll(a.now, packs, true)
	if err != nil || len(ids) != len(packs) {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	p.flush()
	signatures, asking := map[[32]byte]int{}, 0
	said := b.feeds[record.Chain{Feed: a.own.id.Feed}]
	if said == nil || said.count() != len(packs) || said.head != ids[len(ids)-1] {
		t.Fatalf("b has %+v", said)
	}
	for _, e := range b.kept {
		signatures[e.SignatureKey()]++
		if e.Header.Flags&record.FlagAckWanted != 0 {
			asking++
		}
	}
	if len(signatures) != 2 || asking != 1 {
		t.Errorf("%d signatures, %d records that ask for receipts", len(signatures), asking)
	}
	p.wait(receiptAgain)
	a.wantTally("asked", a.own.tip, 2, 2)
}
