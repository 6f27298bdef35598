// Package fair bounds the connections of a listener, so that no address keeps out the others.
//
// Its invariant: no more are open than it was told, of one address and of all together.
package fair

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/netutil"
)

// Limit has ln accept so many connections at once: of each address, what is beyond that is closed, and of all, what is
// beyond that waits.
func Limit(ln net.Listener, each, all int) net.Listener {
	return netutil.LimitListener(&fair{Listener: ln, each: each, open: map[netip.Addr]int{}}, all)
}

// fair closes connections of an address that has many already.
type fair struct {
	net.Listener
	each int
	mu   sync.Mutex
	open map[netip.Addr]int
}

func (f *fair) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil || !f.enter(from.Addr()) {
			conn.Close()
			continue
		}
		return &counted{Conn: conn, leave: sync.OnceFunc(func() { f.leave(from.Addr()) })}, nil
	}
}

func (f *fair) enter(from netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[from] >= f.each {
		return false
	}
	f.open[from]++
	return true
}

func (f *fair) leave(from netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[from]--; f.open[from] == 0 {
		delete(f.open, from)
	}
}

// counted is a connection that is counted until it closes.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
