package lan

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

func openTestRaw(t *testing.T, cfg RawConfig) *Raw {
	t.Helper()
	r, err := OpenRaw(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func mustReceive(t *testing.T, r *Raw) RawDatagram {
	t.Helper()
	if err := r.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	d, err := r.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRawReceivesWhatIsSent(t *testing.T) {
	lo := loopbackName(t)
	r := openTestRaw(t, RawConfig{Buffer: MaxDatagram, Iface: lo})
	sender := openTestRaw(t, RawConfig{Buffer: 1})
	port := r.LocalAddr().Port()
	unicast := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	broadcast := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), port)
	tests := []struct {
		name string
		data []byte
		to   netip.AddrPort
		by   string
	}{
		{"unicast", []byte("hello"), unicast, ""},
		{"unicast by interface", []byte("hello"), unicast, lo},
		{"broadcast", []byte("all"), broadcast, ""},
		{"broadcast by interface", []byte("all"), broadcast, lo},
		{"empty", nil, unicast, ""},
		{"largest", bytes.Repeat([]byte{9}, 65507), broadcast, lo},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := time.Now()
			if err := sender.SendTo(test.data, test.to, test.by); err != nil {
				t.Fatal(err)
			}
			d := mustReceive(t, r)
			if !bytes.Equal(d.Data, test.data) || d.Size != len(test.data) || d.CutBy != "" {
				t.Errorf("got %d of %d bytes, cut by %q; want %d", len(d.Data), d.Size, d.CutBy, len(test.data))
			}
			if d.To != test.to || d.From.Port() != sender.LocalAddr().Port() || d.Iface != lo {
				t.Errorf("from %v to %v on %s", d.From, d.To, d.Iface)
			}
			if d.Broadcast != (test.to == broadcast) || d.Time.Before(before) {
				t.Errorf("broadcast %t, received %v", d.Broadcast, d.Time)
			}
		})
	}
}

func TestRawCut(t *testing.T) {
	r := openTestRaw(t, RawConfig{Buffer: 16})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.LocalAddr().Port())
	long := bytes.Repeat([]byte("0123456789abcdef"), 4)
	for _, data := range [][]byte{long, long[:16]} {
		if err := r.SendTo(data, to, ""); err != nil {
			t.Fatal(err)
		}
	}
	by := "bcast"
	if runtime.GOOS == "linux" {
		by = "kernel"
	}
	if d := mustReceive(t, r); !bytes.Equal(d.Data, long[:16]) || d.Size != 64 || d.CutBy != by {
		t.Errorf("got %q of %d bytes, cut by %q; want 16 of 64, by %q", d.Data, d.Size, d.CutBy, by)
	}
	if d := mustReceive(t, r); !bytes.Equal(d.Data, long[:16]) || d.Size != 16 || d.CutBy != "" {
		t.Errorf("what just fits: %q of %d bytes, cut by %q", d.Data, d.Size, d.CutBy)
	}
}

func TestRawSharesItsPort(t *testing.T) {
	first := openTestRaw(t, RawConfig{Buffer: 100})
	port := first.LocalAddr().Port()
	second := openTestRaw(t, RawConfig{Port: int(port), Buffer: 100})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), port)
	if err := first.SendTo([]byte("both"), to, loopbackName(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Raw{first, second} {
		if d := mustReceive(t, r); string(d.Data) != "both" || !d.Broadcast {
			t.Errorf("got %q, broadcast %t", d.Data, d.Broadcast)
		}
	}
}

func TestRawRefuses(t *testing.T) {
	for _, cfg := range []RawConfig{{Buffer: 0}, {Buffer: 65536}, {Buffer: 16, Port: 65536}, {Buffer: 16, Port: -1}} {
		if r, err := OpenRaw(cfg); err == nil {
			r.Close()
			t.Errorf("opened %+v", cfg)
		}
	}
	if _, err := OpenRaw(RawConfig{Buffer: 16, Iface: "no-such-iface"}); !errors.Is(err, ErrNoInterface) {
		t.Errorf("unknown interface: %v, want ErrNoInterface", err)
	}
	r := openTestRaw(t, RawConfig{Buffer: 16})
	for _, to := range []string{"[::1]:9", "127.0.0.1:0"} {
		if err := r.SendTo(nil, netip.MustParseAddrPort(to), ""); err == nil {
			t.Errorf("sent to %s", to)
		}
	}
	if err := r.SendTo(nil, netip.MustParseAddrPort("127.0.0.1:9"), "no-such-iface"); !errors.Is(err, ErrNoInterface) {
		t.Errorf("send by unknown interface: %v, want ErrNoInterface", err)
	}
}

func TestRawCloseUnblocks(t *testing.T) {
	r := openTestRaw(t, RawConfig{Buffer: 16})
	ended := make(chan error)
	go func() {
		_, err := r.Receive()
		ended <- err
	}()
	r.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive ended with %v, want net.ErrClosed", err)
	}
}

func TestRawListensToOneInterface(t *testing.T) {
	ifaces := []Interface{
		describe(testLoopback()),
		describe(testDevice(2, "eth0", ethernet, "10.77.0.5/24")),
		describe(testDevice(3, "wlan0", ethernet, "192.168.1.9/24")),
	}
	tests := []struct {
		name  string
		iface int
		to    string
		want  bool
	}{
		{"eth0", 2, "10.77.0.255", true},
		{"eth0", 3, "192.168.1.255", false},
		{"eth0", 1, "127.0.0.1", false},
		{"eth0", 1, "10.77.0.5", true}, // this host to itself
		{"lo", 1, "127.0.0.1", true},
		{"gone0", 2, "10.77.0.255", false},
	}
	for _, test := range tests {
		d := Datagram{Iface: test.iface, To: netip.MustParseAddr(test.to)}
		if got := cameBy(ifaces, test.name, d); got != test.want {
			t.Errorf("%s: to %s by %d: %t, want %t", test.name, test.to, test.iface, got, test.want)
		}
	}
}
