package main

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossip is memberlist as serf uses it for its user events: what is said is gossiped a few times by everyone who has it.
type gossip struct {
	list  *memberlist.Memberlist
	queue *memberlist.TransmitLimitedQueue
	hear  func([]byte)

	mu   sync.Mutex
	seen map[string]bool
}

func newMemberlist(at place, hear func([]byte)) (bus, error) {
	g := &gossip{hear: hear, seen: map[string]bool{}}
	cfg := memberlist.DefaultLANConfig()
	cfg.Name, cfg.BindAddr, cfg.AdvertiseAddr = at.self, at.self, at.self
	cfg.Delegate, cfg.LogOutput = g, io.Discard
	g.queue = &memberlist.TransmitLimitedQueue{NumNodes: func() int { return at.hosts }, RetransmitMult: cfg.RetransmitMult}
	var err error
	if g.list, err = memberlist.Create(cfg); err != nil {
		return nil, err
	}
	if at.self != at.first {
		go func() { // the seed may not be up yet
			for {
				if _, err := g.list.Join([]string{net.JoinHostPort(at.first, "7946")}); err == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	return g, nil
}

func (g *gossip) Seen() int    { return g.list.NumMembers() - 1 }
func (g *gossip) Flush() error { return nil }

func (g *gossip) Say(message []byte) error {
	g.note(message)
	g.queue.QueueBroadcast(rumour(message))
	return nil
}

// note tells whether a message is new.
func (g *gossip) note(message []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.seen[string(message)]
	g.seen[string(message)] = true
	return !known
}

// NotifyMsg implements memberlist.Delegate.
func (g *gossip) NotifyMsg(message []byte) {
	if g.note(message) {
		g.hear(message)
		g.queue.QueueBroadcast(rumour(append([]byte(nil), message...)))
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (g *gossip) GetBroadcasts(overhead, limit int) [][]byte {
	return g.queue.GetBroadcasts(overhead, limit)
}

// NodeMeta implements memberlist.Delegate.
func (g *gossip) NodeMeta(int) []byte { return nil }

// LocalState implements memberlist.Delegate.
func (g *gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (g *gossip) MergeRemoteState([]byte, bool) {}

// rumour is one message in the queue.
type rumour []byte

// Invalidates implements memberlist.Broadcast.
func (r rumour) Invalidates(memberlist.Broadcast) bool { return false }

// Message implements memberlist.Broadcast.
func (r rumour) Message() []byte { return r }

// Finished implements memberlist.Broadcast.
func (r rumour) Finished() {}
