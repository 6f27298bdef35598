package main

import (
	"os"
	"unsafe"
)

// hideArgument overwrites an argument of this process where the system keeps it, so that other processes do not find it
// in the list of processes any more. The runtime's strings of os.Args are that memory.
func hideArgument(i int) {
	memory := unsafe.Slice(unsafe.StringData(os.Args[i]), len(os.Args[i]))
	for at := range memory {
		memory[at] = '*'
	}
}
