package virtual

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"bcast/internal/lan"
)

func plug(t *testing.T, l *LAN, port, buffer int) *Link {
	t.Helper()
	link, err := l.Plug(port, buffer)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// got is what waits to be read at a link.
func got(t *testing.T, l *Link) []lan.Datagram {
	t.Helper()
	if len(l.inbox) == 0 {
		return nil
	}
	out := make([]lan.Datagram, 16)
	n, err := l.Readers()[0](out)
	if err != nil {
		t.Fatal(err)
	}
	return out[:n]
}

func TestWhoHearsWhat(t *testing.T) {
	l := New()
	a, b, small, other := plug(t, l, 1, 99), plug(t, l, 1, 99), plug(t, l, 1, 4), plug(t, l, 2, 99)
	a.Write([]lan.Outgoing{
		{Data: []byte("to all")}, {Data: []byte("limited"), Limited: true}, {Data: []byte("to b"), To: b.addr},
		{Data: []byte("to nobody"), To: netip.MustParseAddrPort("10.27.9.9:27475")},
	})
	if d := got(t, a); len(d) != 2 || !d[0].Broadcast || d[0].From != a.addr {
		t.Errorf("the sender hears %+v, want its two broadcasts", d)
	}
	if d := got(t, b); len(d) != 3 || string(d[2].Data) != "to b" || d[2].Broadcast || !d[2].OnLink || d[2].Cut() {
		t.Errorf("b hears %+v, want two broadcasts and what is its", d)
	}
	if d := got(t, small); len(d) != 2 || string(d[0].Data) != "to a" || d[0].Size != 6 || !d[0].Cut() {
		t.Errorf("a short buffer gets %+v, want two that are cut", d)
	}
	if d := got(t, other); d != nil {
		t.Errorf("another port hears %+v", d)
	}
	if drops := a.Drops(); drops["send_unreachable"] != 1 {
		t.Errorf("drops %v, want the one to nobody", drops)
	}
}

func TestFullQueueLosesAndCounts(t *testing.T) {
	a := plug(t, New(), 1, 99)
	for range maxQueue + 3 {
		a.Write([]lan.Outgoing{{Data: []byte("x")}})
	}
	if drops := a.Drops(); drops["recv_queue_full"] != 3 {
		t.Errorf("drops %v, want 3 lost", drops)
	}
}

func TestStreamsEndWithTheCable(t *testing.T) {
	l := New()
	a, b := plug(t, l, 1, 99), plug(t, l, 1, 99)
	accepted := make(chan net.Conn)
	go func() {
		c, _ := b.StreamListener().Accept()
		accepted <- c
	}()
	ours, err := a.Dial(t.Context(), b.addr)
	if err != nil {
		t.Fatal(err)
	}
	theirs := <-accepted
	if from := theirs.RemoteAddr().String(); from != a.addr.String() {
		t.Errorf("it comes from %s, want %s", from, a.addr)
	}
	b.Unplug(true)
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a read over a cut cable: %v", err)
	}
	if _, err := a.Dial(t.Context(), b.addr); !errors.Is(err, errRefused) {
		t.Errorf("dialled over a cut cable: %v", err)
	}
	b.Unplug(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Dial(ctx, b.addr); !errors.Is(err, context.Canceled) {
		t.Errorf("dialled with an ended context: %v", err)
	}
	ours.Close()
	b.Close()
	if _, err := b.StreamListener().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepted by a closed link: %v", err)
	}
	if len(a.pipes)+len(b.pipes) != 0 {
		t.Errorf("%d connections are left", len(a.pipes)+len(b.pipes))
	}
}

func TestLANIsFull(t *testing.T) {
	l := New()
	l.hosts = maxHosts
	if _, err := l.Plug(1, 99); !errors.Is(err, errFull) {
		t.Errorf("one more: %v", err)
	}
}
