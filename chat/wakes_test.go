package chat

import (
	"fmt"
	"testing"
	"time"

	"bcast/internal/wire"
)

// Who is on Wi-Fi may sleep until the next beacon: it is sent what is said by unicast, too, and nothing is repeated for
// it. Who is on a wire is not, nor whom no unicast reaches (R14a).
func TestSleepersGetCopies(t *testing.T) {
	a := newSpeaker(t, 1)
	a.SetLink(Link{Datagram: 1400, Loss: 0.05})
	others := []Peer{
		{RecvBuffer: 65535, Wifi: true}, {RecvBuffer: 65535}, {RecvBuffer: 65535, Wifi: true, Open: true},
		{RecvBuffer: 1400, Wifi: true}, {RecvBuffer: 600, Wifi: true},
	}
	for i, p := range others {
		p.ID, p.InRoom = newSpeaker(t, byte(2+i)).self, true
		others[i] = p
		a.Present(a.now, p)
	}
	copies := func(rule string, want ...int) {
		t.Helper()
		a.say("x", false)
		a.wait(3 * time.Second)
		var got []int
		all := 0
		for _, s := range a.take(wire.TypeRecord) {
			if all++; s.To.IsZero() {
				continue
			}
			for i, p := range others {
				if p.ID == s.To {
					got = append(got, i)
				}
			}
		}
		if len(got) != len(want) || all != len(want)+1 {
			t.Errorf("%s: copies to %v among %d datagrams, want to %v and one to all", rule, got, all, want)
		}
	}
	copies("those on Wi-Fi whom unicast reaches", 0, 3, 4)
	for i, p := range others {
		p.Wifi = false
		a.Present(a.now, p)
		others[i] = p
	}
	copies("all on a wire")
}

// Copies to a crowd cost more air than there is: then repeats to all do it.
func TestCopiesToSleepersAreBounded(t *testing.T) {
	a := newSpeaker(t, 1)
	const crowd = 60
	for i := range byte(crowd) {
		a.Present(a.now, Peer{ID: newSpeaker(t, 2+i).self, RecvBuffer: 65535, InRoom: true, Wifi: true})
	}
	a.SetLink(Link{Datagram: 1400, Loss: 0.1, Wifi: true})
	alone := 0
	for i := range 20 {
		a.say(fmt.Sprint(i), false)
		a.wait(100 * time.Millisecond)
	}
	a.wait(time.Second)
	all := 0
	for _, s := range a.take(wire.TypeRecord) {
		if s.To.IsZero() {
			all++
		} else {
			alone++
		}
	}
	if most := maxWakes + 2*wakesRate; alone > most || alone < maxWakes-crowd || alone%crowd != 0 {
		t.Errorf("%d copies within two seconds, want at most %d, and each to all %d", alone, most, crowd)
	}
	if want := 20 + 2*(20-alone/crowd); all != want {
		t.Errorf("%d to all, want %d: what was not copied is repeated", all, want)
	}
}
