package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/fuzztest"
	"bcast/internal/lan"
)

func TestDatagramOutput(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	from, to := netip.MustParseAddrPort("10.0.0.7:40000"), netip.MustParseAddrPort("10.0.0.255:9999")
	raw := func(data string, size int) lan.RawDatagram {
		d := lan.RawDatagram{Time: at, Data: []byte(data), Size: size, From: from, To: to, Iface: "eth0", Broadcast: true}
		if size > len(data) {
			d.CutBy = "kernel"
		}
		return d
	}
	for _, test := range []struct {
		raw   lan.RawDatagram
		hex   bool
		human string // in the output for people
		json  string
	}{
		{raw("0123456789abcdef", 64), false,
			"16 of 64 bytes; 48 are gone, the next read starts with the next datagram\n  0123456789abcdef\n",
			`"iface":"eth0","broadcast":true,"received":16,"size":64,"lost":48,"truncated":true,"cut_by":"kernel",` +
				`"text":"0123456789abcdef","data":"MDEyMzQ1Njc4OWFiY2RlZg=="}`},
		{raw("", 0), false, "10.0.0.7:40000 > 10.0.0.255:9999 eth0 broadcast: an empty datagram: 0 bytes were sent\n",
			`"received":0,"size":0,"lost":0,"truncated":false,"text":"","data":""}`},
		{raw("\x00\xffA", 3), false, "3 bytes\n  00000000  00 ff 41 ", `"truncated":false,"data":"AP9B"}`},
		{raw("hi\n", 3), true, "|hi.|\n", `"text":"hi\n"`},
		{raw("a\x1b[2Jb", 6), false, "|a.[2Jb|\n", `"text":"a\u001b[2Jb"`},
	} {
		for _, asJSON := range []bool{false, true} {
			b := newBench(t)
			if err := b.printerOn(b.out, asJSON).datagram(describe(test.raw), test.hex); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{false: test.human, true: test.json}[asJSON]
			if !strings.Contains(b.out.String(), want) {
				t.Errorf("%q = %s\nwant %s", test.raw.Data, b.out, want)
			}
		}
	}
}

func TestDatagramWithoutDestination(t *testing.T) {
	d := describe(lan.RawDatagram{From: netip.MustParseAddrPort("10.0.0.7:1")})
	if d.To != "" || d.Data == nil {
		t.Errorf("got %+v", d)
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.7:9999": "10.0.0.7:9999", "broadcast:1": "broadcast:1", "255.255.255.255:65535": "255.255.255.255:65535",
	} {
		if got, err := parseTarget(text); err != nil || got.String() != want {
			t.Errorf("%s = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10.0.0.7", "10.0.0.7:", "10.0.0.7:0", "10.0.0.7:65536", "host:9999", "[::1]:9999",
		":9999", "broadcast", "broadcast:-1", "10.0.0.256:1", "10.0.0.7:9999:1"} {
		if got, err := parseTarget(text); control.AsError(err) == nil || control.AsError(err).Code != control.CodeUsage {
			t.Errorf("%q = %v, %v, want a usage error", text, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"10.0.0.7:9999", "broadcast:9999", "[::1]:1", "::ffff:1.2.3.4:5", ":", "1.2.3.4:00080"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var to target
		var err error
		fuzztest.Within(t, len(text), 64, 4<<10, func() { to, err = parseTarget(text) })
		if err != nil {
			return
		}
		if again, err := parseTarget(to.String()); err != nil || again != to {
			t.Errorf("%q = %v, again %v, %v", text, to, again, err)
		}
	})
}

func TestPayload(t *testing.T) {
	for _, test := range []struct {
		line string
		code int
		err  string
	}{
		{"sendto 127.0.0.1:9", exitUsage, "no data"},
		{"sendto 127.0.0.1:9 a b", exitUsage, "too many arguments"},
		{"sendto 127.0.0.1:9 a --size 65508", exitUsage, "--size 65508 is not within 0 to 65507"},
		{"sendto 127.0.0.1:9 - --size 5", exitUsage, "cannot repeat nothing"},
		{"sendto nowhere:9 a", exitUsage, "not an IPv4 address"},
		{"sendto 127.0.0.1:9 a --count -1", exitUsage, "--count -1"},
		{"sendto broadcast:9 a --iface nosuch0", exitFailed, "nosuch0"},
		{"recvfrom --buffer 0", exitUsage, "--buffer 0 is not within 1 to"},
		{"recvfrom --port 65536", exitUsage, "--port 65536"},
		{"recvfrom --count -1", exitUsage, "--count -1"},
		{"recvfrom --bind ::1", exitUsage, "--bind ::1"},
		{"recvfrom --timeout 0s", exitUsage, "--timeout 0s"},
		{"recvfrom --iface nosuch0 --port 0", exitFailed, "nosuch0"},
		{"recvfrom --port 0 --timeout 1ms", exitFailed, "no datagram within 1ms"},
	} {
		b := newBench(t)
		b.want(b.shell(test.line), test.code, "", test.err)
	}
}
