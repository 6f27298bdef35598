package main

import (
	"context"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// mesh is libp2p's gossipsub among hosts that find each other by multicast DNS, signed and encrypted as it comes.
type mesh struct {
	host  host.Host
	topic *pubsub.Topic
}

func newGossipsub(at place, hear func([]byte)) (bus, error) {
	ctx := context.Background()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/" + at.self + "/tcp/0"))
	if err != nil {
		return nil, err
	}
	m := &mesh{host: h}
	router, err := pubsub.NewGossipSub(ctx, h, pubsub.WithPeerOutboundQueueSize(4096),
		pubsub.WithValidateQueueSize(4096))
	if err != nil {
		return nil, err
	}
	if m.topic, err = router.Join("bench"); err != nil {
		return nil, err
	}
	sub, err := m.topic.Subscribe(pubsub.WithBufferSize(1 << 16))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			message, err := sub.Next(ctx)
			if err != nil {
				return
			}
			if message.GetFrom() != h.ID() {
				hear(message.Data)
			}
		}
	}()
	return m, mdns.NewMdnsService(h, "bcast-bench", m).Start()
}

// HandlePeerFound implements mdns.Notifee.
func (m *mesh) HandlePeerFound(p peer.AddrInfo) {
	if p.ID != m.host.ID() {
		go m.host.Connect(context.Background(), p) // what fails is found again
	}
}

func (m *mesh) Seen() int                { return len(m.topic.ListPeers()) }
func (m *mesh) Say(message []byte) error { return m.topic.Publish(context.Background(), message) }
func (m *mesh) Flush() error             { return nil }
