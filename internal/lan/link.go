package lan

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

const (
	// receiveBatch datagrams are read by one system call; with full-sized buffers that is 2 MiB of address space per
	// socket, of which only pages that were written to count.
	receiveBatch = 32
	// settle bounds how often the interfaces are read when changes come in a row: four times a second.
	settle = 250 * time.Millisecond
	// recheck finds what the operating system did not announce: a gateway that another one replaced, a carrier that
	// was lost only for a moment.
	recheck = 10 * time.Second
	// firstRecheck is the wait for a gateway's MAC to become known; it doubles up to recheck.
	firstRecheck = time.Second
	// napNoticed is from how long on a sleep of the host counts: shorter ones look like a host that is busy.
	napNoticed = time.Second
)

// Config says which sockets a Link opens.
type Config struct {
	Port         int          // shared port, where broadcasts go; 1 to 65535
	UnicastFirst int          // the private socket takes the first free port from here …
	UnicastLast  int          // … to here; both 0: any free port
	RecvBuffer   int          // bytes, 1 to MaxDatagram; what is longer is cut
	Ifaces       []string     // names or patterns, as for Interfaces
	Boot         string       // names the run of the system: by it the next process knows networks again; may be empty
	Log          *slog.Logger // nil discards
}

func (c Config) check() error {
	switch {
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("shared port %d is not within 1 to 65535", c.Port)
	case c.UnicastFirst < 0 || c.UnicastLast < c.UnicastFirst || c.UnicastLast > 65535:
		return fmt.Errorf("private ports %d to %d are no range within 1 to 65535", c.UnicastFirst, c.UnicastLast)
	case c.RecvBuffer < 1 || c.RecvBuffer > MaxDatagram:
		return fmt.Errorf("receive buffer of %d bytes is not within 1 to %d", c.RecvBuffer, MaxDatagram)
	}
	return nil
}

// Link is the shared and the private socket of one participant, a listener for streams on the private one's port
// number, and the interfaces they serve. Its methods may be called from many goroutines; each function of Readers
// belongs to one.
type Link struct {
	port    int
	log     *slog.Logger
	shared  *net.UDPConn
	private *net.UDPConn
	streams net.Listener
	sender  *sender
	readers []*reader
	raws    []syscall.RawConn // of all sockets

	// The same for IPv6; nil where there is none.
	shared6, private6 *net.UDPConn
	sender6           *sender
	joined            map[membership]bool // touched by refresh only

	queue int
	drops counters

	host        host
	patterns    []string
	generations *generations // touched by refresh only
	networked   bool         // a network has been there; touched by refresh only
	table       atomic.Pointer[table]
	slept       atomic.Int64  // nanoseconds
	asleep      time.Duration // what the host told of it last; touched by refresh only
	changed     chan struct{}

	stop    context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
	closed  error
}

// host is the operating system as far as interfaces go.
type host struct {
	devices  func() ([]device, error)
	gateways func() (map[string]gateway, error)
	watch    func(ctx context.Context, events chan<- struct{})
	asleep   func() time.Duration // how long it has slept, from some moment on: time that the monotonic clock left out
}

var thisHost = host{devices: readDevices, gateways: readGateways, watch: watch, asleep: asleep}

// Open opens the sockets and starts to follow the interfaces. It fails with ErrNoInterface if none is usable now
// (later none may be: the Link then waits for one), and with *PortTakenError.
func Open(cfg Config) (*Link, error) { return open(cfg, thisHost) }

func open(cfg Config, h host) (*Link, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	l := &Link{
		port:        cfg.Port,
		log:         cfg.Log,
		host:        h,
		patterns:    slices.Clone(cfg.Ifaces),
		generations: newGenerations(cfg.Boot, rand.Reader),
		changed:     make(chan struct{}, 1),
		asleep:      h.asleep(),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if err := l.begin(cfg); err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	events := make(chan struct{}, 1)
	l.running.Go(func() { h.watch(ctx, events) })
	l.running.Go(func() { l.follow(ctx, events) })
	return l, nil
}

// begin opens the sockets and looks at the interfaces for the first time.
func (l *Link) begin(cfg Config) error {
	if err := l.listen(cfg); err != nil {
		return err
	}
	l.listen6(cfg)
	t, err := l.look()
	if err == nil && len(t.used) == 0 {
		err = ErrNoInterface
	}
	if err != nil {
		return errors.Join(err, l.shut())
	}
	l.joinGroups(t)
	l.table.Store(t)
	return nil
}

func (l *Link) listen(cfg Config) error {
	any4 := netip.IPv4Unspecified()
	shared, err := listenShared(netip.AddrPortFrom(any4, uint16(cfg.Port)))
	if err != nil {
		return err
	}
	private, streams, err := listenFirst(any4, cfg.UnicastFirst, cfg.UnicastLast)
	if err != nil {
		return errors.Join(err, shared.Close())
	}
	l.shared, l.private, l.streams = shared, private, streams
	in, err := prepare(shared)
	out, err2 := prepare(private)
	if err = errors.Join(err, err2); err == nil {
		l.sender, err = l.serve(in, out, cfg.RecvBuffer)
	}
	if err != nil {
		return errors.Join(err, l.shut())
	}
	return nil
}

// listen6 opens the sockets of IPv6, under the same ports. A host without IPv6 has none, and goes on without it.
func (l *Link) listen6(cfg Config) {
	shared, err := listenShared6(uint16(cfg.Port))
	if err != nil {
		l.log.Debug("no IPv6", "err", err)
		return
	}
	private, streams, err := listenBoth6(uint16(l.UnicastPort()))
	if err != nil {
		l.log.Warn("no IPv6", "err", errors.Join(err, shared.Close()))
		return
	}
	sender, err := l.serve(&socket{udp: shared}, &socket{udp: private}, cfg.RecvBuffer)
	if err != nil {
		l.log.Warn("no IPv6", "err", errors.Join(err, shared.Close(), private.Close(), streams.Close()))
		return
	}
	l.shared6, l.private6, l.sender6, l.joined = shared, private, sender, make(map[membership]bool)
	l.streams = joinListeners(l.streams, streams)
}

// serve makes the two sockets of a family ready for the traffic of a Link and adds their readers.
func (l *Link) serve(shared, private *socket, buffer int) (*sender, error) {
	in, err := l.source(shared, buffer)
	out, err2 := l.source(private, buffer)
	sender, err3 := newSender(private)
	if err = errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	for _, s := range []*socket{shared, private} {
		raw, err := s.udp.SyscallConn()
		if err != nil {
			return nil, err
		}
		l.raws = append(l.raws, raw)
	}
	l.readers = append(l.readers, &reader{link: l, source: in, shared: true}, &reader{link: l, source: out})
	return sender, nil
}

func (l *Link) source(p *socket, buffer int) (*source, error) {
	conn := p.udp
	l.queue = growQueue(conn)
	askForLosses(conn)
	if buffer == MaxDatagram {
		joinOnReceive(conn) // with a shorter buffer never: it would lose all but the first of what the kernel joined
	}
	return newSource(p, buffer, receiveBatch)
}

// UnicastPort is the port of the private socket: what is sent leaves from it, and unicast answers come to it.
func (l *Link) UnicastPort() int { return l.private.LocalAddr().(*net.UDPAddr).Port }

// StreamListener takes TCP connections on the port number of the private socket. Whoever accepts there may close it.
func (l *Link) StreamListener() net.Listener { return l.streams }

// QueueBytes is what the operating system granted a socket to queue received datagrams in; 0 where it does not tell.
func (l *Link) QueueBytes() int { return l.queue }

// Interfaces lists the interfaces of the host as they were when they last changed, in order of index. The addresses and
// ids in it are shared: they are to be read only.
func (l *Link) Interfaces() []Interface { return slices.Clone(l.table.Load().ifaces) }

// Slept is how long the host has slept since Open: time that passed without the monotonic clock.
func (l *Link) Slept() time.Duration { return time.Duration(l.slept.Load()) }

// Changed receives when Interfaces has something new: an interface came, went, was given another address or another
// network id; and when the host woke up, after which nothing is as it was, whatever Interfaces says. Changes not yet
// received are one. It is never closed.
func (l *Link) Changed() <-chan struct{} { return l.changed }

// Close closes the sockets and the listener; readers and writers return net.ErrClosed.
func (l *Link) Close() error {
	l.closing.Do(func() {
		l.stop()
		l.closed = l.shut()
		l.running.Wait()
	})
	return l.closed
}

// shut closes all sockets.
func (l *Link) shut() error {
	err := errors.Join(l.shared.Close(), l.private.Close())
	if l.shared6 != nil {
		err = errors.Join(err, l.shared6.Close(), l.private6.Close())
	}
	if closed := l.streams.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

// follow looks at the interfaces whenever the operating system says that they changed, and now and then unasked.
func (l *Link) follow(ctx context.Context, events <-chan struct{}) {
	wait := firstRecheck
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		case <-time.After(wait):
		}
		switch changed, err := l.refresh(); {
		case err != nil:
			l.log.Warn("interfaces cannot be read", "err", err)
			wait = recheck
		case changed:
			wait = firstRecheck
		default:
			wait = min(2*wait, recheck)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
	}
}

// refresh replaces the table by what the host has now and tells of it if it differs.
func (l *Link) refresh() (changed bool, err error) {
	t, err := l.look()
	if err != nil {
		return false, err
	}
	l.joinGroups(t)
	was := l.table.Swap(t)
	if woke := l.wake(); !woke && reflect.DeepEqual(was.ifaces, t.ifaces) {
		return false, nil
	}
	l.report(was, t)
	select {
	case l.changed <- struct{}{}:
	default: // told already, not yet received
	}
	return true, nil
}

// wake tells whether the host has slept since it was asked last, and counts for how long.
func (l *Link) wake() bool {
	was := l.asleep
	l.asleep = l.host.asleep()
	nap := l.asleep - was
	if nap < napNoticed {
		return false
	}
	l.slept.Add(int64(nap))
	l.log.Info("this host slept", "for", nap)
	return true
}

func (l *Link) look() (*table, error) {
	devices, err := l.host.devices()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	if l.shared6 == nil {
		for n := range devices {
			devices[n].addrs6 = nil
		}
	}
	gateways, err := l.host.gateways()
	if err != nil {
		l.log.Debug("gateways cannot be read", "err", err) // networks are then told apart by generation only
	}
	ifaces, err := choose(devices, gateways, l.patterns)
	if err != nil {
		return nil, err
	}
	// Loopback stands in for a network that was never there. For one that is away it does not: what is said meanwhile is
	// for those who are on it, and reaches them when it is back.
	l.networked = l.networked || slices.ContainsFunc(ifaces, func(i Interface) bool { return i.Used && !i.Loopback })
	if !l.networked {
		standIn(ifaces, l.patterns)
	}
	if err := l.generations.assign(ifaces, devices, gateways); err != nil {
		return nil, err
	}
	return newTable(ifaces), nil
}

// report logs which interfaces came into use, with which addresses, and which went out of it.
func (l *Link) report(was, now *table) {
	for _, i := range now.ifaces {
		before := was.used[i.Index]
		if i.Used && (before == nil || !slices.Equal(before.Addrs, i.Addrs) || !slices.Equal(before.Addrs6, i.Addrs6)) {
			l.log.Info("interface in use", "iface", i.Name, "addrs", i.Addrs, "addrs6", i.Addrs6)
		}
	}
	for _, i := range was.ifaces {
		if i.Used && now.used[i.Index] == nil {
			l.log.Info("interface no longer in use", "iface", i.Name)
		}
	}
}

// prepare makes a socket send with the full hop limit and tell of each datagram received where it came in.
func prepare(conn *net.UDPConn) (*socket, error) {
	p := ipv4.NewPacketConn(conn)
	if err := p.SetTTL(hopLimit); err != nil {
		return nil, fmt.Errorf("set TTL: %w", err)
	}
	if err := askForControl(p); err != nil {
		return nil, fmt.Errorf("ask for interface and destination: %w", err)
	}
	return &socket{p, conn}, nil
}

// socket is one UDP socket that prepare made ready, or one of IPv6, which has no PacketConn.
type socket struct {
	*ipv4.PacketConn
	udp *net.UDPConn
}
