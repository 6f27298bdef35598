package control

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 5 * time.Second // a client that connects and says nothing
	idleTimeout   = time.Minute     // a kept connection without a request
	stopGrace     = time.Second     // requests under way when the daemon is told to stop; the whole stop has 2 s
)

// Serve answers API calls on ln until ctx ends, then ends event streams at once, lets requests under way finish within
// stopGrace, and returns nil. It closes ln.
func Serve(ctx context.Context, ln net.Listener, api API, log *slog.Logger) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	handler := NewHandler(api, log)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return work },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(handler.EndStreams)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve control socket: %w", err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(work, stopGrace)
	defer done()
	if server.Shutdown(grace) != nil {
		cancel()
		server.Close()
	}
	return nil
}
