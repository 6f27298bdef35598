package lan

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

func shareAddress(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
	})
	return errors.Join(err, failed)
}

// portTaken knows both answers: the port is in use, or it is in use by someone who wants it alone.
func portTaken(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}

// passing tells whether a read may be tried again at once after err: Windows reports on the next read that an earlier
// datagram was refused by its receiver.
func passing(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAENETRESET)
}
