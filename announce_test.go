package bcast_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast"
)

var web = bcast.Service{Name: "Web 1.0", Type: "_http._tcp", Port: 80, Text: []string{"path=/"}}

// offer announces a service until the function returned is called, and keeps what was told.
func offer(t *testing.T, node *bcast.Node, s bcast.Service) (told *[]bcast.Announced, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := new([]bcast.Announced), make(chan struct{})
	go func() {
		defer close(ended)
		for a, err := range node.Announce(ctx, s) {
			if err != nil {
				t.Error(err)
			}
			*told = append(*told, a)
		}
	}()
	return told, func() { cancel(); <-ended }
}

// seen are the devices of a browser, each with its services.
func seen(t *testing.T, b *bcast.Browser) string {
	t.Helper()
	devices, err := b.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range devices {
		text := fmt.Sprintf("%s %v", d.Name, d.FoundBy)
		for _, s := range d.Services {
			text += fmt.Sprintf(" %s/%s:%d", s.Type, s.Name, s.Port)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// told are the devices of which a protocol tells now, each with its model.
func told(t *testing.T, b *bcast.Browser, by string) string {
	t.Helper()
	devices, err := b.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range devices {
		if slices.ContainsFunc(d.Evidence, func(e bcast.Evidence) bool { return string(e.By) == by && !e.Gone }) {
			all = append(all, d.Name+" "+d.Model)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// member is a participant on a LAN in memory that tells by mDNS what that says, and then by SSDP what it offers.
func member(t *testing.T, lan *bcast.LAN, nick, mdns string) *bcast.Node {
	t.Helper()
	ssdp := bcast.SSDPServices
	if mdns == bcast.MDNSOff {
		ssdp = bcast.SSDPOff
	}
	node, err := bcast.Start(t.Context(), bcast.Config{Nick: nick, MDNS: mdns, SSDP: ssdp}, bcast.OnLAN(lan))
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// Two hosts announce a service of one name: both are found, by bcast's presence, by mDNS and by SSDP, under two names, and
// each is one device.
func TestAnnouncedServicesAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		alice, bob, carol := member(t, lan, "alice", ""), member(t, lan, "bob", ""), member(t, lan, "carol", "")
		defer alice.Close()
		defer bob.Close()
		defer carol.Close()
		browser, err := bcast.Browse(t.Context(), bcast.Browsing{With: bob})
		if err != nil {
			t.Fatal(err)
		}
		defer browser.Close()
		first, withdraw := offer(t, alice, web)
		time.Sleep(5 * time.Second)
		second, stop := offer(t, carol, web)
		defer stop()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		const want = "alice [bcast mdns ssdp] _http._tcp/Web 1.0:80; carol [bcast mdns ssdp] _http._tcp/Web 1.0 (2):80"
		if got := seen(t, browser); got != want {
			t.Errorf("seen %s, want %s", got, want)
		}
		by, on := bcast.Announced{By: "bcast", Name: "Web 1.0", Type: web.Type, Port: web.Port}, bcast.Announced{By: "mdns",
			Iface: "virtual0", Name: "Web 1.0", Type: web.Type, Port: web.Port, Host: "host-1.local"}
		described := on
		described.By, described.Host, described.Location = "ssdp", "", "http://10.27.0.1:28001/1"
		renamed, elsewhere, there := by, on, described
		renamed.Name, elsewhere.Name, elsewhere.Host, there.Location = "Web 1.0 (2)", "Web 1.0 (2)", "host-3.local", "http://10.27.0.3:28002/1"
		renamedThere := there
		renamedThere.Name = "Web 1.0 (2)"
		if !slices.Equal(*first, []bcast.Announced{by, described, on}) ||
			!slices.Equal(*second, []bcast.Announced{by, there, elsewhere, renamed, renamedThere}) {
			t.Errorf("told %+v, %+v", *first, *second)
		}
		if got := told(t, browser, "ssdp"); got != "alice bcast service; carol bcast service" {
			t.Errorf("by SSDP there are %s", got)
		}
		withdraw()
		time.Sleep(1500 * time.Millisecond)
		if got := seen(t, browser); strings.Contains(got, "alice [bcast mdns ssdp] _http") || !strings.Contains(got, "Web 1.0 (2)") {
			t.Errorf("after the goodbye: %s", got)
		}
		if got := told(t, browser, "ssdp"); got != "carol bcast service" {
			t.Errorf("by SSDP there are %s after the goodbye", got)
		}
		for name, bad := range map[string]bcast.Service{"no name": {Type: "_http._tcp", Port: 80}, "no type": {Name: "a", Port: 80}} {
			refused := 0
			for _, err := range alice.Announce(t.Context(), bad) {
				refused++
				if failed, ok := errors.AsType[*bcast.Error](err); !ok || failed.Code != bcast.CodeInvalid {
					t.Errorf("%s: %v", name, err)
				}
			}
			if refused != 1 {
				t.Errorf("%s: refused %d times", name, refused)
			}
		}
	})
}

// A device tells of itself by mDNS only if it was asked to, and says goodbye when it closes.
func TestANodeTellsOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		watcher := member(t, lan, "watcher", bcast.MDNSOff)
		defer watcher.Close()
		browser, err := bcast.Browse(t.Context(), bcast.Browsing{With: watcher, Types: []string{"_bcast._udp"}})
		if err != nil {
			t.Fatal(err)
		}
		defer browser.Close()
		open, plain := member(t, lan, "alice", bcast.MDNSOn), member(t, lan, "bob", "")
		defer plain.Close()
		time.Sleep(5 * time.Second)
		if got := seen(t, browser); got != "alice [bcast mdns] _bcast._udp/alice:27475; bob [bcast]" {
			t.Errorf("seen %s", got)
		}
		if err := open.Nick(t.Context(), "alicia"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := seen(t, browser); !strings.Contains(got, "_bcast._udp/alicia:27475; ") || strings.Contains(got, "_bcast._udp/alice:") {
			t.Errorf("seen %s", got)
		}
		told, stop := offer(t, watcher, web)
		time.Sleep(time.Second)
		stop()
		if len(*told) != 3 || (*told)[1].Problem == "" || (*told)[2].Problem == "" {
			t.Errorf("told %+v", *told)
		}
		open.Close()
		time.Sleep(1500 * time.Millisecond)
		if got := seen(t, browser); strings.Contains(got, "_bcast._udp") {
			t.Errorf("after the goodbye: %s", got)
		}
	})
}

func TestBrowserYieldsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		browser, err := bcast.Browse(t.Context(), bcast.Browsing{}, bcast.OnLAN(lan), bcast.Config{Nick: "guest"})
		if err != nil {
			t.Fatal(err)
		}
		alice := member(t, lan, "alice", "")
		_, stop := offer(t, alice, web)
		defer stop()
		var states []string
		for d, err := range browser.Changes(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, fmt.Sprint(d.Name, len(d.Services), d.Status))
			if len(d.Services) > 0 && slices.Contains(d.FoundBy, "mdns") {
				alice.Close()
			}
			if d.Status == "left" {
				break
			}
		}
		// Whether she takes back her service before she says goodbye, or with it, is not told apart.
		if !strings.HasPrefix(states[0], "alice") || !strings.HasSuffix(states[len(states)-1], "left") {
			t.Errorf("changes %v", states)
		}
		if len(browser.Problems()) != 0 {
			t.Errorf("problems %v", browser.Problems())
		}
		if err := browser.Close(); err != nil {
			t.Error(err)
		}
		if _, err := bcast.Browse(t.Context(), bcast.Browsing{Types: []string{"http"}}); err == nil {
			t.Error("http is no type of service")
		}
	})
}

// Peers are told whole, so that one is shown when it is known, however lately something else was.
func TestBrowserShowsPeersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		bob := member(t, lan, "bob", bcast.MDNSOff)
		defer bob.Close()
		browser, err := bcast.Browse(t.Context(), bcast.Browsing{}, bcast.OnLAN(lan), bcast.Config{Nick: "guest"})
		if err != nil {
			t.Fatal(err)
		}
		defer browser.Close()
		for d, err := range browser.Changes(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Nick == "bob" {
				alice := member(t, lan, "alice", bcast.MDNSOff)
				defer alice.Close()
			}
			if d.Nick == "alice" {
				if late := time.Since(d.FirstSeen); late > time.Millisecond {
					t.Errorf("shown %v after it was first seen", late)
				}
				return
			}
		}
	})
}
