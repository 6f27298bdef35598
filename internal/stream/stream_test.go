package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	_ "bcast/internal/fuzztest" // collects less
)

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b, there, here := n.pair(t)
		if there.Peer != b.key.Public() || !there.Dialled || there.ID != 1 {
			t.Errorf("dialled %+v", there)
		}
		if here.Peer != a.key.Public() || here.Dialled || here.ID != 2 {
			t.Errorf("accepted %+v", here)
		}
		if there.Exporter != here.Exporter || there.Exporter == [32]byte{} {
			t.Error("the exporters differ")
		}
		question, answer := bytes.Repeat([]byte("question"), 50_000), []byte("answer")
		a.Write(1, question)
		if got := b.collect(t, len(question)); !bytes.Equal(got, question) {
			t.Error("other bytes came")
		}
		a.next(t, Drained)
		b.Write(here.ID, answer)
		if e := a.next(t, Data); !bytes.Equal(e.Data, answer) || e.ID != 1 || e.Peer != b.key.Public() {
			t.Errorf("%+v", e)
		}
		b.next(t, Drained)
		a.Close(1)
		a.Write(1, []byte("too late"))
		if e := a.next(t, Closed); e.Err != nil || e.ID != 1 || !e.Dialled {
			t.Errorf("own end: %+v", e)
		}
		if e := b.next(t, Closed); e.Err != io.EOF || e.ID != here.ID || e.Dialled {
			t.Errorf("the other's end: %+v", e)
		}
		a.Dial(1, b.addr, b.key.Public()) // the id is free
		again := a.next(t, Opened)
		if e := b.next(t, Opened); e.ID != 4 || e.Exporter != again.Exporter || e.Exporter == here.Exporter {
			t.Errorf("the next connection: %+v", e)
		}
	})
}

// Both sides may say their first words at once, and a Write need not wait for Opened.
func TestWriteBeforeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		a.Dial(1, b.addr, b.key.Public())
		a.Write(1, []byte("first"))
		b.Write(b.next(t, Opened).ID, []byte("also"))
		a.next(t, Opened)
		for h, want := range map[*host]string{a: "also", b: "first"} {
			one, other := <-h.Events(), <-h.Events() // in any order
			if one.Kind+other.Kind != Data+Drained || string(one.Data)+string(other.Data) != want {
				t.Errorf("%+v, %+v", one, other)
			}
		}
	})
}

func TestDrainedComesWhenAllWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, here := newNetwork().pair(t)
		const size = 1 << 20
		a.Write(1, make([]byte, size))
		synctest.Wait()
		a.silent(t) // b has not taken anything, so its reader waits, so a's writer does
		got := 0
		for got < size-2*maxChunk { // one chunk is on the way, one waits to be taken
			synctest.Wait()
			a.silent(t)
			got += len(b.next(t, Data).Data)
		}
		b.collect(t, size-got)
		a.next(t, Drained)
		synctest.Wait()
		a.silent(t) // once
		b.Write(here.ID, nil)
		synctest.Wait()
		b.silent(t)
	})
}

// A stream that brings more than is taken delays another by what waits in turn, not by all that it has.
func TestStreamsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b, _, _ := n.pair(t)
		c := n.start(t, 3, nil)
		c.Dial(1, b.addr, b.key.Public())
		c.next(t, Opened)
		second := b.next(t, Opened).ID
		a.Write(1, make([]byte, maxQueued))
		synctest.Wait()
		c.Write(1, []byte("small"))
		synctest.Wait()
		b.next(t, Data)
		if e := b.next(t, Data); e.ID != second {
			t.Errorf("stream %d comes before %d again", e.ID, second)
		}
	})
}

func TestTimeOfTheCallerIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 2, nil)
		raw := n.tlsClient(t, 9, b, client(deviceCertificate(t, 9)))
		b.next(t, Opened)
		go raw.Write([]byte("one"))
		time.Sleep(10 * idleTime)
		if e := b.next(t, Data); string(e.Data) != "one" {
			t.Errorf("%q", e.Data)
		}
		time.Sleep(idleTime - time.Second)
		go raw.Write([]byte("two"))
		b.next(t, Data)
	})
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, opened := newNetwork().pair(t)
		time.Sleep(idleTime - time.Second)
		b.Write(opened.ID, []byte("still here")) // counts in both directions
		a.next(t, Data)
		b.next(t, Drained)
		begun := time.Now()
		there, here := a.next(t, Closed).Err, b.next(t, Closed).Err
		if !errors.Is(there, ErrIdle) && !errors.Is(here, ErrIdle) || time.Since(begun) != idleTime {
			t.Errorf("%v and %v after %v", there, here, time.Since(begun))
		}
	})
}

// A peer that only listens is not idle: its side hears, ours is heard.
func TestOneDirectionIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := newNetwork().pair(t)
		for range 5 {
			time.Sleep(idleTime * 2 / 3)
			a.Write(1, []byte("more"))
			b.next(t, Data)
			a.next(t, Drained)
		}
	})
}

func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := newNetwork().pair(t)
		a.Write(1, make([]byte, 1<<20))
		begun := time.Now()
		if e := a.next(t, Closed); !errors.Is(e.Err, ErrStalled) || time.Since(begun) > stallTime+time.Second {
			t.Errorf("%v after %v", e.Err, time.Since(begun))
		}
		for e := range b.Events() {
			if e.Kind == Closed {
				if !errors.Is(e.Err, ErrCut) {
					t.Errorf("what was cut: %v", e.Err)
				}
				break
			}
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _, _ := newNetwork().pair(t)
		half := make([]byte, maxQueued/2)
		a.Write(1, half)
		synctest.Wait()
		a.Write(1, half) // what is being sent counts, so it is full now
		a.silent(t)
		a.Write(1, []byte{1})
		if e := a.next(t, Closed); !errors.Is(e.Err, ErrQueue) {
			t.Errorf("%v", e.Err)
		}
		a.Write(1, half) // gone: no effect
		a.Close(1)
		synctest.Wait()
		a.silent(t)
	})
}

// Who closes before all is sent does not tell the peer that this was all.
func TestCloseForgetsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := newNetwork().pair(t)
		a.Write(1, []byte("sent"))
		b.next(t, Data)
		synctest.Wait() // a's writer waits for Drained to be taken
		a.Write(1, []byte("not sent"))
		a.Close(1)
		if e := b.next(t, Closed); !errors.Is(e.Err, ErrCut) {
			t.Errorf("%v", e.Err)
		}
		if e := a.next(t, Closed); e.Err != nil {
			t.Errorf("%v", e.Err)
		}
	})
}

func TestDialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newNetwork().start(t, 1, nil)
		nobody := deviceKey(7).Public()
		begun := time.Now()
		for i := range uint64(maxDialled + 1) {
			a.Dial(2*i+1, address(77), nobody)
		}
		a.Dial(1, address(77), nobody) // in use
		a.Dial(2, address(77), nobody) // even
		if e := a.next(t, Closed); !errors.Is(e.Err, ErrFull) || e.ID != 2*maxDialled+1 || time.Since(begun) != 0 {
			t.Errorf("one too many: %+v", e)
		}
		a.Close(3)
		if e := a.next(t, Closed); e.Err != nil || e.ID != 3 || time.Since(begun) != 0 {
			t.Errorf("given up: %+v", e)
		}
		for range maxDialled - 1 {
			e := a.next(t, Closed)
			if !errors.Is(e.Err, context.DeadlineExceeded) || time.Since(begun) != handshakeTime || e.Peer != nobody {
				t.Errorf("a firewall: %+v after %v", e, time.Since(begun))
			}
		}
		synctest.Wait()
		a.silent(t)
		a.Dial(1, address(77), nobody)
		if e := a.next(t, Closed); errors.Is(e.Err, ErrFull) {
			t.Error("places stay taken")
		}
	})
}

func TestAcceptedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b := n.start(t, 1, nil)
		peers := make([]*host, maxAccepted+1)
		for i := range peers {
			time.Sleep(handshakePace)
			p := n.start(t, byte(10+i), nil)
			p.Dial(1, b.addr, b.key.Public())
			peers[i] = p
			if i < maxAccepted {
				p.next(t, Opened)
				b.next(t, Opened)
			}
		}
		peers[maxAccepted].next(t, Closed)
		b.silent(t)
		b.Dial(1, peers[0].addr, peers[0].key.Public()) // those who came leave room to go
		b.next(t, Opened)
		peers[0].next(t, Opened)
		b.Close(2)
		b.next(t, Closed)
		peers[0].next(t, Closed)
		peers[maxAccepted].Dial(3, b.addr, b.key.Public())
		b.next(t, Opened)
	})
}

func TestCloseAllEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays
		n := newNetwork()
		a, b, _, here := n.pair(t)
		a.Dial(3, address(77), b.key.Public()) // waits for an answer
		n.connect(t, 8, a)                     // waits for a handshake
		c := n.tlsClient(t, 9, a, client(deviceCertificate(t, 9)))
		full := a.next(t, Opened).ID
		a.Write(full, make([]byte, 1<<20)) // waits for a peer that never reads
		n.tlsClient(t, 10, a, client(deviceCertificate(t, 10)))
		b.Write(here.ID, []byte("not taken")) // Opened of the one and Data of the other wait to be taken
		synctest.Wait()
		begun := time.Now()
		if err := a.CloseAll(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > partingTime {
			t.Errorf("it takes %v", took)
		}
		if _, more := <-a.Events(); more {
			t.Error("an event after the end")
		}
		for e := range b.Events() {
			if e.Kind == Closed {
				break
			}
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection stays")
		}
		for i := range uint64(10) {
			a.Dial(2*i+5, b.addr, b.key.Public())
		}
		synctest.Wait()
		a.Write(1, []byte("x"))
		a.Close(1)
		if err := a.CloseAll(); err != nil {
			t.Error(err)
		}
	})
}

// failing is a listener that cannot accept for a while.
type failing struct {
	*listener
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures--; f.failures >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.listener.Accept()
}

func TestAcceptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a := n.start(t, 1, nil)
		b, err := New(Config{Key: deviceKey(2), Listener: &failing{n.listen(address(2)), 3}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.CloseAll()
		begun := time.Now()
		a.Dial(1, address(2), deviceKey(2).Public())
		a.next(t, Opened)
		if took := time.Since(begun); took != 3*acceptPause {
			t.Errorf("after %v", took)
		}
	})
}

// firstRead is what a connection to at gives that says nothing; it stays open until the test ends.
func firstRead(t *testing.T, at netip.AddrPort) error {
	conn, err := net.Dial("tcp4", at.String())
	if err != nil {
		return err
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// The same over TCP, for what only a kernel does.
func TestLoopback(t *testing.T) {
	start := func(n byte) (*host, netip.AddrPort) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := &host{key: deviceKey(n)}
		if h.Streams, err = New(Config{Key: h.key, Listener: l}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.CloseAll() })
		return h, l.Addr().(*net.TCPAddr).AddrPort()
	}
	a, _ := start(1)
	b, at := start(2)
	a.Dial(1, at, b.key.Public())
	a.next(t, Opened)
	b.next(t, Opened)
	want := slices.Repeat([]byte("0123456789"), 200_000)
	a.Write(1, want)
	if got := b.collect(t, len(want)); !bytes.Equal(got, want) {
		t.Error("other bytes came")
	}
	a.next(t, Drained)
	var refused error
	for range handshakesFrom + 1 {
		refused = firstRead(t, at)
	}
	if !errors.Is(refused, syscall.ECONNRESET) { // so that nothing stays in the kernel
		t.Errorf("one too many: %v", refused)
	}
	if err := a.CloseAll(); err != nil {
		t.Error(err)
	}
	if e := b.next(t, Closed); e.Err != io.EOF {
		t.Errorf("%v", e.Err)
	}
}
