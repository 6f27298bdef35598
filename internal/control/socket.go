package control

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"
)

// staleDial bounds how long Listen asks an existing socket whether anybody serves it.
const staleDial = time.Second

// Listen binds the control socket at path with mode 0600 and returns it once it can be dialled. A socket whose owner
// has died is replaced; one that answers is left alone and the error has CodeRunning. Connections of other users are
// closed and logged (on Linux; elsewhere the mode alone keeps them out). Closing the listener removes the socket.
//
// The socket is bound inside a new private directory and moved to its place when its mode is right: there is no moment
// in which others could connect, and neither the process's umask nor the mode of path's directory matters.
func Listen(path string, log *slog.Logger) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, homeError(path, err)
	}
	if err := refuseLive(path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(dir, ".b")
	if err != nil {
		return nil, homeError(path, err)
	}
	defer os.RemoveAll(private)
	bound := filepath.Join(private, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: bound, Net: "unix"})
	if err != nil {
		return nil, homeError(path, err)
	}
	ln.SetUnlinkOnClose(false) // it would remove the name that it was bound under
	info, err := publish(bound, path)
	if err != nil {
		ln.Close()
		return nil, homeError(path, err)
	}
	return &listener{UnixListener: ln, path: path, info: info, log: log}, nil
}

func publish(bound, path string) (fs.FileInfo, error) {
	if err := os.Chmod(bound, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(bound, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// refuseLive returns nil when path is free or a socket that nobody serves.
func refuseLive(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return homeError(path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return NewError(CodeHome, nil, fmt.Sprintf("%s is in the way: it is not a socket", path),
			"move it away or choose another --home")
	}
	conn, err := net.DialTimeout("unix", path, staleDial)
	if err == nil {
		conn.Close()
	} else if !errors.Is(err, os.ErrDeadlineExceeded) { // a full backlog also is a sign of life
		return nil
	}
	return NewError(CodeRunning, nil, fmt.Sprintf("bcast already runs on home %s", filepath.Dir(path)),
		"use the commands as they are, they talk to it; or choose another --home")
}

func homeError(path string, err error) error {
	return NewError(CodeHome, err, fmt.Sprintf("listen on %s: %v", path, err),
		"--home must be a directory of your own that you can write to")
}

// listener hands out connections of this user only and removes its socket, but never a successor's, when closed.
type listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	log  *slog.Logger
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		err = checkPeer(conn)
		if err == nil {
			return conn, nil
		}
		conn.Close()
		l.log.Warn("control connection refused", "error", err)
	}
}

func (l *listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
