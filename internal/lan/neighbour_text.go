package lan

import (
	"net"
	"net/netip"
	"strings"
)

// parseNeighbourText reads what `arp -an` (BSD, macOS) or `arp -a` (Windows) prints: of each line the first IPv4
// address and the first MAC address behind it. BSD leaves zeros out and names the interface behind "on".
func parseNeighbourText(text string) []Neighbour {
	var table []Neighbour
	for line := range strings.Lines(text) {
		var n Neighbour
		words := strings.Fields(line)
		for i, word := range words {
			if addr, err := netip.ParseAddr(strings.Trim(word, "()")); err == nil && addr.Is4() && !n.Addr.IsValid() {
				n.Addr = addr
			}
			if mac, err := net.ParseMAC(padded(word)); err == nil && n.Addr.IsValid() && n.MAC == nil {
				n.MAC, n.Complete = mac, mac[0]&1 == 0
			}
			if word == "on" && i+1 < len(words) {
				n.Iface = words[i+1]
			}
		}
		if n.Complete && !n.Addr.IsMulticast() {
			table = append(table, n)
		}
	}
	return table
}

// padded puts back the zeros that BSD leaves out of a MAC address.
func padded(word string) string {
	parts := strings.Split(word, ":")
	if len(parts) != 6 {
		return word
	}
	for i, part := range parts {
		if len(part) == 1 {
			parts[i] = "0" + part
		}
	}
	return strings.Join(parts, ":")
}
