//go:build !linux

package lan

import (
	"net"
	"net/netip"
)

func readDevices() ([]device, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	devices := make([]device, 0, len(ifaces))
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away since it was listed
		}
		devices = append(devices, device{Interface: i, addrs: ipv4Prefixes(addrs), kind: kindByName(i.Name)})
	}
	return devices, nil
}

func ipv4Prefixes(addrs []net.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}
