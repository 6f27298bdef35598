package node_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/engine"
	_ "bcast/internal/fuzztest" // collects less
	"bcast/internal/history"
	"bcast/internal/node"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// segment is a wire in memory: what one link broadcasts all hear, the sender included.
type segment struct {
	mu       sync.Mutex
	links    []*link
	conduits *conduits // nil: no streams
}

// link is one host's place on a segment.
type link struct {
	seg     *segment
	addr    netip.AddrPort
	inbox   chan engine.Datagram
	changed chan struct{}
	closed  chan struct{}
	off     bool // nothing goes in or out
	slept   atomic.Int64
}

const privatePort = 27475

// unplug takes the cable of a host out, or puts it back.
func (s *segment) unplug(host int, out bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[host].off = out
}

func (s *segment) plug(host byte) *link {
	l := &link{
		seg: s, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), privatePort),
		inbox: make(chan engine.Datagram, 1024), changed: make(chan struct{}), closed: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	return l
}

func (l *link) Readers() []func([]engine.Datagram) (int, error) {
	return []func([]engine.Datagram) (int, error){func(out []engine.Datagram) (int, error) {
		select {
		case d := <-l.inbox:
			out[0] = d
			return 1, nil
		case <-l.closed:
			return 0, errors.New("closed")
		}
	}}
}

func (l *link) Write(sends []engine.Send) {
	l.seg.mu.Lock()
	defer l.seg.mu.Unlock()
	for _, s := range sends {
		for _, to := range l.seg.links {
			if s.To.IsValid() && s.To != to.addr || to.off || l.off {
				continue
			}
			to.inbox <- engine.Datagram{
				Data: bytes.Clone(s.Data), Size: len(s.Data), From: l.addr, Iface: 1, TTL: 255, OnLink: true,
				Broadcast: !s.To.IsValid(),
			}
		}
	}
}

func (l *link) Interfaces() []engine.Interface {
	return []engine.Interface{{
		Index: 1, Addrs: []netip.Addr{l.addr.Addr()}, MTU: 1500, Networks: []engine.NetworkID{{1}},
	}}
}

func (l *link) Waiting() bool            { return len(l.inbox) > 0 }
func (l *link) Changed() <-chan struct{} { return l.changed }
func (l *link) Slept() time.Duration     { return time.Duration(l.slept.Load()) }
func (l *link) Close() error             { close(l.closed); return nil }

// host is a node and what it was told.
type host struct {
	*node.Node
	mu     sync.Mutex
	events []engine.Event
}

func (h *host) saw(match func(engine.Event) bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.events, match)
}

type nodeCounters = node.Counters

func start(t *testing.T, s *segment, n byte) *host {
	t.Helper()
	return startOn(t, s, n, history.NewMemory())
}

func startOn(t *testing.T, s *segment, n byte, store node.Store) *host {
	t.Helper()
	return startWith(t, s, n, store, identitytest.VerifyQuick)
}

func startWith(t *testing.T, s *segment, n byte, store node.Store, verify record.Verifier) *host {
	t.Helper()
	random := rand.NewChaCha8([32]byte{n})
	key, err := identity.NewKey(random)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{}
	l := s.plug(n)
	cfg := node.Config{
		Engine: engine.Config{
			Key: key, Signer: identitytest.Quick{Key: key},
			Instance: identity.Instance{Boot: 1, Nonce: uint64(n)}, Nick: identity.Nick([]byte{'a' + n}),
			RecvBuffer: 65535, UnicastPort: privatePort, Random: random, Timing: rand.New(random),
			Verify: verify,
		},
		Link: l, Store: store, Log: slog.New(slog.DiscardHandler),
		OnEvent: func(_ engine.Now, _ *engine.Engine, e engine.Event) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.events = append(h.events, e)
		},
	}
	if s.conduits != nil {
		cfg.Engine.StreamPort = privatePort
		cfg.Pipe = s.conduits.plug(l.addr.Addr(), key.Public())
	}
	if h.Node, err = node.Start(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) do(t *testing.T, c engine.Command) engine.Reply {
	t.Helper()
	reply, err := h.Do(context.Background(), c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return reply
}

func posted(text string) func(engine.Event) bool {
	return func(e engine.Event) bool {
		return e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Posted &&
			slices.ContainsFunc(e.Chat.Posts, func(p record.Post) bool { return p.Text == text })
	}
}

func left(e engine.Event) bool {
	return e.Kind == engine.PeerEvent && e.Peer.Status == discovery.Left
}

func TestPostReachesTheOthersScreens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		a, b := start(t, seg, 1), start(t, seg, 2)
		a.do(t, engine.Join{Room: "lobby"})
		b.do(t, engine.Join{Room: "lobby"})
		time.Sleep(time.Second)
		reply := a.do(t, engine.Say{Room: "lobby", Posts: []record.Post{{Kind: record.KindText, Text: "hello"}}, Ack: true})
		if reply.Members != 1 {
			t.Errorf("said to %d members, want 1", reply.Members)
		}
		time.Sleep(time.Second)
		for i, h := range []*host{a, b} {
			if !h.saw(posted("hello")) {
				t.Errorf("host %d does not show the post", i)
			}
		}
		received := func(e engine.Event) bool {
			return e.Kind == engine.RoomEvent && e.Chat.Kind == chat.Received && e.Chat.Have == 1
		}
		if !a.saw(received) {
			t.Error("the author was not told that the other has it")
		}
		b.Close()
		time.Sleep(time.Second)
		if !a.saw(left) {
			t.Error("a goodbye was not noticed")
		}
		a.Close()
	})
}

// A host that wakes up says at once that it is there, and gives the others time to say so.
func TestWakingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		a, b := start(t, seg, 1), start(t, seg, 2)
		defer b.Close()
		defer a.Close()
		time.Sleep(10 * time.Second)
		sent := func() (hellos uint64) {
			a.View(context.Background(), func(_ engine.Now, _ *engine.Engine, c node.Counters) { hellos = c.Sent[wire.TypeHello] })
			return hellos
		}
		before := sent()
		seg.links[0].slept.Store(int64(time.Hour))
		seg.links[0].changed <- struct{}{}
		time.Sleep(50 * time.Millisecond)
		if after := sent(); after < before+2 {
			t.Errorf("%d hellos within 50 ms of waking up", after-before)
		}
		time.Sleep(10 * time.Second)
		lost := func(e engine.Event) bool { return e.Kind == engine.PeerEvent && e.Peer.Status != discovery.Here }
		if a.saw(lost) || b.saw(lost) {
			t.Error("the one who slept, or the other, was taken for gone")
		}
	})
}

func TestClosedNodeRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start(t, &segment{}, 1)
		a.Close()
		if _, err := a.Do(context.Background(), engine.Join{Room: "lobby"}); !errors.Is(err, node.ErrClosed) {
			t.Errorf("Do on a closed node: %v", err)
		}
		err := a.View(context.Background(), func(engine.Now, *engine.Engine, node.Counters) { t.Error("looked") })
		if !errors.Is(err, node.ErrClosed) {
			t.Errorf("View on a closed node: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start(t, &segment{}, 1)
		defer a.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := a.Do(ctx, engine.Join{Room: "lobby"}); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Do with an ended context: %v", err)
		}
	})
}

func TestRefusedDatagramsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seg := &segment{}
		a, stranger := start(t, seg, 1), seg.plug(9)
		defer a.Close()
		for _, data := range [][]byte{nil, []byte("noise"), {'b', 'c', 9, 1}, bytes.Repeat([]byte{7}, 1400)} {
			stranger.Write([]engine.Send{{Data: data}})
		}
		time.Sleep(time.Second)
		err := a.View(context.Background(), func(_ engine.Now, _ *engine.Engine, c node.Counters) {
			if c.Drops["empty"] != 1 || c.Drops["not_bcast"] != 2 || c.Drops["version"] != 1 {
				t.Errorf("drops: %v", c.Drops)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
