package lan

import (
	"errors"
	"sync/atomic"
	"syscall"
)

// drop is a reason why a datagram was not handed up or not sent.
type drop int

const (
	dropIfaceUnused drop = iota
	dropRecvQueueFull
	dropSendNoRoute
	dropSendUnreachable
	dropSendBlocked
	dropSendQueueFull
	dropSendTooLarge
	dropSendFailed
	dropKinds
)

// dropNames are what people look up.
var dropNames = [dropKinds]string{
	dropIfaceUnused:     "iface_unused",     // received on an interface that is not in use
	dropRecvQueueFull:   "recv_queue_full",  // the node did not read as fast as they came; only Linux tells
	dropSendNoRoute:     "send_no_route",    // no interface in use leads there, or the address is not IPv4
	dropSendUnreachable: "send_unreachable", // the interface went down, or nothing leads to the address
	dropSendBlocked:     "send_blocked",     // a firewall of this host refused it
	dropSendQueueFull:   "send_queue_full",  // the interface's queue is full
	dropSendTooLarge:    "send_too_large",   // longer than the operating system sends
	dropSendFailed:      "send_failed",      // refused for another reason
}

// counters counts drops by reason.
type counters [dropKinds]atomic.Uint64

func (c *counters) add(d drop) { c[d].Add(1) }

// Drops counts the datagrams refused since Open by reason: on receiving iface_unused and recv_queue_full, on sending
// send_no_route, send_unreachable, send_blocked, send_queue_full, send_too_large and send_failed. A broadcast counts
// once per subnet.
func (l *Link) Drops() map[string]uint64 {
	counts := make(map[string]uint64, dropKinds)
	for d, name := range dropNames {
		counts[name] = l.drops[d].Load()
	}
	return counts
}

// sendDrop is the reason behind a send error.
func sendDrop(err error) drop {
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.ENODEV, syscall.ENXIO,
		syscall.EADDRNOTAVAIL, syscall.EINVAL: // EINVAL: the source address is no longer the interface's
		return dropSendUnreachable
	case syscall.EPERM, syscall.EACCES:
		return dropSendBlocked
	case syscall.ENOBUFS:
		return dropSendQueueFull
	case syscall.EMSGSIZE:
		return dropSendTooLarge
	}
	return dropSendFailed
}
