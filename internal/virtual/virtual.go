// Package virtual is a LAN in memory: what lan is to the sockets of a host, without any. Programs test with it, several
// participants in one process.
//
// Its invariant: what one link sends arrives at the others once and in the order in which it was sent, or, where a
// queue is full or a cable is out, not at all, and that is counted. It reads no clock and draws nothing at random but
// the name of its network, so that in a testing/synctest bubble time is the bubble's.
package virtual

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"bcast/internal/lan"
)

const (
	// Port is the private port of every link; its address is its own.
	Port = 27475
	// firstBeside is before the first port of a host's further links.
	firstBeside = 28000
	// maxQueue datagrams wait to be read by a link; those that follow are lost and counted, as a kernel does it.
	maxQueue = 4096
	// maxHosts is how many addresses there are.
	maxHosts = 1<<16 - 2
	mtu      = 1500
)

// subnet is where the links have their addresses.
var subnet = netip.MustParsePrefix("10.27.0.0/16")

var (
	errFull    = errors.New("no address is left on this LAN")
	errRefused = errors.New("nobody takes connections there")
)

// LAN is one wire. Its methods may be called from many goroutines.
type LAN struct {
	network lan.NetworkID

	mu     sync.Mutex
	hosts  uint16
	links  []*Link // in the order in which they came
	groups []*Group
	asking uint16 // the last port given to a socket that joined no group
	beside uint16 // the last given to a second link of a host
}

// New returns a wire with nobody on it.
func New() *LAN {
	l := &LAN{}
	rand.Read(l.network[:])
	return l
}

// Link is one participant's place on a LAN. It has the methods of lan.Link.
type Link struct {
	lan     *LAN
	addr    netip.AddrPort
	shared  int // the port where it hears broadcasts
	buffer  int
	inbox   chan lan.Datagram
	conns   chan net.Conn
	changed chan struct{}
	closed  chan struct{}
	closing sync.Once
	off     bool // the cable is out; guarded by lan.mu
	pipes   map[*end]struct{}
	lost    atomic.Uint64 // for want of room in the inbox
	nowhere atomic.Uint64 // sent to where nobody is
}

// Plug puts a participant on the LAN that hears the broadcasts to a port and whose receive buffer has so many bytes.
func (l *LAN) Plug(port, buffer int) (*Link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hosts == maxHosts {
		return nil, errFull
	}
	l.hosts++
	host := subnet.Addr().As4()
	binary.BigEndian.PutUint16(host[2:], l.hosts)
	return l.plug(netip.AddrPortFrom(netip.AddrFrom4(host), Port), port, buffer), nil
}

// Beside is a second link of the same host, for another shared port.
func (l *Link) Beside(port, buffer int) *Link {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	l.lan.beside++
	beside := l.lan.plug(netip.AddrPortFrom(l.addr.Addr(), firstBeside+l.lan.beside), port, buffer)
	beside.off = l.off
	return beside
}

// plug wants l.mu held.
func (l *LAN) plug(addr netip.AddrPort, port, buffer int) *Link {
	link := &Link{
		lan: l, addr: addr, shared: port, buffer: buffer,
		inbox: make(chan lan.Datagram, maxQueue), conns: make(chan net.Conn), changed: make(chan struct{}),
		closed: make(chan struct{}), pipes: map[*end]struct{}{},
	}
	l.links = append(l.links, link)
	return link
}

// Unplug takes the cable out of the host, or puts it back. Nobody is told.
func (l *Link) Unplug(out bool) {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	for _, other := range l.lan.links {
		if other.addr.Addr() == l.addr.Addr() {
			other.off = out
		}
	}
	if out {
		l.hangUp()
	}
}

// hangUp cuts all connections; it wants lan.mu held.
func (l *Link) hangUp() {
	for p := range l.pipes {
		p.cut()
	}
}

// Readers is one function: it waits for datagrams.
func (l *Link) Readers() []func([]lan.Datagram) (int, error) {
	return []func([]lan.Datagram) (int, error){l.read}
}

func (l *Link) read(out []lan.Datagram) (int, error) {
	select {
	case out[0] = <-l.inbox:
	case <-l.closed:
		return 0, net.ErrClosed
	}
	for n := 1; n < len(out); n++ {
		select {
		case out[n] = <-l.inbox:
		default:
			return n, nil
		}
	}
	return len(out), nil
}

// Write sends a batch to who is on the LAN now. A broadcast comes back to its sender, too.
func (l *Link) Write(batch []lan.Outgoing) (int, error) {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	for _, m := range batch {
		data := append([]byte(nil), m.Data...)
		found := l.off
		for _, to := range l.lan.links {
			broadcast := m.Limited || !m.To.IsValid()
			if broadcast && to.shared != l.shared || !broadcast && !to.hears(m.To) || l.off || to.off {
				continue
			}
			found = true
			to.deliver(lan.Datagram{
				Data: data[:min(len(data), to.buffer)], Size: len(data), From: l.addr, To: m.To.Addr(), Iface: 1, TTL: 255,
				Broadcast: broadcast, OnLink: true,
			})
		}
		if !found {
			l.nowhere.Add(1)
		}
	}
	return len(batch), nil
}

// hears tells whether what is sent to an address comes here: by the port of its own, or the shared one.
func (l *Link) hears(to netip.AddrPort) bool {
	return l.addr == to || to.Addr() == l.addr.Addr() && int(to.Port()) == l.shared
}

func (l *Link) deliver(d lan.Datagram) {
	select {
	case l.inbox <- d:
	default:
		l.lost.Add(1)
	}
}

// Interfaces is one, which is in use.
func (l *Link) Interfaces() []lan.Interface {
	addr := l.addr.Addr()
	mac := addr.As4()
	last := subnet.Addr().As4()
	last[2], last[3] = 255, 255
	return []lan.Interface{{
		Index: 1, Name: "virtual0", MTU: mtu, MAC: append(net.HardwareAddr{2, 0}, mac[:]...), Up: true, Used: true,
		Four: true, Kind: "memory", Addrs: []netip.Prefix{netip.PrefixFrom(addr, subnet.Bits())},
		Broadcast: []netip.Addr{netip.AddrFrom4(last)}, Networks: []lan.NetworkID{l.lan.network},
	}}
}

// Changed never tells anything: interfaces stay as they are.
func (l *Link) Changed() <-chan struct{} { return l.changed }

// Slept is nothing: hosts in memory have no lid.
func (l *Link) Slept() time.Duration { return 0 }

// Waiting tells whether a datagram waits that no function of Readers has taken yet.
func (l *Link) Waiting() bool { return len(l.inbox) > 0 }

// UnicastPort is the port from which all is sent.
func (l *Link) UnicastPort() int { return Port }

// QueueBytes is not told.
func (l *Link) QueueBytes() int { return 0 }

// Drops counts what was lost, under the names of lan.
func (l *Link) Drops() map[string]uint64 {
	return map[string]uint64{"recv_queue_full": l.lost.Load(), "send_unreachable": l.nowhere.Load()}
}

// Close takes the participant off the LAN.
func (l *Link) Close() error {
	l.closing.Do(func() {
		l.lan.mu.Lock()
		defer l.lan.mu.Unlock()
		for i, other := range l.lan.links {
			if other == l {
				l.lan.links = append(l.lan.links[:i:i], l.lan.links[i+1:]...)
				break
			}
		}
		l.hangUp()
		close(l.closed)
	})
	return nil
}

// Dial connects to the listener of another link.
func (l *Link) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	theirs, ours, err := l.connect(to)
	if err != nil {
		return nil, err
	}
	select {
	case theirs.link.conns <- theirs:
		return ours, nil
	case <-theirs.link.closed:
		err = errRefused
	case <-ctx.Done():
		err = ctx.Err()
	}
	ours.Close()
	theirs.Close()
	return nil, err
}

func (l *Link) connect(to netip.AddrPort) (theirs, ours *end, err error) {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	for _, other := range l.lan.links {
		if other.addr != to || other.off || l.off {
			continue
		}
		a, b := net.Pipe()
		ours, theirs = &end{Conn: a, link: l, far: other.addr}, &end{Conn: b, link: other, far: l.addr}
		l.pipes[ours], other.pipes[theirs] = struct{}{}, struct{}{}
		return theirs, ours, nil
	}
	return nil, nil, errRefused
}

// end is one end of a connection. It knows where the other one is.
type end struct {
	net.Conn
	link *Link
	far  netip.AddrPort
}

func (e *end) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(e.far) }

// cut closes the connection; it wants lan.mu held.
func (e *end) cut() {
	delete(e.link.pipes, e)
	e.Conn.Close()
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.link.lan.mu.Lock()
	defer e.link.lan.mu.Unlock()
	e.cut()
	return nil
}

// StreamListener takes the connections of the others.
func (l *Link) StreamListener() net.Listener { return listener{l} }

type listener struct{ link *Link }

// Accept implements net.Listener.
func (a listener) Accept() (net.Conn, error) {
	select {
	case c := <-a.link.conns:
		return c, nil
	case <-a.link.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: nobody is accepted any more, which is when the link ends.
func (a listener) Close() error { return a.link.Close() }

// Addr implements net.Listener.
func (a listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(a.link.addr) }
