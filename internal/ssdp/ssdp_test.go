package ssdp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/internal/document"
	"bcast/internal/fuzztest"
	"bcast/internal/roster"
)

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	shelf  = netip.MustParseAddrPort("10.77.0.3:1900")
	remote = netip.MustParseAddrPort("10.77.0.66:1900")
)

const (
	uuid    = "uuid:6f1e2d3c-0000-1000-8000-00000000beef"
	content = "urn:schemas-upnp-org:service:ContentDirectory:1"
)

func newSearcher() *Searcher { return New(start, rand.New(rand.NewPCG(1, 2))) }

// notify is an announcement.
func notify(kind, id, target, location string, life int) []byte {
	usn := id
	if target != id {
		usn += "::" + target
	}
	return fmt.Appendf(nil, "NOTIFY * HTTP/1.1\r\nHost:239.255.255.250:1900\r\nnt: %s\r\nNTS: %s\r\nUSN: %s\r\n"+
		"LOCATION: %s\r\nCACHE-CONTROL: max-age=%d\r\n\r\n", target, kind, usn, location, life)
}

// seen are the devices in a line each.
func seen(s *Searcher, now time.Time) string {
	var all []string
	for _, d := range s.Sightings(now) {
		text := fmt.Sprintf("%s %v %q %q %q", d.UUID, d.Addrs, d.Name, d.Kind, d.Model)
		for _, service := range d.Services {
			text += " " + service.Type
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestSearchesThriceThenRarely(t *testing.T) {
	s := newSearcher()
	first := s.Deadline().Sub(start)
	if first < 0 || first > 100*time.Millisecond {
		t.Errorf("the first search comes after %v", first)
	}
	for n, want := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 301500 * time.Millisecond} {
		now := s.Deadline()
		if got := now.Sub(start) - first; got != want {
			t.Errorf("search %d after %v, want %v", n, got, want)
		}
		if early := s.Advance(now.Add(-1)); len(early) != 0 {
			t.Error("a search came early")
		}
		if packets := s.Advance(now); len(packets) != 1 || !strings.HasPrefix(string(packets[0]), "M-SEARCH * HTTP/1.1\r\n") {
			t.Errorf("search %d is %q", n, packets)
		}
	}
}

func TestMinissdpdAsCaptured(t *testing.T) {
	s := newSearcher()
	for _, datagram := range fuzztest.Captures(t, "testdata/captures.txt") {
		s.Receive(start, shelf, datagram)
	}
	if got, want := seen(s, start), uuid+` [10.77.0.3] "" "media server" "" `+content; got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
	fetches := s.Fetches()
	if len(fetches) != 1 || fetches[0] != (Fetch{shelf.Addr(), "http://10.77.0.3:8200/root.xml"}) || len(s.Fetches()) != 0 {
		t.Fatalf("to be fetched: %+v", fetches)
	}
	document, err := os.ReadFile("testdata/description.xml")
	if err != nil {
		t.Fatal(err)
	}
	s.Fetched(fetches[0], document)
	if got, want := seen(s, start), uuid+` [10.77.0.3] "Shelf" "media server" "Lab One" `+content; got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
}

func TestWhoComesAndGoes(t *testing.T) {
	s := newSearcher()
	tell := func(from netip.AddrPort, kind, target string, life int) {
		s.Receive(start, from, notify("ssdp:"+kind, uuid, target, "http://10.77.0.3/d.xml", life))
	}
	tell(shelf, "alive", "upnp:rootdevice", 1800)
	tell(shelf, "alive", content, 60)
	if !strings.Contains(seen(s, start.Add(59*time.Second)), content) {
		t.Errorf("seen %s", seen(s, start))
	}
	if got := seen(s, start.Add(60*time.Second)); got != "" {
		t.Errorf("its time is up, and still %s", got)
	}
	tell(shelf, "byebye", content, 0)
	if got := seen(s, start); strings.Contains(got, content) || got == "" {
		t.Errorf("without the service: %s", got)
	}
	tell(remote, "byebye", "upnp:rootdevice", 0)
	if seen(s, start) == "" {
		t.Error("somebody else said goodbye for it")
	}
	tell(shelf, "byebye", "upnp:rootdevice", 0)
	if got := seen(s, start); got != "" || len(s.sources) != 0 {
		t.Errorf("after its goodbye: %s", got)
	}
}

func TestWhatIsNoAnnouncement(t *testing.T) {
	s := newSearcher()
	for _, text := range []string{"", "\r\n", "NOTIFY * HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nUSN: uuid:1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: x\r\nUSN: none\r\n\r\n", "HTTP/1.1 404 Not Found\r\nST: x\r\nUSN: uuid:1\r\n\r\n", search,
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\nb: c\r\n", 9000)} {
		s.Receive(start, shelf, []byte(text))
	}
	many := "HTTP/1.1 200 OK\r\nST: x\r\nUSN: uuid:1\r\n"
	for n := range mostHeaders {
		many += fmt.Sprintf("h%d: x\r\n", n)
	}
	s.Receive(start, shelf, []byte(many))
	if got := seen(s, start); got != "" {
		t.Errorf("seen %s", got)
	}
}

// CVE-2020-12695 (CallStranger): who announces says where to go. Nothing is fetched but at its own address.
func TestADV_17_No_document_but_at_the_address_that_told(t *testing.T) {
	s := newSearcher()
	for n, location := range []string{"http://10.77.0.99/d.xml", "https://10.77.0.3/d.xml", "http://10.77.0.3@10.77.0.99/d.xml",
		"http://shelf.local/d.xml", "file:///etc/passwd", "//10.77.0.3/d.xml", "http://[::1]/d.xml", "http://u:p@10.77.0.3/",
		"http://10.77.0.3/" + strings.Repeat("x", 600), "http://0x0a4d0003/", "%"} {
		s.Receive(start, shelf, notify("ssdp:alive", fmt.Sprintf("uuid:%08d", n), "upnp:rootdevice", location, 60))
	}
	if fetches := s.Fetches(); len(fetches) != 0 {
		t.Errorf("to be fetched: %+v", fetches)
	}
	for n := range 100 {
		location := fmt.Sprintf("http://10.77.0.3/%d.xml", n)
		s.Receive(start, shelf, notify("ssdp:alive", uuid, "upnp:rootdevice", location, 60))
	}
	if fetches := s.Fetches(); len(fetches) != mostFetches {
		t.Errorf("%d documents of one address are to be fetched", len(fetches))
	}
}

func TestADV_ssdp_A_flood_leaves_room_for_others(t *testing.T) {
	s := newSearcher()
	for n := range 1000 {
		id := fmt.Sprintf("uuid:%08d", n)
		s.Receive(start, remote, notify("ssdp:alive", id, "urn:x:service:"+id, "http://10.77.0.66/", 60))
		s.Receive(start, remote, notify("ssdp:alive", "uuid:00000001", "urn:x:service:"+id, "http://10.77.0.66/", 60))
	}
	s.Receive(start, shelf, notify("ssdp:alive", uuid, content, "http://10.77.0.3/d.xml", 60))
	if n := len(s.devices); n != mostPerSource+1 || !strings.Contains(seen(s, start), content) {
		t.Errorf("%d devices", n)
	}
	if n := len(s.devices[place{"uuid:00000001", remote.Addr()}].services); n != mostServices {
		t.Errorf("%d services of one device", n)
	}
	for source := range 100 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 1, byte(source)}), 1900)
		for n := range 20 {
			s.Receive(start, from, notify("ssdp:alive", fmt.Sprintf("uuid:%08d", n), "upnp:rootdevice", "http://x/", 60))
		}
	}
	if n := len(s.devices); n != mostDevices || s.Refused() == 0 {
		t.Errorf("%d devices, %d refused", n, s.Refused())
	}
}

// An entity that unfolds to a billion laughs, and what else a description may be instead of one.
func TestADV_xml_A_description_is_no_bomb(t *testing.T) {
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>` +
		`<root><device><friendlyName>&b;</friendlyName></device></root>`
	typed := "<!DOCTYPE root><root><device><friendlyName>x</friendlyName></device></root>"
	deep := strings.Repeat("<deviceList><device>", 2000)
	for name, document := range map[string]string{
		"bomb": bomb, "document type": typed, "unknown entity": "<root><device><friendlyName>&x;</friendlyName></device></root>", "empty": "",
		"no XML": "hello", "too long": "<root>" + strings.Repeat(" ", document.Longest) + "</root>",
		"never closed": "<root><device>" + deep,
	} {
		if d, err := readDescription([]byte(document)); err == nil {
			t.Errorf("%s: taken as %+v", name, d)
		}
	}
	s := newSearcher()
	s.Receive(start, shelf, notify("ssdp:alive", uuid, "upnp:rootdevice", "http://10.77.0.3/d.xml", 60))
	at := s.Fetches()[0]
	nested := "<root><device><UDN>x</UDN>" + strings.Repeat("<deviceList><device><UDN>"+uuid+"</UDN><friendlyName>x</friendlyName>", 300) +
		strings.Repeat("</device></deviceList>", 300) + "</device></root>"
	s.Fetched(at, []byte(nested))
	if !strings.Contains(seen(s, start), `"x"`) {
		t.Errorf("seen %s", seen(s, start))
	}
}

func FuzzReceive(f *testing.F) {
	for _, datagram := range fuzztest.Captures(f, "testdata/captures.txt") {
		f.Add(datagram)
	}
	f.Add(notify("ssdp:alive", uuid, content, "http://10.77.0.3/d.xml", 60))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		s := newSearcher()
		fuzztest.Within(t, len(datagram), 16, 32<<10, func() { s.Receive(start, shelf, datagram) })
		sightings := s.Sightings(start)
		if len(sightings) > 1 || slices.ContainsFunc(s.Fetches(), func(f Fetch) bool { return f.From != shelf.Addr() }) {
			t.Fatalf("%+v", sightings)
		}
	})
}

func FuzzDescription(f *testing.F) {
	document, err := os.ReadFile("testdata/description.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add([]byte("<root><device><deviceList><device><UDN>uuid:1</UDN></device></deviceList></device></root>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		s := newSearcher()
		s.Receive(start, shelf, notify("ssdp:alive", uuid, "upnp:rootdevice", "http://10.77.0.3/d.xml", 60))
		// The decoder keeps an element's place and name for each it is in.
		fuzztest.Within(t, len(document), 512, 64<<10, func() { s.Fetched(Fetch{shelf.Addr(), "http://10.77.0.3/d.xml"}, document) })
		var r roster.Roster
		r.Update(start, roster.SSDP, s.Sightings(start))
		if len(r.Devices()) != 1 {
			t.Fatalf("%+v", r.Devices())
		}
	})
}
