//go:build unix

package hook

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What a program started ends with it: the other end of the pipe that it held is then closed.
func TestWhatAProgramStartedEndsWithIt(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		f, err := os.Open(pipe) // waits for who writes
		cancel()
		if err == nil {
			defer f.Close()
			_, err = io.Copy(io.Discard, f)
		}
		ended <- err
	}()
	if _, err := (Program{Command: "sleep 60 >" + pipe + " & wait"}).run(ctx, nil, nil); err == nil {
		t.Error("it ended well")
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestProgramHasItsTime(t *testing.T) {
	_, err := Program{Command: "sleep 60", Time: 20 * time.Millisecond}.run(t.Context(), nil, nil)
	if err == nil || err.Error() != "it ran for longer than 20ms" {
		t.Errorf("ended with %v", err)
	}
}
