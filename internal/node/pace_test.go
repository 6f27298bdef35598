package node

import (
	"testing"
	"time"

	"bcast/internal/wire"
)

// A second's rate is that of the last ten to twenty seconds: a burst is forgotten, silence is none.
func TestPaceForgets(t *testing.T) {
	var p pace
	c := Counters{Sent: map[wire.Type]uint64{}}
	for second := range time.Duration(30) {
		now := second * time.Second
		if second < 10 {
			c.Sent[wire.TypeRecord] += 100
			c.SentBytes += 100_000
		}
		c.Sent[wire.TypeBeat]++
		c.SentBytes += 512
		p.roll(now, &c)
	}
	now := 29 * time.Second
	if got := p.of(now, &c); len(got.Sent) != 1 || got.Sent[wire.TypeBeat] != 1 || got.Bytes != 512 {
		t.Errorf("after the burst: %+v", got)
	}
	now += time.Hour
	p.roll(now, &c)
	c.Sent[wire.TypeBeat] += 20
	p.roll(now+paceTime, &c)
	if got := p.of(now+paceTime, &c); got.Sent[wire.TypeBeat] != 2 {
		t.Errorf("after an hour of silence: %+v", got)
	}
}

func TestPaceFromTheStart(t *testing.T) {
	var p pace
	c := Counters{Sent: map[wire.Type]uint64{wire.TypeHello: 3}, SentBytes: 3 * 512}
	if got := p.of(2*time.Second, &c); got.Sent[wire.TypeHello] != 1.5 || got.Bytes != 768 {
		t.Errorf("%+v", got)
	}
}
