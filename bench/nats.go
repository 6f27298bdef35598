package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// hub is NATS core: a server in the process of the first host, which all others are given the address of. Seeing each
// other is not its affair: every host says hello until it heard all.
type hub struct {
	conn *nats.Conn

	mu   sync.Mutex
	seen map[string]bool
}

const (
	port     = 4222
	maxSaid  = 1 << 30 // bytes that a slow receiver may be behind: far more than a run has
	greeting = 20 * time.Millisecond
)

func newNATS(at place, hear func([]byte)) (bus, error) {
	h := &hub{seen: map[string]bool{}}
	address := fmt.Sprintf("nats://%s:%d", at.first, port)
	options := []nats.Option{
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.NoEcho(),
	}
	if at.self == at.first {
		s, err := server.NewServer(&server.Options{
			Host: at.self, Port: port, NoLog: true, NoSigs: true, MaxPending: maxSaid, WriteDeadline: time.Minute,
		})
		if err != nil {
			return nil, err
		}
		go s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			return nil, fmt.Errorf("the server is not up after 10 s")
		}
		options = append(options, nats.InProcessServer(s))
	}
	var err error
	if h.conn, err = nats.Connect(address, options...); err != nil {
		return nil, err
	}
	sub, err := h.conn.Subscribe("bench", func(m *nats.Msg) { hear(m.Data) })
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	if _, err := h.conn.Subscribe("hello", func(m *nats.Msg) { h.meet(string(m.Data)) }); err != nil {
		return nil, err
	}
	go func() {
		for beyond := 0; beyond < 50; beyond++ { // a while longer: others may not have heard us
			h.conn.Publish("hello", []byte(at.self))
			h.conn.Flush()
			if h.Seen() < at.hosts-1 {
				beyond = 0
			}
			time.Sleep(greeting)
		}
	}()
	return h, nil
}

func (h *hub) meet(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[who] = true
}

func (h *hub) Seen() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

func (h *hub) Say(message []byte) error { return h.conn.Publish("bench", message) }
func (h *hub) Flush() error             { return h.conn.FlushTimeout(5 * time.Minute) }
