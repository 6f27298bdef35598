//go:build unix && !linux

package lan

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// shareAddress lets several daemons bind the port. Here it takes SO_REUSEPORT to bind one address twice; a broadcast
// reaches all who did.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	return errors.Join(err, failed)
}

func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// passing tells whether a read may be tried again at once after err.
func passing(error) bool { return false }
