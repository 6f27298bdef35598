package stream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

// tally counts what crosses the system's border.
type tally struct {
	net.Conn
	writes, bytes int
	broken        error
}

func (c *tally) Write(p []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	c.writes, c.bytes = c.writes+1, c.bytes+len(p)
	return c.Conn.Write(p)
}

// Many records of TLS leave, and are read, together; few bytes are not waited for, and an end is told.
func TestManyRecordsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.start(t, 1, nil), n.start(t, 2, nil)
		taken := b.Files()
		near, err := a.DialFiles(t.Context(), b.addr, b.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		far, err := taken.Accept()
		if err != nil {
			t.Fatal(err)
		}
		border := &tally{Conn: near.batch.Conn}
		near.batch.Conn = border
		sent := bytes.Repeat([]byte("0123456789abcdef"), 3*batchSize/16)
		go near.Write(sent)
		buf, got, reads := make([]byte, batchSize), []byte(nil), 0
		for len(got) < len(sent) {
			n, err := far.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got, reads = append(got, buf[:n]...), reads+1
		}
		if !bytes.Equal(got, sent) || border.writes != 3 || reads > 7 {
			t.Errorf("%d bytes came, %d writes, %d reads", len(got), border.writes, reads)
		}
		go near.Write([]byte("few"))
		if n, err := far.Read(buf); string(buf[:n]) != "few" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		go func() {
			near.Write([]byte("last"))
			near.Close()
		}()
		if got, err := io.ReadAll(far); string(got) != "last" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		far.Close()
		taken.Close()
		a.CloseAll()
		b.CloseAll()
	})
}

// What could not leave is not said to have left.
func TestTogetherOrNot(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	b := &batch{Conn: &tally{Conn: near, broken: errors.New("no")}}
	if n, err := b.together(func() (int, error) { return b.Write([]byte("text")) }); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}
