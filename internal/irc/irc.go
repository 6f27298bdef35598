// Package irc lets any IRC client take part: a client of control.API like every face, intents by its calls, facts by
// its events. A connection is a view of the device: its nick is the device's, its channels are the rooms that the
// device has joined, a query is the room of the device and another.
//
// Its invariant: what goes to a client is lines of at most 512 bytes and their tags, in valid UTF-8; CR, LF, NUL and
// other control characters of what people say, call themselves or name their rooms never get into one, and what a
// client sends gets nowhere but through API.
package irc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"bcast/internal/control"
)

const (
	// maxConns bounds connections: a person has a few clients, and each costs some ten kilobytes.
	maxConns = 32
	// maxUnregistered bounds those that have not said who they are; a newcomer takes the place of one of them.
	maxUnregistered = 8
	// refusalLimit is how long somebody may take to read that there is no place.
	refusalLimit = 100 * time.Millisecond
	// acceptPause is how long to wait when the system has no more descriptors.
	acceptPause = 100 * time.Millisecond
)

// Config is what a gateway needs of its surroundings.
type Config struct {
	Password    string // that PASS has to name; empty: none is asked for
	Certificate []byte // PEM with its key: TLS is spoken; nil: not
	Version     string
	Log         *slog.Logger
}

// server is the connections of one listener.
type server struct {
	Config
	api      control.API
	password [sha256.Size]byte

	mu    sync.Mutex
	conns []*admitted // in the order in which they came
	work  sync.WaitGroup
}

// admitted is a connection that has a place.
type admitted struct {
	net.Conn
	host       string
	registered bool
}

// Serve speaks IRC on ln until ctx ends, tells its clients so and returns nil. It closes ln.
func Serve(ctx context.Context, ln net.Listener, api control.API, cfg Config) error {
	ln, err := secure(ln, cfg)
	if err != nil {
		return err
	}
	s := &server{Config: cfg, api: api, password: sha256.Sum256([]byte(cfg.Password))}
	ctx, cancel := context.WithCancel(ctx)
	defer s.work.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		accepted, err := ln.Accept()
		switch {
		case err == nil:
			s.admit(ctx, accepted)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			s.Log.Warn("irc connection not accepted", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
		}
	}
}

// admit gives a connection a place, or closes it.
func (s *server) admit(ctx context.Context, accepted net.Conn) {
	a := &admitted{Conn: accepted, host: hostOf(accepted.RemoteAddr())}
	s.mu.Lock()
	out, place := s.makePlace(a)
	if place {
		s.conns = append(s.conns, a)
		s.work.Add(1)
	}
	s.mu.Unlock()
	if !place {
		if s.Certificate == nil { // else there would have to be a handshake, which a client can hold up
			accepted.SetWriteDeadline(time.Now().Add(refusalLimit))
			io.WriteString(accepted, "ERROR :Closing link: too many connections\r\n")
		}
		accepted.Close()
		return
	}
	go func() {
		defer s.work.Done()
		if out != nil {
			out.Close() // here, for TLS says goodbye and may wait
		}
		newConn(s, a).run(ctx)
		a.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = slices.DeleteFunc(s.conns, func(other *admitted) bool { return other == a })
	}()
}

// makePlace tells whether there is a place for a newcomer, and who has to go for it. Of those that have not registered
// the oldest of the host with the most goes first: who opens many keeps nobody out but itself. It wants s.mu held.
func (s *server) makePlace(newcomer *admitted) (out *admitted, place bool) {
	waiting, count := []*admitted{}, map[string]int{newcomer.host: 1}
	for _, a := range s.conns {
		if !a.registered {
			waiting = append(waiting, a)
			count[a.host]++
		}
	}
	if len(waiting) < maxUnregistered && len(s.conns) < maxConns {
		return nil, true
	}
	if len(waiting) == 0 {
		return nil, false
	}
	busiest := func(a, b *admitted) int { return cmp.Compare(count[a.host], count[b.host]) }
	out = slices.MaxFunc(waiting, busiest) // of several the first
	s.conns = slices.DeleteFunc(s.conns, func(a *admitted) bool { return a == out })
	return out, true
}

// register notes that a connection said who it is.
func (s *server) register(a *admitted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.registered = true
}

// opens tells whether a password is the right one, in a time that does not say how much of it is.
func (s *server) opens(password string) bool {
	sum := sha256.Sum256([]byte(password))
	return s.Password == "" || subtle.ConstantTimeCompare(sum[:], s.password[:]) == 1
}

func hostOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}
