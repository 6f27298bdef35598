package zeroconf

import (
	"context"
	"net/netip"
	"time"
)

// Limits of a probe: a subnet larger than that is probed around this host's own address alone, for the system's
// neighbour table has room for some hundred that do not answer.
const (
	probeBits  = 24                   // the longest range, as a prefix
	probeEvery = 4 * time.Millisecond // between two addresses
	probePort  = 9                    // discard: what comes there is thrown away
)

// probe sends an empty datagram to every address of a segment's own IPv4 subnets, so that the system asks on the link
// who has it: whoever answers that is in the neighbour table then, also who is silent otherwise. No port is asked for
// anything.
func (s *Survey) probe(ctx context.Context, on Segment) {
	link, err := on.Open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 1}), probePort), false, 1)
	if err != nil {
		s.problems = append(s.problems, err)
		return
	}
	s.links = append(s.links, link)
	s.work.Go(func() {
		ticker := time.NewTicker(probeEvery)
		defer ticker.Stop()
		for _, to := range probed(on.Subnets(), s.own) {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = link.SendTo(nil, netip.AddrPortFrom(to, probePort)) // nobody there is no error yet
			}
		}
	})
}

// probed are the addresses of subnets that a probe goes to: of hosts, each once, without our own.
func probed(subnets []netip.Prefix, own map[netip.Addr]bool) (to []netip.Addr) {
	seen := map[netip.Addr]bool{}
	for _, subnet := range subnets {
		if !subnet.Addr().Is4() || subnet.Addr().IsLoopback() || subnet.Bits() > 30 {
			continue
		}
		all := netip.PrefixFrom(subnet.Addr(), max(subnet.Bits(), probeBits)).Masked()
		for addr := all.Addr().Next(); all.Contains(addr.Next()); addr = addr.Next() {
			if !seen[addr] && !own[addr] {
				to = append(to, addr)
			}
			seen[addr] = true
		}
	}
	return to
}
