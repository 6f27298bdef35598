package lan

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bcast/internal/fuzztest"
)

// control encodes one control message: cmsg(3).
func control(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	header.Level, header.Type = int32(level), int32(kind)
	header.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func word(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

// What the kernel hands over is taken apart by what it says about it.
func TestAppendDatagrams(t *testing.T) {
	info := slices.Concat(word(7), []byte{10, 0, 0, 1, 10, 0, 0, 255})
	common := slices.Concat(
		control(unix.IPPROTO_IP, unix.IP_TTL, word(255)), control(unix.IPPROTO_IP, unix.IP_PKTINFO, info))
	gro := func(n int) []byte { return control(unix.IPPROTO_UDP, unix.UDP_GRO, word(n)) }
	tests := []struct {
		name   string
		buffer int
		size   int
		oob    []byte
		want   []int // bytes of each datagram
	}{
		{"single", 100, 60, common, []int{60}},
		{"empty", 100, 0, common, []int{0}},
		{"cut", 100, 140, common, []int{100}},
		{"joined, all of one size", 100, 60, slices.Concat(common, gro(20)), []int{20, 20, 20}},
		{"joined, the last shorter", 100, 50, slices.Concat(common, gro(20)), []int{20, 20, 10}},
		{"joined, one only", 100, 10, slices.Concat(common, gro(20)), []int{10}},
		{"senseless segment", 100, 60, slices.Concat(common, gro(-1)), []int{60}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := make([]byte, test.buffer)
			for n := range data {
				data[n] = byte(n)
			}
			var s source
			from := netip.MustParseAddrPort("10.0.0.9:27475")
			got := s.appendDatagrams(nil, from, data, test.size, test.oob)
			var sizes []int
			var whole []byte
			for _, d := range got {
				sizes = append(sizes, len(d.Data))
				whole = append(whole, d.Data...)
				if d.Iface != 7 || d.TTL != 255 || d.To.String() != "10.0.0.255" ||
					d.From.String() != "10.0.0.9:27475" {
					t.Errorf("interface %d, TTL %d, from %v to %v", d.Iface, d.TTL, d.From, d.To)
				}
				if d.Cut() != (test.size > test.buffer) {
					t.Errorf("cut %t, %d of %d bytes", d.Cut(), len(d.Data), d.Size)
				}
			}
			if !slices.Equal(sizes, test.want) || !bytes.Equal(whole, data[:len(whole)]) {
				t.Errorf("datagrams of %v bytes, want %v", sizes, test.want)
			}
		})
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(control(unix.IPPROTO_IP, unix.IP_TTL, word(255)))
	f.Add(control(unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, unix.SizeofInet4Pktinfo)))
	f.Add(control(unix.IPPROTO_UDP, unix.UDP_GRO, word(1400)))
	f.Add(control(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, word(7)))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, oob []byte) {
		var beside told
		fuzztest.Within(t, len(oob), 8, 1<<10, func() { _, beside = parseControl(oob) })
		if beside.segment < 0 {
			t.Errorf("segments of %d bytes", beside.segment)
		}
	})
}

// The kernel must never join datagrams for a buffer that does not take the longest: of ten joined ones, a short buffer
// would keep the start of the first and lose nine.
func TestJoiningOnlyWithTheFullBuffer(t *testing.T) {
	joins := func(conn *net.UDPConn) bool {
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		on, err := option(raw, unix.IPPROTO_UDP, unix.UDP_GRO)
		if err != nil {
			t.Fatal(err)
		}
		return on != 0
	}
	for _, buffer := range []int{16, 600, MaxDatagram - 1, MaxDatagram} {
		l := openTestLink(t, freePort(t), buffer)
		for _, conn := range []*net.UDPConn{l.Link.shared, l.Link.private} {
			if want := buffer == MaxDatagram; joins(conn) != want {
				t.Errorf("buffer of %d bytes: joining %t, want %t", buffer, !want, want)
			}
		}
	}
	r, err := OpenRaw(RawConfig{Buffer: MaxDatagram})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if joins(r.conn) {
		t.Error("a raw socket joins datagrams")
	}
}

// sendJoined sends data in one piece that the kernel is to treat as datagrams of segment bytes (UDP_SEGMENT).
func sendJoined(t *testing.T, l testLink, data []byte, segment int) {
	t.Helper()
	conn, err := listenUDP(net.ListenConfig{}, netip.AddrPortFrom(l.address().Addr(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	oob := control(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(segment)))
	if _, _, err := conn.WriteMsgUDPAddrPort(data, oob, l.address()); err != nil {
		t.Fatal(err)
	}
}

// Joined by a sender, taken over loopback in one read or in ten: what comes up is the same.
func TestJoinedDatagramsComeUpOneByOne(t *testing.T) {
	const segment = 1400
	data := make([]byte, 9*segment+100)
	for n := range data {
		data[n] = byte(n / segment)
	}
	for _, buffer := range []int{MaxDatagram, 600} {
		l := openTestLink(t, freePort(t), buffer)
		sendJoined(t, l, data, segment)
		for rest := data; len(rest) > 0; {
			sent := rest[:min(segment, len(rest))]
			d := await(t, l.private)
			if d.Size != len(sent) || !bytes.Equal(d.Data, sent[:min(buffer, len(sent))]) {
				t.Errorf("buffer of %d bytes: got %d of %d bytes, sent %d", buffer, len(d.Data), d.Size, len(sent))
			}
			rest = rest[len(sent):]
		}
	}
}

// What the socket's queue has no place for is counted, by the next datagram that comes.
func TestLossesOfTheQueueAreCounted(t *testing.T) {
	l, err := Open(Config{Port: freePort(t), RecvBuffer: MaxDatagram, Ifaces: []string{loopbackName(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.private.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := setOption(raw, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil { // as little as the kernel allows
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.UnicastPort()))
	read, ms := l.Readers()[1], make([]Datagram, 64)
	for range 2 { // the second time there is place again, and what comes tells of the first
		for range 20 {
			mustWrite(t, l, Outgoing{Data: make([]byte, 1000), To: to})
		}
		if _, err := read(ms); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Drops()["recv_queue_full"]; n == 0 {
		t.Error("no loss was counted")
	}
}

// What comes as soon as a socket is bound says by which interface, whatever is set up later.
func TestInterfaceIsToldFromTheFirstOn(t *testing.T) {
	for name, listen := range map[string]func() (*net.UDPConn, error){
		"shared": func() (*net.UDPConn, error) { return listenShared(netip.MustParseAddrPort("127.0.0.1:0")) },
		"private": func() (*net.UDPConn, error) {
			conn, listener, err := listenFirst(netip.MustParseAddr("127.0.0.1"), 0, 0)
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return conn, err
		},
	} {
		conn, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.WriteTo([]byte("first"), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		p, err := prepare(conn)
		if err != nil {
			t.Fatal(err)
		}
		source, err := newSource(p, 16, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := source.read(nil)
		if err != nil || len(got) != 1 || got[0].Iface == 0 || !got[0].To.IsValid() || got[0].TTL < 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// What nobody has read yet is told of, on either socket, and no more once it was read.
func TestWaiting(t *testing.T) {
	l, err := Open(Config{Port: freePort(t), RecvBuffer: MaxDatagram, Ifaces: []string{loopbackName(t)}})
	if err != nil {
		t.Fatal(err)
	}
	localhost := netip.MustParseAddr("127.0.0.1")
	for i, port := range []int{l.port, l.UnicastPort()} {
		if l.Waiting() {
			t.Error("something waits though nothing was sent")
		}
		mustWrite(t, l, Outgoing{Data: []byte("x"), To: netip.AddrPortFrom(localhost, uint16(port))})
		if !l.Waiting() {
			t.Errorf("socket %d: nothing waits", i)
		}
		if _, err := l.Readers()[i](make([]Datagram, 4)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if l.Waiting() {
		t.Error("something waits on closed sockets")
	}
}
