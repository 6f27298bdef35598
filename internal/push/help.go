package push

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"bcast/identity"
)

const (
	// helpRate is what one device, and one address, is sent by unicast, in bytes a second, and helpBurst at once: one need
	// of a kilobyte asks for megabytes, and who takes part in a public room has as many identities as it likes. helpAll
	// and allBurst are for all together: it takes two hosts that ask for ever to have all of it.
	helpRate  = 64 << 20
	helpBurst = 4 << 20
	helpAll   = 2 * helpRate
	allBurst  = 8 * helpBurst
	// calmRate and calmAll are it while the file is still broadcast: who needs help is not to take from all others what
	// they share.
	calmRate = 4 << 20
	calmAll  = 4 * calmRate
	// helpLeast is what a stripe counts for at least: to send one shard of it, all of it is read.
	helpLeast = 16 << 10
	// maxHelped is how many devices, and addresses, are kept count of.
	maxHelped = 256
)

// Help is what a device gives to those that ask, for all pushes of which it has something. It is not safe on many
// goroutines: who has Holders on several keeps them apart.
type Help struct {
	all     allowance
	devices map[identity.DeviceID]*allowance
	addrs   map[netip.Addr]*allowance
}

// NewHelp makes a Help.
func NewHelp() *Help {
	return &Help{
		all: allowance{credit: allBurst}, devices: map[identity.DeviceID]*allowance{}, addrs: map[netip.Addr]*allowance{},
	}
}

// allowance is what may be sent.
type allowance struct {
	credit float64
	at     time.Duration
}

func (a *allowance) refill(now time.Duration, rate, burst float64) {
	a.credit = min(burst, a.credit+rate*max(0, now-a.at).Seconds())
	a.at = max(now, a.at)
}

// share is what one that asks may be sent: the least of three.
type share [3]*allowance

// of is the share of a device that asks from an address.
func (h *Help) of(now time.Duration, id identity.DeviceID, from netip.Addr, broadcasts bool) share {
	one, all := float64(helpRate), float64(helpAll)
	if broadcasts {
		one, all = calmRate, calmAll
	}
	s := share{allow(h.devices, now, id), allow(h.addrs, now, from.Unmap()), &h.all}
	s[0].refill(now, one, helpBurst)
	s[1].refill(now, one, helpBurst)
	s[2].refill(now, all, allBurst)
	return s
}

func (s share) spent() bool { return s[0].credit < 0 || s[1].credit < 0 || s[2].credit < 0 }

func (s share) spend(bytes int) {
	for _, a := range s {
		a.credit -= float64(bytes)
	}
}

// allow is the allowance of one of those; if there are too many, who asked longest ago is forgotten.
func allow[K comparable](all map[K]*allowance, now time.Duration, key K) *allowance {
	if a := all[key]; a != nil {
		return a
	}
	makePlace(all, func(a *allowance) time.Duration { return a.at })
	a := &allowance{credit: helpBurst, at: now}
	all[key] = a
	return a
}

// makePlace has all take one more: at most maxHelped stay, and who asked longest ago goes.
func makePlace[K comparable, V any](all map[K]V, at func(V) time.Duration) {
	if len(all) < maxHelped {
		return
	}
	asked := func(a, b K) int { return cmp.Compare(at(all[a]), at(all[b])) }
	delete(all, slices.MinFunc(slices.Collect(maps.Keys(all)), asked))
}
