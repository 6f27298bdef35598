package lan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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

// Neighbours6 lists the IPv6 hosts that this host spoke to lately; of link-local addresses the zone is the interface.
func Neighbours6() ([]Neighbour, error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_INET6)
	if err != nil {
		return nil, fmt.Errorf("read neighbour table: %w", err)
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("read neighbour table: %w", err)
	}
	names := make(map[int]string, len(ifaces))
	for _, i := range ifaces {
		names[i.Index] = i.Name
	}
	return parseNeighbours(rib, names)
}

// neighbourAnswered are the states of an entry whose MAC address is known (rtnetlink(7)).
const neighbourAnswered = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT

// parseNeighbours reads the answer to RTM_GETNEIGH. Routers' and multicast entries without a MAC are left out.
func parseNeighbours(rib []byte, names map[int]string) ([]Neighbour, error) {
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("parse neighbour table: %w", err)
	}
	const header = 12 // struct ndmsg: family, 3 bytes, index, state, flags, type
	var table []Neighbour
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH || len(m.Data) < header {
			continue
		}
		state := binary.NativeEndian.Uint16(m.Data[8:])
		n := Neighbour{Iface: names[int(binary.NativeEndian.Uint32(m.Data[4:]))]}
		for attrs := m.Data[header:]; len(attrs) >= 4; {
			size := int(binary.NativeEndian.Uint16(attrs))
			if size < 4 || size > len(attrs) {
				break
			}
			switch value := attrs[4:size]; binary.NativeEndian.Uint16(attrs[2:]) {
			case unix.NDA_DST:
				n.Addr, _ = netip.AddrFromSlice(value)
			case unix.NDA_LLADDR:
				n.MAC = net.HardwareAddr(bytes.Clone(value))
			}
			attrs = attrs[min(len(attrs), (size+3)&^3):]
		}
		if !n.Addr.Is6() || n.Addr.IsMulticast() || len(n.MAC) != 6 || state&neighbourAnswered == 0 {
			continue
		}
		if n.Addr.IsLinkLocalUnicast() {
			n.Addr = n.Addr.WithZone(n.Iface)
		}
		n.Complete = true
		table = append(table, n)
	}
	return table, nil
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
