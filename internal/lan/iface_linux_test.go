package lan

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadSysfs(t *testing.T) {
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(to)} }
	pci, virtual := "../../devices/pci0000:00/0000:00:03.0/net/", "../../devices/virtual/net/"
	sys := fstest.MapFS{
		"class/net/eth0":    link(pci + "eth0"),
		"class/net/wlan0":   link(pci + "wlan0"),
		"class/net/docker0": link(virtual + "docker0"),
		"devices/pci0000:00/0000:00:03.0/net/eth0/carrier_down_count":  {Data: []byte("3\n")},
		"devices/pci0000:00/0000:00:03.0/net/wlan0/phy80211/name":      {Data: []byte("phy0\n")},
		"devices/pci0000:00/0000:00:03.0/net/wlan0/carrier_down_count": {Data: []byte("what\n")},
		"devices/virtual/net/docker0/ifindex":                          {Data: []byte("2\n")},
	}
	class, err := fs.Sub(sys, "class/net")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		iface         string
		wifi, virtual bool
		downs         uint64
	}{
		{"eth0", false, false, 3},
		{"wlan0", true, false, 0},
		{"docker0", false, true, 0},
		{"gone0", false, false, 0},
	}
	for _, test := range tests {
		wifi, virtual, downs := readSysfs(class, test.iface)
		if wifi != test.wifi || virtual != test.virtual || downs != test.downs {
			t.Errorf("%s: wifi %t, virtual %t, carrier lost %d times; want %t, %t, %d",
				test.iface, wifi, virtual, downs, test.wifi, test.virtual, test.downs)
		}
	}
}

// rtattr is one attribute as netlink(7) lays it out.
func rtattr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func nlmsg(kind uint16, data []byte, attrs ...[]byte) []byte {
	data = append(data, bytes.Join(attrs, nil)...)
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, make([]byte, 10)...), data...)
}

// Of IPv6 the link-local addresses count that the host is sure to have, of IPv4 the near end.
func TestParseAddrs(t *testing.T) {
	message := func(family, bits, flags byte, index int32, attrs ...[]byte) []byte {
		data := []byte{family, bits, flags, 0}
		return nlmsg(unix.RTM_NEWADDR, binary.NativeEndian.AppendUint32(data, uint32(index)), attrs...)
	}
	six := func(text string) []byte { return rtattr(unix.IFA_ADDRESS, netip.MustParseAddr(text).AsSlice()) }
	rib := slices.Concat(
		message(unix.AF_INET, 24, 0, 2, rtattr(unix.IFA_ADDRESS, []byte{10, 0, 0, 1}), rtattr(unix.IFA_LOCAL, []byte{10, 0, 0, 9})),
		message(unix.AF_INET6, 64, 0, 2, six("fe80::9")),
		message(unix.AF_INET6, 64, 0, 2, six("2001:db8::9")),
		message(unix.AF_INET6, 64, unix.IFA_F_TENTATIVE, 2, six("fe80::a")),
		message(unix.AF_INET6, 64, unix.IFA_F_DADFAILED, 3, six("fe80::b")),
	)
	addrs, err := parseAddrs(rib)
	if err != nil || len(addrs[3].six) != 0 || !slices.Equal(addrs[2].six, []netip.Addr{netip.MustParseAddr("fe80::9")}) ||
		!slices.Equal(addrs[2].four, []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}) {
		t.Errorf("%+v, %v", addrs, err)
	}
}

func TestParseLinks(t *testing.T) {
	message := func(index int32, attrs ...[]byte) []byte {
		data := make([]byte, unix.SizeofIfInfomsg)
		binary.NativeEndian.PutUint32(data[4:], uint32(index))
		return nlmsg(unix.RTM_NEWLINK, data, attrs...)
	}
	nested := unix.IFLA_LINKINFO | unix.NLA_F_NESTED
	rib := slices.Concat(
		message(2),
		message(3, rtattr(unix.IFLA_MASTER, binary.NativeEndian.AppendUint32(nil, 9)),
			rtattr(unix.IFLA_LINKINFO, rtattr(unix.IFLA_INFO_KIND, []byte("veth\x00")))),
		message(9, rtattr(uint16(nested), slices.Concat(rtattr(7, []byte{1}), rtattr(unix.IFLA_INFO_KIND, []byte("bridge"))))),
		message(10, rtattr(unix.IFLA_LINKINFO, []byte{200, 0, 1, 0, 'x'})), // longer than what is there
		message(11, rtattr(unix.IFLA_LINKINFO, []byte{0, 0, 1, 0})),        // never ends
	)
	links, err := parseLinks(rib)
	want := map[int]linkInfo{2: {}, 3: {"veth", 9}, 9: {"bridge", 0}, 10: {}, 11: {}}
	if err != nil || !maps.Equal(links, want) {
		t.Errorf("got %v, %v; want %v", links, err, want)
	}
}

// The clock is armed, and the watch of it ends with its context.
func TestWatchClockEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); watchClock(ctx, make(chan struct{}, 1)) }()
	select {
	case <-ended:
		t.Fatal("the clock was not armed")
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	if asleep() < 0 {
		t.Errorf("slept %v", asleep())
	}
}

// The addresses that one netlink dump tells are those that package net finds.
func TestReadDevicesAgreesWithNet(t *testing.T) {
	devices, err := readDevices()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		addrs, err := d.Interface.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		var want []netip.Prefix
		var sixes []netip.Addr
		for _, a := range addrs {
			switch p := netip.MustParsePrefix(a.String()); {
			case p.Addr().Is4():
				want = append(want, p)
			case p.Addr().IsLinkLocalUnicast():
				sixes = append(sixes, p.Addr())
			}
		}
		if d.Flags&net.FlagLoopback != 0 && len(d.addrs) == 0 {
			t.Errorf("%s has no address", d.Name)
		}
		for _, a := range d.addrs6 {
			if !slices.Contains(sixes, a) {
				t.Errorf("%s has no %v", d.Name, a)
			}
		}
		if !slices.Equal(d.addrs, want) {
			t.Errorf("%s has %v, want %v", d.Name, d.addrs, want)
		}
	}
}
