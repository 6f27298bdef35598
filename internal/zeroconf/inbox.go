package zeroconf

import (
	"bytes"
	"net/netip"
	"sync/atomic"
)

const (
	// queued is how many datagrams may wait for the loop; what comes beyond is dropped and counted.
	queued = 256
	// longest is the largest datagram that is read; what is longer is cut, and no protocol takes it.
	longest = 16 << 10
)

// inbox is what was received and waits for the loop of whoever listens.
type inbox[T any] struct {
	arrivals chan arrival[T]
	dropped  atomic.Int64
}

// arrival is a datagram received, and at what.
type arrival[T any] struct {
	at   T
	from netip.AddrPort
	data []byte
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{arrivals: make(chan arrival[T], queued)} }

// read takes what a link receives until it is closed or its interface is gone.
func (in *inbox[T]) read(link Link, at T) {
	buf := make([]byte, longest)
	for {
		n, from, err := link.Receive(buf)
		if err != nil {
			return
		}
		select {
		case in.arrivals <- arrival[T]{at, from, bytes.Clone(buf[:n])}:
		default:
			in.dropped.Add(1)
		}
	}
}
