package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
)

const (
	// handover is how long sit waits for another process to finish starting or stopping.
	handover = 4 * time.Second
	// handoverLook is how often it looks.
	handoverLook = 20 * time.Millisecond
)

// seat is a place among the participants: a client of the home's daemon, or a node of this process that serves the
// home's control socket as a daemon would, so that a second terminal is its client.
type seat struct {
	control.API
	own   bool // the node is this process's
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
	return a.sitAt(ctx, dir)
}

// sitAt joins the daemon that serves dir or becomes the one that does. Between the two there are moments, while another
// process starts or ends, in which the home is locked and nobody answers: then it looks again.
func (a *app) sitAt(ctx context.Context, dir string) (*seat, error) {
	path, err := socketPath(dir)
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
		log := a.warnings()
		own, err := a.host(ctx, path, bcast.Config{Home: dir, Logger: log}, log)
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
func (a *app) host(ctx context.Context, path string, cfg bcast.Config, log *slog.Logger) (*seat, error) {
	node, err := a.start(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return nil, err
	}
	listener, err := control.Listen(path, log)
	if err != nil {
		node.Close()
		return nil, err
	}
	node = configured{participant: node, version: readBuild().Version}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- control.Serve(serving, listener, node, log) }()
	return &seat{API: node, own: true, leave: func() error {
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
	return &seat{API: node, own: true, leave: node.Close}, nil
}

// enter joins room if need be and says so: it is a change that outlives the command.
func (a *app) enter(ctx context.Context, api control.API, room string) (control.Joined, error) {
	joined, err := api.Join(ctx, room)
	if err == nil && joined.New {
		fmt.Fprintf(a.err, "bcast: joined %s (bcast leave %s undoes it)\n", clean(joined.Room), clean(joined.Room))
	}
	return joined, err
}

// happening is an event or the error that ended them.
type happening struct {
	control.Event
	err error
}

// watch delivers events until ctx ends or the participant does; then the channel closes.
func watch(ctx context.Context, api control.API, after string) <-chan happening {
	events := make(chan happening)
	go func() {
		defer close(events)
		for event, err := range api.Events(ctx, after) {
			select {
			case events <- happening{event, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events
}
