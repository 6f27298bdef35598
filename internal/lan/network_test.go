package lan

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// counting yields 16 times 1, 16 times 2, …: one value per generation.
type counting struct{ next byte }

func (c *counting) Read(b []byte) (int, error) {
	c.next++
	return copy(b, bytes.Repeat([]byte{c.next}, len(b))), nil
}

func testGateway(addr, mac string) map[string]gateway {
	gw := gateway{addr: netip.MustParseAddr(addr)}
	if mac != "" {
		gw.mac, _ = net.ParseMAC(mac)
	}
	return map[string]gateway{"eth0": gw}
}

func networksOf(t *testing.T, g *generations, devices []device, gateways map[string]gateway) []NetworkID {
	t.Helper()
	ifaces, err := choose(devices, nil, []string{"eth0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.assign(ifaces, devices, gateways); err != nil {
		t.Fatal(err)
	}
	for _, i := range ifaces {
		if i.Name == "eth0" {
			return i.Networks
		}
	}
	return nil
}

// A laptop's day: what is the same network and what is another one.
func TestNetworkIDs(t *testing.T) {
	office := testDevice(2, "eth0", ethernet, "192.168.1.20/24")
	jolted := office
	jolted.carrierDowns = 1
	down := testDevice(2, "eth0", net.FlagBroadcast, "192.168.1.20/24")
	renumbered := testDevice(2, "eth0", ethernet, "192.168.1.21/24")
	replugged := testDevice(7, "eth0", ethernet, "192.168.1.20/24")
	officeGateway := testGateway("192.168.1.1", "02:00:00:00:00:01")
	cafeGateway := testGateway("192.168.1.1", "02:00:00:00:00:02")
	i := describe(office)
	officeID, _ := gatewayID(&i, officeGateway["eth0"])
	cafeID, _ := gatewayID(&i, cafeGateway["eth0"])
	generation := func(n byte) NetworkID { return NetworkID(bytes.Repeat([]byte{n}, 16)) }

	g := newGenerations("", &counting{})
	steps := []struct {
		what     string
		device   device
		gateways map[string]gateway
		want     []NetworkID
	}{
		{"up, no gateway yet", office, nil, []NetworkID{generation(1)}},
		{"gateway without MAC", office, testGateway("192.168.1.1", ""), []NetworkID{generation(1)}},
		{"gateway known: same link", office, officeGateway, []NetworkID{generation(1), officeID}},
		{"neighbour entry expired", office, testGateway("192.168.1.1", ""), []NetworkID{generation(1), officeID}},
		{"back in the table", office, officeGateway, []NetworkID{generation(1), officeID}},
		{"other gateway, no carrier lost", office, cafeGateway, []NetworkID{generation(2), cafeID}},
		{"down", down, cafeGateway, nil},
		{"up again", office, officeGateway, []NetworkID{generation(3), officeID}},
		{"carrier lost between two looks", jolted, officeGateway, []NetworkID{generation(4), officeID}},
		{"other address", renumbered, officeGateway, []NetworkID{generation(5), officeID}},
		{"adapter replugged", replugged, officeGateway, []NetworkID{generation(6), officeID}},
		{"gateway of no subnet of ours", replugged, testGateway("10.0.0.1", "02:00:00:00:00:01"),
			[]NetworkID{generation(6), officeID}},
	}
	for _, step := range steps {
		if got := networksOf(t, g, []device{step.device}, step.gateways); !slices.Equal(got, step.want) {
			t.Errorf("%s: %x, want %x", step.what, got, step.want)
		}
	}
}

func TestGatewayIDTellsSubnetsApart(t *testing.T) {
	gw := testGateway("192.168.1.1", "02:00:00:00:00:01")["eth0"]
	narrow := describe(testDevice(2, "eth0", ethernet, "192.168.1.20/24"))
	same := describe(testDevice(2, "eth0", ethernet, "192.168.1.99/24"))
	wide := describe(testDevice(2, "eth0", ethernet, "192.168.1.20/16"))
	a, _ := gatewayID(&narrow, gw)
	b, _ := gatewayID(&same, gw)
	c, _ := gatewayID(&wide, gw)
	if a != b {
		t.Error("two hosts of one subnet have different gateway ids")
	}
	if a == c {
		t.Error("two subnets have the same gateway id")
	}
}

// A restarted process knows the network again as long as the system and the link are the same.
func TestGenerationOutlivesTheProcess(t *testing.T) {
	of := func(boot string, downs uint64) NetworkID {
		d := testDevice(2, "eth0", ethernet, "192.168.1.20/24")
		d.carrierDowns = downs
		return networksOf(t, newGenerations(boot, &counting{}), []device{d}, nil)[0]
	}
	first := of("a", 0)
	if of("a", 0) != first {
		t.Error("the next process does not know the network again")
	}
	if of("b", 0) == first || of("a", 1) == first {
		t.Error("another run of the system or of the link is the same network")
	}
}
