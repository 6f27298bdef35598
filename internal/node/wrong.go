package node

import (
	"net/netip"
	"time"

	"bcast/discovery"
)

// A wrong signature takes 51 µs of a core. Those of strangers together may take 2.5 % of it, those of one source a
// tenth of that, those from the address of a peer 1 %: no flood of strangers has a peer refused. (Who forges the
// address of one peer can have that one refused; what it says then comes by another member.)
const (
	wrongOfStrangers = 500
	wrongOfSource    = 50
	wrongOfPeer      = 200
	wrongWindow      = time.Second
	maxWrongPeers    = 4096 // beyond it they are forgotten together, and are strangers until something is new of them
)

// wrong counts the signatures that were found wrong, by where they came from, in steps of wrongWindow.
type wrong struct {
	since     time.Time
	strangers int
	sources   map[netip.AddrPort]int // an entry costs a check that was afforded, so they are few
	peers     map[netip.AddrPort]struct{}
}

func newWrong() wrong {
	return wrong{sources: map[netip.AddrPort]int{}, peers: map[netip.AddrPort]struct{}{}}
}

// source is whose account is charged: a peer's address and port, else the address; daemons of one host are told apart
// by their ports.
func (w *wrong) source(from netip.AddrPort) (name netip.AddrPort, peer bool) {
	name = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if _, peer = w.peers[name]; !peer && !name.Addr().IsLoopback() {
		name = netip.AddrPortFrom(name.Addr(), 0)
	}
	return name, peer
}

// affords tells whether another signature from there may be looked at.
func (w *wrong) affords(from netip.AddrPort, now time.Time) bool {
	if now.Sub(w.since) >= wrongWindow {
		w.since, w.strangers = now, 0
		clear(w.sources)
	}
	name, peer := w.source(from)
	if peer {
		return w.sources[name] < wrongOfPeer
	}
	return w.sources[name] < wrongOfSource && w.strangers < wrongOfStrangers
}

func (w *wrong) count(from netip.AddrPort) {
	name, peer := w.source(from)
	w.sources[name]++
	if !peer {
		w.strangers++
	}
}

func (w *wrong) follow(p discovery.Peer) {
	if !p.Reached {
		delete(w.peers, p.Addr)
		return
	}
	if len(w.peers) >= maxWrongPeers {
		clear(w.peers)
	}
	w.peers[p.Addr] = struct{}{}
}
