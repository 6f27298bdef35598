package bcast

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"bcast/internal/control"
	"bcast/internal/home"
	"bcast/internal/lan"
	"bcast/internal/node"
	"bcast/internal/virtual"
)

// LAN is a network in memory: the Nodes started on one, by [OnLAN], find each other and nobody else. It takes no port,
// no permission and no network, and in a bubble of testing/synctest its time is the bubble's, so that a test of a
// program of several participants is quick and always the same.
type LAN struct {
	wire  *virtual.LAN
	right *node.Right // of its nodes: they are of one process, and one checks for all what all hear
}

// NewLAN returns a network in memory with nobody on it.
func NewLAN() *LAN { return &LAN{virtual.New(), node.NewRight()} }

// remembered is what nodes of the LAN found right; nil: it is none, and a node remembers for itself.
func (l *LAN) remembered() *node.Right {
	if l == nil {
		return nil
	}
	return l.right
}

// Unplug takes the network cable of a Node of this LAN out; the others lose it after some seconds, as they lose a host
// that crashed. Plug puts it back. A Node of another network is left alone.
func (l *LAN) Unplug(n *Node) { l.plug(n, true) }

// Plug undoes Unplug.
func (l *LAN) Plug(n *Node) { l.plug(n, false) }

func (l *LAN) plug(n *Node, out bool) {
	if link, virtual := n.lan.(*virtual.Link); virtual && n.cfg.lan == l {
		link.Unplug(out)
	}
}

// network is the way to the others: the sockets of this host, or a LAN in memory.
type network interface {
	Readers() []func([]lan.Datagram) (int, error)
	Write([]lan.Outgoing) (int, error)
	Interfaces() []lan.Interface
	Waiting() bool
	Changed() <-chan struct{}
	Slept() time.Duration
	UnicastPort() int
	QueueBytes() int
	Drops() map[string]uint64
	StreamListener() net.Listener
	Close() error
}

// dialer connects to the listener of another participant; nil is TCP.
type dialer func(context.Context, netip.AddrPort) (net.Conn, error)

func openNetwork(cfg Config) (network, dialer, error) {
	if cfg.lan != nil {
		link, err := cfg.lan.wire.Plug(cfg.Port, cfg.RecvBuffer)
		if err != nil {
			return nil, nil, control.NewError(control.CodeNoNetwork, err, err.Error(), "make another LAN")
		}
		return link, link.Dial, nil
	}
	link, err := openLink(cfg)
	var taken *lan.PortTakenError
	switch {
	case err == nil:
		return link, nil, nil
	case errors.Is(err, lan.ErrNoInterface):
		return nil, nil, control.NewError(control.CodeNoNetwork, err, err.Error(),
			"`bcast ifaces` says why each is not used; --iface lo works on this host alone")
	case errors.As(err, &taken):
		return nil, nil, control.NewError(control.CodePortTaken, err, err.Error(),
			"end that program, or give all of your devices another --port")
	}
	return nil, nil, control.NewError(control.CodeInternal, err, err.Error(), "")
}

func openLink(cfg Config) (*lan.Link, error) {
	return lan.Open(lan.Config{
		Port: cfg.Port, UnicastFirst: FirstUnicastPort, UnicastLast: LastUnicastPort, RecvBuffer: cfg.RecvBuffer,
		Ifaces: cfg.Ifaces, Boot: home.BootID(), Log: cfg.Logger,
	})
}
