package lan

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readDevices asks netlink for the addresses of all interfaces at once: net.Interface.Addrs asks once per interface,
// which is slow on hosts with hundreds of containers.
func readDevices() ([]device, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	rib, err := syscall.NetlinkRIB(unix.RTM_GETADDR, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	addrs, err := parseAddrs(rib)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	sys := os.DirFS("/sys/class/net")
	devices := make([]device, 0, len(ifaces))
	for _, i := range ifaces {
		d := device{Interface: i, addrs: addrs[i.Index]}
		if i.Flags&net.FlagLoopback == 0 {
			d.wifi, d.virtual, d.carrierDowns = readSysfs(sys, i.Name)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// parseAddrs reads the answer to RTM_GETADDR (rtnetlink(7)): the IPv4 prefixes by interface index.
func parseAddrs(rib []byte) (map[int][]netip.Prefix, error) {
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, err
	}
	addrs := make(map[int][]netip.Prefix)
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		ifa := (*unix.IfAddrmsg)(unsafe.Pointer(&m.Data[0]))
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		if addr, ok := localAddr(attrs); ok {
			index := int(ifa.Index)
			addrs[index] = append(addrs[index], netip.PrefixFrom(addr, int(ifa.Prefixlen)))
		}
	}
	return addrs, nil
}

// localAddr is the interface's own address. IFA_ADDRESS is the same, but the far end's on a point-to-point link.
func localAddr(attrs []syscall.NetlinkRouteAttr) (netip.Addr, bool) {
	for _, a := range attrs {
		if a.Attr.Type == unix.IFA_LOCAL && len(a.Value) == net.IPv4len {
			return netip.AddrFrom4([4]byte(a.Value)), true
		}
	}
	return netip.Addr{}, false
}

// readSysfs reads what /sys/class/net knows of an interface. What cannot be read counts as no.
func readSysfs(sys fs.FS, name string) (wifi, virtual bool, carrierDowns uint64) {
	for _, mark := range []string{"wireless", "phy80211"} {
		if _, err := fs.Stat(sys, path.Join(name, mark)); err == nil {
			wifi = true
		}
	}
	if target, err := fs.ReadLink(sys, name); err == nil {
		virtual = strings.Contains(target, "devices/virtual/")
	}
	if text, err := fs.ReadFile(sys, path.Join(name, "carrier_down_count")); err == nil {
		carrierDowns, _ = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	return wifi, virtual, carrierDowns
}
