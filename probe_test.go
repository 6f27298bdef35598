package bcast

import (
	"testing"
	"time"

	"bcast/discovery"
	"bcast/internal/engine"
	"bcast/internal/wire"
)

func TestProbeStaysWithinThePeersBudget(t *testing.T) {
	for _, test := range []struct {
		name         string
		through      int // larger datagrams do not get through
		budget, most int
		lose         int // the first so many
		answers      bool
		asked, heard []int // by echo
	}{
		{name: "sound", through: 65535, budget: 10_000, most: 65535, answers: true,
			asked: []int{1, 1, 1, 1, 1, 1}, heard: []int{1, 1, 1, 1, 1, 1}},
		{name: "narrow", through: 1280, budget: 10_000, most: 65535, answers: true,
			asked: []int{1, 3, 1, 3, 1, 0}, heard: []int{1, 0, 1, 0, 1, 0}},
		{name: "lossy", through: 65535, budget: 10_000, most: 65535, lose: 2, answers: true,
			asked: []int{3, 1, 1, 1, 1, 1}, heard: []int{1, 1, 1, 1, 1, 1}},
		{name: "small buffers", through: 65535, budget: 10_000, most: 600, answers: true,
			asked: []int{1, 0, 1, 0, 1, 0}, heard: []int{1, 0, 1, 0, 1, 0}},
		{name: "asked before", through: 65535, budget: 2000, most: 65535, answers: true,
			asked: []int{1, 1, 0, 0, 0, 0}, heard: []int{1, 1, 0, 0, 0, 0}},
		{name: "silent", lose: 99, most: 65535, asked: []int{3, 0, 0, 0, 0}, heard: []int{0, 0, 0, 0, 0}},
	} {
		p, given := Probed{}, 0
		probe(&p, test.most, func(way wire.Way, size int) (engine.Answer, error) {
			if test.lose--; test.lose >= 0 || size > test.through {
				given += size // it was answered, and the answer got lost
				return engine.Answer{}, engine.ErrSilent
			}
			if given += size; given > test.budget {
				t.Errorf("%s: asked for %d bytes of %d", test.name, given, test.budget)
			}
			start := wire.HeardStart{byte(size)}
			return engine.Answer{Left: test.budget - given, Ahead: time.Hour, Heard: []wire.HeardStart{start, start}}, nil
		})
		if p.Answers != test.answers || len(p.Echoes) != len(test.asked) {
			t.Fatalf("%s: %+v", test.name, p)
		}
		if test.answers && (p.AheadS != 3600 || p.Heard[0] != "aaaaaaaa") {
			t.Errorf("%s: %v s ahead, hears %v", test.name, p.AheadS, p.Heard)
		}
		for i, e := range p.Echoes {
			if e.Asked != test.asked[i] || e.Heard != (test.heard[i] == 1) {
				t.Errorf("%s: %+v, want asked %d, heard %d", test.name, e, test.asked[i], test.heard[i])
			}
		}
	}
}

func TestOnePeerOfEachInterfaceIsProbedFirst(t *testing.T) {
	at := func(iface int, status discovery.Status, reached bool) discovery.Peer {
		return discovery.Peer{Iface: iface, Status: status, Reached: reached}
	}
	chosen := chooseProbed([]discovery.Peer{at(1, discovery.Here, true), at(1, discovery.Here, true), at(1, discovery.Here, true),
		at(2, discovery.Lost, true), at(3, discovery.Here, false), at(4, discovery.Here, true)})
	if len(chosen) != maxProbed || chosen[0].Iface != 1 || chosen[1].Iface != 4 || chosen[2].Iface != 1 {
		t.Errorf("chosen: %+v", chosen)
	}
}
