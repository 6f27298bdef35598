package bcast

import (
	"net/netip"

	"bcast/internal/engine"
	"bcast/internal/lan"
)

// link is lan's Link as the node wants it: the same datagrams under the engine's names.
type link struct{ lan *lan.Link }

func (l link) Changed() <-chan struct{} { return l.lan.Changed() }
func (l link) Close() error             { return l.lan.Close() }

func (l link) Readers() []func([]engine.Datagram) (int, error) {
	var readers []func([]engine.Datagram) (int, error)
	for _, read := range l.lan.Readers() {
		var batch []lan.Datagram
		readers = append(readers, func(out []engine.Datagram) (int, error) {
			if len(batch) != len(out) {
				batch = make([]lan.Datagram, len(out))
			}
			n, err := read(batch)
			for i, d := range batch[:n] {
				out[i] = engine.Datagram{
					Data: d.Data, Size: d.Size, From: d.From, Iface: d.Iface, TTL: d.TTL, Broadcast: d.Broadcast,
					OnLink: d.OnLink,
				}
			}
			return n, err
		})
	}
	return readers
}

func (l link) Write(sends []engine.Send) {
	batch := make([]lan.Outgoing, len(sends))
	for i, s := range sends {
		batch[i] = lan.Outgoing{Data: s.Data, To: s.To, Iface: s.Iface}
	}
	l.lan.Write(batch) // the only error is that the link was closed, and what could not be sent it counts itself
}

func (l link) Interfaces() []engine.Interface {
	var used []engine.Interface
	for _, i := range l.lan.Interfaces() {
		if !i.Used {
			continue
		}
		e := engine.Interface{Index: i.Index, MTU: i.MTU, Wifi: i.Wifi}
		for _, a := range i.Addrs {
			e.Addrs = append(e.Addrs, a.Addr())
		}
		for _, n := range i.Networks {
			e.Networks = append(e.Networks, engine.NetworkID(n))
		}
		used = append(used, e)
	}
	return used
}

// addrText is how an address is shown; the zero one not at all.
func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
