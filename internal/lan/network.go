package lan

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
)

// NetworkID says which network an interface is on, so that a room's history never follows a laptop into another one:
// what was heard on a network is served only where one of its ids is seen again.
//
// There are two kinds. The generation holds as long as the link does: it is new whenever the interface appears, comes
// back with carrier, or has other IPv4 addresses (that some come where IPv6 was alone is no change). Where the system
// names its run (Config.Boot) and counts carriers, it is made of these, so that it holds over restarts of the process
// too; elsewhere it is random. The gateway id is SHA-256(subnet address ‖ prefix length ‖ gateway MAC)[:16], the same
// each time the device comes back to a network; it is known only where a default gateway was spoken to. A gateway whose
// MAC or subnet changes under a standing link (a virtual machine whose host moved) ends the generation too.
//
// A gateway id recognises a network, it does not prove it: whoever knows the gateway's MAC can imitate it.
type NetworkID [16]byte

// gateway is the default gateway of an interface; mac is nil while the neighbour table does not know it.
type gateway struct {
	addr netip.Addr
	mac  net.HardwareAddr
}

// gatewayID is false while the gateway's MAC is unknown or the gateway is in no subnet of the interface.
func gatewayID(i *Interface, gw gateway) (NetworkID, bool) {
	if len(gw.mac) == 0 {
		return NetworkID{}, false
	}
	n := slices.IndexFunc(i.Addrs, func(p netip.Prefix) bool { return p.Contains(gw.addr) })
	if n < 0 {
		return NetworkID{}, false
	}
	subnet := i.Addrs[n].Masked()
	text := append(subnet.Addr().AsSlice(), byte(subnet.Bits()))
	sum := sha256.Sum256(append(text, gw.mac...))
	return NetworkID(sum[:16]), true
}

// generations remembers the ids of the interfaces in use between two looks at the host.
type generations struct {
	boot   string // names the run of the system; empty: generations are random
	random io.Reader
	known  map[int]generation // by interface index
}

type generation struct {
	ids     []NetworkID // the first holds; later ones are what it would be called if it began now
	link    string      // what has to stay the same
	without bool        // of IPv4: it may still come
	gateway []NetworkID // none or one
}

func newGenerations(boot string, random io.Reader) *generations {
	return &generations{boot: boot, random: random, known: make(map[int]generation)}
}

// assign fills Networks of the interfaces in use. What is not used now has a new generation when it is used again.
func (g *generations) assign(ifaces []Interface, devices []device, gateways map[string]gateway) error {
	known := make(map[int]generation, len(g.known))
	for n := range ifaces {
		i := &ifaces[n]
		if !i.Used {
			continue
		}
		next, err := g.next(i, linkMark(i, i.Addrs, devices), linkMark(i, nil, devices), gateways[i.Name])
		if err != nil {
			return err
		}
		known[i.Index] = next
		i.Networks = slices.Concat(next.ids, next.gateway)
	}
	g.known = known
	return nil
}

// next is the generation of an interface now, whose mark is link, and would be bare without IPv4.
func (g *generations) next(i *Interface, link, bare string, gw gateway) (generation, error) {
	was, ok := g.known[i.Index]
	same := ok && was.link == link
	id, hasGateway := gatewayID(i, gw)
	if ok && was.without && i.Four && was.link == bare {
		now, err := g.begin(i, link, NetworkID{}, false)
		now.ids = append(slices.Clone(was.ids), now.ids...)
		if hasGateway {
			now.gateway = []NetworkID{id}
		}
		return now, err
	}
	switch {
	case same && !hasGateway: // a neighbour entry that expired is no other network
		return was, nil
	case same && len(was.gateway) > 0 && was.gateway[0] == id:
		return was, nil
	case same && len(was.gateway) == 0:
		was.gateway = []NetworkID{id}
		return was, nil
	}
	return g.begin(i, link, id, hasGateway)
}

func (g *generations) begin(i *Interface, link string, id NetworkID, hasGateway bool) (generation, error) {
	next := generation{link: link, ids: make([]NetworkID, 1), without: !i.Four}
	if hasGateway {
		next.gateway = []NetworkID{id}
	}
	if g.boot != "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s %x", g.boot, i.Index, link, id))
		next.ids[0] = NetworkID(sum[:16])
		return next, nil
	}
	if _, err := io.ReadFull(g.random, next.ids[0][:]); err != nil {
		return generation{}, fmt.Errorf("new network id: %w", err)
	}
	return next, nil
}

// linkMark is equal for two looks at an interface if nothing happened to the link in between that could have brought
// another network. The carrier count catches a cable or an access point changed faster than we look.
func linkMark(i *Interface, addrs []netip.Prefix, devices []device) string {
	var mark bytes.Buffer
	fmt.Fprintf(&mark, "%s %s %v", i.Name, i.MAC, addrs)
	for _, d := range devices {
		if d.Index == i.Index {
			fmt.Fprintf(&mark, " %d", d.carrierDowns)
		}
	}
	return mark.String()
}
