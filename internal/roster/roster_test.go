package roster

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func arp(addr, mac string) Sighting { return Sighting{Key: addr, Addrs: addrs(addr), MAC: mac} }

// names are the devices in their order, each by the keys of its sightings.
func names(devices []Device) string {
	var all []string
	for _, d := range devices {
		var keys []string
		for _, e := range d.Evidence {
			keys = append(keys, string(e.By)+":"+e.Key)
		}
		all = append(all, strings.Join(keys, "+"))
	}
	return strings.Join(all, " ")
}

func TestOneDeviceOneRow(t *testing.T) {
	const mac = "02:00:00:00:00:09"
	for _, test := range []struct {
		name string
		told map[Source][]Sighting
		want string
	}{
		{"by address", map[Source][]Sighting{
			MDNS: {{Key: "laptop", Host: "laptop.local.", Addrs: addrs("10.0.0.9", "fe80::9%e0")}},
			ARP:  {arp("10.0.0.9", mac), arp("10.0.0.10", "02:00:00:00:00:0a")},
		}, "mdns:laptop+arp:10.0.0.9 arp:10.0.0.10"},
		{"by MAC", map[Source][]Sighting{ARP: {arp("10.0.0.9", mac), arp("fe80::9%e0", strings.ToUpper(mac))}},
			"arp:10.0.0.9+arp:fe80::9%e0"},
		{"by UUID, however it is written", map[Source][]Sighting{
			WSD:  {{Key: "w", UUID: "urn:uuid:6F1E2D3C-0000-1000-8000-02000000000a", Addrs: addrs("fe80::a%e0")}},
			SSDP: {{Key: "s", UUID: "uuid:6f1e2d3c-0000-1000-8000-02000000000A", Addrs: addrs("10.0.0.10")}},
		}, "wsd:w+ssdp:s"},
		{"by host name, of this link or bare", map[Source][]Sighting{
			MDNS: {{Key: "m", Host: "Office.local", Addrs: addrs("10.0.0.1")}},
			WSD:  {{Key: "w", Host: "OFFICE", Addrs: addrs("10.0.0.2")}},
		}, "mdns:m+wsd:w"},
		{"by a third that knows both", map[Source][]Sighting{
			MDNS: {{Key: "m", Addrs: addrs("10.0.0.1", "10.0.0.2")}},
			WSD:  {{Key: "w", Addrs: addrs("10.0.0.2")}},
			SSDP: {{Key: "s", Addrs: addrs("10.0.0.1")}},
		}, "mdns:m+wsd:w+ssdp:s"},
		{"two ids of one address are two", map[Source][]Sighting{
			Bcast: {{Key: "1", ID: "1", Addrs: addrs("10.0.0.9")}, {Key: "2", ID: "2", Addrs: addrs("10.0.0.9")}},
			ARP:   {arp("10.0.0.9", mac)},
		}, "bcast:1+arp:10.0.0.9 bcast:2"},
		{"what everybody has says nothing", map[Source][]Sighting{
			MDNS: {{Key: "a", Host: "localhost", Addrs: addrs("127.0.0.1", "10.0.0.1")},
				{Key: "b", Host: "localhost.local", Addrs: addrs("127.0.0.1", "10.0.0.2")}},
			WSD: {{Key: "c", UUID: "00000000-0000-0000-0000-000000000000", MAC: "00:00:00:00:00:00"},
				{Key: "d", UUID: "00000000-0000-0000-0000-000000000000", MAC: "00:00:00:00:00:00"}},
		}, "mdns:a mdns:b wsd:c wsd:d"},
		{"who answers for many is not all of them", map[Source][]Sighting{
			ARP: {arp("10.0.0.1", mac), arp("10.0.0.2", mac), arp("10.0.0.3", mac), arp("10.0.0.4", mac), arp("10.0.0.5", mac)},
		}, "arp:10.0.0.1 arp:10.0.0.2 arp:10.0.0.3 arp:10.0.0.4 arp:10.0.0.5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Roster
			for source, sightings := range test.told {
				r.Update(start, source, sightings)
			}
			if got := names(r.Devices()); got != test.want {
				t.Errorf("devices %s\nwant    %s", got, test.want)
			}
		})
	}
}

func TestADeviceIsWhatItsSightingsSay(t *testing.T) {
	r := Roster{Vendors: Vendors{"001A2B": "Ayecom"}}
	r.Update(start, ARP, []Sighting{arp("10.0.0.9", "00:1a:2b:00:00:09")})
	r.Update(start, SSDP, []Sighting{{Key: "s", Name: "Films", Kind: "media server", UUID: "uuid:12345678", Addrs: addrs("10.0.0.9"),
		Services: []Service{{Type: "urn:schemas-upnp-org:service:ContentDirectory:1"}}}})
	r.Update(start.Add(time.Second), MDNS, []Sighting{{Key: "m", Host: "shelf.local.", Name: "shelf", Addrs: addrs("fe80::9", "10.0.0.9"),
		Services: []Service{{Type: "_http._tcp", Name: "Web", Port: 80}, {Type: "_http._tcp", Name: "Web", Port: 80}}}})
	devices := r.Devices()
	if len(devices) != 1 {
		t.Fatalf("%+v", devices)
	}
	d := devices[0]
	if d.Name != "shelf" || d.Kind != "media server" || d.Vendor != "Ayecom" || d.UUID != "12345678" || d.Status != Seen ||
		!slices.Equal(d.Addrs, []string{"10.0.0.9", "fe80::9"}) || len(d.Services) != 2 || d.Services[0].By != MDNS ||
		!slices.Equal(d.FoundBy, []Source{ARP, MDNS, SSDP}) ||
		!d.FirstSeen.Equal(start) || !d.LastSeen.Equal(start.Add(time.Second)) {
		t.Errorf("%+v", d)
	}
	if shares := d.Evidence[0].Shares; !slices.Equal(shares, []string{"address 10.0.0.9"}) {
		t.Errorf("the evidence is %v", shares)
	}
	if !d.Offers("_HTTP._tcp") || d.Offers("_http._udp") {
		t.Errorf("offers %+v", d.Services)
	}
}

func TestWhoIsNotToldAnyMoreIsGone(t *testing.T) {
	var r Roster
	steps := []struct {
		after  time.Duration
		told   []Sighting
		change string // the devices that changed
		status string
	}{
		{0, []Sighting{{Key: "m", Host: "m", Addrs: addrs("10.0.0.1")}}, "mdns:m", Seen},
		{time.Second, []Sighting{{Key: "m", Host: "m", Addrs: addrs("10.0.0.1")}}, "", Seen},
		{2 * time.Second, nil, "mdns:m", Gone},
		{3 * time.Second, nil, "", Gone},
		{4 * time.Second, []Sighting{{Key: "m", Host: "m", Addrs: addrs("10.0.0.2")}}, "mdns:m", Seen},
		{5 * time.Second, nil, "mdns:m", Gone},
		{5*time.Second + rememberGone, nil, "", Gone},
		{6*time.Second + rememberGone, nil, "", ""},
	}
	for _, step := range steps {
		r.Update(start.Add(step.after), MDNS, step.told)
		if got := names(r.Changed(r.Devices())); got != step.change {
			t.Errorf("after %v: changed %q, want %q", step.after, got, step.change)
		}
		devices := r.Devices()
		if step.status == "" {
			if len(devices) != 0 {
				t.Errorf("after %v: still %+v", step.after, devices)
			}
		} else if len(devices) != 1 || devices[0].Status != step.status || !devices[0].FirstSeen.Equal(start) {
			t.Errorf("after %v: %+v, want %s", step.after, devices, step.status)
		}
	}
}

func TestTheNeighbourTableKeepsNobodyHere(t *testing.T) {
	var r Roster
	r.Update(start, MDNS, []Sighting{{Key: "m", Addrs: addrs("10.0.0.9")}})
	r.Update(start, ARP, []Sighting{arp("10.0.0.9", "02:00:00:00:00:09"), arp("10.0.0.7", "02:00:00:00:00:07")})
	r.Update(start, MDNS, nil)
	d := r.Devices()
	if len(d) != 2 || d[0].Status != Seen || d[1].Status != Gone || !d[1].Evidence[1].Gone {
		t.Errorf("%+v", d)
	}
}

func TestWhereItIsAndNotWhereItWas(t *testing.T) {
	var r Roster
	r.Update(start, ARP, []Sighting{arp("10.0.0.9", "02:00:00:00:00:09")})
	r.Update(start, ARP, []Sighting{arp("10.0.0.7", "02:00:00:00:00:09")})
	if d := r.Devices(); len(d) != 1 || !slices.Equal(d[0].Addrs, []string{"10.0.0.7"}) || d[0].Status != Seen {
		t.Errorf("%+v", d)
	}
}

func TestOrderOfTellingDoesNotMatter(t *testing.T) {
	sources := map[Source][]Sighting{
		Bcast: {{Key: "1", ID: "1", Status: "here", Addrs: addrs("10.0.0.1")}, {Key: "2", ID: "2", Addrs: addrs("10.0.0.1")}},
		MDNS:  {{Key: "a", Host: "a", Addrs: addrs("10.0.0.1", "10.0.0.2")}, {Key: "b", Host: "b", Addrs: addrs("10.0.0.3")}},
		SSDP:  {{Key: "u", UUID: "uuid:11111111", Addrs: addrs("10.0.0.2")}, {Key: "v", UUID: "uuid:22222222"}},
		ARP:   {arp("10.0.0.1", "02:00:00:00:00:01"), arp("10.0.0.3", "02:00:00:00:00:01"), arp("10.0.0.4", "02:00:00:00:00:04")},
	}
	var want []Device
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 0))
		order := []Source{Bcast, MDNS, SSDP, ARP}
		dice.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var r Roster
		for _, source := range order {
			list := slices.Clone(sources[source])
			dice.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			r.Update(start, source, list)
		}
		got := r.Devices()
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %s\nwant %s", seed, names(got), names(want))
		}
	}
}

// Whoever is on the link tells of as many devices, names, addresses and services as it likes.
func TestADV_roster_A_thousand_devices_a_second_are_bounded(t *testing.T) {
	var r Roster
	huge := strings.Repeat("ä", 400)
	const fakes = perSource + 500
	for second := range 2 {
		var told []Sighting
		for n := range fakes {
			s := Sighting{Key: fmt.Sprintf("%d-%d", second, n), Name: huge, Host: huge + fmt.Sprint(n), UUID: huge}
			if n < 10 {
				for a := range mostAddrs + 1 {
					s.Addrs = append(s.Addrs, netip.AddrFrom4([4]byte{10, byte(second), byte(n), byte(a)}))
				}
				for range 200 {
					s.Services = append(s.Services, Service{Type: huge, Name: huge, Text: slices.Repeat([]string{huge}, 100)})
				}
			}
			told = append(told, s)
		}
		r.Update(start.Add(time.Duration(second)*time.Second), MDNS, told)
	}
	if r.Refused() != fakes-perSource {
		t.Errorf("%d refused", r.Refused())
	}
	if n := len(r.sources[MDNS]); n > perSource {
		t.Errorf("%d sightings are kept", n)
	}
	for _, e := range r.sources[MDNS] {
		if len(e.Name) > longest || len(e.Host) > longest || len(e.Addrs) > mostAddrs || len(e.Services) > mostServices {
			t.Fatalf("kept: name %d, host %d, %d addresses, %d services", len(e.Name), len(e.Host), len(e.Addrs), len(e.Services))
		}
		for _, s := range e.Services {
			if len(s.Text) > mostTexts || len(s.Text[0]) > longest || len(s.Type) > longest {
				t.Fatalf("kept: %d texts, type %d", len(s.Text), len(s.Type))
			}
		}
	}
}

// Who was there before the flood stays: a table that is full takes nobody new.
func TestADV_roster_A_flood_pushes_nobody_out(t *testing.T) {
	var r Roster
	honest := Sighting{Key: "zoe", Host: "zoe"}
	r.Update(start, MDNS, []Sighting{honest})
	var flood []Sighting
	for n := range 2 * perSource {
		flood = append(flood, Sighting{Key: fmt.Sprintf("a%04d", n)})
	}
	r.Update(start, MDNS, append(flood, honest))
	if !slices.ContainsFunc(r.Devices(), func(d Device) bool { return d.Host == "zoe" && d.Status == Seen }) {
		t.Error("zoe was pushed out")
	}
}

func TestVendors(t *testing.T) {
	file := `# a comment
OUI/MA-L                                                    Organization
00-1A-2B   (hex)		Ayecom Technology Co., Ltd.
001A2B     (base 16)		Ayecom Technology Co., Ltd.
				Taipei  114
00:00:0C	Cisco	Cisco Systems, Inc
00:55:DA:00:00:00/28	Shinko	Shinko Technos co.,ltd.
70:B3:D5:12:30:00/36	Tiny	Tiny Makers
08003E Motorola
MA-L,A4C361,"Apple, Inc.",1 Infinite Loop Cupertino
Registry,Assignment,Organization Name,Organization Address
`
	vendors, err := ReadVendors(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for mac, want := range map[string]string{
		"00:1a:2b:01:02:03": "Ayecom Technology Co., Ltd.",
		"00:00:0c:01:02:03": "Cisco Systems, Inc",
		"00:55:da:0f:02:03": "Shinko Technos co.,ltd.",
		"00:55:da:10:02:03": "",
		"70:b3:d5:12:3a:bc": "Tiny Makers",
		"08:00:3e:00:00:01": "Motorola",
		"a4:c3:61:00:00:01": "Apple, Inc.",
		"02:00:0c:01:02:03": "", // made up by its owner
		"nonsense":          "",
	} {
		if got := vendors.Of(mac); got != want {
			t.Errorf("%s is made by %q, want %q", mac, got, want)
		}
	}
	for text, what := range map[string]string{"hello\nworld\n": "no entry", strings.Repeat("x", 8192): "an endless line"} {
		if _, err := ReadVendors(strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken for a registry", what)
		}
	}
}
