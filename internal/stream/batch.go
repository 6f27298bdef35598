package stream

import (
	"net"
	"sync"
)

// batchSize is what crosses the system's border at once, in bytes, where much is carried.
const batchSize = 128 << 10

// batch has many TLS records cross the system's border at once: crypto/tls writes each by itself and reads hardly more
// than one, and each such crossing wakes whoever waits at the other end. It lets all pass until it is asked for more.
type batch struct {
	net.Conn

	out  sync.Mutex
	held []byte // records that wait for others
	hold bool

	in     []byte // came and is not read yet
	buffer []byte
	wide   bool // reads may bring more than was asked for
	trying bool // what is not here is not waited for
}

// Write is crypto/tls's.
func (b *batch) Write(p []byte) (int, error) {
	b.out.Lock()
	defer b.out.Unlock()
	if !b.hold {
		return b.Conn.Write(p)
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

// together has what write hands over leave at once.
func (b *batch) together(write func() (int, error)) (int, error) {
	b.out.Lock()
	b.hold = true
	b.out.Unlock()
	n, err := write()
	b.out.Lock()
	defer b.out.Unlock()
	b.hold = false
	if len(b.held) > 0 {
		if _, failed := b.Conn.Write(b.held); err == nil && failed != nil {
			n, err = 0, failed
		}
		b.held = b.held[:0]
	}
	return n, err
}

// Read is crypto/tls's.
func (b *batch) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		switch {
		case b.trying:
			return 0, errNotYet{}
		case !b.wide || len(p) >= batchSize:
			return b.Conn.Read(p)
		case b.buffer == nil:
			b.buffer = make([]byte, batchSize)
		}
		n, err := b.Conn.Read(b.buffer)
		if n == 0 {
			return 0, err
		}
		b.in = b.buffer[:n]
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	return n, nil
}

// fill reads with read, and again for as long as what is here already makes more of it.
func (b *batch) fill(p []byte, read func([]byte) (int, error)) (n int, err error) {
	b.wide = true
	n, err = read(p)
	b.trying = true
	for err == nil && n < len(p) {
		more := 0
		more, err = read(p[n:])
		n += more
	}
	b.trying = false
	if n > 0 {
		err = nil // what is an end for good is told again
	}
	return n, err
}

// errNotYet says that nothing more is here. It is one of those that crypto/tls goes on after, as after a deadline.
type errNotYet struct{}

func (errNotYet) Error() string   { return "nothing more is here yet" }
func (errNotYet) Timeout() bool   { return true }
func (errNotYet) Temporary() bool { return true }
