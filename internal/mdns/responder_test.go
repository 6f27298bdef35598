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

	"bcast/internal/fuzztest"
	"bcast/internal/speech"
)

var site = Service{Name: "My Web 1.0", Type: "_http._tcp", Port: 80, Text: []string{"path=/", "flag"}}

// said is a datagram that somebody on a stage sent.
type said struct {
	at   time.Duration
	from netip.Addr
	to   netip.AddrPort
	dns.Msg
	size int
}

// stage is a link with responders on it, who hear each other at once, and its clock.
type stage struct {
	t    *testing.T
	now  time.Time
	all  []*Responder
	said []said
}

func newStage(t *testing.T) *stage { return &stage{t: t, now: start} }

// enter puts a responder on the link at 10.0.0.n.
func (s *stage) enter(n int, host string, services ...Service) *Responder {
	addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
	r := NewResponder(host, rand.New(rand.NewPCG(1, uint64(n))))
	r.Move(s.now, []netip.Addr{addr}, []netip.Addr{addr})
	for i, service := range services {
		r.Offer(s.now, i+1, service)
	}
	s.all = append(s.all, r)
	return r
}

// carry brings what a responder sends to all on the link, itself included.
func (s *stage) carry(r *Responder, packets []speech.Packet) {
	s.t.Helper()
	from := r.addrs[0]
	for _, p := range packets {
		one := said{at: s.now.Sub(start), from: from, to: p.To, size: len(p.Data)}
		if err := one.Unpack(p.Data); err != nil {
			s.t.Fatal(err)
		}
		s.said = append(s.said, one)
		for _, other := range s.all {
			if p.To == Group4 {
				other.Receive(s.now, netip.AddrPortFrom(from, Port), p.Data)
			}
		}
	}
}

// run lets time pass.
func (s *stage) run(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for range 100_000 {
		next := end
		for _, r := range s.all {
			if at := r.Deadline(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		if next.After(s.now) {
			s.now = next
		}
		quiet := true
		for _, r := range s.all {
			if packets := r.Advance(s.now); len(packets) > 0 {
				quiet = false
				s.carry(r, packets)
			}
		}
		if quiet && !s.now.Before(end) {
			return
		}
	}
	s.t.Fatal("it never ends")
}

// ask delivers a query: questions as "PTR name", with a "?" before them if the answer may go to the asker alone.
func (s *stage) ask(from netip.AddrPort, known []string, questions ...string) {
	s.t.Helper()
	m := dns.Msg{MsgHdr: dns.MsgHdr{Id: 7}}
	for _, text := range questions {
		alone := strings.HasPrefix(text, "?")
		kind, name, _ := strings.Cut(strings.TrimPrefix(text, "?"), " ")
		q := dns.Question{Name: name, Qtype: dns.StringToType[kind], Qclass: dns.ClassINET}
		if alone {
			q.Qclass |= unicastWanted
		}
		m.Question = append(m.Question, q)
	}
	m.Answer = records(s.t, known...)
	s.deliver(from, m)
}

func (s *stage) deliver(from netip.AddrPort, m dns.Msg) {
	s.t.Helper()
	packet, err := m.Pack()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.all {
		r.Receive(s.now, from, packet)
	}
}

// records reads records as text.
func records(t *testing.T, lines ...string) (rrs []dns.RR) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(strings.TrimPrefix(line, "!"))
		if err != nil {
			t.Fatal(line, err)
		}
		if line[0] == '!' {
			rr.Header().Class |= flush
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

// after are the datagrams sent since a number of them.
func (s *stage) after(n int) []said { return s.said[n:] }

// texts are records as text without spaces beyond one.
func texts(rrs []dns.RR) string {
	var all []string
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		mark := ""
		if h := rr.Header(); h.Class&flush != 0 && h.Rrtype != dns.TypeOPT {
			h.Class &^= flush
			mark = "!"
		}
		all = append(all, mark+strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(all, "\n")
}

const (
	webName  = `My\ Web\ 1\.0._http._tcp.local.`
	announce = `_http._tcp.local. 4500 IN PTR ` + webName + `
_services._dns-sd._udp.local. 4500 IN PTR _http._tcp.local.
!` + webName + ` 120 IN SRV 0 0 80 shelf.local.
!` + webName + ` 4500 IN TXT "path=/" "flag"`
)

// RFC 6762, section 8: three probes, 250 ms apart; two announcements, a second apart; then nothing.
func TestAServiceIsProbedForAndAnnounced(t *testing.T) {
	s := newStage(t)
	r := s.enter(9, "shelf", site)
	s.run(time.Hour)
	var probed, told []time.Duration
	for _, one := range s.said {
		if one.to != Group4 {
			t.Errorf("sent to %v: the host has no address of that family", one.to)
		}
		if one.Response {
			told = append(told, one.at)
			continue
		}
		probed = append(probed, one.at)
	}
	apart := func(all []time.Duration, count int, each time.Duration) bool { // of the host's name and the service's, in turn
		for n := 2; n < len(all); n++ {
			if all[n]-all[n-2] != each {
				return false
			}
		}
		return len(all) == 2*count
	}
	if probed[0] > 500*time.Millisecond || told[0] > time.Second || !apart(probed, 3, 250*time.Millisecond) ||
		!apart(told, 2, time.Second) {
		t.Errorf("probes at %v, announcements at %v", probed, told)
	}
	first, last := s.said[0], s.said[len(s.said)-1]
	if len(first.Question) == 0 || first.Question[0].Qtype != dns.TypeANY || first.Question[0].Qclass != dns.ClassINET || len(first.Ns) == 0 {
		t.Errorf("the first probe is %v", first.Msg)
	}
	if !last.Authoritative || last.Id != 0 {
		t.Errorf("the last announcement is %v", last.Msg)
	}
	whole := ""
	for _, one := range s.said {
		whole += texts(one.Answer) + "\n"
	}
	if !strings.Contains(whole, announce) || strings.Count(whole, "!shelf.local. 120 IN A 10.0.0.9") != 2 {
		t.Errorf("announced:\n%s", whole)
	}
	if got := r.Offers(); len(got) != 1 || got[0] != (Offered{1, "My Web 1.0", "shelf.local", true}) {
		t.Errorf("offers %+v", got)
	}
	if !r.Deadline().IsZero() {
		t.Error("a settled responder wants to be woken")
	}
}

func standing(t *testing.T) (*stage, *Responder) {
	s := newStage(t)
	r := s.enter(9, "shelf", site)
	s.run(10 * time.Second)
	return s, r
}

func TestQuestionsAreAnswered(t *testing.T) {
	legacy := netip.MustParseAddrPort("10.0.0.66:40000")
	pointer := "_http._tcp.local. 4500 IN PTR " + webName
	for name, test := range map[string]struct {
		from      netip.AddrPort
		known     []string
		questions []string
		to        netip.AddrPort // invalid: nothing is sent
		soonest   time.Duration
		latest    time.Duration
		want      []string // among answers and extras
	}{
		"a type": {remote, nil, []string{"PTR _HTTP._tcp.local."}, Group4, sharedLeast, sharedMost,
			[]string{pointer, "IN SRV 0 0 80 shelf.local.", `IN TXT "path=/" "flag"`, "!shelf.local. 120 IN A 10.0.0.9"}},
		"all types": {remote, nil, []string{"PTR " + all}, Group4, sharedLeast, sharedMost,
			[]string{"IN PTR _http._tcp.local."}},
		"a service":             {remote, nil, []string{"SRV " + webName}, Group4, 0, 0, []string{"IN SRV 0 0 80", "IN A 10.0.0.9"}},
		"a host":                {remote, nil, []string{"A SHELF.local."}, Group4, 0, 0, []string{"IN A 10.0.0.9", "IN NSEC shelf.local. A"}},
		"everything of a host":  {remote, nil, []string{"ANY shelf.local."}, Group4, 0, 0, []string{"IN A 10.0.0.9"}},
		"what a host lacks":     {remote, nil, []string{"AAAA shelf.local."}, Group4, 0, 0, []string{"!shelf.local. 120 IN NSEC shelf.local. A"}},
		"what a service lacks":  {remote, nil, []string{"HINFO " + webName}, Group4, 0, 0, []string{"IN NSEC " + webName + " TXT SRV"}},
		"what is not ours":      {remote, nil, []string{"A rack.local.", "PTR _ipp._tcp.local."}, netip.AddrPort{}, 0, 0, nil},
		"what is known":         {remote, []string{"_http._tcp.local. 2250 IN PTR " + webName}, []string{"PTR _http._tcp.local."}, netip.AddrPort{}, 0, 0, nil},
		"what was known":        {remote, []string{"_http._tcp.local. 2249 IN PTR " + webName}, []string{"PTR _http._tcp.local."}, Group4, sharedLeast, sharedMost, []string{pointer}},
		"an address known":      {remote, []string{"shelf.local. 60 IN A 10.0.0.9"}, []string{"A shelf.local."}, netip.AddrPort{}, 0, 0, nil},
		"to one alone":          {remote, nil, []string{"?PTR _http._tcp.local."}, remote, 0, 0, []string{pointer, "IN SRV 0 0 80"}},
		"of who knows DNS only": {legacy, nil, []string{"A shelf.local."}, legacy, 0, 0, []string{"shelf.local. 10 IN A 10.0.0.9"}},
	} {
		s, _ := standing(t)
		s.run(10 * time.Second)
		n, asked := len(s.said), s.now.Sub(start)
		s.ask(test.from, test.known, test.questions...)
		s.run(time.Hour)
		sent := s.after(n)
		if !test.to.IsValid() {
			if len(sent) != 0 {
				t.Errorf("%s: answered by %v", name, sent[0].Msg)
			}
			continue
		}
		if len(sent) != 1 || sent[0].to != test.to {
			t.Errorf("%s: answered by %v", name, sent)
			continue
		}
		if after := sent[0].at - asked; after < test.soonest || after > test.latest {
			t.Errorf("%s: answered after %v", name, after)
		}
		text := texts(sent[0].Answer) + "\n" + texts(sent[0].Extra)
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in\n%s", name, want, text)
			}
		}
		if test.from == legacy && (strings.Contains(text, "!") || sent[0].Id != 7 || len(sent[0].Question) != 1) {
			t.Errorf("%s: %v", name, sent[0].Msg)
		}
	}
}

// RFC 6762, section 7.2: who has more known answers than one datagram holds is waited for.
func TestAskersWithMoreToTellAreWaitedFor(t *testing.T) {
	s, _ := standing(t)
	query := dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true},
		Question: []dns.Question{{Name: "_http._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	more := dns.Msg{Answer: records(t, "_http._tcp.local. 4500 IN PTR "+webName)}
	n := len(s.said)
	s.deliver(remote, query)
	s.run(300 * time.Millisecond)
	s.deliver(remote, more)
	s.run(time.Minute)
	if len(s.after(n)) != 0 {
		t.Errorf("answered what is known: %v", s.after(n))
	}
	s.deliver(remote, query)
	asked := s.now.Sub(start)
	s.deliver(shelf, more) // somebody else knows it
	s.run(time.Minute)
	if sent := s.after(n); len(sent) != 1 || sent[0].at-asked < moreLeast || sent[0].at-asked > moreMost {
		t.Errorf("answered %v", sent)
	}
}

// RFC 6762, section 6: a record is multicast once a second, however often it is asked for; to who probes four times.
func TestARecordIsToldOnceASecond(t *testing.T) {
	s, _ := standing(t)
	n := len(s.said)
	for range 100 {
		s.ask(remote, nil, "A shelf.local.")
		s.run(30 * time.Millisecond)
	}
	if sent := len(s.after(n)); sent < 3 || sent > 4 {
		t.Errorf("%d answers in 3 s", sent)
	}
	s.run(10 * time.Second)
	n = len(s.said)
	for range 100 {
		s.deliver(remote, dns.Msg{Question: []dns.Question{{Name: "shelf.local.", Qtype: dns.TypeANY, Qclass: dns.ClassINET}},
			Ns: records(t, "shelf.local. 120 IN A 10.0.0.66")})
		s.run(30 * time.Millisecond)
	}
	if sent := len(s.after(n)); sent < 11 || sent > 13 {
		t.Errorf("%d answers to probes in 3 s", sent)
	}
}

// RFC 6762, section 9: who comes later takes another name, as a service and as a host; both are there under theirs.
func TestNamesThatAreTakenAreLeft(t *testing.T) {
	s := newStage(t)
	first := s.enter(9, "shelf", site)
	s.run(5 * time.Second)
	other := site
	other.Port = 8080
	second := s.enter(10, "shelf", other)
	s.run(5 * time.Second)
	third := s.enter(11, "shelf", site)
	s.run(10 * time.Second)
	want := []Offered{{1, "My Web 1.0", "shelf.local", true}, {1, "My Web 1.0 (2)", "shelf-2.local", true},
		{1, "My Web 1.0 (3)", "shelf-3.local", true}}
	var got []Offered
	for _, r := range []*Responder{first, second, third} {
		got = append(got, r.Offers()...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("offered %+v", got)
	}
	n := len(s.said)
	s.ask(remote, nil, "A shelf-2.local.", `SRV My\ Web\ 1\.0\ (3)._http._tcp.local.`)
	s.run(time.Second)
	whole := ""
	for _, one := range s.after(n) {
		whole += texts(one.Answer) + "\n"
	}
	if !strings.Contains(whole, "!shelf-2.local. 120 IN A 10.0.0.10") || !strings.Contains(whole, "IN SRV 0 0 80 shelf-3.local.") {
		t.Errorf("answered %s", whole)
	}
}

// RFC 6762, section 8.2: of those who begin together the one with the greater data goes on, the other waits a second.
func TestOfTwoThatProbeTogetherOneGoesOn(t *testing.T) {
	s := newStage(t)
	low, high := s.enter(9, "shelf", site), s.enter(10, "shelf")
	other := site
	other.Port = 90
	high.Offer(s.now, 1, other)
	s.run(10 * time.Second)
	got := append(low.Offers(), high.Offers()...)
	if !slices.Equal(got, []Offered{{1, "My Web 1.0 (2)", "shelf-2.local", true}, {1, "My Web 1.0", "shelf.local", true}}) {
		t.Errorf("offered %+v", got)
	}
}

// Several programs of one host say the same of it: that is no conflict, and what one takes back the other says again.
func TestProgramsOfOneHostShareItsName(t *testing.T) {
	s := newStage(t)
	one, two := s.enter(9, "shelf", site), s.enter(9, "shelf", Service{Name: "Shell", Type: "_ssh._tcp", Port: 22})
	s.run(10 * time.Second)
	if got := append(one.Offers(), two.Offers()...); got[0].Host != "shelf.local" || got[1].Host != "shelf.local" {
		t.Errorf("offered %+v", got)
	}
	n := len(s.said)
	s.carry(one, one.Goodbye())
	s.run(time.Second)
	sent := s.after(n)
	if text := texts(sent[0].Answer); len(sent) != 2 || strings.Contains(text, all) || strings.Count(text, " 0 IN ") != 4 {
		t.Fatalf("goodbye %v", sent)
	}
	if text := texts(sent[1].Answer); text != "!shelf.local. 120 IN A 10.0.0.9" {
		t.Errorf("said again %s", text)
	}
}

// Two interfaces of one host that end on one link contradict each other's addresses: that makes no second host.
func TestAHostOnOneLinkTwiceIsOne(t *testing.T) {
	s := newStage(t)
	wired, radio := s.enter(9, "shelf", site), s.enter(10, "shelf", site)
	all := []netip.Addr{wired.addrs[0], radio.addrs[0]}
	wired.Move(s.now, wired.addrs, all)
	radio.Move(s.now, radio.addrs, all)
	s.run(10 * time.Second)
	for _, r := range s.all {
		if got := r.Offers(); got[0] != (Offered{1, "My Web 1.0", "shelf.local", true}) {
			t.Errorf("offered %+v", got)
		}
	}
}

func TestWithdrawnAndMoved(t *testing.T) {
	s, r := standing(t)
	r.Offer(s.now, 2, Service{Name: "Shell", Type: "_ssh._tcp", Port: 22})
	s.run(10 * time.Second)
	n := len(s.said)
	r.Withdraw(2)
	s.run(time.Second)
	if sent := s.after(n); len(sent) != 1 || strings.Count(texts(sent[0].Answer), "Shell._ssh._tcp.local.") != 3 ||
		strings.Contains(texts(sent[0].Answer), "shelf.local. 0 IN A") {
		t.Errorf("goodbye %v", sent)
	}
	n = len(s.said)
	both := []netip.Addr{netip.MustParseAddr("10.0.0.12"), netip.MustParseAddr("fe80::9%e0")}
	r.Move(s.now, both, both)
	s.run(time.Minute)
	groups := map[netip.AddrPort]string{}
	for _, one := range s.after(n) {
		groups[one.to] += texts(one.Answer) + "\n"
	}
	for _, group := range []netip.AddrPort{Group4, Group6} {
		if text := groups[group]; strings.Count(text, "!shelf.local. 120 IN A 10.0.0.12") != 2 ||
			!strings.Contains(text, "!shelf.local. 0 IN A 10.0.0.9") || strings.Contains(text, "fe80") {
			t.Errorf("%v was told %s", group, text)
		}
	}
	s.run(time.Minute)
	n = len(s.said)
	r.Withdraw(1)
	s.run(time.Hour)
	if text := texts(s.after(n)[0].Answer); !strings.Contains(text, "!shelf.local. 0 IN A 10.0.0.12") || len(r.Offers()) != 0 {
		t.Errorf("goodbye %s", text)
	}
}

func TestServicesAreChecked(t *testing.T) {
	for want, service := range map[string]Service{
		"":                    site,
		"has 0 bytes":         {Type: "_http._tcp", Port: 80},
		"has 64 bytes":        {Name: strings.Repeat("x", 64), Type: "_http._tcp", Port: 80},
		"control characters":  {Name: "a\x1b[2Jb", Type: "_http._tcp", Port: 80},
		"no type of service":  {Name: "a", Type: "http", Port: 80},
		"no type of service ": {Name: "a", Type: "_http._sctp", Port: 80},
		"1 to 15 characters":  {Name: "a", Type: "_abcdefghijklmnop._tcp", Port: 80},
		"with a letter":       {Name: "a", Type: "_123._tcp", Port: 80},
		"single hyphens":      {Name: "a", Type: "_a--b._tcp", Port: 80},
		"port 0":              {Name: "a", Type: "_http._tcp"},
		"is not key=value":    {Name: "a", Type: "_http._tcp", Port: 80, Text: []string{"=x"}},
		"longer than 255":     {Name: "a", Type: "_http._tcp", Port: 80, Text: []string{"k=" + strings.Repeat("x", 254)}},
		"more than 1000":      {Name: "a", Type: "_http._tcp", Port: 80, Text: slices.Repeat([]string{strings.Repeat("k", 200)}, 5)},
	} {
		err := service.Check()
		if want = strings.TrimSpace(want); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v, want %s", service, err, want)
		}
	}
	for name, want := range map[string]string{"shelf": "shelf", "my host.example.org": "my-host", "käse": "k-se", "": "bcast", "...": "bcast"} {
		if got := HostLabel(name); got != want {
			t.Errorf("%q is called %q", name, got)
		}
	}
	if got := another(strings.Repeat("ä", 31), 12, false); len(got) > longestLabel || !strings.HasSuffix(got, "ä (12)") {
		t.Errorf("%q", got)
	}
}

// CVE-2015-2809 (mDNS as an amplifier): whatever is asked from whatever forged address, each record goes out once a
// second, to the group, and single addresses together get ten datagrams of at most 512 bytes a second.
func TestADV_mdns_A_forged_question_is_hardly_amplified(t *testing.T) {
	s, _ := standing(t)
	n := len(s.said)
	victims := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.66:53"), netip.MustParseAddrPort("10.0.0.67:5353")}
	for i := range 1000 {
		for _, q := range []string{"PTR _http._tcp.local.", "ANY " + webName, "?ANY shelf.local.", "PTR " + all} {
			s.ask(victims[i%2], nil, q)
		}
		s.run(10 * time.Millisecond)
	}
	alone, group := 0, 0
	for _, one := range s.after(n) {
		switch {
		case one.to == Group4:
			group += one.size
		case one.size > largestUnicast:
			t.Fatalf("%d bytes to %v", one.size, one.to)
		default:
			alone++
		}
	}
	if most := unicastBurst + 10*10 + 1; alone == 0 || alone > most {
		t.Errorf("%d datagrams to single addresses in 10 s, at most %d", alone, most)
	}
	if group > 11*1500 {
		t.Errorf("%d bytes to the group in 10 s: 4,000 questions", group)
	}
}

// A host that says of each name that it has it: others are tried, ever more slowly, and nothing grows.
func TestADV_mdns_A_liar_that_has_every_name_makes_us_slow(t *testing.T) {
	s := newStage(t)
	r := s.enter(9, "shelf", site)
	answered := 0
	deny := func(until time.Time) {
		for s.now.Before(until) {
			s.run(200 * time.Millisecond)
			for ; answered < len(s.said); answered++ {
				for _, q := range s.said[answered].Question {
					s.deliver(remote, dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: records(t,
						"!"+q.Name+" 120 IN SRV 0 0 9 rack.local.", "!"+q.Name+" 120 IN A 10.0.0.66")})
				}
			}
		}
	}
	deny(start.Add(time.Hour))
	hour := len(s.said)
	if hour < 20 || hour > 300 {
		t.Errorf("%d datagrams in an hour", hour)
	}
	deny(start.Add(2 * time.Hour))
	if again := len(s.said) - hour; again > 200 {
		t.Errorf("%d datagrams in the second hour", again)
	}
	if r.claims[1].turn > mostTurns || len(r.conflicts) > manyConflicts+8 {
		t.Errorf("turn %d, %d conflicts remembered", r.claims[1].turn, len(r.conflicts))
	}
	s.run(5 * time.Minute)
	if got := r.Offers(); !got[0].Ready {
		t.Errorf("the liar left, and %+v", got)
	}
}

// A liar that contradicts each name once it is announced has it claimed anew, ever more slowly.
func TestADV_mdns_A_liar_cannot_take_a_name(t *testing.T) {
	s, r := standing(t)
	n := len(s.said)
	for range 1000 {
		if r.claims[0].public {
			s.deliver(remote, dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: records(t,
				"!"+r.claims[0].label+".local. 120 IN A 10.0.0.66")})
		}
		s.run(100 * time.Millisecond)
	}
	if sent := len(s.after(n)); sent < 30 || sent > 100 {
		t.Errorf("%d datagrams in 100 s", sent)
	}
	s.run(5 * time.Minute)
	if got := r.Offers(); !got[0].Ready || !strings.HasPrefix(got[0].Host, "shelf") {
		t.Errorf("offered %+v", got)
	}
}

func TestAResponderIsBounded(t *testing.T) {
	s := newStage(t)
	r := s.enter(9, "shelf")
	for i := range 2 * mostServices {
		r.Offer(s.now, i, Service{Name: fmt.Sprint("Web ", i), Type: "_http._tcp", Port: 80, Text: site.Text})
	}
	s.run(time.Minute)
	if len(r.Offers()) != mostServices || r.Refused() != mostServices {
		t.Errorf("%d offered, %d refused", len(r.Offers()), r.Refused())
	}
	before := r.Refused()
	for range 1000 {
		s.ask(remote, nil, "A shelf.local.")
	}
	if refused := r.Refused() - before; refused != 1000-heardBurst {
		t.Errorf("of 1000 datagrams at once %d are not looked at", refused)
	}
	for _, one := range s.said {
		if one.size > 1500 {
			t.Errorf("a datagram of %d bytes", one.size)
		}
	}
}

func FuzzRespond(f *testing.F) {
	for _, datagram := range fuzztest.Captures(f, "testdata/captures.txt") {
		f.Add(datagram, true)
	}
	query := dns.Msg{Question: []dns.Question{{Name: "_http._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	packet, err := query.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet, false)
	f.Add(answer(f, whole...), true)
	f.Fuzz(func(t *testing.T, datagram []byte, mdns bool) {
		r := NewResponder("shelf", rand.New(rand.NewPCG(1, 2)))
		r.Move(start, []netip.Addr{shelf.Addr()}, []netip.Addr{shelf.Addr()})
		r.Offer(start, 1, site)
		now := start
		from := remote
		if !mdns {
			from = netip.MustParseAddrPort("10.0.0.66:53")
		}
		for step := range 40 {
			if step%5 == 0 {
				fuzztest.Within(t, len(datagram), 1024, 256<<10, func() { r.Receive(now, from, datagram) })
			}
			for _, p := range r.Advance(now) {
				var m dns.Msg
				if err := m.Unpack(p.Data); err != nil || len(p.Data) > 1500 || p.To == from && len(p.Data) > largestUnicast {
					t.Fatalf("%d bytes to %v: %v", len(p.Data), p.To, err)
				}
			}
			if at := r.Deadline(); at.After(now) {
				now = at
			}
		}
	})
}
