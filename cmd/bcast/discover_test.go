package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bcast/internal/roster"
	"bcast/internal/show"
	"bcast/internal/zeroconf"
)

// quietSubnet is a host without a segment, which spoke to some neighbours.
type quietSubnet struct{ neighbours []roster.Sighting }

func (q *quietSubnet) Segments() ([]zeroconf.Segment, error)  { return nil, nil }
func (q *quietSubnet) Neighbours() ([]roster.Sighting, error) { return q.neighbours, nil }
func (q *quietSubnet) Seed() [32]byte                         { return [32]byte{} }
func (q *quietSubnet) Fetch(context.Context, netip.Addr, string, string, int) ([]byte, error) {
	return nil, errors.New("there is no network")
}

// neighbour is an entry of the neighbour table.
func neighbour(addr, mac string) roster.Sighting {
	return roster.Sighting{Key: addr, Addrs: []netip.Addr{netip.MustParseAddr(addr)}, MAC: mac}
}

func TestDiscoverIsOneObjectADevice(t *testing.T) {
	b := newBench(t, alice(t))
	b.subnet = &quietSubnet{[]roster.Sighting{neighbour("10.77.0.10", "02:00:00:00:00:10"), neighbour("10.77.0.2", "00:1a:2b:00:00:02")}}
	if code := b.shell("discover --json --for 1ms"); code != 0 {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	lines := strings.Split(strings.TrimSpace(b.out.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		var d roster.Device
		if err := json.Unmarshal([]byte(line), &d); err != nil || len(d.Addrs) == 0 || len(d.FoundBy) == 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
	b.want(0, 0, `"nick":"bob","name":"bob","addrs":["10.77.0.10"],"mac":"02:00:00:00:00:10","kind":"bcast","services":[],`+
		`"found_by":["arp","bcast"]`, "")
	b.want(0, 0, `{"name":"","addrs":["10.77.0.2"],"mac":"00:1a:2b:00:00:02","kind":"host","services":[],"found_by":["arp"],`+
		`"evidence":[{"by":"arp","key":"10.77.0.2"}],`, "")
}

func TestDiscoverIsATreeForPeople(t *testing.T) {
	b := newBench(t, alice(t))
	b.subnet = &quietSubnet{[]roster.Sighting{neighbour("10.77.0.10", "00:1a:2b:00:00:10")}}
	vendors := filepath.Join(b.home, "oui.txt")
	if err := os.WriteFile(vendors, []byte("00-1A-2B   (hex)\t\tAye\x1b[31mcom\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := b.shell("discover --for 1ms --vendors " + vendors); code != 0 {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	text := b.out.String()
	for _, want := range []string{"NAME  ADDRESS     MAC", "bob   10.77.0.10  00:1a:2b:00:00:10 Aye[31mcom  bcast  here    arp bcast\n",
		"  ├ bcast ", "  └ arp 10.77.0.10 (same address 10.77.0.10)\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestDiscoverShowsWhoOffersAService(t *testing.T) {
	b := newBench(t, alice(t))
	if code := b.shell("discover --json --for 1ms --service _http._tcp"); code != 0 || b.out.String() != "" {
		t.Errorf("exit %d: %s%s; bob offers nothing", code, b.out, b.err)
	}
}

func TestDiscoverSaysWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		"discover --service http":          "--service http is no type of service",
		"discover --for 0s":                "--for 0s is not a time to wait",
		"discover --vendors /does/not/be":  "/does/not/be",
		"discover --vendors " + os.DevNull: "no line of it is a MAC prefix",
		"discover anything":                "too many arguments",
	} {
		b := newBench(t, alice(t))
		if code := b.shell(line); code == 0 || !strings.Contains(b.err.String(), want) {
			t.Errorf("%s: exit %d, %s", line, code, b.err)
		}
	}
}

// CVE-2021-25743 (kubectl): whatever a device calls itself, its services and its host, no control character gets out.
func TestADV_32_Discover_gives_a_terminal_no_control(t *testing.T) {
	const evil = "x\x1b]0;owned\x07\u202e\r\n\u0085y"
	device := roster.Sighting{Key: evil, Host: evil, Name: evil, Kind: evil, Model: evil, UUID: "uuid:" + evil,
		Addrs:    []netip.Addr{netip.MustParseAddr("10.77.0.2")},
		Services: []roster.Service{{Type: evil, Name: evil, Port: 80, Text: []string{evil}}}}
	twin := device
	twin.Key += "2"
	for _, line := range []string{"discover --for 1ms", "discover --for 1ms --json"} {
		b := newBench(t, alice(t))
		b.subnet = &quietSubnet{[]roster.Sighting{device, twin}}
		if code := b.shell(line); code != 0 || !strings.Contains(b.out.String(), "owned") {
			t.Fatalf("exit %d: %s%s", code, b.out, b.err)
		}
		for _, r := range strings.ReplaceAll(b.out.String(), "\n", "") {
			if show.Misleads(r) {
				t.Fatalf("%s: %q in %q", line, r, b.out)
			}
		}
	}
}

func TestDiscoverGoesOnWatching(t *testing.T) {
	b := newBench(t, alice(t))
	stop := b.background("discover --watch --json")
	b.out.await(t, `"nick":"bob"`)
	if code := stop(); code != 0 {
		t.Errorf("exit %d: %s", code, b.err)
	}
	if n := strings.Count(b.out.String(), "\n"); n != 1 {
		t.Errorf("%d lines of one device: %s", n, b.out)
	}
}

// What a daemon remembers comes at once, and what it tells is printed as it comes.
func TestDiscoverAsksADaemonThatWatches(t *testing.T) {
	node := alice(t)
	d := newBench(t, node)
	stop := daemonOf(d, "--watch")
	defer stop()
	node.Lose("bob")
	for line, want := range map[string][2]string{
		"discover":                            {"LAST SEEN", "bob"},
		"discover --json":                     {"", "bob"},
		"discover --all":                      {"bob   ", "eve"},
		"discover --all --json":               {`"nick":"bob","name":"bob"`, "eve"},
		"discover --all --service _http._tcp": {"LAST SEEN", "bob"},
	} {
		b := d.beside()
		b.subnet = nil // it does not look itself
		if code := b.shell(line); code != 0 || !strings.Contains(b.out.String(), want[0]) || strings.Contains(b.out.String(), want[1]) {
			t.Errorf("%s: exit %d, %s%s", line, code, b.out, b.err)
		}
	}
	people, scripts := d.beside(), d.beside()
	endPeople, endScripts := people.background("discover --watch"), scripts.background("discover --watch --json --all")
	people.out.await(t, "LAST SEEN")
	scripts.out.await(t, `"nick":"bob"`)
	device := roster.Device{Name: "Kit\x1bchen", Kind: "speaker", Addrs: []string{"10.0.0.9"}, Status: roster.Seen, Services: []roster.Service{}}
	with := device
	with.Addrs = []string{"10.0.0.8"}
	node.Note(roster.Change{Change: roster.NameConflict, Device: device, What: []string{"Kit\x1bchen"}, With: &with})
	people.out.await(t, " name-conflict Kitchen with 10.0.0.8: Kitchen  10.0.0.9  speaker  seen")
	scripts.out.await(t, `"addrs":["10.0.0.9"]`)
	scripts.out.await(t, `"change":"name-conflict","what":["Kit\u001bchen"],"with":{`)
	d.err.await(t, "level=WARN msg=device change=name-conflict name=Kitchen kind=speaker addrs=10.0.0.9")
	if a, b := endPeople(), endScripts(); a != 0 || b != 0 {
		t.Errorf("exit %d, %d", a, b)
	}
}
