package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/zeroconf"
)

func TestAnnounceLastsUntilItIsInterrupted(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	stop := b.background("announce Web --service _http._tcp --port 80 --txt path=/ --txt v=1")
	b.out.await(t, "announced by bcast: \"Web\" _http._tcp port 80\nannounced by mdns on eth0: \"Web\" _http._tcp port 80, this host as alice.local\n")
	if offers := node.Offers(); len(offers) != 1 || strings.Join(offers[0].Text, " ") != "path=/ v=1" {
		t.Errorf("announced %+v", offers)
	}
	if code := stop(); code != 0 || len(node.Offers()) != 0 {
		t.Errorf("exit %d: %s, still %+v", code, b.err, node.Offers())
	}
}

func TestAnnounceSaysWhereAServiceIsDescribed(t *testing.T) {
	told := control.Announced{By: "ssdp", Iface: "eth0", Name: "Web", Type: "_http._tcp", Port: 80, Location: "http://10.77.0.1:4000/1"}
	const want = `announced by ssdp on eth0: "Web" _http._tcp port 80, described at http://10.77.0.1:4000/1`
	if got := announcedText(told); got != want {
		t.Errorf("got %s", got)
	}
}

func TestAnnounceSaysWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		"announce":                                             "an argument is missing",
		"announce Web --port 80":                               "--service is missing",
		"announce Web --service _http._tcp":                    "--port is missing",
		"announce A B --service _a._tcp --port 1":              "too many arguments",
		"announce Web --service _http._tcp --port 80 --for 0s": "--for 0s is not a time to wait",
	} {
		b := newBench(t, alice(t))
		if code := b.shell(line); code != exitUsage || !strings.Contains(b.err.String(), want) {
			t.Errorf("%s: exit %d, %s", line, code, b.err)
		}
	}
}

// What the file in the home says is announced by the daemon; one with a mistake changes nothing.
func TestADaemonAnnouncesWhatItsFileSays(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(b.home, zeroconf.ServicesFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[[service]]\nname = 'Web'\ntype = '_http._tcp'\nport = 80\n")
	stop := daemonOf(b, "")
	b.err.await(t, `msg="a service is announced" service=Web by=mdns iface=eth0`)
	beside := b.beside()
	if beside.shell("config"); !strings.Contains(beside.out.String(), `"Web" _http._tcp port 80`) {
		t.Errorf("config: %s", beside.out)
	}
	if code := stop(); code != 0 || len(node.Offers()) != 0 {
		t.Errorf("exit %d, announced %+v", code, node.Offers())
	}

	device := alice(t)
	services := &servicesInForce{home: b.home, api: device, log: slog.New(slog.DiscardHandler)}
	const good = "[[service]]\nname = 'Web'\ntype = '_http._tcp'\nport = 80\n"
	for _, test := range []struct {
		text string
		bad  bool
		left int
	}{{good, false, 1}, {"[[service]]\nname = 'Web'\n", true, 1}, {"", false, 0}} {
		write(test.text)
		if err := services.again(t.Context()); (err != nil) != test.bad {
			t.Errorf("%q: %v", test.text, err)
		}
		for limit := time.Now().Add(5 * time.Second); len(device.Offers()) != test.left; time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%q: %+v are announced", test.text, device.Offers())
			}
		}
	}
	services.end()
}
