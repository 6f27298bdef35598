//go:build linux || darwin || freebsd

package files

import "syscall"

func mkfifo(at string) error { return syscall.Mkfifo(at, 0o644) }
