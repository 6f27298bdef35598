package main

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/doctor"
)

func TestDoctorWhereNobodyCanStart(t *testing.T) {
	for _, test := range []struct {
		line     string
		code     control.Code
		exit     int
		out, err string
	}{
		{"doctor", control.CodePortTaken, exitFailed, "PROBLEM  It is taken: squatter (process 42), which does not share it.\n" +
			"         try: kill 42\n", ""},
		{"doctor --json", control.CodePortTaken, exitFailed, `"command":"kill 42"`, ""},
		{"doctor", control.CodeHome, exitFailed, "PROBLEM  bcast cannot start: it is taken.", ""},
		{"doctor", control.CodeInternal, exitFailed, "", "bcast: it is taken"},
		{"doctor --for -1s", control.CodePortTaken, exitUsage, "", "--for -1s"},
		{"doctor bob", control.CodePortTaken, exitUsage, "", "too many arguments"},
	} {
		b := newBench(t)
		b.start = func(context.Context, bcast.Config) (participant, error) {
			return nil, control.NewError(test.code, nil, "it is taken", "hint")
		}
		b.look = func(_ context.Context, port int, _ time.Duration) doctor.Host {
			if port != bcast.DefaultPort {
				t.Errorf("looked at port %d", port)
			}
			return doctor.Host{Holders: []doctor.Holder{{PID: 42, Name: "squatter"}}}
		}
		b.want(b.shell(test.line), test.exit, test.out, test.err)
	}
}

func TestDoctorIsAGuestOfTheDaemon(t *testing.T) {
	d := newBench(t, alice(t))
	stop := daemonOf(d, "")
	defer stop()
	for line, want := range map[string]string{"doctor --for 1ms": "OK       The daemon runs.", "doctor --json --for 1ms": `"code":"daemon"`} {
		b := d.beside()
		b.want(b.shell(line), exitFailed, want, "")
	}
}

func TestTools(t *testing.T) {
	for _, test := range []struct {
		words  []string
		there  bool
		output doctor.Output
	}{
		{[]string{"sh", "-c", "echo rules"}, true, doctor.Output{Text: "rules\n"}},
		{[]string{"sh", "-c", "echo you must be root >&2; echo more >&2; exit 4"}, true, doctor.Output{Failed: "you must be root"}},
		{[]string{"sh", "-c", "exit 4"}, true, doctor.Output{Failed: "exit status 4"}},
		{[]string{"no-such-tool-anywhere"}, false, doctor.Output{}},
	} {
		if output, there := runTool(t.Context(), test.words); output != test.output || there != test.there {
			t.Errorf("%v: %+v, there %v", test.words, output, there)
		}
	}
}

// The kernel is asked for somebody in each subnet in use, who is not this host.
func TestRoutes(t *testing.T) {
	got := routes([]control.Interface{
		{Name: "eth0", Used: true, Addrs: []string{"127.0.1.1/24", "127.0.2.9/32"}},
		{Name: "eth1", Addrs: []string{"10.0.0.1/24"}}, {Name: "lo", Used: true, Link: "loopback", Addrs: []string{"127.0.0.1/8"}},
	})
	local := netip.MustParseAddr("127.0.0.1")
	if len(got) != 1 || got[0] != (doctor.Route{Iface: "eth0", To: netip.MustParseAddr("127.0.1.2"), Source: local}) {
		t.Errorf("%+v", got)
	}
}
