package lan

import (
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/fstest"
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
		for _, a := range addrs {
			if p := netip.MustParsePrefix(a.String()); p.Addr().Is4() {
				want = append(want, p)
			}
		}
		if d.Flags&net.FlagLoopback != 0 && len(d.addrs) == 0 {
			t.Errorf("%s has no address", d.Name)
		}
		if !slices.Equal(d.addrs, want) {
			t.Errorf("%s has %v, want %v", d.Name, d.addrs, want)
		}
	}
}
