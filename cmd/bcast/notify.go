package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

// tellEach is how often at most a supervisor is told how things are.
const tellEach = 5 * time.Second

// tellSupervisor writes state to the socket that systemd names, as sd_notify(3) says; without one it does nothing.
// A supervisor that cannot be told is no reason to stop.
func (a *app) tellSupervisor(log *slog.Logger, state string) {
	path := a.getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // the abstract namespace
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte(state))
	}
	if err != nil {
		log.Warn("supervisor not told", "error", err)
	}
}

// tellReady tells the supervisor that the daemon can be used, and then how things are whenever that changes, until ctx
// ends: `systemctl status` shows it.
func (a *app) tellReady(ctx context.Context, api control.API, log *slog.Logger) {
	if a.getenv("NOTIFY_SOCKET") == "" {
		return
	}
	told, newest := howThingsAre(ctx, api)
	a.tellSupervisor(log, "READY=1\n"+told)
	go func() {
		for event, err := range api.Events(ctx, newest) {
			if err != nil {
				return // who serves the API tells why
			}
			if event.Type != control.EventPeer && event.Type != control.EventMember {
				continue
			}
			if now, _ := howThingsAre(ctx, api); now != told {
				a.tellSupervisor(log, now)
				told = now
				pause(ctx, tellEach)
			}
		}
	}()
}

// howThingsAre is a line for a supervisor, and the newest event that it knows of.
func howThingsAre(ctx context.Context, api control.API) (line, newest string) {
	s, err := api.Status(ctx)
	if err != nil {
		return "STATUS=" + show.Clean(err.Error()), ""
	}
	return fmt.Sprintf("STATUS=%s-%s, port %d: peers here: %d, rooms: %d", show.Clean(s.Nick), show.Clean(s.Tag), s.Port,
		s.Peers, len(s.Rooms)), s.EventID
}
