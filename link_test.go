package bcast

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/lan"
)

// A wire that ends at an access point is for a person to name, and a radio that has the air for itself, too.
func TestLinkIsFoundOrSet(t *testing.T) {
	for _, test := range []struct {
		link  string
		found bool
		want  bool
	}{
		{"", true, true}, {"auto", true, true}, {"auto", false, false}, {"wired", true, false}, {"wifi", false, true},
	} {
		cfg := Config{Link: test.link}
		if err := cfg.fill(); err != nil {
			t.Fatal(err)
		}
		if got := onWifi(cfg.Link, lan.Interface{Wifi: test.found}); got != test.want {
			t.Errorf("link %q on Wi-Fi %t counts as Wi-Fi: %t", test.link, test.found, got)
		}
	}
	cfg := Config{Link: "tin"}
	var refused *control.Error
	if err := cfg.fill(); !errors.As(err, &refused) || refused.Code != control.CodeInvalid {
		t.Errorf("link tin: %v", err)
	}
}

// Events tell of interfaces that came, changed and went, and of no others.
func TestChangedInterfaces(t *testing.T) {
	eth, wlan := lan.Interface{Index: 2, Name: "eth0", Up: true, Used: true}, lan.Interface{Index: 3, Name: "wlan0", Up: true}
	off := eth
	off.Up, off.Used, off.Reason = false, false, "it is down"
	for _, test := range []struct {
		what     string
		was, are []lan.Interface
		want     []string
	}{
		{"nothing", []lan.Interface{eth, wlan}, []lan.Interface{eth, wlan}, nil},
		{"one came", []lan.Interface{eth}, []lan.Interface{eth, wlan}, []string{"wlan0 true "}},
		{"one went down", []lan.Interface{eth, wlan}, []lan.Interface{off, wlan}, []string{"eth0 false it is down"}},
		{"one is gone", []lan.Interface{eth, wlan}, []lan.Interface{wlan}, []string{"eth0 false it is gone"}},
	} {
		var got []string
		for _, i := range changed(test.was, test.are) {
			got = append(got, fmt.Sprintf("%s %t %s", i.Name, i.Up, i.Reason))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: told %q, want %q", test.what, got, test.want)
		}
	}
}

// A device that had the port of pushes as its own would keep all others of its host from them.
func TestThePortOfPushesIsNobodysOwn(t *testing.T) {
	if port := DefaultPort + bulkOffset; port >= FirstUnicastPort && port <= LastUnicastPort {
		t.Errorf("port %d is that of pushes, and within %d to %d", port, FirstUnicastPort, LastUnicastPort)
	}
	cfg := Config{Port: DefaultPort + bulkOffset}
	if err := cfg.fill(); err == nil {
		t.Error("it may be the shared port, too")
	}
}

// Who has a key is served files only where the device of that key proved to be.
func TestADV_files_A_key_is_served_where_its_device_is(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := NewLAN()
		var nodes []*Node
		for _, nick := range []string{"alice", "bob", "carol"} {
			n, err := Start(t.Context(), Config{Nick: nick}, OnLAN(lan))
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			nodes = append(nodes, n)
		}
		time.Sleep(3 * time.Second)
		alice := nodes[0]
		placeOf := func(n *Node, nick string) (discovery.Peer, error) {
			key, _, err := n.addressee(t.Context(), nick)
			if err != nil {
				return discovery.Peer{}, err
			}
			return n.reachable(t.Context(), key.ID())
		}
		bob, err := placeOf(alice, "bob")
		carol, err2 := placeOf(alice, "carol")
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		stranger, err := identity.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			what string
			key  identity.PublicKey
			at   netip.Addr
			want bool
		}{
			{"where it is", bob.Key, bob.Addr.Addr(), true},
			{"where another is", bob.Key, carol.Addr.Addr(), false},
			{"a key of no device", stranger.Public(), bob.Addr.Addr(), false},
		} {
			if got := alice.isAt(t.Context(), test.key, test.at); got != test.want {
				t.Errorf("%s: %t", test.what, got)
			}
		}
		nodes[1].Close()
		time.Sleep(time.Minute)
		if alice.isAt(t.Context(), bob.Key, bob.Addr.Addr()) {
			t.Error("who has left is still there")
		}
	})
}
