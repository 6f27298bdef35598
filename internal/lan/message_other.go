//go:build !linux

package lan

// Waiting tells nothing: here no system call says it in passing.
func (*Link) Waiting() bool { return false }
