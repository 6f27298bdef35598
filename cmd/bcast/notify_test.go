package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// supervisor is systemd's end of the socket: it reads what a service says.
type supervisor struct {
	*net.UnixConn
	t *testing.T
}

func newSupervisor(t *testing.T, b *bench) supervisor {
	path := filepath.Join(b.home, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // what never comes fails
	b.env["NOTIFY_SOCKET"] = path
	return supervisor{conn, t}
}

func (s supervisor) hears(want string) {
	s.t.Helper()
	buffer := make([]byte, 1024)
	n, err := s.Read(buffer)
	if got := string(buffer[:n]); err != nil || got != want {
		s.t.Errorf("the supervisor hears %q, %v; want %q", got, err, want)
	}
}

func TestSupervisorIsToldHowThingsAre(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	systemd := newSupervisor(t, b)
	stop := daemonOf(b, "")
	systemd.hears("READY=1\nSTATUS=alice-616c, port 27474: peers here: 1, rooms: 1")
	node.Meet("carol")
	systemd.hears("STATUS=alice-616c, port 27474: peers here: 2, rooms: 1")
	stop()
	systemd.hears("STOPPING=1")
}

func TestSupervisorThatIsGoneStopsNothing(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	b.env["NOTIFY_SOCKET"] = filepath.Join(b.home, "nobody")
	stop := daemonOf(b, "")
	b.err.await(t, "supervisor not told")
	if code := stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
}
