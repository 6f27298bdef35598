package doctor

import (
	"net/netip"
	"slices"
	"time"

	"bcast/internal/control"
)

// Facts are what is known when a host is examined.
type Facts struct {
	Now    time.Time
	Daemon bool           // a daemon runs, and told all this; else a participant that was there for a moment
	Failed *control.Error // why there could be none: then nothing but Interfaces is known of it
	Status control.Status
	Peers  []control.Peer
	Probed []control.Probed // what peers sent back
	Host   Host
}

// Host is what was seen of the host itself. What could not be looked at is empty.
type Host struct {
	Root      bool // some of this only root sees
	Listened  bool // to all that passes by: Overheard is all there was
	Overheard []Frame
	Routes    []Route
	Holders   []Holder          // of the shared port
	Tools     map[string]Output // by name: nft, iptables, ufw, firewalld
	Bridges   []Bridge
	NfCall    bool // bridged frames go through iptables
	Container bool
	RmemMax   int // the kernel's limit for receive queues, in bytes
}

// Frame is a datagram to the shared port that passed by, whoever it was for.
type Frame struct {
	Iface    string
	From, To netip.Addr
}

// Route tells from which address of its own the host sends to one of an interface's subnet.
type Route struct {
	Iface  string
	To     netip.Addr
	Source netip.Addr
}

// Holder is a program that has a port.
type Holder struct {
	PID  int
	Name string
}

// Output is what a tool printed, or why it did not.
type Output struct {
	Text   string
	Failed string
}

// Bridge is a bridge of this host.
type Bridge struct {
	Name              string
	Snooping, Querier bool // of multicast
}

func (f *Facts) used() []control.Interface {
	var list []control.Interface
	for _, i := range f.Status.Interfaces {
		if i.Used {
			list = append(list, i)
		}
	}
	return list
}

func (f *Facts) here() []control.Peer {
	var list []control.Peer
	for _, p := range f.Peers {
		if control.Here(p.Status) {
			list = append(list, p)
		}
	}
	return list
}

func (f *Facts) iface(name string) control.Interface {
	for _, i := range f.Status.Interfaces {
		if i.Name == name {
			return i
		}
	}
	return control.Interface{Name: name}
}

// prefixes are the subnets of an interface, with its own address in each.
func prefixes(i control.Interface) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range i.Addrs {
		if p, err := netip.ParsePrefix(text); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// holds tells whether an address is in a subnet of an interface.
func holds(i control.Interface, a netip.Addr) bool {
	for _, p := range prefixes(i) {
		if p.Bits() < 31 && p.Contains(a) {
			return true
		}
	}
	return false
}

// owns tells whether an address is one of an interface.
func owns(i control.Interface, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes(i), func(p netip.Prefix) bool { return p.Addr() == a })
}

// beatWithin is how old a beat that is heard may be (PROTOCOL.md, P5): two and a half of the time between two.
func (f *Facts) beatWithin(i control.Interface) time.Duration {
	n := time.Duration(len(f.here()) + 1)
	if i.Link == "wifi" {
		return max(8*time.Second, n*time.Second/4) * 5 / 2
	}
	return max(4*time.Second, n*time.Second/8) * 5 / 2
}
