package lan

import (
	"encoding/binary"
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
	rib, err := syscall.NetlinkRIB(unix.RTM_GETADDR, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	addrs, err := parseAddrs(rib)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	if rib, err = syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC); err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	links, err := parseLinks(rib)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	sys := os.DirFS("/sys/class/net")
	devices := make([]device, 0, len(ifaces))
	for _, i := range ifaces {
		a := addrs[i.Index]
		d := device{Interface: i, addrs: a.four, addrs6: a.six, kind: links[i.Index].kind, master: links[i.Index].master}
		if i.Flags&net.FlagLoopback == 0 {
			var virtual bool
			d.wifi, virtual, d.carrierDowns = readSysfs(sys, i.Name)
			if virtual && d.kind == "" { // of a driver that has no kind, as those of VMware
				d.kind = kindByName(i.Name)
			}
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// addresses are those of one interface.
type addresses struct {
	four []netip.Prefix
	six  []netip.Addr
}

// parseAddrs reads the answer to RTM_GETADDR (rtnetlink(7)): IPv4 prefixes and link-local IPv6 addresses by interface
// index. Addresses that the host is not sure to have are left out.
func parseAddrs(rib []byte) (map[int]addresses, error) {
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, err
	}
	addrs := make(map[int]addresses)
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		ifa := (*unix.IfAddrmsg)(unsafe.Pointer(&m.Data[0]))
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		addr, ok := localAddr(attrs)
		a := addrs[int(ifa.Index)]
		switch {
		case ok && addr.Is4():
			a.four = append(a.four, netip.PrefixFrom(addr, int(ifa.Prefixlen)))
		case ok && addr.IsLinkLocalUnicast() && ifa.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0:
			a.six = append(a.six, addr)
		}
		addrs[int(ifa.Index)] = a
	}
	return addrs, nil
}

// localAddr is the interface's own address. Of IPv4 IFA_ADDRESS is the far end's on a point-to-point link.
func localAddr(attrs []syscall.NetlinkRouteAttr) (netip.Addr, bool) {
	for _, a := range attrs {
		switch {
		case a.Attr.Type == unix.IFA_LOCAL && len(a.Value) == net.IPv4len:
			return netip.AddrFrom4([4]byte(a.Value)), true
		case a.Attr.Type == unix.IFA_ADDRESS && len(a.Value) == net.IPv6len:
			return netip.AddrFrom16([16]byte(a.Value)), true
		}
	}
	return netip.Addr{}, false
}

// linkInfo is what netlink knows of an interface beyond what package net asks for.
type linkInfo struct {
	kind   string
	master int
}

// parseLinks reads the answer to RTM_GETLINK (rtnetlink(7)) by interface index.
func parseLinks(rib []byte) (map[int]linkInfo, error) {
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, err
	}
	links := make(map[int]linkInfo)
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		var l linkInfo
		for _, a := range attrs {
			switch a.Attr.Type &^ unix.NLA_F_NESTED {
			case unix.IFLA_MASTER:
				if len(a.Value) == 4 {
					l.master = int(binary.NativeEndian.Uint32(a.Value))
				}
			case unix.IFLA_LINKINFO:
				l.kind = linkKind(a.Value)
			}
		}
		links[int((*unix.IfInfomsg)(unsafe.Pointer(&m.Data[0])).Index)] = l
	}
	return links, nil
}

// linkKind finds IFLA_INFO_KIND among the attributes in IFLA_LINKINFO.
func linkKind(attrs []byte) string {
	for len(attrs) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(attrs))
		if size < unix.SizeofRtAttr || size > len(attrs) {
			break
		}
		if binary.NativeEndian.Uint16(attrs[2:]) == unix.IFLA_INFO_KIND {
			return strings.TrimRight(string(attrs[unix.SizeofRtAttr:size]), "\x00")
		}
		attrs = attrs[min(len(attrs), (size+3)&^3):]
	}
	return ""
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
