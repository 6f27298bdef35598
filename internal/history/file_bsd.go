//go:build darwin || freebsd || netbsd

package history

import (
	"os"
	"syscall"
)

// stampOf is zero if there is no such file.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	return stamp{File: uint64(s.Ino), Changed: s.Ctimespec.Nano()}
}
