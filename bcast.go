// Package bcast is group chat and device discovery for the network you are on, for Go programs. A [Node] takes part
// without a server, an account or the internet.
//
//	node, err := bcast.Start(ctx, bcast.Config{Nick: "dice", Rooms: []string{"lobby"}})
//	if err != nil {
//		return err
//	}
//	defer node.Close()
//	for e, err := range node.Events(ctx, "") {
//		if err != nil {
//			return err
//		}
//		if e.Type == bcast.EventPost && !e.Post.Own && e.Post.Text == "!dice" {
//			node.Say(ctx, bcast.Say{Room: e.Post.Room, Text: "4"})
//		}
//	}
//
// # Intent in, facts out
//
// [Node.Join], [Node.Say] and the like say what is wanted. [Node.Events] yields what happens, in order: posts, members
// that come and go, peers, receipts. [Node.Posts], [Node.Peers], [Node.Rooms] and [Node.Members] tell how things are.
// A reader that stops for long misses events and is told so by one of type [EventGap].
//
// A post is in the store of this Node when Say returns, and on its way. Who does not get it now gets it later, from
// this Node or from any member that has it. The Wait of [Say] waits for those; [Node.Ledger] tells who has it.
//
// # Devices and services
//
// [Browse] looks at what is on the subnet, over all protocols; [Announce] and [Node.Announce] make a service found by
// others.
//
// # Files
//
// Without a Home a Node is a guest: its key and all that is said are in memory and end with it; [Ephemeral] says so.
// With a Home it is the same device next time, with its rooms and their history. One process at a time uses a home;
// [OpenHistory] reads what it keeps without taking part.
//
// # Tests
//
// Nodes on one [LAN] talk in memory, as many in one process as wanted. In a testing/synctest bubble hours of a network
// take milliseconds:
//
//	synctest.Test(t, func(t *testing.T) {
//		lan := bcast.NewLAN()
//		alice, err := bcast.Start(t.Context(), bcast.Config{Nick: "alice"}, bcast.OnLAN(lan))
//		…
//	})
//
// The daemon of the command line is the same Node with a control socket beside it: whatever a person or a script asks
// for goes through these methods.
package bcast

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/home"
	"bcast/internal/lan"
	"bcast/internal/node"
	"bcast/internal/stream"
	"bcast/internal/zeroconf"
)

// DefaultPort is the shared port of all bcast devices; FirstUnicastPort to LastUnicastPort are those of their own, and
// the one behind these is that of pushes. One firewall rule lets all pass.
const (
	DefaultPort      = 27474
	FirstUnicastPort = 27475
	LastUnicastPort  = 27489
)

// Receive buffer sizes in bytes.
const (
	MinRecvBuffer = 16
	MaxRecvBuffer = 65535
)

// Config says how a Node takes part. The zero value is a guest on every usable interface: key and history in memory.
type Config struct {
	// Home is the directory of key, joined rooms, history and boot count; it is locked while the Node runs. Empty: a
	// guest.
	Home string
	// Durability is "normal", the default: what was said outlasts the process, however it ends, and after a loss of
	// power the last moment may have to come back from the other members; or "full": nothing is sent or shown before it
	// is safe on the disk.
	Durability string
	// Nick is the name shown to others; empty: the home's last one, else $USER, else the host name.
	Nick string
	// Ifaces are interface names or patterns (path.Match); one behind a ! leaves out what it matches. If none asks for
	// any: all that can broadcast but tunnels and what is virtual, loopback if there is none.
	Ifaces []string
	// Port is the shared broadcast port; 0 means DefaultPort.
	Port int
	// RecvBuffer is the size of the receive buffer in bytes, MinRecvBuffer to MaxRecvBuffer; 0 means the largest. What
	// is longer is cut, counted and shown. Below 512 the node only watches.
	RecvBuffer int
	// Rooms are joined at the start, beside those the home remembers; with Ephemeral they are kept in memory only.
	Rooms     []string
	Ephemeral bool
	// Link says of which kind the links are: "wired", "wifi", or "auto", or nothing, which asks the system of each.
	Link string
	// BroadcastBudget bounds what this node broadcasts, in bytes a second; 0 means the link profile's.
	BroadcastBudget int
	// MDNS says what is told by multicast DNS: "services", the default: what Node.Announce is given; "on": this Node as
	// well, as one of type _bcast._udp, with its nick, id, port and the host's name; or "off": nothing.
	MDNS string
	// SSDP says what is told by SSDP: "services", the default: what Node.Announce is given, with a description that is
	// served by HTTP on the link while it is; or "off": nothing. The Node itself is not told there.
	SSDP string
	// Logger takes the state changes a person operating the node must know; nil discards them.
	Logger *slog.Logger

	lan    *LAN          // see OnLAN
	subnet zeroconf.Host // what Watch and Browse look at: see OnHost; nil: this host's networks
}

// Node is one participant. Its methods may be called from many goroutines.
//
// Rooms are named as people write them (a leading '#' is ignored), or, for the room of this device and another, by "@"
// and a nick, nick-tag or the beginning of an id. Posts are named by their ids or a unique beginning of at least four
// characters. Every error is an *[Error].
type Node struct {
	cfg    Config
	node   *node.Node
	lan    network
	stream *stream.Streams
	near   acquaintances // who may dial us
	bulk   *bulk         // for what is pushed

	files  fileService
	events *eventLog
	links  []lan.Interface // as events told of them; only who has the turn looks
	began  clock           // what its moments count from; only who has the turn looks
	topics topics
	store  history.Store
	resume bool          // our own feeds may be continued
	key    *identity.Key // the device's
	crowd  *crowd        // who else is live
	watch  watch         // of the subnet

	offering offering

	ending  chan struct{}  // closed when Close begins
	started chan struct{}  // closed when node is there: it tells of what happens before that
	opening sync.WaitGroup // direct rooms that others open

	mu        sync.Mutex
	home      *home.Home  // nil for a guest
	rooms     []home.Room // joined
	trusted   trust
	pushing   *pushing                // the one push from here; nil: none
	preparing bool                    // one is about to begin
	expecting map[string]*expectation // pushes of others that are taken part in, by post
	closing   sync.Once
	closed    error

	benching sync.Mutex               // held by the one measurement
	counting atomic.Pointer[counting] // what is measured of what comes; nil: nothing
	flows    sync.Map                 // of *flow, by room: who speaks is slowed to what its members take
}

var _ control.API = (*Node)(nil)

// Start takes part: it opens the home and the sockets and returns when the first HELLO is out. Without options it is
// those of the zero [Config]. ctx bounds the start alone; [Node.Close] ends what it began. It fails with an *[Error] of
// CodeHome, CodeCorrupt, CodeRunning, CodeNoNetwork, CodePortTaken, CodeInvalid or CodeReadOnly.
func Start(ctx context.Context, options ...Option) (*Node, error) {
	var cfg Config
	for _, o := range options {
		o.configure(&cfg)
	}
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, crowd: newCrowd(), started: make(chan struct{}), ending: make(chan struct{})}
	device, err := n.device()
	if err != nil {
		return nil, err
	}
	if err := n.openStore(); err != nil {
		n.closeHome()
		return nil, err
	}
	var dial dialer
	if n.lan, dial, err = openNetwork(cfg); err != nil {
		n.store.Close()
		n.closeHome()
		return nil, err
	}
	n.key = device.Key
	device.RecvBuffer, device.Broadcast = cfg.RecvBuffer, cfg.BroadcastBudget
	device.UnicastPort = uint16(n.lan.UnicastPort())
	device.StreamPort = device.UnicastPort
	device.Verify = identity.PublicKey.Verify
	n.events, n.links = newEventLog(device.Instance.String()), n.interfaces()
	if n.home != nil {
		n.rooms = slices.Clone(n.home.Rooms())
	}
	n.openHoldings()
	n.bulk = newBulk(n)
	if err = n.openStreams(device.Key, dial); err == nil {
		n.node, err = node.Start(node.Config{
			Engine: device, Link: link{n.lan, cfg.Link}, Store: n.store, Pipe: pipe{n.stream}, Log: cfg.Logger,
			Right:   cfg.lan.remembered(),
			OnEvent: n.onEvent, OnInterfaces: n.onInterfaces,
		})
	}
	close(n.started)
	if err == nil {
		n.openFiles()
		err = n.joinFirst(ctx)
	}
	if err == nil {
		n.files.arrivals.begin(func() { n.expectAgain(n.files.arrivals.ctx) })
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	n.announceSelf(string(device.Nick))
	return n, nil
}

// fill checks cfg and puts the defaults in.
func (cfg *Config) fill() error {
	if cfg.Port == 0 {
		cfg.Port = DefaultPort
	}
	if cfg.RecvBuffer == 0 {
		cfg.RecvBuffer = MaxRecvBuffer
	}
	if home, err := filepath.Abs(cfg.Home); err == nil && cfg.Home != "" {
		cfg.Home = home // what is below it is named to others by its path
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RecvBuffer < MinRecvBuffer || cfg.RecvBuffer > MaxRecvBuffer {
		return control.NewError(control.CodeInvalid, nil,
			fmt.Sprintf("receive buffer of %d bytes: out of range", cfg.RecvBuffer),
			fmt.Sprintf("choose %d to %d; below 512 the node only watches", MinRecvBuffer, MaxRecvBuffer))
	}
	const pushes = DefaultPort + bulkOffset
	if cfg.Port < 1 || cfg.Port > 65535 || cfg.Port >= FirstUnicastPort && cfg.Port <= pushes {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("shared port %d: out of range", cfg.Port),
			fmt.Sprintf("choose 1 to 65535, but not %d to %d, which are for unicast and pushes", FirstUnicastPort, pushes))
	}
	if cfg.Durability == "" {
		cfg.Durability = durabilityNormal
	}
	if cfg.Durability != durabilityNormal && cfg.Durability != durabilityFull {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("durability %q: unknown", cfg.Durability),
			"choose normal or full")
	}
	if cfg.Link == "" {
		cfg.Link = linkAuto
	}
	if cfg.Link != linkAuto && cfg.Link != linkWired && cfg.Link != linkWifi {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("link %q: unknown", cfg.Link),
			"choose auto, wired or wifi")
	}
	if cfg.MDNS == "" {
		cfg.MDNS = MDNSServices
	}
	if cfg.MDNS != MDNSOn && cfg.MDNS != MDNSServices && cfg.MDNS != MDNSOff {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("mdns %q: unknown", cfg.MDNS),
			"choose on, services or off")
	}
	if cfg.SSDP == "" {
		cfg.SSDP = SSDPServices
	}
	if cfg.SSDP != SSDPServices && cfg.SSDP != SSDPOff {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("ssdp %q: unknown", cfg.SSDP), "choose services or off")
	}
	if cfg.BroadcastBudget < 0 {
		return control.NewError(control.CodeInvalid, nil, "broadcast budget: below zero", "give bytes a second")
	}
	return nil
}

const (
	durabilityNormal = "normal"
	durabilityFull   = "full"
	linkAuto         = "auto"
	linkWired        = "wired"
	linkWifi         = "wifi"
)

// openStore opens the history: of the home, or, for a guest, one in memory.
func (n *Node) openStore() error {
	if n.cfg.Home == "" {
		n.store = history.NewMemory()
		return nil
	}
	disk, err := history.Open(n.cfg.Home, history.Options{
		Full: n.cfg.Durability == durabilityFull, BootID: home.BootID(), Log: n.cfg.Logger,
	})
	if err != nil {
		return storeError(err)
	}
	n.store, n.resume = disk, disk.Resumes()
	return nil
}

// device is who we are: from the home, or new for a guest.
func (n *Node) device() (engine.Config, error) {
	seed := [32]byte{}
	rand.Read(seed[:])
	device := engine.Config{
		Random: rand.Reader, Timing: mathrand.New(mathrand.NewChaCha8(seed)),
		Instance: identity.Instance{Boot: 1, Nonce: binary.BigEndian.Uint64(seed[:])},
	}
	device.Instance.Nonce = device.Timing.Uint64() // the seed itself stays ours
	var remembered identity.Nick
	if n.cfg.Home == "" {
		key, err := identity.NewKey(rand.Reader)
		if err != nil {
			return device, control.NewError(control.CodeInternal, err, err.Error(), "")
		}
		device.Key = key
	} else {
		h, err := home.Open(n.cfg.Home, rand.Reader)
		if err != nil {
			return device, homeError(n.cfg.Home, err)
		}
		n.home = h
		device.Key, device.Instance.Boot, remembered = h.Key(), h.Boot(), h.Nick()
		n.trusted = trust{h.Trust()}
	}
	nick, err := chooseNick(n.cfg.Nick, remembered)
	if err != nil {
		n.closeHome()
		return device, err
	}
	device.Nick = nick
	if n.home != nil && nick != remembered && n.cfg.Nick != "" {
		if err := n.home.SetNick(nick); err != nil {
			n.closeHome()
			return device, homeError(n.cfg.Home, err)
		}
	}
	return device, nil
}

func homeError(dir string, err error) error {
	var corrupt *home.CorruptError
	switch {
	case errors.Is(err, home.ErrLocked):
		return control.NewError(control.CodeRunning, err, "another bcast runs with the home "+dir,
			"use it (`bcast status`), stop it, or give --home another directory")
	case errors.As(err, &corrupt):
		return control.NewError(control.CodeCorrupt, err, err.Error(),
			"restore the file from a backup, or move it away: without its key file the device starts as a new one")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EROFS):
		return control.NewError(control.CodeReadOnly, err, err.Error(),
			"make space on the disk, and see that it can be written")
	case errors.Is(err, fs.ErrPermission):
		return control.NewError(control.CodeHome, err, err.Error(), "the home must be yours to write; --home names another")
	}
	return control.NewError(control.CodeHome, err, err.Error(), "--home must be a directory that you can write to")
}

// joinFirst joins the rooms that the home remembers and those asked for. The node runs: who is met meanwhile may change
// how a room is called.
func (n *Node) joinFirst(ctx context.Context) error {
	n.mu.Lock()
	remembered := slices.Clone(n.rooms)
	n.mu.Unlock()
	for _, r := range remembered {
		if _, err := n.join(ctx, r); err != nil {
			return err
		}
	}
	for _, name := range n.cfg.Rooms {
		if _, err := n.Join(ctx, name, JoinOptions{Ephemeral: n.cfg.Ephemeral}); err != nil {
			return err
		}
	}
	return nil
}

// onEvent runs with the node's turn.
func (n *Node) onEvent(now engine.Now, e *engine.Engine, ev engine.Event) {
	if c := n.counting.Load(); c != nil {
		self, _, _ := e.Own()
		c.hear(now, ev, self)
	}
	n.flowed(ev)
	switch ev.Kind {
	case engine.TwinEvent:
		n.cfg.Logger.Error("another instance uses this device's key: was the home copied? Give each host its own")
	case engine.InstanceEvent:
		n.outlived(ev.Instance)
	case engine.KeysEvent:
		n.keepKeys(ev.Room, *ev.Keys)
	case engine.StoreEvent:
		if ev.Err != nil {
			n.cfg.Logger.Error("the history takes nothing now: this node only reads", "err", ev.Err)
		}
	case engine.KnockEvent:
		n.knocked(*ev.Peer)
	case engine.PeerEvent:
		n.crowd.follow(*ev.Peer)
		n.keepPeerNick(*ev.Peer)
		if ev.Peer.Proven {
			n.near.add(e.Places(ev.Peer.ID)...)
		}
	}
	if n.hides(ev) {
		return
	}
	if ev.Kind == engine.RoomEvent && ev.Chat.Kind == chat.Posted {
		n.posted(now, e, ev.Room, &ev.Chat)
		return
	}
	if noun, ok := n.eventNoun(now, e, ev); ok {
		n.events.add(noun)
	}
}

// Close says goodbye on every interface, stops within two seconds and releases the home.
func (n *Node) Close() error {
	n.closing.Do(func() {
		close(n.ending)
		n.offering.end()
		n.watch.close()
		n.closed = n.closeFiles()
		if n.node != nil {
			n.closed = errors.Join(n.closed, n.node.Close())
		} else {
			n.closed = errors.Join(n.closeStreams(), n.lan.Close())
		}
		n.opening.Wait() // nobody knocks any more
		n.events.close()
		n.closed = errors.Join(n.closed, n.store.Close(), n.closeHome())
	})
	return n.closed
}

func (n *Node) closeHome() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return nil
	}
	return n.home.Close()
}

// Reload reads the joined rooms from the home again, joins what is new there, and announces this device anew.
func (n *Node) Reload(ctx context.Context) error {
	if err := n.joinFirst(ctx); err != nil {
		return err
	}
	_, err := n.node.Do(ctx, engine.Announce{})
	return failure(err)
}

// outlived notes that this run goes on as a later one, for the others took a copy for it: the next is later still.
func (n *Node) outlived(as identity.Instance) {
	n.cfg.Logger.Warn("the other instance of this device is gone: this one is announced anew", "instance", as)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return
	}
	if err := n.home.RaiseBoot(as.Boot); err != nil {
		n.cfg.Logger.Error("the count of runs is not remembered", "err", err)
	}
}

// rememberRooms keeps the joined rooms for the next start.
func (n *Node) rememberRooms(change func([]home.Room) []home.Room) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rooms = change(slices.Clone(n.rooms))
	if n.home == nil {
		return nil
	}
	if err := n.home.SetRooms(n.rooms); err != nil {
		return homeError(n.cfg.Home, err)
	}
	return nil
}
