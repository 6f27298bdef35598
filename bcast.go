// Package bcast is group chat and device discovery for the network you are on: the front door for Go programs. A Node
// takes part without a server, an account or the internet; the daemon is the same Node with the control socket beside
// it.
//
// Its invariant: whatever a face asks for or is shown goes through the methods of Node, and so through one engine.
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
	"os"
	"slices"
	"sync"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/home"
	"bcast/internal/lan"
	"bcast/internal/node"
)

// DefaultPort is the shared port of all bcast devices; FirstUnicastPort to LastUnicastPort are those of their own. One
// firewall rule lets all pass.
const (
	DefaultPort      = 27474
	FirstUnicastPort = 27475
	LastUnicastPort  = 27490
)

// Receive buffer sizes in bytes.
const (
	MinRecvBuffer = 16
	MaxRecvBuffer = 65535
)

// Config says how a Node takes part. The zero value is a guest on every usable interface: key and history in memory.
type Config struct {
	// Home is the directory of key, joined rooms and boot count; it is locked while the Node runs. Empty: a guest.
	Home string
	// Nick is the name shown to others; empty: the home's last one, else $USER, else the host name.
	Nick string
	// Ifaces are interface names or patterns (path.Match); empty: all that can broadcast, loopback if there is none.
	Ifaces []string
	// Port is the shared broadcast port; 0 means DefaultPort.
	Port int
	// RecvBuffer is the size of the receive buffer in bytes, MinRecvBuffer to MaxRecvBuffer; 0 means the largest. What
	// is longer is cut, counted and shown. Below 512 the node only watches.
	RecvBuffer int
	// Rooms are joined at the start, beside those the home remembers.
	Rooms []string
	// BroadcastBudget bounds what this node broadcasts, in bytes a second; 0 means the link profile's.
	BroadcastBudget int
	// Logger takes the state changes a person operating the node must know; nil discards them.
	Logger *slog.Logger
}

// Node is one participant. It implements control.API; its methods may be called from many goroutines.
type Node struct {
	cfg    Config
	node   *node.Node
	lan    *lan.Link
	events *eventLog
	store  *history.Memory // read on the node's loop only

	mu      sync.Mutex
	home    *home.Home // nil for a guest
	closing sync.Once
	closed  error
}

var _ control.API = (*Node)(nil)

// Start takes part: it opens the home and the sockets and returns when the first HELLO is out. Errors are
// *control.Error values: CodeHome, CodeCorrupt, CodeRunning, CodeNoNetwork, CodePortTaken, CodeInvalid.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, store: history.NewMemory()}
	device, err := n.device()
	if err != nil {
		return nil, err
	}
	if n.lan, err = openLink(cfg); err != nil {
		n.closeHome()
		return nil, err
	}
	device.RecvBuffer, device.Broadcast = cfg.RecvBuffer, cfg.BroadcastBudget
	device.UnicastPort = uint16(n.lan.UnicastPort())
	device.Verify = identity.PublicKey.Verify
	n.events = newEventLog(device.Instance.String())
	n.node, err = node.Start(node.Config{
		Engine: device, Link: link{n.lan}, Store: n.store, Log: cfg.Logger, OnEvent: n.onEvent,
		OnInterfaces: n.onInterfaces,
	})
	if err == nil {
		err = n.joinFirst(ctx)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
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
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RecvBuffer < MinRecvBuffer || cfg.RecvBuffer > MaxRecvBuffer {
		return control.NewError(control.CodeInvalid, nil,
			fmt.Sprintf("receive buffer of %d bytes: out of range", cfg.RecvBuffer),
			fmt.Sprintf("choose %d to %d; below 512 the node only watches", MinRecvBuffer, MaxRecvBuffer))
	}
	if cfg.Port < 1 || cfg.Port > 65535 || cfg.Port >= FirstUnicastPort && cfg.Port <= LastUnicastPort {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("shared port %d: out of range", cfg.Port),
			fmt.Sprintf("choose 1 to 65535, but not %d to %d, which are for unicast", FirstUnicastPort, LastUnicastPort))
	}
	if cfg.BroadcastBudget < 0 {
		return control.NewError(control.CodeInvalid, nil, "broadcast budget: below zero", "give bytes a second")
	}
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
	}
	nick, err := chooseNick(n.cfg.Nick, remembered)
	if err != nil {
		n.closeHome()
		return device, err
	}
	device.Nick = nick
	return device, nil
}

// Self is who a device is to others.
type Self struct {
	ID   string `json:"id"`
	Nick string `json:"nick"`
	Tag  string `json:"tag"`
}

// Identify reads from a home who its device is, without taking part; the first use of a home makes the key. Errors are
// those of Start that concern the home.
func Identify(dir string) (Self, error) {
	h, err := home.Open(dir, rand.Reader)
	if err != nil {
		return Self{}, homeError(dir, err)
	}
	defer h.Close()
	nick, err := chooseNick("", h.Nick())
	if err != nil {
		return Self{}, err
	}
	id := h.Key().ID()
	return Self{ID: id.String(), Nick: string(nick), Tag: id.Tag()}, nil
}

func chooseNick(wanted string, remembered identity.Nick) (identity.Nick, error) {
	if wanted != "" {
		nick, err := identity.ParseNick(wanted)
		return nick, invalid(err, "")
	}
	if remembered != "" {
		return remembered, nil
	}
	if user := os.Getenv("USER"); user != "" {
		return identity.NickFrom(user), nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return identity.NickFrom(host), nil
}

func openLink(cfg Config) (*lan.Link, error) {
	l, err := lan.Open(lan.Config{
		Port: cfg.Port, UnicastFirst: FirstUnicastPort, UnicastLast: LastUnicastPort, RecvBuffer: cfg.RecvBuffer,
		Ifaces: cfg.Ifaces, Log: cfg.Logger,
	})
	var taken *lan.PortTakenError
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, lan.ErrNoInterface):
		return nil, control.NewError(control.CodeNoNetwork, err, err.Error(),
			"`bcast ifaces` says why each is not used; --iface lo works on this host alone")
	case errors.As(err, &taken):
		return nil, control.NewError(control.CodePortTaken, err, err.Error(),
			"end that program, or give all of your devices another --port")
	}
	return nil, control.NewError(control.CodeInternal, err, err.Error(), "")
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
	case errors.Is(err, fs.ErrPermission):
		return control.NewError(control.CodeHome, err, err.Error(), "the home must be yours to write; --home names another")
	}
	return control.NewError(control.CodeHome, err, err.Error(), "--home must be a directory that you can write to")
}

// joinFirst joins the rooms that the home remembers and those asked for.
func (n *Node) joinFirst(ctx context.Context) error {
	if n.home != nil {
		for _, name := range n.home.Rooms() {
			if _, err := n.Join(ctx, string(name)); err != nil {
				return err
			}
		}
	}
	for _, name := range n.cfg.Rooms {
		if _, err := n.Join(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// onEvent runs on the node's loop.
func (n *Node) onEvent(now engine.Now, e *engine.Engine, ev engine.Event) {
	if ev.Kind == engine.TwinEvent {
		n.cfg.Logger.Error("another instance uses this device's key: was the home copied? Give each host its own")
	}
	if noun, ok := n.eventNoun(now, e, ev); ok {
		n.events.add(noun)
	}
}

// Close says goodbye on every interface, stops within two seconds and releases the home.
func (n *Node) Close() error {
	n.closing.Do(func() {
		if n.node != nil {
			n.closed = n.node.Close()
		} else {
			n.closed = n.lan.Close()
		}
		n.events.close()
		n.closed = errors.Join(n.closed, n.closeHome())
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

// rememberRooms keeps the joined rooms for the next start.
func (n *Node) rememberRooms(change func([]identity.RoomName) []identity.RoomName) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return nil
	}
	rooms := change(slices.Clone(n.home.Rooms()))
	if slices.Equal(rooms, n.home.Rooms()) {
		return nil
	}
	if err := n.home.SetRooms(rooms); err != nil {
		return homeError(n.cfg.Home, err)
	}
	return nil
}
