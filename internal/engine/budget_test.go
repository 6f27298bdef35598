package engine

import (
	"testing"
	"time"

	"bcast/chat"
)

// Who says more than the budget carries still tells of it: a head is sent a second late, not when all is said (R31).
func TestHeadsAreNotStarved(t *testing.T) {
	var b budget
	b.init(0, 0)
	b.setLink(0, true)
	heads, last := 0, time.Duration(0)
	for now := time.Duration(0); now < 10*time.Second; now += 10 * time.Millisecond {
		b.queue(outgoing{send: chat.Send{Class: chat.Fresh}, at: now})
		if now%time.Second == 0 {
			b.queue(outgoing{send: chat.Send{Class: chat.Control}, at: now})
		}
		for {
			o, ok := b.next(now)
			if !ok {
				break
			}
			b.spend(1400)
			if o.send.Class == chat.Control {
				heads, last = heads+1, max(last, now-o.at)
			}
		}
	}
	if heads < 8 || last > waitMost+500*time.Millisecond {
		t.Errorf("%d of 10 heads sent, the last after %v", heads, last)
	}
}

// Where all together broadcast more than the air of a Wi-Fi carries for long, each says less, and takes it back by and
// by. On a wire, and where the user set a rate, nobody does (R31a).
func TestStormSlowsEverybodyOnWifi(t *testing.T) {
	var b budget
	now := time.Second
	b.init(now, 0)
	b.setLink(now, true)
	crowd := func(d time.Duration, each time.Duration, bytes int) {
		for end := now + d; now < end; now += each {
			b.hear(now, bytes)
		}
	}
	pace := func(rule string, least, most float64) {
		t.Helper()
		if p := b.pace(); p < least*wifiRate || p > most*wifiRate {
			t.Errorf("%s: %.0f bytes a second of %d", rule, p, wifiRate)
		}
	}
	crowd(time.Minute, 10*time.Millisecond, 200)
	pace("a lively room", 1, 1)
	crowd(4*time.Second, 4*time.Millisecond, 90)
	pace("a burst of small ones", 1, 1)
	crowd(4*time.Second, 4*time.Millisecond, 90)
	pace("too many for long", 0.1, 0.5)
	crowd(time.Minute, 50*time.Millisecond, 1400)
	pace("too much for a minute", stormLeast, stormLeast)
	at := now
	b.tokens = -wifiRate
	b.queue(outgoing{})
	if wait := b.deadline() - at; wait < 7*time.Second || wait > 9*time.Second {
		t.Errorf("what waits may go after %v", wait)
	}
	crowd(3*time.Second, time.Second/2, 500)
	pace("quiet again", 0.3, 0.7)
	now += time.Minute
	crowd(3*time.Second, time.Second/2, 500)
	pace("quiet for long", 1, 1)
	crowd(time.Minute, 50*time.Millisecond, 1400)
	b.fixed = wifiRate
	pace("as the user set it", 1, 1)
	b.fixed, b.wifi = 0, false
	pace("on a wire", 1, 1)
}
