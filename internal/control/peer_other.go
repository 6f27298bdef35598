//go:build !linux

package control

import "net"

// checkPeer leaves it to the socket's mode: this system has no SO_PEERCRED.
func checkPeer(*net.UnixConn) error { return nil }
