package lan

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// RawConfig says which socket a Raw opens.
type RawConfig struct {
	Port   int        // 0: any free port
	Bind   netip.Addr // the zero value is 0.0.0.0; one bound to a host address hears no broadcast
	Iface  string     // only datagrams received on this interface; empty: on any
	Buffer int        // bytes, 1 to MaxDatagram; what is longer is cut
}

// Raw is one UDP socket that sends and receives datagrams as they are. It shares its port with other programs that
// agree to (all of them hear a broadcast, the last one bound a unicast datagram) and never lets the kernel join
// datagrams. One goroutine may receive; many may send.
type Raw struct {
	conn   *net.UDPConn
	sender *sender
	source *source
	only   string // the interface to receive on; empty: any

	mu     sync.Mutex
	ifaces []Interface // of the whole host, used or not
	looked time.Time
}

// lookAgain is how old the list of interfaces may be.
const lookAgain = time.Second

// RawDatagram is one datagram received by a Raw.
type RawDatagram struct {
	Time      time.Time
	Data      []byte // what the buffer took; the receiver's own
	Size      int    // bytes sent
	From      netip.AddrPort
	To        netip.AddrPort // address of the IP header; invalid where the OS does not tell
	Iface     string         // empty where the OS does not tell
	Broadcast bool           // To is a broadcast address
	CutBy     string         // who cut it: "kernel", "bcast" (off Linux), or "" if it is whole
}

// OpenRaw opens a socket for raw datagrams. It fails with *PortTakenError if a program holds the port alone, and with
// ErrNoInterface if the host has no interface of the name given.
func OpenRaw(cfg RawConfig) (*Raw, error) {
	if cfg.Buffer < 1 || cfg.Buffer > MaxDatagram {
		return nil, fmt.Errorf("open socket: buffer of %d bytes is not within 1 to %d", cfg.Buffer, MaxDatagram)
	}
	if cfg.Port < 0 || cfg.Port > 65535 {
		return nil, fmt.Errorf("open socket: port %d is not within 0 to 65535", cfg.Port)
	}
	r := &Raw{only: cfg.Iface}
	if _, err := r.named(cfg.Iface); cfg.Iface != "" && err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	bind := cfg.Bind
	if !bind.IsValid() {
		bind = netip.IPv4Unspecified()
	}
	conn, err := listenShared(netip.AddrPortFrom(bind, uint16(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	p, err := prepare(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open socket: %w", err)
	}
	growQueue(conn)
	var err2 error
	r.conn = conn
	r.sender, err = newSender(p)
	r.source, err2 = newSource(p, cfg.Buffer, 1)
	if err := errors.Join(err, err2); err != nil {
		return nil, errors.Join(fmt.Errorf("open socket: %w", err), conn.Close())
	}
	return r, nil
}

// Receive blocks for one datagram. After Close the error is net.ErrClosed.
func (r *Raw) Receive() (RawDatagram, error) {
	for {
		got, err := r.source.read(nil)
		if err != nil {
			return RawDatagram{}, err
		}
		now, d := time.Now(), got[0]
		ifaces, err := r.look(now)
		if err != nil {
			return RawDatagram{}, err
		}
		if r.only != "" && !cameBy(ifaces, r.only, d) {
			continue
		}
		return r.describe(d, ifaces, now), nil
	}
}

func (r *Raw) describe(d Datagram, ifaces []Interface, now time.Time) RawDatagram {
	raw := RawDatagram{Time: now, Data: bytes.Clone(d.Data), Size: d.Size, From: d.From}
	if d.To.IsValid() {
		raw.To = netip.AddrPortFrom(d.To, r.LocalAddr().Port())
	}
	if d.Cut() {
		raw.CutBy = cutBy
	}
	raw.Broadcast = d.To == limitedBroadcast
	for _, i := range ifaces {
		if i.Index == d.Iface {
			raw.Iface = i.Name
			raw.Broadcast = raw.Broadcast || slices.Contains(i.Broadcast, d.To)
		}
	}
	return raw
}

// cameBy reports whether d counts as received on the interface named: see arrival.
func cameBy(ifaces []Interface, name string, d Datagram) bool {
	only := slices.Clone(ifaces)
	for n := range only {
		only[n].Used, only[n].Four = only[n].Name == name, true
	}
	return newTable(only).arrival(&d) != nil
}

// SendTo sends one datagram from the socket's port, also to a broadcast address and also an empty one. It leaves by
// the interface named; if iface is empty the routing table chooses.
func (r *Raw) SendTo(data []byte, to netip.AddrPort, iface string) error {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if !to.Addr().Is4() || to.Port() == 0 {
		return fmt.Errorf("send to %s: not an IPv4 address and port", to)
	}
	p := packet{data: data, to: to}
	if iface != "" {
		i, err := r.named(iface)
		if err != nil {
			return fmt.Errorf("send to %s: %w", to, err)
		}
		i.Used, i.Four, i.Six = true, true, false
		if p.by = newTable([]Interface{i}).egressTo(i.Index, to.Addr()); p.by == nil {
			return fmt.Errorf("send to %s: interface %s has no IPv4 address", to, iface)
		}
	}
	var failed error
	err := r.sender.send([]packet{p}, func(_ *packet, err error) { failed = err })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("send to %s: %w", to, plain(err))
	}
	return nil
}

// LocalAddr is the address and port the socket is bound to.
func (r *Raw) LocalAddr() netip.AddrPort {
	local := r.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}

// Close unblocks Receive.
func (r *Raw) Close() error { return r.conn.Close() }

func (r *Raw) named(name string) (Interface, error) {
	ifaces, err := r.look(time.Now())
	if err != nil {
		return Interface{}, err
	}
	n := slices.IndexFunc(ifaces, func(i Interface) bool { return i.Name == name })
	if n < 0 {
		return Interface{}, fmt.Errorf("%w: this host has no interface named %q", ErrNoInterface, name)
	}
	return ifaces[n], nil
}

// look lists the interfaces, at most a second old.
func (r *Raw) look(now time.Time) ([]Interface, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ifaces == nil || now.Sub(r.looked) > lookAgain {
		ifaces, err := Interfaces(nil)
		if err != nil {
			return nil, err
		}
		r.ifaces, r.looked = ifaces, now
	}
	return r.ifaces, nil
}
