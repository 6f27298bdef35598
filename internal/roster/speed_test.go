package roster

import (
	"fmt"
	"net/netip"
	"testing"
)

// BenchmarkFull is a look at a roster whose largest source is full and whose devices the neighbour table knows, too.
func BenchmarkFull(b *testing.B) {
	var r Roster
	var told, table []Sighting
	for n := range perSource {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		told = append(told, Sighting{Key: fmt.Sprint(n), Host: fmt.Sprintf("h%d.local", n), Addrs: []netip.Addr{addr},
			Services: []Service{{Type: "_http._tcp", Name: "web", Port: 80, Text: []string{"path=/"}}}})
		table = append(table, Sighting{Key: addr.String(), Addrs: []netip.Addr{addr}, MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&255)})
	}
	for b.Loop() {
		r.Update(start, MDNS, told)
		r.Update(start, ARP, table)
		r.Changed(r.Devices())
	}
}
