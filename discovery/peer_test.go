package discovery

import (
	"net/netip"
	"slices"
	"testing"
)

// A device that is heard at several addresses is at each of them, until it is gone.
func TestPeerIsAtEachAddress(t *testing.T) {
	at := func(s string) place { return place{1, netip.MustParseAddrPort(s)} }
	first, second := at("[::ffff:10.0.0.1]:27475"), at("[fe80::1]:27475")
	p := &peer{status: Here, at: first, paths: []*path{{place: first}, {place: second}}}
	d := &Discovery{peers: []*peer{p}}
	for addr, want := range map[string]bool{"10.0.0.1": true, "fe80::1": true, "10.0.0.2": false} {
		if got := slices.Contains(d.Places(p.id), netip.MustParseAddr(addr)); got != want {
			t.Errorf("at %s: %t", addr, got)
		}
	}
	p.status, p.paths = Left, nil
	if all := d.Places(p.id); len(all) > 0 {
		t.Errorf("who has left is still at %v", all)
	}
}
