package tui

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// closing is a seat that tells whether it was closed.
type closing struct {
	*controltest.Device
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// terminal is what a program wrote to its terminal.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *terminal) has(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Contains(t.text.String(), text)
}

// await fails if a text does not come to the terminal in a generous while.
func (t *terminal) await(test *testing.T, text string) {
	test.Helper()
	for late := time.Now().Add(10 * time.Second); !t.has(text); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			test.Fatalf("%q never came: %q", text, &t.text)
		}
	}
}

func TestRunFromTheFirstKeyToTheLast(t *testing.T) {
	device := &closing{Device: controltest.New("alice")}
	device.Meet("bob", "dev")
	keys, typed := io.Pipe()
	out := &terminal{}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), Config{
			Seat: device, Rooms: []string{"dev"}, Leave: true, Obey: obeyTest, Now: time.Now, In: keys, Out: out,
			Environ: []string{"TERM=xterm-256color", "NO_COLOR=1"},
		})
	}()
	out.await(t, "Nothing was said here yet")
	io.WriteString(typed, "hello\r")
	out.await(t, "│ hello")
	out.await(t, "✓ 1/1") // only what changed is drawn
	device.Hear("dev", "bob", "hi\x1b[2Jthere")
	out.await(t, "hi[2Jthere")
	io.WriteString(typed, "\x1b[200~two\nlines\x1b[201~")
	out.await(t, "2 lines; Enter")
	io.WriteString(typed, "\r")
	out.await(t, "│ lines")
	io.WriteString(typed, "/quit\r")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if rooms, _ := device.Rooms(t.Context()); len(rooms) != 0 || !device.closed {
		t.Errorf("rooms %+v, closed %t", rooms, device.closed)
	}
	if out.has("\x1b[38;5") {
		t.Error("there are colours, though NO_COLOR is set")
	}
}

func TestRunTellsWhyItCannotBegin(t *testing.T) {
	device := &closing{Device: controltest.New("alice")}
	keys, _ := io.Pipe()
	err := Run(t.Context(), Config{
		Seat: device, Rooms: []string{"no/room"}, Obey: obeyTest, Now: time.Now, In: keys, Out: &terminal{},
		Environ: []string{"TERM=xterm"},
	})
	if control.AsError(err).Code != control.CodeInvalid || !device.closed {
		t.Errorf("ended with %v, closed %t", err, device.closed)
	}
}
