package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// profile is one scenario: what it changes, and the faults that belong to it when it is drawn alone.
type profile struct {
	name   string
	faults []string
	set    func(*Options, *rand.Rand)
}

// profiles are the scenarios that a seed draws from, one alone or several together.
var profiles = []profile{
	{"clocks", []string{"set clock", "freeze clock"}, func(o *Options, _ *rand.Rand) { o.Clocks = true }},
	{"suspend", []string{"suspend", "sleep"}, nil},
	{"addresses", []string{"readdress", "swap", "flap", "unplug", "move", "firewall"}, nil},
	{"two ports", []string{"flap", "unplug", "kill"}, func(o *Options, _ *rand.Rand) { o.Ports = 2 }},
	{"mtu", nil, func(o *Options, _ *rand.Rand) { o.MTUs = []int{576, 1280, 1500, 9000} }},
	{"black holes", []string{"black hole", "flap", "kill"}, nil},
	{"swizzle", []string{"swizzle", "partition"}, nil},
	{"one way", []string{"one way"}, nil},
	{"deaf member", nil, func(o *Options, _ *rand.Rand) { o.Deaf = 0.9 }},
	{"bursts", nil, func(o *Options, rng *rand.Rand) { o.Bursty = 0.1 + 0.15*rng.Float64() }},
	{"reordered", nil, func(o *Options, rng *rand.Rand) {
		o.Reorder, o.ReorderBy = 0.05+0.15*rng.Float64(), 5*time.Second
	}},
	{"ten copies", nil, func(o *Options, rng *rand.Rand) { o.Duplicate, o.Copies = 0.2+0.8*rng.Float64(), 10 }},
	{"crowd", []string{"crowd leaves", "blackout"}, func(o *Options, _ *rand.Rand) {
		o.Together, o.Late = time.Second, 0
	}},
	{"power", []string{"power", "blackout", "kill", "disk", "slow disk"}, func(o *Options, rng *rand.Rand) {
		o.Storing = time.Duration(1 + rng.Int64N(int64(200*time.Millisecond)))
	}},
	{"restored", []string{"backup", "copy", "kill", "leave", "power"}, nil},
	{"snapshots", []string{"snapshot", "partition", "kill"}, func(o *Options, _ *rand.Rand) { o.Snapshots = true }},
	{"disks", []string{"disk", "slow disk", "kill", "leave"}, nil},
	{"outsider", []string{"kill", "flap"}, func(o *Options, rng *rand.Rand) { o.Outsider = 0.2 + 2*rng.Float64() }},
	{"insider", []string{"kill", "partition"}, func(o *Options, rng *rand.Rand) { o.Insiders = 1 + rng.IntN(2) }},
	{"storm", []string{"kill", "partition"}, func(o *Options, _ *rand.Rand) { o.Insiders, o.Restless = 1, true }},
	{"streams", []string{"kill", "unplug", "partition", "power", "backup"}, func(o *Options, rng *rand.Rand) {
		o.Refused, o.Breaks, o.Stalls = 0.3*rng.Float64(), 0.2*rng.Float64(), 0.1*rng.Float64()
		o.Posts *= 4
	}},
	{"retention", []string{"kill", "power", "leave"}, func(o *Options, rng *rand.Rand) {
		o.Retain = 10 + rng.IntN(100)
	}},
}

// apart are scenarios that are asked for by name alone.
var apart = []profile{
	{"families", []string{"kill", "flap", "partition", "unplug"}, func(o *Options, _ *rand.Rand) { o.Families = true }},
	{"rekeys", []string{"rekey", "partition", "kill", "unplug", "restart", "suspend", "flap", "swizzle", "one way"},
		func(o *Options, _ *rand.Rand) { o.Private, o.Strangers, o.Insiders, o.Outsider = true, false, 0, 0 }},
}

// With has a run be of that scenario alone; false if there is none of that name.
func (o *Options) With(name string) bool {
	all := slices.Concat(profiles, apart)
	i := slices.IndexFunc(all, func(p profile) bool { return p.name == name })
	if i < 0 {
		return false
	}
	o.apply(all[i])
	o.Only = all[i].faults
	if o.Only == nil {
		o.Only = []string{"kill", "flap"}
	}
	if o.Faults == 0 {
		o.Faults = 20 * time.Second
	}
	return true
}

func (o *Options) apply(p profile) {
	o.Profiles = append(o.Profiles, p.name)
	if p.set != nil {
		p.set(o, rand.New(rand.NewChaCha8(seedOf(o.Seed, p.name))))
	}
}

// drawProfiles has one seed in three be of one scenario, and the others of up to three and all kinds of faults.
func (o *Options) drawProfiles(rng *rand.Rand) {
	if rng.IntN(3) == 0 {
		o.With(profiles[rng.IntN(len(profiles))].name)
		return
	}
	for _, i := range rng.Perm(len(profiles))[:rng.IntN(4)] {
		o.apply(profiles[i])
	}
}
