package node

import (
	"net/netip"
	"testing"
	"time"

	"bcast/internal/engine"
)

// unread is a Link with something that nobody reads, or without.
type unread struct{ waiting bool }

func (*unread) Readers() []func([]engine.Datagram) (int, error) { return nil }
func (*unread) Write([]engine.Send)                             {}
func (*unread) Interfaces() []engine.Interface                  { return nil }
func (*unread) Changed() <-chan struct{}                        { return nil }
func (*unread) Close() error                                    { return nil }
func (*unread) Slept() time.Duration                            { return 0 }
func (l *unread) Waiting() bool                                 { return l.waiting }

// What is due is put off for what waits to be read, but not for ever.
func TestReadersGoBeforeWhatIsDue(t *testing.T) {
	e := newEngine(t)
	e.SetInterfaces(engine.Now{}, []engine.Interface{{Index: 1, Addrs: []netip.Addr{netip.IPv4Unspecified()}, MTU: 1500}})
	l := &unread{waiting: true}
	n := &Node{cfg: Config{Link: l}, engine: e, start: time.Now().Add(-time.Hour)}
	due := e.Deadline()
	for i := range maxHeld {
		if n.advance(); e.Deadline() != due {
			t.Fatalf("what was due was done the %d. time, though something waited", i+1)
		}
		if n.resume < time.Hour {
			t.Error("the loop is woken again at once")
		}
	}
	if n.advance(); e.Deadline() == due || n.resume != 0 {
		t.Error("a flood keeps us from what is due")
	}
	due, l.waiting = e.Deadline(), false
	n.start = n.start.Add(-time.Hour)
	if n.advance(); e.Deadline() == due {
		t.Error("what was due was put off for nothing")
	}
}
