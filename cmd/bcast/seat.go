package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	// handover is how long sit waits for another process to finish starting or stopping.
	handover = 4 * time.Second
	// handoverLook is how often it looks.
	handoverLook = 20 * time.Millisecond
	// hearFor is how long a node that has just started listens before it takes a nick for the only one that looks so.
	hearFor = 300 * time.Millisecond
)

// seat is a place among the participants: a client of the home's daemon, or a node of this process that serves the
// home's control socket as a daemon would, so that a second terminal is its client.
type seat struct {
	control.API
	own   bool      // the node is this process's
	began time.Time // of a node of this process
	leave func() error
}

// Close gives the seat up; a node of this process says goodbye.
func (s *seat) Close() error { return s.leave() }

// sit takes a seat at the home of the command line.
func (a *app) sit(ctx context.Context, c *cli.Context) (*seat, error) {
	dir, err := a.home(c)
	if err != nil {
		return nil, err
	}
	return a.sitAt(ctx, bcast.Config{Home: dir})
}

// sitAt joins the daemon that serves a home or becomes the one that does, as cfg says. Between the two there are
// moments, while another process starts or ends, in which the home is locked and nobody answers: then it looks again.
func (a *app) sitAt(ctx context.Context, cfg bcast.Config) (*seat, error) {
	path, err := socketPath(cfg.Home)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(handover)
	for {
		client := control.NewClient(path)
		_, err := client.Status(ctx)
		if err == nil {
			return &seat{API: client, leave: func() error { client.Close(); return nil }}, nil
		}
		if control.AsError(err).Code != control.CodeNoDaemon {
			return nil, err
		}
		cfg.Logger = a.warnings()
		own, err := a.host(ctx, path, cfg)
		if err == nil {
			return own, nil
		}
		if control.AsError(err).Code != control.CodeRunning || time.Now().After(deadline) {
			return nil, err
		}
		if !pause(ctx, handoverLook) {
			return nil, err
		}
	}
}

// host starts a node in this process and serves it at path. The node outlives ctx until Close, so that there is time
// to leave in order.
func (a *app) host(ctx context.Context, path string, cfg bcast.Config) (*seat, error) {
	node, err := a.start(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return nil, err
	}
	listener, err := control.Listen(path, cfg.Logger)
	if err != nil {
		node.Close()
		return nil, err
	}
	node = configured{participant: node, version: readBuild().Version}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- control.Serve(serving, listener, node, cfg.Logger) }()
	return &seat{API: node, own: true, began: time.Now(), leave: func() error {
		stop()
		err := <-served
		if closeErr := node.Close(); closeErr != nil {
			return fmt.Errorf("stop: %w", closeErr)
		}
		return err
	}}, nil
}

// guest takes a seat that leaves no trace: key in memory, no home, no control socket.
func (a *app) guest(ctx context.Context, nick string) (*seat, error) {
	node, err := a.start(context.WithoutCancel(ctx), bcast.Config{Nick: nick, Logger: a.warnings()})
	if err != nil {
		return nil, err
	}
	node = configured{participant: node, version: readBuild().Version}
	return &seat{API: node, own: true, began: time.Now(), leave: node.Close}, nil
}

// enter joins room if need be and says so: it is a change that outlives the command.
func (a *app) enter(ctx context.Context, api control.API, room string) (control.Joined, error) {
	joined, err := api.Join(ctx, room, control.JoinOptions{})
	if room := show.Room(joined.Room, joined.Direct); err == nil && joined.New {
		a.note("joined %s (bcast leave %s undoes it)", room, room)
	}
	return joined, err
}

// Join joins a room, as its participant does. A node that has just started has yet to hear of whom a direct room is
// with, and of those that could be taken for that one too.
func (s *seat) Join(ctx context.Context, room string, options control.JoinOptions) (control.Joined, error) {
	if !s.own || !strings.HasPrefix(room, "@") {
		return s.API.Join(ctx, room, options)
	}
	pause(ctx, time.Until(s.began.Add(hearFor)))
	for {
		joined, err := s.API.Join(ctx, room, options)
		unheard := err != nil && control.AsError(err).Code == control.CodeNotFound
		if !unheard || time.Since(s.began) > meetFor || !pause(ctx, handoverLook) {
			return joined, err
		}
	}
}
