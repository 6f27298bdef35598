package bcast

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/lan"
	"bcast/internal/node"
	"bcast/internal/stream"
	"bcast/internal/wire"
)

// link is a network as the node wants it: the same datagrams under the engine's names.
type link struct {
	lan  network
	kind string // of the links, as Config.Link says
}

func (l link) Waiting() bool            { return l.lan.Waiting() }
func (l link) Changed() <-chan struct{} { return l.lan.Changed() }
func (l link) Slept() time.Duration     { return l.lan.Slept() }
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
				if d.From.Addr().Is6() {
					out[i].Iface |= six
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
		batch[i] = lan.Outgoing{
			Data: s.Data, To: s.To, Limited: s.Limited, Six: s.Iface&six != 0, Iface: s.Iface &^ six, Rest: s.Rest,
		}
	}
	l.lan.Write(batch) // the only error is that the link was closed, and what could not be sent it counts itself
}

func (l link) Interfaces() []engine.Interface {
	var used []engine.Interface
	for _, i := range l.lan.Interfaces() {
		if !i.Used {
			continue
		}
		e := engine.Interface{Index: i.Index, MTU: i.MTU, Wifi: onWifi(l.kind, i)}
		for _, n := range i.Networks {
			e.Networks = append(e.Networks, engine.NetworkID(n))
		}
		used = append(used, byFamily(e, i)...)
	}
	return used
}

// six marks the index of an interface as the engine knows it where it stands for the IPv6 of that interface: to the
// engine the two families are two interfaces on one network.
const six = 1 << 30

// byFamily is e once for each family that an interface is used by. Its IPv4 names the IPv6 address, too, so that others
// know who has both.
func byFamily(e engine.Interface, i lan.Interface) []engine.Interface {
	var families []engine.Interface
	if i.Four {
		four := e
		for _, a := range i.Addrs {
			four.Addrs = append(four.Addrs, a.Addr())
		}
		if i.Six {
			four.Addrs = slices.Insert(four.Addrs, min(len(four.Addrs), wire.MaxAddrs-1), i.Addrs6[0])
			four.Other = e.Index | six
		}
		families = append(families, four)
	}
	if i.Six {
		e.Index, e.Addrs, e.Second, e.MTU = e.Index|six, i.Addrs6, i.Four, e.MTU-longerHeader
		if i.Four {
			e.Other = i.Index
		}
		families = append(families, e)
	}
	return families
}

// longerHeader is by how much the header of IPv6 is longer than that of IPv4.
const longerHeader = 20

// onWifi tells whether an interface counts as Wi-Fi: a wired one may lead to a bridge that is, and only a person knows.
func onWifi(kind string, i lan.Interface) bool {
	return kind == linkWifi || kind != linkWired && i.Wifi
}

// interfaces are the host's, as what is set makes them count.
func (n *Node) interfaces() []lan.Interface {
	all := slices.Clone(n.lan.Interfaces())
	for i := range all {
		all[i].Wifi = onWifi(n.cfg.Link, all[i])
	}
	return all
}

// changed are the interfaces that are not as they were, those that are gone last.
func changed(was, are []lan.Interface) []Interface {
	var nouns []Interface
	for _, i := range are {
		if !slices.ContainsFunc(was, func(w lan.Interface) bool { return reflect.DeepEqual(w, i) }) {
			nouns = append(nouns, interfaceNoun(i))
		}
	}
	for _, w := range was {
		if !slices.ContainsFunc(are, func(i lan.Interface) bool { return w.Index == i.Index }) {
			w.Up, w.Used, w.Reason = false, false, "it is gone"
			nouns = append(nouns, interfaceNoun(w))
		}
	}
	return nouns
}

// addrText is how an address is shown; the zero one not at all.
func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// openStreams takes streams beside the datagrams of the link, from whoever is known here.
func (n *Node) openStreams(key *identity.Key, dial dialer) error {
	var err error
	n.stream, err = stream.New(stream.Config{
		Key: key, Listener: n.lan.StreamListener(), Dial: dial, Allow: n.near.has, Serves: n.isAt, Log: n.cfg.Logger,
	})
	if err != nil {
		return control.NewError(control.CodeInternal, err, err.Error(), "")
	}
	return nil
}

// isAt tells whether the device of a key is here and proved to be at an address.
func (n *Node) isAt(ctx context.Context, key identity.PublicKey, at netip.Addr) bool {
	is := false
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		p, known := e.Peer(key.ID())
		is = known && p.Key == key && p.Present() && slices.Contains(e.Places(p.ID), at.Unmap())
	})
	return err == nil && is
}

func (n *Node) closeStreams() error {
	if n.stream == nil {
		return nil
	}
	return n.stream.CloseAll()
}

// pipe is stream's Streams as the node wants them: the same events under its names.
type pipe struct{ *stream.Streams }

var pipeKinds = map[stream.Kind]node.PipeKind{
	stream.Opened: node.PipeOpened, stream.Data: node.PipeData, stream.Drained: node.PipeDrained,
	stream.Closed: node.PipeClosed,
}

func (p pipe) Next() (node.PipeEvent, bool) {
	e, ok := <-p.Events()
	return node.PipeEvent{
		ID: e.ID, Kind: pipeKinds[e.Kind], Dialled: e.Dialled, Peer: e.Peer, Exporter: e.Exporter, Data: e.Data, Err: e.Err,
	}, ok
}

// maxAcquaintances is how many addresses are remembered. Beyond it they are forgotten together: whoever is here is
// entered again when something is new of it, and until then repairs go by datagram.
const maxAcquaintances = 4096

// acquaintances are addresses that devices have proven to us. Nobody else gets as far as a handshake. That a device has
// left does not matter here: the engine asks who is here.
type acquaintances struct {
	mu    sync.Mutex
	addrs map[netip.Addr]struct{}
}

func (a *acquaintances) add(addrs ...netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.addrs == nil || len(a.addrs) >= maxAcquaintances {
		a.addrs = map[netip.Addr]struct{}{}
	}
	for _, addr := range addrs {
		a.addrs[addr.Unmap()] = struct{}{}
	}
}

func (a *acquaintances) has(addr netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.addrs[addr.Unmap()]
	return known
}
