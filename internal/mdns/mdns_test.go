package mdns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	shelf  = netip.MustParseAddrPort("10.0.0.9:5353")
	remote = netip.MustParseAddrPort("10.0.0.66:5353")
)

// link is a browser and the clock of the link it is on.
type link struct {
	*Browser
	t   *testing.T
	now time.Time
}

func newLink(t *testing.T, types ...string) *link {
	return &link{New(start, "e0", types, rand.New(rand.NewPCG(1, 2))), t, start}
}

// next goes on to the next query and returns its questions, answers known and moment.
func (l *link) next() (questions []string, known []dns.RR, after time.Duration) {
	l.t.Helper()
	for range 1000 {
		at := l.Deadline()
		if at.IsZero() {
			l.t.Fatal("nothing is asked any more")
		}
		if at.After(l.now) {
			l.now = at
		}
		packets := l.Advance(l.now)
		if len(packets) == 0 {
			continue
		}
		var m dns.Msg
		if err := m.Unpack(packets[0]); err != nil || m.Response || len(packets[0]) > largestQuery {
			l.t.Fatalf("%d bytes: %v", len(packets[0]), err)
		}
		for _, q := range m.Question {
			questions = append(questions, dns.TypeToString[q.Qtype]+" "+q.Name)
		}
		return questions, m.Answer, l.now.Sub(start)
	}
	l.t.Fatal("no query comes")
	return nil, nil, 0
}

// say delivers an answer of records as text.
func (l *link) say(from netip.AddrPort, records ...string) {
	l.t.Helper()
	l.Receive(l.now, from, answer(l.t, records...))
}

func answer(t testing.TB, records ...string) []byte {
	t.Helper()
	m := dns.Msg{Compress: true, MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}}
	for _, text := range records {
		text, unique := strings.CutPrefix(text, "!")
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if unique {
			rr.Header().Class |= flush
		}
		m.Answer = append(m.Answer, rr)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// seen are the hosts, each with its addresses and services.
func (l *link) seen() string {
	var all []string
	for _, s := range l.Sightings(l.now) {
		text := s.Name
		for _, addr := range s.Addrs {
			text += " " + addr.String()
		}
		for _, service := range s.Services {
			text += fmt.Sprintf(" %s/%s:%d%q", service.Type, service.Name, service.Port, service.Text)
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

const web = `My\ Web\.1._http._tcp.local.`

// whole is all that a host answers to a browser at once.
var whole = []string{
	"_services._dns-sd._udp.local. 4500 IN PTR _http._tcp.local.", "_http._tcp.local. 4500 IN PTR " + web,
	"!" + web + " 120 IN SRV 0 0 80 shelf.local.", "!" + web + ` 4500 IN TXT "path=/" "v=1"`,
	"!shelf.local. 120 IN A 10.0.0.9", "!shelf.local. 120 IN AAAA fe80::9",
}

func TestAskingLeadsFromTypesToAddresses(t *testing.T) {
	l := newLink(t)
	questions, _, after := l.next()
	if !slices.Equal(questions, []string{"PTR " + all}) || after < 20*time.Millisecond || after > 120*time.Millisecond {
		t.Fatalf("%v after %v", questions, after)
	}
	for _, step := range []struct{ answer, asked string }{
		{all + " 4500 IN PTR _http._tcp.local.", "PTR _http._tcp.local."},
		{"_http._tcp.local. 4500 IN PTR " + web, "TXT " + strings.ToLower(web) + " SRV " + strings.ToLower(web)},
		{web + " 120 IN SRV 0 0 80 Shelf.local.", "A shelf.local. AAAA shelf.local."},
	} {
		l.say(shelf, step.answer)
		if questions, _, _ = l.next(); strings.Join(questions, " ") != step.asked {
			t.Fatalf("after %s asked %v", step.answer, questions)
		}
		if l.seen() != "" {
			t.Errorf("seen without an address: %s", l.seen())
		}
	}
	l.say(shelf, "shelf.local. 120 IN A 10.0.0.9", web+` 4500 IN TXT "path=/" "say=\195\164\.\"x"`)
	if got := l.seen(); got != `shelf 10.0.0.9 _http._tcp/My Web.1:80["path=/" "say=ä.\"x"]` {
		t.Errorf("seen %s", got)
	}
}

func TestOneAnswerMayTellAll(t *testing.T) {
	l := newLink(t)
	l.next()
	l.say(shelf, whole...)
	if got := l.seen(); got != `shelf 10.0.0.9 fe80::9%e0 _http._tcp/My Web.1:80["path=/" "v=1"]` {
		t.Errorf("seen %s", got)
	}
	questions, known, _ := l.next()
	if !slices.Equal(questions, []string{"PTR _http._tcp.local."}) || len(known) != 1 {
		t.Errorf("asked %v with %v known; what is known need not be asked for", questions, known)
	}
}

// RFC 6762, section 5.2: the waits double, from a second to an hour; what is known and good for half its time is told
// with the question.
func TestAskingSlowsDown(t *testing.T) {
	l := newLink(t, "_http._tcp")
	_, _, before := l.next()
	l.say(shelf, "_http._tcp.local. 1000000 IN PTR "+web, "!"+web+" 1000000 IN SRV 0 0 80 shelf.local.", "!"+web+" 1000000 IN TXT a",
		"!shelf.local. 1000000 IN A 10.0.0.9", "!shelf.local. 1000000 IN AAAA fe80::9")
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600} {
		questions, known, after := l.next()
		if len(questions) != 1 || after-before != want*time.Second {
			t.Fatalf("query %d: %v after %v, want %v", n, questions, after-before, want*time.Second)
		}
		if len(known) != 1 || known[0].(*dns.PTR).Ptr != web {
			t.Errorf("query %d: known %v", n, known)
		}
		before = after
	}
}

func TestARecordIsAskedForAgainBeforeItEnds(t *testing.T) {
	l := newLink(t, "_http._tcp")
	l.next()
	l.say(shelf, whole...)
	told := l.now
	var again []float64 // percent of the time of shelf's address
	for l.seen() != "" {
		l.now = l.Deadline()
		for _, packet := range l.Advance(l.now) {
			var m dns.Msg
			if m.Unpack(packet) == nil && slices.ContainsFunc(m.Question, func(q dns.Question) bool {
				return q.Name == "shelf.local." && q.Qtype == dns.TypeA
			}) {
				again = append(again, 100*l.now.Sub(told).Seconds()/120)
			}
		}
	}
	if len(again) < 4 {
		t.Fatalf("asked at %v %%", again)
	}
	for n, least := range []float64{80, 85, 90, 95} {
		if again[n] < least || again[n] > least+2.5 {
			t.Errorf("asked at %v %%", again)
		}
	}
	if gone := l.now.Sub(told); gone < 120*time.Second || gone > 122*time.Second {
		t.Errorf("gone after %v", gone)
	}
}

func TestGoodbyeLeavesASecond(t *testing.T) {
	l := newLink(t)
	l.say(shelf, whole...)
	l.say(shelf, "_http._tcp.local. 0 IN PTR "+web)
	if !strings.Contains(l.seen(), "My Web") {
		t.Errorf("gone at once: %s", l.seen())
	}
	l.now = l.now.Add(1001 * time.Millisecond)
	l.Advance(l.now)
	if l.seen() != "shelf 10.0.0.9 fe80::9%e0" {
		t.Errorf("seen %s", l.seen())
	}
	l.say(shelf, "!shelf.local. 0 IN A 10.0.0.9", "!shelf.local. 0 IN AAAA fe80::9")
	l.now = l.now.Add(1001 * time.Millisecond)
	if l.Advance(l.now); l.seen() != "" {
		t.Errorf("seen %s", l.seen())
	}
}

// RFC 6762, section 10.2: a unique record replaces those that are older than a second.
func TestANewAddressReplacesTheOld(t *testing.T) {
	l := newLink(t)
	l.say(shelf, whole...)
	l.now = l.now.Add(2 * time.Second)
	l.say(shelf, "!shelf.local. 120 IN A 10.0.0.7", "!shelf.local. 120 IN A 10.0.0.8")
	l.now = l.now.Add(1001 * time.Millisecond)
	l.Advance(l.now)
	if !strings.HasPrefix(l.seen(), "shelf 10.0.0.7 10.0.0.8 fe80::9%e0") {
		t.Errorf("seen %s", l.seen())
	}
}

func TestOneTypeAlone(t *testing.T) {
	l := newLink(t, "_ipp._tcp")
	if questions, _, _ := l.next(); !slices.Equal(questions, []string{"PTR _ipp._tcp.local."}) {
		t.Errorf("asked %v", questions)
	}
	l.say(shelf, whole...)
	if l.seen() != "shelf 10.0.0.9 fe80::9%e0" {
		t.Errorf("seen %s", l.seen())
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	good := answer(t, whole...)
	for name, test := range map[string]struct {
		from     netip.AddrPort
		datagram []byte
		refused  int
	}{
		"from another port":    {netip.MustParseAddrPort("10.0.0.9:5354"), good, 1},
		"a query":              {shelf, append([]byte{0, 0, 0}, good[3:]...), 0},
		"another operation":    {shelf, append([]byte{0, 0, 0x88}, good[3:]...), 1},
		"too long":             {shelf, append(slices.Clone(good), make([]byte, 9000)...), 1},
		"empty":                {shelf, nil, 1},
		"cut":                  {shelf, good[:len(good)-3], 1},
		"thousands of records": {shelf, append([]byte{0, 0, 0x84, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, good[12:]...), 1},
		"a name that points at itself": {shelf,
			[]byte{0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12}, 1},
	} {
		l := newLink(t)
		if l.Receive(l.now, test.from, test.datagram); l.seen() != "" || l.Refused() != test.refused {
			t.Errorf("%s: seen %q, %d refused", name, l.seen(), l.Refused())
		}
	}
}

// flood answers with n fake hosts, types and services from an address.
// manyAddrs is an answer that gives a host hundreds of addresses, and says that it has no others.
func manyAddrs(t *testing.T, host string, source, part byte) []byte {
	t.Helper()
	m := dns.Msg{Compress: true, MsgHdr: dns.MsgHdr{Response: true}}
	for i := range 340 {
		h := dns.RR_Header{Name: host, Rrtype: dns.TypeA, Class: dns.ClassINET | flush, Ttl: 4500}
		m.Answer = append(m.Answer, &dns.A{Hdr: h, A: []byte{10, source, 2*part + byte(i/256), byte(i)}})
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// Each record of a datagram was held against all others of its name, twice: 20 ms for 6 KB, of anybody on the link.
func TestADV_mdns_A_long_answer_costs_what_it_is_long(t *testing.T) {
	l := newLink(t)
	cost := func(datagram []byte) time.Duration {
		least := time.Hour
		for range 5 {
			l.now = l.now.Add(2 * time.Second)
			began := time.Now()
			l.Receive(l.now, remote, datagram)
			least = min(least, time.Since(began))
		}
		return least
	}
	alone := cost(manyAddrs(t, "alone.local.", 0, 0))
	for source := range byte(4) {
		for part := range byte(3) {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 2, source}), Port)
			l.Receive(l.now, from, manyAddrs(t, "many.local.", source, part))
		}
	}
	if l.count < 3500 {
		t.Fatalf("%d records", l.count)
	}
	if among := cost(manyAddrs(t, "many.local.", 3, 0)); among > 5*alone {
		t.Errorf("an answer takes %v alone and %v among many of its name", alone, among)
	}
}

func flood(l *link, from netip.AddrPort, n int) {
	l.t.Helper()
	header := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
	}
	for first := 0; first < n; first += 10 {
		m := dns.Msg{Compress: true, MsgHdr: dns.MsgHdr{Response: true}}
		for i := first; i < first+10; i++ {
			id := fmt.Sprintf("f%d-%d", from.Addr().As4()[3], i)
			m.Answer = append(m.Answer, &dns.PTR{Hdr: header("_http._tcp.local.", dns.TypePTR), Ptr: id + "._http._tcp.local."},
				&dns.SRV{Hdr: header(id+"._http._tcp.local.", dns.TypeSRV), Port: 80, Target: id + ".local."},
				&dns.A{Hdr: header(id+".local.", dns.TypeA), A: []byte{10, 1, byte(i / 256), byte(i)}},
				&dns.PTR{Hdr: header(all, dns.TypePTR), Ptr: "_" + id + "._tcp.local."})
		}
		packet, err := m.Pack()
		if err != nil {
			l.t.Fatal(err)
		}
		l.Receive(l.now, from, packet)
	}
}

func TestADV_mdns_A_flood_leaves_room_for_others(t *testing.T) {
	l := newLink(t)
	flood(l, remote, 500)
	if l.count > mostPerSource || len(l.asks) > mostLedTo+1 {
		t.Errorf("%d records, %d questions", l.count, len(l.asks))
	}
	l.now = l.now.Add(100 * time.Millisecond)
	l.say(shelf, all+" 4500 IN PTR _ipp._tcp.local.", "_ipp._tcp.local. 4500 IN PTR Printer._ipp._tcp.local.")
	l.now = l.now.Add(100 * time.Millisecond)
	if asked, _, _ := l.next(); !slices.Contains(asked, "SRV printer._ipp._tcp.local.") {
		t.Error("what the honest host led to waits behind the flood")
	}
	l.say(shelf, whole...)
	if !strings.Contains(l.seen(), "shelf 10.0.0.9") {
		t.Error("the honest host found no room")
	}
	sent, end := 0, l.now.Add(10*time.Second)
	for at := l.Deadline(); at.Before(end); at = l.Deadline() {
		l.now = at
		sent += len(l.Advance(at))
	}
	if most := knownPackets * (packetBurst + 101); sent == 0 || sent > most {
		t.Errorf("%d datagrams were sent in 10 s, at most %d", sent, most)
	}
	for n := range 10 {
		flood(l, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(n)}), Port), 300)
	}
	if l.count > mostRecords || len(l.sources) > 13 || l.Refused() == 0 {
		t.Errorf("%d records of %d sources, %d refused", l.count, len(l.sources), l.Refused())
	}
	l.now = l.now.Add(longestTTL)
	l.Advance(l.now)
	if l.count != 0 || len(l.sources) != 0 || len(l.cache) != 0 {
		t.Errorf("%d records of %d sources are left", l.count, len(l.sources))
	}
}
