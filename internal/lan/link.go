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
)

// Config says which sockets a Link opens.
type Config struct {
	Port         int          // shared port, where broadcasts go; 1 to 65535
	UnicastFirst int          // the private socket takes the first free port from here …
	UnicastLast  int          // … to here; both 0: any free port
	RecvBuffer   int          // bytes, 1 to MaxDatagram; what is longer is cut
	Ifaces       []string     // names or patterns, as for Interfaces; empty: all that can broadcast
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

// Link is the shared and the private socket of one participant, and the interfaces they serve. Its methods may be
// called from many goroutines; each function of Readers belongs to one.
type Link struct {
	port    int
	log     *slog.Logger
	shared  *net.UDPConn
	private *net.UDPConn
	sender  *sender
	readers []*reader
	queue   int
	drops   counters

	host        host
	patterns    []string
	generations *generations // touched by refresh only
	table       atomic.Pointer[table]
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
}

var thisHost = host{devices: readDevices, gateways: readGateways, watch: watch}

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
		generations: newGenerations(rand.Reader),
		changed:     make(chan struct{}, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	t, err := l.look()
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	if len(t.used) == 0 {
		return nil, fmt.Errorf("open link: %w", ErrNoInterface)
	}
	l.table.Store(t)
	if err := l.listen(cfg); err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	events := make(chan struct{}, 1)
	l.running.Go(func() { h.watch(ctx, events) })
	l.running.Go(func() { l.follow(ctx, events) })
	return l, nil
}

func (l *Link) listen(cfg Config) error {
	any4 := netip.IPv4Unspecified()
	shared, err := listenShared(netip.AddrPortFrom(any4, uint16(cfg.Port)))
	if err != nil {
		return err
	}
	private, err := listenFirst(any4, cfg.UnicastFirst, cfg.UnicastLast)
	if err != nil {
		return errors.Join(err, shared.Close())
	}
	l.shared, l.private = shared, private
	_, err = l.serve(shared, cfg.RecvBuffer)
	out, err2 := l.serve(private, cfg.RecvBuffer)
	if err := errors.Join(err, err2); err != nil {
		return errors.Join(err, shared.Close(), private.Close())
	}
	l.sender = newSender(out)
	return nil
}

// serve makes conn ready for the traffic of a Link and adds its reader.
func (l *Link) serve(conn *net.UDPConn, buffer int) (*ipv4.PacketConn, error) {
	p, err := prepare(conn)
	if err != nil {
		return nil, err
	}
	l.queue = growQueue(conn)
	if buffer == MaxDatagram {
		joinOnReceive(conn) // with a shorter buffer never: it would lose all but the first of what the kernel joined
	}
	source := newSource(p, buffer, receiveBatch)
	l.readers = append(l.readers, &reader{link: l, source: source, shared: conn == l.shared})
	return p, nil
}

// UnicastPort is the port of the private socket: what is sent leaves from it, and unicast answers come to it.
func (l *Link) UnicastPort() int { return l.private.LocalAddr().(*net.UDPAddr).Port }

// QueueBytes is what the operating system granted a socket to queue received datagrams in; 0 where it does not tell.
func (l *Link) QueueBytes() int { return l.queue }

// Interfaces lists the interfaces of the host as they were when they last changed, in order of index. The addresses and
// ids in it are shared: they are to be read only.
func (l *Link) Interfaces() []Interface { return slices.Clone(l.table.Load().ifaces) }

// Changed receives when Interfaces has something new: an interface came, went, was given another address or another
// network id. Changes not yet received are one. It is never closed.
func (l *Link) Changed() <-chan struct{} { return l.changed }

// Close closes both sockets; readers and writers return net.ErrClosed.
func (l *Link) Close() error {
	l.closing.Do(func() {
		l.stop()
		l.closed = errors.Join(l.shared.Close(), l.private.Close())
		l.running.Wait()
	})
	return l.closed
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
	was := l.table.Swap(t)
	if reflect.DeepEqual(was.ifaces, t.ifaces) {
		return false, nil
	}
	l.report(was, t)
	select {
	case l.changed <- struct{}{}:
	default: // told already, not yet received
	}
	return true, nil
}

func (l *Link) look() (*table, error) {
	devices, err := l.host.devices()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	ifaces, err := choose(devices, l.patterns)
	if err != nil {
		return nil, err
	}
	gateways, err := l.host.gateways()
	if err != nil {
		l.log.Debug("gateways cannot be read", "err", err) // networks are then told apart by generation only
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
		if i.Used && (before == nil || !slices.Equal(before.Addrs, i.Addrs)) {
			l.log.Info("interface in use", "iface", i.Name, "addrs", i.Addrs)
		}
	}
	for _, i := range was.ifaces {
		if i.Used && now.used[i.Index] == nil {
			l.log.Info("interface no longer in use", "iface", i.Name)
		}
	}
}

// prepare makes a socket send with the full hop limit and tell of each datagram received where it came in.
func prepare(conn *net.UDPConn) (*ipv4.PacketConn, error) {
	p := ipv4.NewPacketConn(conn)
	if err := p.SetTTL(hopLimit); err != nil {
		return nil, fmt.Errorf("set TTL: %w", err)
	}
	if err := askForControl(p); err != nil {
		return nil, fmt.Errorf("ask for interface and destination: %w", err)
	}
	return p, nil
}
