//go:build linux || darwin || freebsd

package files

import (
	"os"
	"syscall"
)

// freeSpace is how many bytes may be written in the file system of a directory below root.
func freeSpace(root *os.Root, at string) (int64, bool) {
	d, err := root.Open(at)
	if err != nil {
		return 0, false
	}
	defer d.Close()
	var s syscall.Statfs_t
	if syscall.Fstatfs(int(d.Fd()), &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

// lockFile has nobody else write to a file until it is closed.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// umask is what the user takes from every file's mode. It is read once, before anybody else is there to notice.
var umask = func() os.FileMode {
	mask := syscall.Umask(0o077)
	syscall.Umask(mask)
	return os.FileMode(mask)
}()
