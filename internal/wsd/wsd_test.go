package wsd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"bcast/internal/document"
	"bcast/internal/fuzztest"
)

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h2     = netip.MustParseAddrPort("10.77.0.2:3702")
	remote = netip.MustParseAddrPort("10.77.0.66:3702")
)

const endpoint = "urn:uuid:e5e61fb5-d685-5b50-9ba7-acb6e6962ef3"

func newProber() *Prober { return New(start, rand.New(rand.NewPCG(1, 2))) }

// say is a message with a device in it.
func say(action, id, body string) []byte {
	return fmt.Appendf(nil, envelope, action, "urn:uuid:1", fmt.Sprintf(`<d:%s><a:EndpointReference><a:Address>%s</a:Address>`+
		`</a:EndpointReference>%s</d:%s>`, action, id, body, action))
}

// seen are the devices in a line each.
func seen(p *Prober, now time.Time) string {
	var all []string
	for _, d := range p.Sightings(now) {
		text := fmt.Sprintf("%s %v %q %q %q", d.UUID, d.Addrs, d.Name, d.Kind, d.Model)
		for _, service := range d.Services {
			text += " " + service.Type
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestProbesThriceThenEachMinute(t *testing.T) {
	p := newProber()
	first := p.Deadline().Sub(start)
	if first < 0 || first > 100*time.Millisecond {
		t.Errorf("the first probe comes after %v", first)
	}
	ids := map[string]bool{}
	for n, want := range []time.Duration{0, 300 * time.Millisecond, 1300 * time.Millisecond, 61300 * time.Millisecond} {
		now := p.Deadline()
		if got := now.Sub(start) - first; got != want {
			t.Errorf("probe %d after %v, want %v", n, got, want)
		}
		messages := p.Advance(now)
		if len(messages) != 2 {
			t.Fatalf("%d messages", len(messages))
		}
		for _, message := range messages {
			m, err := parse(message)
			id := regexp.MustCompile("<a:MessageID>(urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})<").FindSubmatch(message)
			if err != nil || m.action() != "Probe" || id == nil || ids[string(id[1])] {
				t.Fatalf("%s: %v", message, err)
			}
			ids[string(id[1])] = true
		}
	}
}

func TestWsddAsCaptured(t *testing.T) {
	p := newProber()
	probe := string(p.Advance(p.Deadline())[1])
	id := regexp.MustCompile("urn:uuid:[0-9a-f-]{36}").FindString(probe)
	related := regexp.MustCompile("(<wsa:RelatesTo>)[^<]*")
	var answers [][]byte
	for _, datagram := range fuzztest.Captures(t, "testdata/captures.txt") {
		if bytes.Contains(datagram, []byte("ProbeMatches")) && !bytes.Contains(datagram, []byte("XAddrs")) {
			answers = append(answers, datagram)
		}
	}
	p.Receive(start, h2, answers[0])
	if got := seen(p, start); got != "" {
		t.Errorf("it answers somebody else: %s", got)
	}
	p.Receive(start, h2, related.ReplaceAll(answers[0], []byte("${1}"+id)))
	if got, want := seen(p, start), endpoint+` [10.77.0.2] "" "computer" "" wsdp:Device pub:Computer`; got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
	resolves := p.Advance(p.Deadline())
	if len(resolves) != 1 || !bytes.Contains(resolves[0], []byte("Resolve><a:EndpointReference><a:Address>"+endpoint)) {
		t.Fatalf("asked %q", resolves)
	}
	xaddr := "http://10.77.0.2:5357/" + strings.TrimPrefix(endpoint, "urn:uuid:")
	p.Receive(start, h2, say("Hello", endpoint, "<d:XAddrs>"+xaddr+"</d:XAddrs>"))
	fetches := p.Fetches()
	if len(fetches) != 1 || fetches[0].URL != xaddr || !strings.Contains(fetches[0].Request, "transfer/Get") {
		t.Fatalf("to be fetched: %+v", fetches)
	}
	document, err := os.ReadFile("testdata/metadata.xml")
	if err != nil {
		t.Fatal(err)
	}
	p.Fetched(fetches[0], document)
	if got, want := seen(p, start), endpoint+` [10.77.0.2] "H1" "computer" "wsdd wsdd" wsdp:Device pub:Computer`; got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
}

func TestWhoComesAndGoes(t *testing.T) {
	p := newProber()
	p.Receive(start, h2, say("Hello", endpoint, "<d:Types>wsdp:Device</d:Types>"))
	if got := seen(p, start.Add(presentFor-1)); !strings.HasPrefix(got, endpoint) {
		t.Errorf("after Hello: %q", got)
	}
	if got := seen(p, start.Add(presentFor)); got != "" {
		t.Errorf("it has not answered three probes: %s", got)
	}
	p.Receive(start, remote, say("Bye", endpoint, ""))
	if seen(p, start) == "" {
		t.Error("somebody else said Bye for it")
	}
	p.Receive(start, h2, say("Bye", endpoint, ""))
	if got := seen(p, start); got != "" || len(p.sources) != 0 {
		t.Errorf("after Bye: %s", got)
	}
	for _, text := range []string{"", "<", "<x/>", string(say("Hello", "", "")), string(say("Hello", strings.Repeat("x", 300), "")),
		string(say("Hello", endpoint, "")[:200]), string(say("Hello", endpoint, strings.Repeat(" ", longestMessage)))} {
		p.Receive(start, h2, []byte(text))
	}
	if got := seen(p, start); got != "" || p.Refused() != 6 {
		t.Errorf("seen %s, %d refused", got, p.Refused())
	}
}

// CVE-2020-12695 (CallStranger) has a sister here: XAddrs say where to go.
func TestADV_17_No_metadata_but_at_the_address_that_told(t *testing.T) {
	p := newProber()
	p.Receive(start, h2, say("Hello", endpoint, "<d:XAddrs>http://10.77.0.99/ https://10.77.0.2/ http://h2/ http://a@10.77.0.2/ "+
		"http://10.77.0.2@10.77.0.99/ file:///etc/passwd %</d:XAddrs>"))
	if fetches := p.Fetches(); len(fetches) != 0 {
		t.Errorf("to be fetched: %+v", fetches)
	}
	for n := range 100 {
		p.Receive(start, h2, say("Hello", endpoint, fmt.Sprintf("<d:XAddrs>http://10.77.0.2/%d</d:XAddrs>", n)))
	}
	if fetches := p.Fetches(); len(fetches) != mostFetches {
		t.Errorf("%d documents of one address are to be fetched", len(fetches))
	}
}

func TestADV_wsd_A_flood_leaves_room_for_others(t *testing.T) {
	p := newProber()
	for n := range 300 {
		p.Receive(start, remote, say("Hello", fmt.Sprintf("urn:uuid:%d", n), "<d:Types>"+strings.Repeat("a:b ", 50)+"</d:Types>"))
	}
	p.Receive(start, h2, say("Hello", endpoint, "<d:Types>wsdp:Device</d:Types>"))
	if n := len(p.devices); n != mostPerSource+1 || !strings.Contains(seen(p, start), endpoint) {
		t.Errorf("%d devices", n)
	}
	if n := len(p.Advance(start)); n > mostResolves {
		t.Errorf("%d questions follow", n)
	}
	if n := len(p.devices[place{"urn:uuid:0", remote.Addr()}].types); n != mostTypes {
		t.Errorf("%d types of one device", n)
	}
	for source := range 60 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 1, byte(source)}), 3702)
		for n := range 10 {
			p.Receive(start, from, say("Hello", fmt.Sprintf("urn:uuid:%d", n), ""))
		}
	}
	if n := len(p.devices); n != mostDevices || p.Refused() == 0 {
		t.Errorf("%d devices, %d refused", n, p.Refused())
	}
}

func TestADV_xml_A_message_is_no_bomb(t *testing.T) {
	bomb := `<!DOCTYPE x><?xml version="1.0"?>`
	p := newProber()
	p.Receive(start, h2, bytes.Replace(say("Hello", endpoint, ""), []byte(`<?xml version="1.0" encoding="utf-8"?>`), []byte(bomb), 1))
	p.Receive(start, h2, []byte(strings.Replace(string(say("Hello", endpoint, "")), "urn:uuid", "&a;", 1)))
	if got := seen(p, start); got != "" || p.Refused() != 2 {
		t.Errorf("seen %s, %d refused", got, p.Refused())
	}
	if _, err := readMetadata([]byte(bomb + "<Envelope/>")); err == nil {
		t.Error("metadata with a document type is taken")
	}
	if _, err := readMetadata(bytes.Repeat([]byte(" "), document.Longest+1)); err == nil {
		t.Error("metadata of any length is taken")
	}
}

func FuzzReceive(f *testing.F) {
	for _, datagram := range fuzztest.Captures(f, "testdata/captures.txt") {
		f.Add(datagram)
	}
	related := regexp.MustCompile("RelatesTo>([^<]*)")
	f.Fuzz(func(t *testing.T, datagram []byte) {
		p := newProber()
		if question := related.FindSubmatch(datagram); question != nil {
			p.questions = []string{strings.TrimSpace(string(question[1]))}
		}
		// The decoder keeps an element's place and name for each it is in.
		fuzztest.Within(t, len(datagram), 512, 64<<10, func() { p.Receive(start, h2, datagram) })
		p.Sightings(start)
		if n := len(p.Advance(start)); n > mostResolves {
			t.Fatalf("%d questions follow one datagram", n)
		}
		for _, fetch := range p.Fetches() {
			if fetch.From != h2.Addr() {
				t.Fatalf("to be fetched: %+v", fetch)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	document, err := os.ReadFile("testdata/metadata.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Fuzz(func(t *testing.T, document []byte) {
		fuzztest.Within(t, len(document), 512, 64<<10, func() { readMetadata(document) })
	})
}
