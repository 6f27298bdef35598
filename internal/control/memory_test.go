package control_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

var quiet = slog.New(slog.DiscardHandler)

// served is an API behind a server in memory.
type served struct {
	*control.Client
	stop func() error // stops the server and returns what Serve did
}

// serve runs inside a synctest bubble: time is the test's.
func serve(t *testing.T, api control.API) served {
	ctx, cancel := context.WithCancel(t.Context())
	ln := controltest.NewListener()
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, ln, api, quiet) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	client := control.NewClientDial(ln.Dial)
	t.Cleanup(func() {
		client.Close()
		stop()
	})
	return served{client, stop}
}

// inLobby is a participant that has joined the lobby, and its client.
func inLobby(t *testing.T) (*controltest.Device, served) {
	t.Helper()
	device := controltest.New("alice")
	client := serve(t, device)
	must[control.Joined](t)(client.Join(t.Context(), "lobby", control.JoinOptions{}))
	return device, client
}
