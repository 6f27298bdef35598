package lan

import (
	"fmt"
	"net/netip"
	"os"
)

// Neighbours lists the IPv4 hosts that this host spoke to lately, from the kernel's neighbour table.
func Neighbours() ([]Neighbour, error) {
	f, err := os.Open("/proc/net/arp")
	if err != nil {
		return nil, fmt.Errorf("read neighbour table: %w", err)
	}
	defer f.Close()
	return parseARP(f)
}

func readGateways() (map[string]gateway, error) {
	routes, err := readDefaultRoutes()
	if err != nil {
		return nil, err
	}
	table, err := Neighbours()
	if err != nil {
		return nil, err
	}
	return joinGateways(routes, table), nil
}

func readDefaultRoutes() (map[string]netip.Addr, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("read routing table: %w", err)
	}
	defer f.Close()
	return parseDefaultRoutes(f)
}
