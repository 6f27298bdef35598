package discovery

import (
	"net/netip"
	"time"

	"bcast/identity"
)

// window counts events in steps of checkWindow.
type window struct {
	start time.Duration
	count int
}

// take counts one event and tells whether it is within limit.
func (w *window) take(now time.Duration, limit int) bool {
	if w.count == 0 || now-w.start >= checkWindow {
		*w = window{start: now}
	}
	if w.count >= limit {
		return false
	}
	w.count++
	return true
}

// budget is the signature checks that strangers may cause. A source enters the table only with a check granted, so the
// table never holds more than strangerChecks.
type budget struct {
	all     window
	sources map[netip.AddrPort]int
}

func (b *budget) take(now time.Duration, from netip.AddrPort) bool {
	if b.all.count > 0 && now-b.all.start >= checkWindow {
		b.all = window{}
		b.sources = map[netip.AddrPort]int{} // of a crowd that came no memory stays taken
	}
	// Daemons of one host share the loopback address: there the port tells them apart.
	if !from.Addr().IsLoopback() {
		from = netip.AddrPortFrom(from.Addr(), 0)
	}
	if b.sources[from] >= sourceChecks || !b.all.take(now, strangerChecks) {
		return false
	}
	b.sources[from]++
	return true
}

// Admit tells whether a presence datagram that claims to be of key may have its signature checked. It is asked before
// the check, because the check is what a flood would cost.
func (d *Discovery) Admit(now time.Duration, key identity.PublicKey, from netip.AddrPort) bool {
	from = unmap(from)
	if p := d.byAddr[from]; p != nil && p.key == key {
		return p.checks.take(now, peerChecks)
	}
	return d.checks.take(now, from)
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
