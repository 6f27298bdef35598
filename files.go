package bcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/home"
	"bcast/internal/node"
	"bcast/internal/stream"
)

const (
	// filesConns are the connections to one device at a time: two for each file that is read, and a list beside them.
	filesConns = 6
	// filesIdle ends one that is not used.
	filesIdle = 20 * time.Second
	// A device makes few handshakes at a time, and few a second with an address: who is refused, among twenty that come at
	// once, comes again after a pause until so much time has passed.
	dialFor   = 10 * time.Second
	dialPause = 300 * time.Millisecond
)

// fileService is what a Node has of files.
type fileService struct {
	library *files.Library  // what is shared, as others see it
	inbox   *files.Inbox    // for what others bring
	server  *files.Server   // for others
	carrier *http.Transport // to what others share
	shared  []home.Share    // guarded by the node's mu, as chosen is
	chosen  home.Inbox
	end     context.CancelFunc
	served  chan error // what became of the server

	holdings *files.Holdings
	arrivals arrivals
	pace     secondPace // of what was put here
}

// openFiles serves what is shared, and makes the way to what others share.
func (n *Node) openFiles() {
	f := &n.files
	f.library = &files.Library{}
	n.openInbox()
	f.server = files.NewServer(f.library, f.inbox, f.holdings, n.visitor, n.cfg.Logger)
	f.server.Received = n.received
	f.carrier = &http.Transport{
		DialContext: n.dialFiles, MaxConnsPerHost: filesConns, MaxIdleConnsPerHost: filesConns,
		IdleConnTimeout: filesIdle, DisableCompression: true,
	}
	if n.home != nil {
		n.serveShares(n.home.Shares())
	}
	var ctx context.Context
	ctx, f.end = context.WithCancel(context.Background())
	f.arrivals.open(ctx)
	f.served = make(chan error, 1)
	go func() { f.served <- f.server.Serve(ctx, n.stream.Files()) }()
}

func (n *Node) closeFiles() error {
	if n.files.end == nil {
		return nil
	}
	n.files.end()
	n.files.arrivals.wait()
	err := <-n.files.served
	n.files.carrier.CloseIdleConnections()
	return err
}

// fileCounts are what the server did.
func (n *Node) fileCounts() *control.FileCounts {
	c := n.files.server.Counts()
	n.mu.Lock()
	defer n.mu.Unlock()
	return &control.FileCounts{
		Shares: len(n.files.shared), Sent: c.Sent, SentBytes: c.SentBytes, Received: c.Received,
		ReceivedBytes: c.ReceivedBytes, Refused: counts(c.Refused), Held: n.files.holdings.Len(),
		Fetched: n.files.arrivals.files.Load(), FetchedBytes: n.files.arrivals.bytes.Load(),
		Pushed: n.bulk.pushes.Load(), PushedBytes: n.bulk.pushedBytes.Load(),
	}
}

// visitor is who a device that proved its key is to our shares.
func (n *Node) visitor(ctx context.Context, peer identity.PublicKey) (files.Visitor, error) {
	v := files.Visitor{Device: peer.ID()}
	n.mu.Lock()
	v.Blocked = n.trusted.blocks(v.Device)
	n.mu.Unlock()
	in := map[string]bool{}
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		rooms := e.Rooms(now)
		for _, r := range rooms {
			in[string(r.Name)] = isMember(r.Members, v.Device)
			in[roomKey(r.ID)] = !r.Out && isIn(r, v.Device)
		}
		v.Member = inPrivateRoom(rooms, v.Device)
	})
	v.In = func(room string) bool { return in[room] }
	return v, err
}

func isMember(members []chat.Member, id identity.DeviceID) bool {
	return slices.ContainsFunc(members, func(m chat.Member) bool { return m.ID == id })
}

// AskFiles carries a request to the files of a peer: see [control.API].
func (n *Node) AskFiles(peer string, request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	key, nick, err := n.addressee(ctx, peer)
	if err != nil {
		return nil, err
	}
	answer, err := n.carry(key.ID(), request)
	if err != nil {
		return nil, unreached(ctx, err, nick)
	}
	answer.Header.Set(control.DeviceHeader, key.ID().String())
	return answer, nil
}

// carry carries a request to the files of a device.
func (n *Node) carry(to identity.DeviceID, request *http.Request) (*http.Response, error) {
	out := request.Clone(request.Context())
	out.URL.Scheme, out.URL.Host, out.Host = "http", to.String(), "files"
	return n.files.carrier.RoundTrip(out)
}

// unreached says why a device did not answer.
func unreached(ctx context.Context, err error, nick identity.Nick) error {
	var known *control.Error
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		return failure(ctx.Err())
	case errors.Is(err, stream.ErrNoFiles):
		return control.NewError(control.CodeUnsupported, err, fmt.Sprintf("%s serves no files: its bcast is older", nick), "")
	}
	return control.NewError(control.CodeTimeout, err, fmt.Sprintf("%s does not answer: %v", nick, err),
		"is it here (bcast peers), and does its firewall let TCP 27475 to 27490 in?")
}

// dialFiles connects to the device whose id the host of a URL is.
func (n *Node) dialFiles(ctx context.Context, _, host string) (net.Conn, error) {
	word, _, err := net.SplitHostPort(host)
	if err != nil {
		return nil, err
	}
	id, err := identity.ParseDeviceID(word)
	if err != nil {
		return nil, err
	}
	for begun := time.Now(); ; {
		p, err := n.reachable(ctx, id)
		if err != nil {
			return nil, err
		}
		conn, err := n.stream.DialFiles(ctx, netip.AddrPortFrom(p.Addr.Addr(), p.StreamPort), p.Key)
		if err == nil {
			return conn, nil
		}
		if time.Since(begun) > dialFor || errors.Is(err, stream.ErrNoFiles) || errors.Is(err, stream.ErrWrongKey) {
			return nil, err
		}
		if wait(ctx, dialPause); ctx.Err() != nil {
			return nil, err
		}
	}
}

// reachable is a device that proved its address and takes connections.
func (n *Node) reachable(ctx context.Context, id identity.DeviceID) (discovery.Peer, error) {
	var p discovery.Peer
	known := false
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) { p, known = e.Peer(id) })
	switch {
	case err != nil:
	case !known || !p.Present():
		err = control.NewError(control.CodeNotFound, nil, "that device is not here now", "bcast peers")
	case p.StreamPort == 0:
		err = control.NewError(control.CodeUnsupported, nil, "that device takes no connections", "")
	}
	return p, err
}
