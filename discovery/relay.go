package discovery

import (
	"net/netip"
	"slices"

	"bcast/identity"
)

// Met tells whether somebody is here by an interface.
func (d *Discovery) Met(iface int) bool {
	if l := d.link(iface); l == nil || l.Second && d.sixes == 0 {
		return false
	}
	return slices.ContainsFunc(d.peers, func(p *peer) bool { return p.hears(iface) })
}

// both tells whether the peer says to have IPv4 and IPv6 where it was heard last.
func (p *peer) both() bool {
	return slices.ContainsFunc(p.claims.Addrs, netip.Addr.Is6) && slices.ContainsFunc(p.claims.Addrs, netip.Addr.Is4)
}

// Relays tells whether it is for us to say again, by the interface other, what a device broadcast by iface from an
// address: both are of one network, of another family each, and we are on both. It is if the device is here, has one
// family alone, some who are here have the other alone, and of those on both who could say it again, which is what able
// asks, none has a lower id. Who is on both says everything by both itself, and so nothing is passed on twice.
func (d *Discovery) Relays(from netip.AddrPort, iface, other int, able func(identity.DeviceID) bool) bool {
	if d.sixes == 0 {
		return false
	}
	from = unmap(from)
	author, four := d.byAddr[from], iface
	if from.Addr().Is6() {
		four = other
	}
	if author == nil || author.both() || author.path(place{iface, from}) == nil {
		return false
	}
	deaf := false
	for _, p := range d.peers {
		if p.hears(four) && p.both() {
			if p.id.Compare(d.cfg.Self) < 0 && p.claims.RecvBuffer >= watchBelow && !p.claims.Watch && able(p.id) {
				return false
			}
			continue
		}
		deaf = deaf || p.hears(other) && able(p.id)
	}
	return deaf
}
