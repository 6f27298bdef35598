package bcast

import (
	"context"
	"slices"
	"sync"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/node"
	"bcast/internal/wire"
)

const (
	// maxProbed is how many peers are asked: two that agree, and one more.
	maxProbed = 3
	// probeTries is how often what is not answered is asked again: at a loss of a tenth one echo in a hundred stays away.
	probeTries = 3
)

// probePlan is what a peer that answers at all is asked for, beside the smallest by unicast.
var probePlan = []control.Echo{
	{Way: wire.WayUnicast.String(), Size: wire.MaxDatagram}, {Way: wire.WayDirected.String(), Size: wire.PresenceSize},
	{Way: wire.WayDirected.String(), Size: wire.MaxDatagram}, {Way: wire.WayLimited.String(), Size: wire.PresenceSize},
}

var probeWays = map[string]wire.Way{
	wire.WayUnicast.String(): wire.WayUnicast, wire.WayDirected.String(): wire.WayDirected,
	wire.WayLimited.String(): wire.WayLimited,
}

// Probe asks some of the peers here to send datagrams back, and tells what came.
func (n *Node) Probe(ctx context.Context) ([]Probed, error) {
	var peers []discovery.Peer
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) { peers = chooseProbed(e.Peers()) })
	if err != nil {
		return nil, err
	}
	names := n.ifaceNames()
	all := make([]Probed, len(peers))
	var asking sync.WaitGroup
	for i, p := range peers {
		all[i] = Probed{
			ID: p.ID.String(), Nick: string(p.Nick), Tag: p.ID.Tag(), Addr: addrText(p.Addr), Iface: names[p.Iface],
			Heard: []string{},
		}
		asking.Go(func() {
			probe(&all[i], min(n.cfg.RecvBuffer, p.RecvBuffer), func(way wire.Way, size int) (engine.Answer, error) {
				reply, err := n.node.Do(ctx, engine.Ask{Peer: p.ID, Way: way, Size: size})
				return reply.Answer, err
			})
		})
	}
	asking.Wait()
	return all, failure(ctx.Err())
}

// chooseProbed takes some of those that can be asked, of each interface one before there are two of one.
func chooseProbed(peers []discovery.Peer) []discovery.Peer {
	var first, more []discovery.Peer
	for _, p := range peers {
		switch {
		case p.Status != discovery.Here || !p.Reached:
		case slices.ContainsFunc(first, func(f discovery.Peer) bool { return f.Iface == p.Iface }):
			more = append(more, p)
		default:
			first = append(first, p)
		}
	}
	all := append(first, more...)
	return all[:min(len(all), maxProbed)]
}

// probe asks one peer, by a function that waits for the answer, for datagrams that both buffers take whole: first the
// smallest, whose answer says how much else may be asked for, then those of the plan until they come, and last one that
// travels in fragments. What could not be asked for within the peer's budget has Asked 0, or stays out.
func probe(p *Probed, most int, ask func(way wire.Way, size int) (engine.Answer, error)) {
	left := wire.MaxProbe
	try := func(e *control.Echo) {
		if e.Heard || e.Size > left || e.Size > most {
			return
		}
		e.Asked++
		left -= e.Size
		answer, err := ask(probeWays[e.Way], e.Size)
		if err != nil {
			return
		}
		if e.Heard = true; e.Way == wire.WayUnicast.String() && e.Size == wire.PresenceSize {
			left, p.AheadS = answer.Left, answer.Ahead.Seconds()
		}
		for _, start := range answer.Heard {
			if text := identity.EncodeID(start[:]); !slices.Contains(p.Heard, text) {
				p.Heard = append(p.Heard, text)
			}
		}
	}
	smallest := control.Echo{Way: wire.WayUnicast.String(), Size: wire.PresenceSize}
	for range probeTries {
		try(&smallest)
	}
	p.Answers = smallest.Heard
	p.Echoes = append([]control.Echo{smallest}, probePlan...)
	if !p.Answers {
		return
	}
	for range probeTries {
		for i := range p.Echoes {
			try(&p.Echoes[i])
		}
	}
	fragments := control.Echo{Way: wire.WayUnicast.String(), Size: wire.MaxProbe}
	if p.Echoes[1].Heard {
		try(&fragments)
	}
	p.Echoes = append(p.Echoes, fragments)
}
