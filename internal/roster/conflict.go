package roster

import (
	"slices"
	"time"
)

// An address that goes to another card once was given to another host. One that goes back and forth is claimed by both.
const (
	conflictWithin = 10 * time.Minute // after that it is forgotten who answered
	mostCards      = 8                // of one address
)

// card is a network card that answered for an address.
type card struct {
	mac   string
	last  time.Time
	again bool // after another one had
}

// answered notes whose card answers for the address of a sighting by the neighbour table.
func (e *entry) answered(now time.Time) {
	mac := plainMAC(e.MAC)
	if e.source != ARP || mac == "" {
		return
	}
	cards := slices.DeleteFunc(slices.Clone(e.cards), func(c card) bool { return now.Sub(c.last) > conflictWithin })
	at := slices.IndexFunc(cards, func(c card) bool { return c.mac == mac })
	c := card{mac: mac, last: now}
	if at >= 0 {
		c.again = cards[at].again || at < len(cards)-1
		cards = slices.Delete(cards, at, at+1)
	}
	if cards = append(cards, c); len(cards) > mostCards {
		cards = cards[1:]
	}
	if len(cards) == 1 {
		cards[0].again = false
	}
	e.cards = cards
}

// conflict is the address of an entry, if several cards answer for it in turn.
func (e *entry) conflict() []string {
	if len(e.cards) < 2 || len(e.Addrs) == 0 || !slices.ContainsFunc(e.cards, func(c card) bool { return c.again }) {
		return nil
	}
	return []string{e.Addrs[0].String()}
}
