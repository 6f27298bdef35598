package lan

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// overhearLook is how often Overhear looks whether it is to end.
	overhearLook = 100 * time.Millisecond
	// maxOverheard ways are told; more are a flood, and the first of it say as much.
	maxOverheard = 1024
)

// Overhear listens until ctx ends to all IPv4 datagrams to a UDP port that come in by any interface, before any
// firewall, and tells once of each way that some went. It takes root.
func Overhear(ctx context.Context, port int) ([]Overheard, error) {
	network := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_IP)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // 0: nothing before the filter is set
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	defer unix.Close(fd)
	filter := udpFilter(port)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	look := unix.NsecToTimeval(int64(overhearLook))
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return nil, fmt.Errorf("filter packets: %w", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &look); err != nil {
		return nil, fmt.Errorf("limit reading of packets: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(network)}); err != nil {
		return nil, fmt.Errorf("bind packet socket: %w", err)
	}
	var all []Overheard
	header := make([]byte, 20)
	for ctx.Err() == nil && len(all) < maxOverheard {
		n, from, err := unix.Recvfrom(fd, header, 0)
		link, known := from.(*unix.SockaddrLinklayer)
		if err != nil || n < len(header) || !known || link.Pkttype == unix.PACKET_OUTGOING {
			continue // mostly that nothing came
		}
		o := Overheard{Iface: link.Ifindex}
		o.From, o.To = netip.AddrFrom4([4]byte(header[12:16])), netip.AddrFrom4([4]byte(header[16:20]))
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return all, nil
}

// udpFilter passes the IP headers of first fragments of UDP datagrams to a port: a program for the kernel's filter
// (Linux, Documentation/networking/filter.rst).
func udpFilter(port int) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9}, // protocol
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 6, K: unix.IPPROTO_UDP},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6}, // fragment offset
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 4, K: 0x1fff},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0}, // length of the header
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},  // port
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(port)},
		{Code: unix.BPF_RET | unix.BPF_K, K: 20},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// Holders are the processes that have a UDP port of this host. Those of others only root sees.
func Holders(port int) []Holder {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		text, _ := os.ReadFile(table) // without it nobody is known
		for line := range strings.Lines(string(text)) {
			if inode, found := socketOn(line, port); found {
				sockets["socket:["+inode+"]"] = true
			}
		}
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	var all []Holder
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !sockets[target] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(link))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		if h := (Holder{pid, strings.TrimSpace(string(name))}); !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// socketOn reads a line of /proc/net/udp: the inode of the socket, if it has the port.
func socketOn(line string, port int) (inode string, found bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return "", false
	}
	_, local, _ := strings.Cut(fields[1], ":")
	n, err := strconv.ParseUint(local, 16, 16)
	return fields[9], err == nil && int(n) == port
}
