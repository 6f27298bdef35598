package control

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// checkPeer refuses a connection whose other end is neither this user nor root, as the kernel saw it connect.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("read peer credentials: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return fmt.Errorf("read peer credentials: %w", err)
	}
	return allowUser(cred.Uid, uint32(os.Geteuid()))
}

func allowUser(uid, own uint32) error {
	if uid != own && uid != 0 {
		return fmt.Errorf("user %d is neither user %d nor root", uid, own)
	}
	return nil
}
