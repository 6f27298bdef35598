package bcast

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/mdns"
	"bcast/internal/wire"
	"bcast/internal/zeroconf"
)

// Service is something that this host, or another, offers: Name for people, at most 63 bytes, Type such as _http._tcp,
// Port, and Text as key=value.
type Service = control.Service

// Announced tells what has become of a [Service]: By presence ("bcast"), By "mdns" on an interface, under which Name
// and Host, or By "ssdp" on an interface, with the Location of its description; or why it is not announced there, the
// Problem.
type Announced = control.Announced

// What a Node tells by multicast DNS: see [Config.MDNS].
const (
	MDNSOn       = "on"
	MDNSServices = "services"
	MDNSOff      = "off"
)

// What a Node tells by SSDP: see [Config.SSDP].
const (
	SSDPServices = "services"
	SSDPOff      = "off"
)

// maxOffers is how many services a Node announces at once; presence has room for some eight of them.
const maxOffers = 60

// selfType is what a Node announces itself as.
const selfType = "_bcast._udp"

// Announce makes a service of this host known for as long as the sequence is read: by a guest, who takes part for as
// long as that. A program that has a [Node] announces by [Node.Announce]. Errors are those of both, and of [Start].
func Announce(ctx context.Context, s Service, options ...Option) iter.Seq2[Announced, error] {
	return func(yield func(Announced, error) bool) {
		node, err := Start(ctx, options...)
		if err != nil {
			yield(Announced{}, err)
			return
		}
		defer node.Close()
		node.Announce(ctx, s)(yield)
	}
}

// Announce makes a service of this host known, by presence and, unless Config.MDNS or Config.SSDP forbids it, by mDNS
// and SSDP on all interfaces that are used. It yields what becomes of it: that presence tells, then, within a second,
// the name that it has on each interface. That is another than asked for where somebody has that, and may change later,
// where two networks become one. The service is withdrawn, with a goodbye, when the loop ends, ctx does or the Node
// closes.
//
// The error is of CodeInvalid, with what is wrong with the service, or CodeBusy: a Node announces at most 60 at once.
// What keeps it from being announced on an interface is no error but a Problem, for it may pass.
func (n *Node) Announce(ctx context.Context, s Service) iter.Seq2[Announced, error] {
	return func(yield func(Announced, error) bool) {
		o, err := n.offering.offer(ctx, n, s)
		if err != nil {
			yield(Announced{}, err)
			return
		}
		defer n.offering.withdraw(context.WithoutCancel(ctx), n, o)
		told := Announced{By: "bcast", Name: s.Name, Type: s.Type, Port: s.Port}
		if !yield(told, nil) {
			return
		}
		for _, silent := range n.silent() {
			told.By, told.Problem = silent, "this node was told to say nothing by "+spelled[silent]
			if !yield(told, nil) {
				return
			}
		}
		told.Problem = ""
		n.follow(ctx, o, told, yield)
	}
}

// foreign are the protocols beside presence by which a service is announced.
func (n *Node) foreign() (by []string) {
	if n.cfg.MDNS != MDNSOff {
		by = append(by, zeroconf.MDNS)
	}
	if n.cfg.SSDP != SSDPOff {
		by = append(by, zeroconf.SSDP)
	}
	return by
}

// silent are those that are left out.
func (n *Node) silent() []string {
	return slices.DeleteFunc([]string{zeroconf.MDNS, zeroconf.SSDP}, func(by string) bool {
		return slices.Contains(n.foreign(), by)
	})
}

// spelled are protocols as people write them.
var spelled = map[string]string{zeroconf.MDNS: "mDNS", zeroconf.SSDP: "SSDP"}

// follow yields each name that a service comes to have, until something ends it.
func (n *Node) follow(ctx context.Context, o *offer, service Announced, yield func(Announced, error) bool) {
	type where struct{ by, iface string }
	known := map[where]Announced{}
	for {
		var changed <-chan struct{}
		if a := n.offering.foreign.Load(); a != nil {
			var states []zeroconf.State
			states, changed = a.States(o.id)
			for _, state := range states {
				told := service
				told.By, told.Iface, told.Name = state.By, state.Iface, state.Name
				if told.Host, told.Location = state.Host, state.Location; state.Problem != nil {
					told.Host, told.Location, told.Problem = "", "", state.Problem.Error()
				}
				at := where{state.By, state.Iface}
				if before, was := known[at]; was && before == told || !state.Ready && told.Problem == "" {
					continue
				}
				if known[at] = told; !yield(told, nil) {
					return
				}
				if by, news := n.offering.rename(ctx, n, o, told); news && !yield(by, nil) {
					return
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-n.ending:
			return
		}
	}
}

// offering is what a Node makes known.
type offering struct {
	foreign atomic.Pointer[zeroconf.Announcer] // nil while nothing is told by mDNS or SSDP

	mu     sync.Mutex // guards all below, and that foreign changes
	offers []*offer
	self   int    // the number of the Node itself as a service; 0: it is not told
	nick   string // its name then
	ended  bool
}

// offer is a service that is made known.
type offer struct {
	Service
	id int // by mDNS and SSDP; 0: by neither
}

func (f *offering) offer(ctx context.Context, n *Node, s Service) (*offer, error) {
	service := mdns.Service{Name: s.Name, Type: s.Type, Port: s.Port, Text: slices.Clone(s.Text)}
	if err := service.Check(); err != nil {
		return nil, invalid(err, "e.g. the name Web, the type _http._tcp, port 80, the text path=/")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.offers) >= maxOffers {
		return nil, control.NewError(control.CodeBusy, nil, fmt.Sprintf("%d services are announced: no more", maxOffers), "")
	}
	o := &offer{Service: s}
	f.offers = append(f.offers, o)
	if err := f.present(ctx, n); err != nil {
		f.drop(o)
		return nil, err
	}
	if by := n.foreign(); len(by) > 0 {
		o.id = f.announcer(n).Offer(service, by...)
	}
	return o, nil
}

func (f *offering) withdraw(ctx context.Context, n *Node, o *offer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.drop(o)
	_ = f.present(ctx, n) // fails only when the node ends, which says goodbye for all
	if a := f.foreign.Load(); a != nil && o.id != 0 {
		a.Withdraw(o.id)
		f.settle()
	}
}

// rename has presence tell the name that a service has by mDNS: one service is not to have two.
func (f *offering) rename(ctx context.Context, n *Node, o *offer, told Announced) (by Announced, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if told.By != zeroconf.MDNS || told.Problem != "" || told.Name == o.Name {
		return by, false
	}
	o.Name = told.Name
	return Announced{By: "bcast", Name: o.Name, Type: o.Type, Port: o.Port}, f.present(ctx, n) == nil
}

func (f *offering) drop(o *offer) {
	f.offers = slices.DeleteFunc(f.offers, func(other *offer) bool { return other == o })
}

// settle ends mDNS and SSDP when nothing is told by them any more.
func (f *offering) settle() {
	if len(f.offers) == 0 && f.self == 0 {
		f.foreign.Swap(nil).Close()
	}
}

// present has presence tell what is offered.
func (f *offering) present(ctx context.Context, n *Node) error {
	var services []wire.Service
	for _, o := range f.offers {
		services = append(services, wire.Service{Name: o.Name, Type: o.Type, Port: uint16(o.Port), Text: o.Text})
	}
	_, err := n.node.Do(ctx, engine.SetServices{Services: services})
	return failure(err)
}

// announcer is the one that there is, or a new one.
func (f *offering) announcer(n *Node) *zeroconf.Announcer {
	if a := f.foreign.Load(); a != nil {
		return a
	}
	var seed [32]byte
	rand.Read(seed[:])
	a := zeroconf.StartAnnouncer(zeroconf.AnnouncerConfig{
		Segments: n.segments, Host: n.hostName(), Device: n.key.ID().String(), Seed: seed,
	})
	f.foreign.Store(a)
	return a
}

// announceSelf tells by mDNS that this device is here, under the nick that it has now, if it was asked to.
func (n *Node) announceSelf(nick string) {
	if n.cfg.MDNS != MDNSOn {
		return
	}
	f := &n.offering
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.nick == nick {
		return
	}
	a := f.announcer(n)
	if f.self != 0 {
		a.Withdraw(f.self)
	}
	f.self, f.nick = a.Offer(mdns.Service{Name: nick, Type: selfType, Port: n.lan.UnicastPort(),
		Text: []string{"id=" + n.key.ID().String()}}, zeroconf.MDNS), nick
}

// end says goodbye for all that is told by mDNS and SSDP.
func (f *offering) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if a := f.foreign.Swap(nil); a != nil {
		a.Close()
	}
}

// look has mDNS and SSDP follow the interfaces. It waits for nothing: it runs with the node's turn.
func (f *offering) look() {
	if a := f.foreign.Load(); a != nil {
		a.Look()
	}
}

// segments are the interfaces that this Node uses, for multicast.
func (n *Node) segments() ([]zeroconf.Segment, error) {
	if host := n.virtual(); host != nil {
		return host.Segments()
	}
	all, err := zeroconf.Segments()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, i := range n.lan.Interfaces() {
		used[i.Name] = i.Used
	}
	return slices.DeleteFunc(all, func(s zeroconf.Segment) bool { return !used[s.Name()] }), nil
}

// hostName is what the host is called.
func (n *Node) hostName() string {
	if host := n.virtual(); host != nil {
		return host.name()
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
