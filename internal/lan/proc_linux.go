package lan

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Values of /proc/net/arp and /proc/net/route: <linux/if_arp.h>, <linux/route.h>.
const (
	arpComplete  = 0x2
	routeUp      = 0x1
	routeGateway = 0x2
)

// parseARP reads /proc/net/arp: a heading, then address, hardware type, flags, MAC, mask and interface in columns.
// Lines of another shape are skipped.
func parseARP(r io.Reader) ([]Neighbour, error) {
	var table []Neighbour
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 6 {
			continue
		}
		addr, err := netip.ParseAddr(f[0])
		flags, flagsErr := strconv.ParseUint(f[2], 0, 32)
		if err != nil || flagsErr != nil || !addr.Is4() {
			continue
		}
		n := Neighbour{Addr: addr, Iface: f[5]}
		if mac, err := net.ParseMAC(f[3]); err == nil && flags&arpComplete != 0 {
			n.MAC, n.Complete = mac, true
		}
		table = append(table, n)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parse neighbour table: %w", err)
	}
	return table, nil
}

// parseDefaultRoutes reads /proc/net/route: the default gateway of each interface, by name, that of the lowest metric
// if there are several. Lines of another shape are skipped.
func parseDefaultRoutes(r io.Reader) (map[string]netip.Addr, error) {
	gateways := make(map[string]netip.Addr)
	metrics := make(map[string]uint64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		addr, addrErr := parseHexAddr(f[2])
		flags, flagsErr := strconv.ParseUint(f[3], 16, 32)
		metric, metricErr := strconv.ParseUint(f[6], 10, 32)
		if addrErr != nil || flagsErr != nil || metricErr != nil {
			continue
		}
		if flags&routeUp == 0 || flags&routeGateway == 0 {
			continue
		}
		if _, ok := gateways[f[0]]; !ok || metric < metrics[f[0]] {
			gateways[f[0]], metrics[f[0]] = addr, metric
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parse routing table: %w", err)
	}
	return gateways, nil
}

// parseHexAddr reads an address as the kernel prints it there: the word in network order, as a number of this host.
func parseHexAddr(s string) (netip.Addr, error) {
	word, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return netip.Addr{}, err
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(word))
	return netip.AddrFrom4(b), nil
}

// joinGateways looks up the MAC of each interface's gateway.
func joinGateways(routes map[string]netip.Addr, table []Neighbour) map[string]gateway {
	gateways := make(map[string]gateway, len(routes))
	for iface, addr := range routes {
		gw := gateway{addr: addr}
		for _, n := range table {
			if n.Addr == addr && n.Iface == iface {
				gw.mac = n.MAC
			}
		}
		gateways[iface] = gw
	}
	return gateways
}
