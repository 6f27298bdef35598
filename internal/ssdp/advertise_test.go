package ssdp

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/internal/fuzztest"
	"bcast/internal/speech"
)

// ours is a device announced in tests.
const ours = "uuid:01234567-89ab-8def-8123-456789abcdef"

var asker = netip.MustParseAddrPort("10.77.0.9:40000")

// said is a datagram of an advertiser, and when it was sent.
type said struct {
	at time.Duration
	speech.Packet
}

// board is an advertiser with its clock.
type board struct {
	*Advertiser
	now time.Time
}

func newBoard() *board {
	return &board{NewAdvertiser(rand.New(rand.NewPCG(1, 2))), start}
}

// standing is a board on which one device has been announced, and then nothing for a while.
func standing() *board {
	b := newBoard()
	b.Offer(b.now, 1, ours, "http://10.77.0.3:40000/1")
	b.run(10 * time.Second)
	return b
}

// run lets time pass and returns what was sent.
func (b *board) run(d time.Duration) (all []said) {
	for end := b.now.Add(d); ; {
		at := b.Deadline()
		if at.IsZero() || at.After(end) {
			b.now = end
			return all
		}
		b.now = speech.Later(b.now, at)
		for _, p := range b.Advance(b.now) {
			all = append(all, said{b.now.Sub(start), p})
		}
	}
}

// searching is a search as control points send it.
func searching(st string, more ...string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: " + st + "\r\n" +
		strings.Join(more, "") + "\r\n")
}

// padded is a search that is as long as an answer needs.
func padded(st string) []byte {
	return searching(st, "USER-AGENT: "+strings.Repeat("x", 300)+"\r\n")
}

// kinds are what datagrams are about: whether they go to the group, NTS and NT or ST of each.
func kinds(all []said) (kinds []string) {
	for _, one := range all {
		first, headers, _ := parse(one.Data)
		kind := headers["nts"] + " " + headers["nt"]
		if strings.HasPrefix(first, "HTTP/1.1 200") {
			kind = "answer " + headers["st"]
		}
		if one.To != Group {
			kind += " to " + one.To.String()
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

var alive = []string{"ssdp:alive upnp:rootdevice", "ssdp:alive " + ours, "ssdp:alive " + deviceType}

// UPnP Device Architecture 2.0, section 1.2.2: three notices of a root device, soon, once more, and again before half of
// their time is over.
func TestADeviceIsAnnounced(t *testing.T) {
	b := newBoard()
	if !b.Deadline().IsZero() {
		t.Error("nothing is offered, and there is something to do")
	}
	b.Offer(b.now, 1, ours, "http://10.77.0.3:40000/1")
	if b.Told(1) {
		t.Error("it is told before it was sent")
	}
	all := b.run(2 * time.Hour)
	if len(all) < 3*8 || len(all) > 3*20 || !b.Told(1) {
		t.Fatalf("%d datagrams in two hours", len(all))
	}
	var rounds []time.Duration
	for n := 0; n < len(all); n += 3 {
		if got := kinds(all[n : n+3]); !slices.Equal(got, alive) {
			t.Fatalf("round %d: %q", n/3, got)
		}
		rounds = append(rounds, all[n].at)
	}
	if rounds[0] > firstMost || rounds[1]-rounds[0] < againLeast || rounds[1]-rounds[0] > againMost {
		t.Errorf("the first at %v", rounds[:2])
	}
	for n := 2; n < len(rounds); n++ {
		if wait := rounds[n] - rounds[n-1]; wait < laterLeast || wait > usualLife/2 {
			t.Errorf("round %d after %v", n, wait)
		}
	}
	const want = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=1800\r\n" +
		"LOCATION: http://10.77.0.3:40000/1\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nSERVER: bcast/1 UPnP/1.0 bcast/1\r\n" +
		"USN: " + ours + "::upnp:rootdevice\r\n\r\n"
	if got := string(all[0].Data); got != want {
		t.Errorf("the first is %q", got)
	}
}

// What an advertiser says, a searcher understands: the device is there, and not any more after the goodbye.
func TestASearcherHearsAnAdvertiser(t *testing.T) {
	b, s := newBoard(), newSearcher()
	hear := func(all []said) {
		for _, one := range all {
			s.Receive(b.now, shelf, one.Data)
		}
	}
	b.Offer(b.now, 1, ours, "http://10.77.0.3:40000/1")
	b.Receive(b.now, asker, padded("upnp:rootdevice")) // before it has been announced it is not found
	hear(b.run(5 * time.Second))
	fetches := s.Fetches()
	if len(fetches) != 1 || fetches[0].URL != "http://10.77.0.3:40000/1" {
		t.Fatalf("to be fetched: %+v", fetches)
	}
	text, err := Device{UUID: ours, Name: "Web & <more>", What: "_http._tcp, port 80", Page: "http://10.77.0.3/?a=1&b=2"}.Description()
	if err != nil {
		t.Fatal(err)
	}
	s.Fetched(fetches[0], text)
	if got, want := seen(s, b.now), ours+` [10.77.0.3] "Web & <more>" "" "bcast service"`; got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
	b.Offer(b.now, 2, UUID("two"), "http://10.77.0.3:40000/2")
	hear(b.run(5 * time.Second))
	b.Withdraw(1)
	b.Withdraw(3) // nobody knows it
	gone := b.run(5 * time.Second)
	if got := kinds(gone); len(got) != 6 || got[0] != "ssdp:byebye upnp:rootdevice" {
		t.Errorf("the goodbye is %q", got)
	}
	if hear(gone); strings.Contains(seen(s, b.now), ours) || !strings.Contains(seen(s, b.now), UUID("two")) {
		t.Errorf("after the goodbye: %s", seen(s, b.now))
	}
	var all []said
	for _, p := range b.Goodbye() {
		all = append(all, said{Packet: p})
	}
	if hear(all); seen(s, b.now) != "" || !b.Deadline().IsZero() {
		t.Errorf("after all goodbyes: %s", seen(s, b.now))
	}
	b.Receive(b.now, asker, padded("ssdp:all"))
	if all := b.run(time.Minute); len(all) != 0 {
		t.Errorf("said after all goodbyes: %q", kinds(all))
	}
}

// Who never was announced is not taken leave of.
func TestNoGoodbyeForWhatWasNotSaid(t *testing.T) {
	b := newBoard()
	b.Offer(b.now, 1, ours, "http://10.77.0.3:40000/1")
	if got := b.Goodbye(); len(got) != 0 {
		t.Errorf("said %q", got)
	}
}

func TestSearchesAreAnswered(t *testing.T) {
	to := " to " + asker.String()
	for _, test := range []struct {
		name     string
		datagram []byte
		want     []string
	}{
		{"all, short", searching("ssdp:all"), alive},
		{"roots, short", searching("upnp:rootdevice"), alive[:1]},
		{"itself, short", searching(ours), alive[1:2]},
		{"a type, short", searching(deviceType), alive[2:]},
		{"roots, long", padded("upnp:rootdevice"), []string{"answer upnp:rootdevice" + to}},
		{"itself, long, in capitals", padded(strings.ToUpper(ours)), []string{"answer " + ours + to}},
		{"a type, long", padded(deviceType), []string{"answer " + deviceType + to}},
		{"all, long for one, not for three", padded("ssdp:all"), alive},
		{"all, long for three", searching("ssdp:all", "X: "+strings.Repeat("x", 900)+"\r\n"),
			[]string{"answer upnp:rootdevice" + to, "answer " + ours + to, "answer " + deviceType + to}},
		{"another device", padded(uuid), nil},
		{"a service", padded(content), nil},
		{"another version", padded(strings.TrimSuffix(deviceType, "1") + "2"), nil},
	} {
		b := standing()
		asked := b.now.Sub(start)
		b.Receive(b.now, asker, test.datagram)
		all := b.run(time.Minute)
		got := kinds(all)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(test.want))
		if !slices.Equal(got, want) || b.Refused() != 0 {
			t.Errorf("%s: said %q, want %q", test.name, got, test.want)
		}
		for _, one := range all {
			if one.at-asked > answerMost {
				t.Errorf("%s: answered after %v", test.name, one.at-asked)
			}
		}
	}
}

// What is malformed, or no search, gets nothing.
func TestWhatIsNoSearch(t *testing.T) {
	good, many := string(padded("ssdp:all")), ""
	for n := range mostHeaders {
		many += fmt.Sprintf("h%d: x\r\n", n)
	}
	for name, text := range map[string]string{
		"empty": "", "a notice": string(notify("ssdp:alive", uuid, content, "http://10.77.0.3/", 60)), "an answer": "HTTP/1.1 200 OK\r\n\r\n",
		"no MX":         strings.Replace(good, "MX: 2\r\n", "", 1),
		"MX 0":          strings.Replace(good, "MX: 2", "MX: 0", 1),
		"MX below zero": strings.Replace(good, "MX: 2", "MX: -1", 1),
		"MX is a word":  strings.Replace(good, "MX: 2", "MX: soon", 1),
		"endless MX":    strings.Replace(good, "MX: 2", "MX: "+strings.Repeat("9", 400), 1),
		"no MAN":        strings.Replace(good, "MAN: \"ssdp:discover\"\r\n", "", 1),
		"other MAN":     strings.Replace(good, "ssdp:discover", "ssdp:other", 1),
		"no ST":         strings.Replace(good, "ST: ssdp:all\r\n", "", 1),
		"HTTP/2":        strings.Replace(good, "HTTP/1.1", "HTTP/2", 1),
		"another path":  strings.Replace(good, "*", "/", 1),
		"control":       strings.Replace(good, "ssdp:all", "ssdp:\x1b[2Jall", 1),
		"too long":      strings.Replace(good, "xxx", strings.Repeat("x", longestSearch), 1),
		"headers":       strings.Replace(good, "USER", many+"USER", 1),
		"bare newlines": strings.ReplaceAll(good, "\r\n", "\n"),
	} {
		b := standing()
		b.Receive(b.now, asker, []byte(text))
		if all := b.run(time.Minute); len(all) != 0 {
			t.Errorf("%s: said %q", name, kinds(all))
		}
	}
	for name, mx := range map[string]string{"long MX": "MX: 2000000000", "spaces": "MX:   1  "} {
		b := standing()
		b.Receive(b.now, asker, []byte(strings.Replace(string(searching("upnp:rootdevice")), "MX: 2", mx, 1)))
		if all := b.run(answerMost); len(all) != 1 {
			t.Errorf("%s: said %q", name, kinds(all))
		}
	}
}

// TA14-017A: SSDP is the amplifier of the handbooks, thirty times and more. An address that has proven nothing gets at
// most what came from it; what is more goes to all of the link.
func TestADV_16_No_search_is_outweighed(t *testing.T) {
	for length := 0; length < 1200; length += 7 {
		for _, st := range []string{"ssdp:all", "upnp:rootdevice", ours, deviceType} {
			b := standing()
			datagram := searching(st, "X: "+strings.Repeat("x", length)+"\r\n")
			b.Receive(b.now, asker, datagram)
			size, all := 0, b.run(5*time.Second)
			for _, one := range all {
				if one.To != Group {
					size += len(one.Data)
				}
			}
			if size > len(datagram) || len(all) == 0 {
				t.Fatalf("%d bytes to who sent %d", size, len(datagram))
			}
		}
	}
}

// besiege has hundreds of searches a second come from everywhere for ten seconds, and counts what is sent to the group
// and to single addresses.
func (b *board) besiege(t *testing.T) (group, alone, different int) {
	t.Helper()
	last := map[string]time.Duration{}
	for n := range 2000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)}), 1900)
		b.Receive(b.now, from, searching("ssdp:all"))
		b.Receive(b.now, from, padded(ours))
		b.Receive(b.now, from, searching(deviceType))
		for _, one := range b.run(5 * time.Millisecond) {
			if one.To != Group {
				alone++
				continue
			}
			group++
			at, was := last[string(one.Data)]
			if was && one.at-at < noticeEach {
				t.Fatalf("again after %v: %s", one.at-at, one.Data)
			}
			last[string(one.Data)] = one.at
		}
	}
	return group, alone, len(last)
}

// Whatever is searched for, the link hears each notice once a second, and all together ten.
func TestADV_ssdp_Searches_make_nobody_loud(t *testing.T) {
	b := standing()
	if group, alone, different := b.besiege(t); group > 3*11 || different != 3 || alone < 100 || alone > 10*10+10 {
		t.Errorf("of one device %d datagrams to the group, of %d kinds, %d to single addresses, in 10 s", group, different, alone)
	}
	if len(b.answers) > mostAnswers || b.Refused() == 0 {
		t.Errorf("%d answers wait, %d refused", len(b.answers), b.Refused())
	}
	for n := range 20 {
		b.Offer(b.now, n+2, UUID(fmt.Sprint(n)), fmt.Sprintf("http://10.77.0.3:40000/%d", n+2))
	}
	b.run(time.Minute)
	if group, _, different := b.besiege(t); group > 10*10+30 || different != 3*21 {
		t.Errorf("of 21 devices %d datagrams to the group, of %d kinds, in 10 s", group, different)
	}
	for n := range 2 * mostAdverts {
		b.Offer(b.now, 100+n, UUID(fmt.Sprint(n)), "http://10.77.0.3/")
	}
	if len(b.adverts) != mostAdverts {
		t.Errorf("%d devices", len(b.adverts))
	}
}

// A UUID says what it is made of to nobody, is the same each time, and nothing else has it.
func TestUUIDs(t *testing.T) {
	one := UUID("device", "Web")
	if one != UUID("device", "Web") || one == UUID("deviceW", "eb") || len(one) != len(ours) || one[19] != '8' ||
		!strings.Contains("89ab", one[24:25]) {
		t.Errorf("it is %s", one)
	}
}

// What a user calls a service is text in its description, whatever it looks like.
func TestADescriptionIsWellFormed(t *testing.T) {
	for _, name := range []string{"Web", "</friendlyName><UDN>x</UDN>", "käse \u202e\x00\xff", "]]>", "&amp;"} {
		text, err := Device{UUID: ours, Name: name, What: "_http._tcp"}.Description()
		if err != nil {
			t.Fatal(err)
		}
		var any struct {
			XMLName xml.Name `xml:"urn:schemas-upnp-org:device-1-0 root"`
			Major   string   `xml:"specVersion>major"`
			Minor   string   `xml:"specVersion>minor"`
		}
		if err := xml.Unmarshal(text, &any); err != nil || any.Major != "1" || any.Minor != "0" {
			t.Errorf("%q: %v in %s", name, err, text)
		}
		d, err := readDescription(text)
		if want := strings.NewReplacer("\x00", "\uFFFD", "\xff", "\uFFFD").Replace(name); err != nil || d.Name != want || d.UDN != ours || d.Type != deviceType {
			t.Errorf("%q is read as %+v, %v", name, d, err)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, datagram := range fuzztest.Captures(f, "testdata/searches.txt") {
		f.Add(datagram)
	}
	f.Add(padded("ssdp:all"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		b := standing()
		fuzztest.Within(t, len(datagram), 16, 32<<10, func() { b.Receive(b.now, asker, datagram) })
		b = standing()
		b.Receive(b.now, asker, datagram)
		size := 0
		for _, one := range b.run(5 * time.Second) {
			if one.To != Group {
				size += len(one.Data)
			}
		}
		if size > len(datagram) {
			t.Fatalf("%d bytes to who sent %d", size, len(datagram))
		}
	})
}
