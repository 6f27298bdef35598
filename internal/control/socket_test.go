//go:build unix

package control_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// CVE-2017-9232 (juju): directory 0700, socket 0600, whatever the umask.
func TestADV_31_The_socket_is_private(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	path := filepath.Join(dir, "control.sock")
	client := control.NewClient(path)
	defer client.Close()
	_, err := client.Status(t.Context())
	wantCode(t, err, control.CodeNoDaemon)

	ln, err := control.Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, ln, controltest.New("alice"), quiet) }()
	status, err := client.Status(t.Context())
	if err != nil || status.Nick != "alice" {
		t.Errorf("status %+v, %v", status, err)
	}
	wantMode(t, dir, os.ModeDir|0o700)
	wantMode(t, path, os.ModeSocket|0o600)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("besides the socket: %v", entries)
	}
	_, err = control.Listen(path, quiet)
	wantCode(t, err, control.CodeRunning)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket outlives its server: %v", err)
	}
}

func wantMode(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != mode {
		t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, mode)
	}
}

// abandon leaves at path what a killed daemon leaves: a socket that nobody serves.
func abandon(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	abandon(t, path)
	_, err := control.NewClient(path).Status(t.Context())
	wantCode(t, err, control.CodeNoDaemon)
	ln, err := control.Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

func TestCloseLeavesASuccessorsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	ln, err := control.Listen(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	abandon(t, path)
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
}

// A daemon may be stopped before its server has begun; the next one on the home finds no socket then.
func TestServeLeavesNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	ended, end := context.WithCancel(t.Context())
	end()
	for range 20 {
		ln, err := control.Listen(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := control.Serve(ended, ln, nil, quiet); err != nil {
			t.Error(err)
		}
	}
}

func TestListenLeavesAFileAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := control.Listen(path, quiet)
	wantCode(t, err, control.CodeHome)
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("the file holds %q", data)
	}
}
