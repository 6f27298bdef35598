package doctor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bcast/internal/control"
)

// silentBeats is how much longer than our own beats those of a peer may stay away: on a lossy link some do.
const silentBeats = 4

// checkPeers looks at both ways from each peer that is here: one alone is how firewalls and access points fail.
func checkPeers(f *Facts) []Finding {
	var all []Finding
	for _, p := range f.here() {
		within := silentBeats * max(f.beatWithin(f.iface(p.Iface)), f.beatWithin(control.Interface{Link: p.Link}))
		last := p.FirstSeen // it may have met us by unicast and have nothing to broadcast yet
		if p.LastBroadcast != nil && p.LastBroadcast.After(last) {
			last = *p.LastBroadcast
		}
		silent := f.Now.Sub(last) > within
		switch {
		case p.Unicast == "blocked":
			all = append(all, problem("unicast_blocked", f.look(),
				"Unicast to %s (%s) is blocked while its broadcasts arrive: a firewall there or here, or a guest network.",
				p.Nick, p.Addr))
		case silent:
			all = append(all, problem("broadcast_silent", "bcast ifaces",
				"No broadcast of %s (%s) arrives: its subnet mask may be another, or the access point drops them; compare both.",
				p.Nick, p.Addr))
		case p.LastUnicast == nil:
			all = append(all, warning("unicast_unheard", "bcast doctor", "No unicast of %s (%s) has arrived yet.", p.Nick,
				p.Addr))
		default:
			all = append(all, ok("peer", "%s (%s) is heard by broadcast and by unicast.", p.Nick, p.Addr))
		}
	}
	return all
}

// goneFor is how long a peer may still hear a device that was lost here.
const goneFor = 15 * time.Second

// isolationCommand cannot be run as it is: the switch is not this host.
const isolationCommand = "bridge link set dev PORT isolated off"

// checkIsolation looks for who is heard by a peer that we hear, and not by us.
func checkIsolation(f *Facts) []Finding {
	var all []Finding
	var told []string
	for _, p := range f.Probed {
		for _, start := range p.Heard {
			if f.hears(start) || slices.Contains(told, start) {
				continue
			}
			told = append(told, start)
			all = append(all, problem("isolated", isolationCommand,
				"%s hears a device (%s) that this host does not hear: the switch or access point keeps the two apart; on an "+
					"access point turn client isolation off, on a switch that of their ports.", p.Nick, start))
		}
	}
	return all
}

// hears tells whether the device whose id begins so is here, or was lost so lately that others may still hear it.
func (f *Facts) hears(start string) bool {
	return strings.HasPrefix(f.Status.ID, start) || slices.ContainsFunc(f.Peers, func(o control.Peer) bool {
		return strings.HasPrefix(o.ID, start) && (control.Here(o.Status) || f.Now.Sub(o.LastSeen) < goneFor)
	})
}

// Complete tells whether all are heard that peers hear: else some may only have to be waited for.
func (f *Facts) Complete() bool {
	for _, p := range f.Probed {
		if slices.ContainsFunc(p.Heard, func(start string) bool { return !f.hears(start) }) {
			return false
		}
	}
	return true
}

// checkPaths looks at which sizes come back from the peers that answered.
func checkPaths(f *Facts) []Finding {
	var all []Finding
	for _, p := range f.Probed {
		if !p.Answers {
			all = append(all, ok("probe_silent",
				"%s answered no probe now: it was asked too often, or does not know them.", p.Nick))
			continue
		}
		var small, large, tries, whole int
		for _, e := range p.Echoes {
			switch {
			case e.Size < 1400 && e.Heard:
				small++
			case e.Size == 1400 && e.Heard:
				large++
			case e.Size == 1400:
				tries += e.Asked
			case e.Size > 1400 && e.Heard, e.Size > 1400 && e.Asked == 0:
				whole++
			}
		}
		switch {
		case large == 0 && small > 0 && tries >= 4:
			all = append(all, narrow(f, p))
		case whole == 0 && len(p.Echoes) > 5:
			all = append(all, ok("fragments_lost",
				"Datagrams of 4,000 bytes do not come back from %s: fragments are dropped on the way; bcast sends none.", p.Nick))
		default:
			all = append(all, ok("probe", "%s sent back %s.", p.Nick, came(p.Echoes)))
		}
		all = append(all, oneWay(p)...)
	}
	return all
}

// narrow says that 512 bytes get through and 1,400 do not.
func narrow(f *Facts, p control.Probed) Finding {
	sentence := "Datagrams of 1,400 bytes do not get through between this host and %s, smaller ones do: "
	if mtu := f.iface(p.Iface).MTU; mtu > 0 && mtu < wholeMTU {
		return problem("path_mtu", fmt.Sprintf("ip link set dev %s mtu 1500", p.Iface),
			sentence+"%s here takes only %d bytes.", p.Nick, p.Iface, mtu)
	}
	return problem("path_mtu", fmt.Sprintf("ip link set dev %s mtu 1280", p.Iface),
		sentence+"the link between carries less than either end thinks; raise its MTU, or lower that of both ends.", p.Nick)
}

// oneWay tells of a way that does not come back where another of the same size does.
func oneWay(p control.Probed) []Finding {
	heard := func(way string) (heard, asked bool) {
		for _, e := range p.Echoes {
			if e.Way == way && e.Size < 1400 {
				return e.Heard, e.Asked > 1
			}
		}
		return false, false
	}
	if unicast, _ := heard("unicast"); !unicast {
		return nil
	}
	if came, asked := heard("directed"); asked && !came {
		return []Finding{warning("directed_lost", "bcast loss",
			"%s sends back what is asked for by unicast, but not what it is to broadcast: its broadcasts get lost on the way.",
			p.Nick)}
	}
	if came, asked := heard("limited"); asked && !came {
		return []Finding{ok("limited_lost",
			"Broadcasts of %s to 255.255.255.255 do not arrive; bcast sends to the directed address, which does.", p.Nick)}
	}
	return nil
}

func came(echoes []control.Echo) string {
	var words []string
	for _, e := range echoes {
		if e.Heard {
			words = append(words, fmt.Sprintf("%d bytes (%s)", e.Size, e.Way))
		}
	}
	return list(words)
}

// clockOff is how far two clocks may be apart before it is told, as with the times of posts.
const clockOff = 2 * time.Minute

// clockCommand sets a clock right for good.
const clockCommand = "timedatectl set-ntp true"

// checkClocks compares clocks. If two peers or more agree on another time, it is this host's clock that is wrong.
func checkClocks(f *Facts) []Finding {
	var off []control.Probed
	asked := 0
	for _, p := range f.Probed {
		if !p.Answers {
			continue
		}
		asked++
		if math.Abs(p.AheadS) > clockOff.Seconds() {
			off = append(off, p)
		}
	}
	if asked == 0 {
		return nil
	}
	if len(off) == 0 {
		return []Finding{ok("clock", "The clocks of the peers asked agree with this host's.")}
	}
	agree := len(off) > 1 && len(off) == asked && !slices.ContainsFunc(off, func(p control.Probed) bool {
		return math.Abs(p.AheadS-off[0].AheadS) > clockOff.Seconds()
	})
	if agree {
		return []Finding{warning("clock_here", clockCommand, "The clock of this host is %s: all peers asked agree on that.",
			apart(-off[0].AheadS))}
	}
	var all []Finding
	for _, p := range off {
		all = append(all, warning("clock_apart", clockCommand,
			"The clock of %s is %s, compared with this host's: set the one that is wrong, there or here.", p.Nick,
			apart(p.AheadS)))
	}
	return all
}

func apart(seconds float64) string {
	d := time.Duration(math.Abs(seconds) * float64(time.Second)).Round(time.Second)
	if seconds < 0 {
		return d.String() + " behind"
	}
	return d.String() + " ahead"
}
