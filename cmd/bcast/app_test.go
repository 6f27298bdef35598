package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/doctor"
)

// fakeNode is a participant that works without a network.
type fakeNode struct {
	*controltest.Device
	mu       sync.Mutex
	reloaded int
	watching bool
	closed   bool
	broken   error // what Posts answers
	stalled  bool  // nothing comes of what is fetched
}

func (n *fakeNode) Fetch(ctx context.Context, post, dir string) (control.File, error) {
	if n.stalled {
		return control.File{Post: post, State: control.FileFetching}, nil
	}
	return n.Device.Fetch(ctx, post, dir)
}

func (n *fakeNode) Posts(ctx context.Context, room string, query control.PostQuery) ([]control.Post, error) {
	if n.broken != nil {
		return nil, n.broken
	}
	return n.Device.Posts(ctx, room, query)
}

func (n *fakeNode) Reload(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reloaded++
	return nil
}

func (n *fakeNode) Watch(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watching = true
	return nil
}

func (n *fakeNode) Devices(ctx context.Context) ([]control.Device, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.watching {
		return nil, control.NewError(control.CodeNotFound, nil, "this device does not watch the subnet", "")
	}
	return n.Device.Devices(ctx)
}

func (n *fakeNode) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	return nil
}

func (n *fakeNode) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

// buffer is standard output that a test may read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func newBuffer() *buffer { return &buffer{grew: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.grew <- struct{}{}:
	default:
	}
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await returns when the output contains text; what never comes fails after a generous while.
func (b *buffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(10 * time.Second)
	for !strings.Contains(b.String(), text) {
		select {
		case <-b.grew:
		case <-late:
			t.Fatalf("%q never came; output %q", text, b)
		}
	}
}

// bench is an app whose nodes are fakes, with a home of its own.
type bench struct {
	*app
	t        *testing.T
	home     string
	env      map[string]string
	out, err *buffer
	asked    bcast.Config // of the last node started
	kept     *fakeNode    // what the home's files hold
}

func newBench(t *testing.T, nodes ...*fakeNode) *bench {
	home, err := os.MkdirTemp("", "b") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	b := &bench{t: t, home: home, env: map[string]string{"BCAST_HOME": home}, out: newBuffer(), err: newBuffer()}
	b.app = &app{
		stdio:  stdio{strings.NewReader(""), b.out, b.err},
		getenv: func(name string) string { return b.env[name] },
		start: func(_ context.Context, cfg bcast.Config) (participant, error) {
			if len(nodes) == 0 {
				return nil, control.NewError(control.CodeRunning, nil, "the home is in use", "")
			}
			node := nodes[0]
			nodes, b.asked = nodes[1:], cfg
			return node, nil
		},
		open: func(string) (closingArchive, error) {
			if b.kept == nil {
				return nil, control.NewError(control.CodeNotFound, nil, "nothing is kept here", "")
			}
			return b.kept, nil
		},
		look:   func(context.Context, int, time.Duration) doctor.Host { return doctor.Host{} },
		subnet: &quietSubnet{},
	}
	return b
}

// shell runs the words of line, separated by spaces, and returns the exit code.
func (b *bench) shell(line string) int { return b.app.run(b.t.Context(), strings.Fields(line)) }

// background runs line until the function returned is called, which returns the exit code.
func (b *bench) background(line string) (stop func() int) {
	ctx, cancel := context.WithCancel(b.t.Context())
	code := make(chan int, 1)
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("%s logged %q", line, b.err)
		}
	})
	go func() { code <- b.app.run(ctx, strings.Fields(line)) }()
	return func() int {
		cancel()
		return <-code
	}
}

// beside returns an app on the same home, as a second terminal is.
func (b *bench) beside(nodes ...*fakeNode) *bench {
	other := newBench(b.t, nodes...)
	other.home, other.env["BCAST_HOME"] = b.home, b.home
	return other
}

func (b *bench) want(code, wantCode int, out, err string) {
	b.t.Helper()
	if code != wantCode || !strings.Contains(b.out.String(), out) || !strings.Contains(b.err.String(), err) {
		b.t.Errorf("exit %d, out %q, err %q\nwant exit %d, out %q, err %q", code, b.out, b.err, wantCode, out, err)
	}
}

// alice is a device in the lobby with bob there.
func alice(t *testing.T) *fakeNode {
	device := controltest.New("alice")
	device.Join(t.Context(), "lobby", control.JoinOptions{})
	device.Meet("bob", "lobby")
	return &fakeNode{Device: device}
}

func TestReport(t *testing.T) {
	for _, test := range []struct {
		err  error
		json bool
		code int
		want string
	}{
		{nil, false, exitDone, ""},
		{exit(exitSome), true, exitSome, ""},
		{usageError("wrong", ""), false, exitUsage, "bcast: wrong\n"},
		{usageError("wrong", "right"), true, exitUsage, `{"error":{"code":"usage","message":"wrong","hint":"right"}}` + "\n"},
		{control.NewError(control.CodeNoDaemon, nil, "none", "start one"), false, exitNoDaemon,
			"bcast: none\nbcast: hint: start one\n"},
		{control.NewError(control.CodeTooLarge, nil, "big", ""), false, exitUsage, "bcast: big\n"},
		{control.NewError(control.CodeNotJoined, nil, "no", ""), false, exitFailed, "bcast: no\n"},
		{errors.New("disk\x1b[2J full"), false, exitFailed, "bcast: disk[2J full\n"},
		{errors.New("disk full"), true, exitFailed, `{"error":{"code":"internal","message":"disk full"}}` + "\n"},
		{errors.Join(nil, usageError("wrong", "")), false, exitUsage, "bcast: wrong\n"},
	} {
		b := newBench(t)
		if code := b.report(test.err, test.json); code != test.code || b.err.String() != test.want {
			t.Errorf("%v = exit %d, %q, want %d, %q", test.err, code, b.err, test.code, test.want)
		}
	}
}

func TestEveryCommandShowsAnExample(t *testing.T) {
	for _, command := range newBench(t).parser().Commands {
		if command.Name == "help" {
			continue // is asked without a dash
		}
		b := newBench(t)
		code := b.shell(command.Name + " --help")
		b.want(code, exitDone, "EXAMPLE:\n   ", "")
		b.want(code, exitDone, "bcast "+command.Name, "")
		b.want(code, exitDone, "--json", "")
		if command.Action == nil {
			t.Errorf("%s does nothing", command.Name)
		}
	}
}
