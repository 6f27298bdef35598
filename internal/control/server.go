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

// maxHeader is more than any browser sends with a request, in bytes.
const maxHeader = 16 << 10

// Serve answers API calls on ln until ctx ends, then ends event streams at once, lets requests under way finish within
// stopGrace, and returns nil. It closes ln. Whoever can connect may ask.
func Serve(ctx context.Context, ln net.Listener, api API, log *slog.Logger) error {
	return ServeBehind(ctx, ln, api, log, func(open http.Handler) http.Handler { return open })
}

// ServeBehind is Serve for a listener that is open to others: guard decides which requests reach the API, which it is
// given, and may answer others itself.
func ServeBehind(
	ctx context.Context, ln net.Listener, api API, log *slog.Logger, guard func(http.Handler) http.Handler,
) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	handler := NewHandler(api, log)
	server := &http.Server{
		Handler:           guard(handler),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return work },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(handler.EndStreams)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the API on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(work, stopGrace)
	defer done()
	if server.Shutdown(grace) != nil {
		cancel()
		server.Close()
	}
	<-failed // a server that was stopped before it began closes its listener only now
	return nil
}
