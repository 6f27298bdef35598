package main

import (
	"log/slog"
	"net"
	"strings"
)

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
