// Package mdns browses a link by multicast DNS and DNS service discovery (RFC 6762, RFC 6763).
//
// Its invariant: what it remembers and asks is bounded whatever is answered, and it asks no faster than RFC 6762
// allows. It answers nothing, and does no I/O: datagrams and the time go in, datagrams for the group come out.
package mdns

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/speech"
)

// Port is where queries go and answers come from.
const Port = 5353

// Groups of both families.
var (
	Group4 = netip.MustParseAddrPort("224.0.0.251:5353")
	Group6 = netip.MustParseAddrPort("[ff02::fb]:5353")
)

// Limits of what is remembered of a link, and of a datagram.
const (
	mostRecords    = 4096
	mostPerSource  = 1024                   // records told by one address: one liar leaves room for others
	mostAsks       = 2048                   // questions open at once
	mostLedTo      = 512                    // of those that one address led to
	mostInDatagram = 512                    // records and questions; an honest sender has dozens
	longestMessage = 9000                   // bytes (RFC 6762, section 17)
	longestTTL     = 24 * time.Hour         // nobody is believed for longer
	packetEvery    = 100 * time.Millisecond // on average, whatever makes us ask
	packetBurst    = 10
)

// all is the name under which all types of services are listed (RFC 6763, section 9).
const all = "_services._dns-sd._udp.local."

// Browser asks for what one link offers and remembers the answers. It is to be used by one goroutine at a time.
type Browser struct {
	zone    string
	types   map[string]bool // service types asked for; empty: whatever there is
	dice    *rand.Rand
	cache   map[question][]*record
	known   map[told]*record   // the same, one by one: a datagram may tell of hundreds
	sources map[netip.Addr]int // records by who told them
	count   int
	asks    map[question]*ask
	leads   map[netip.Addr]int // asks by who led to them
	due     time.Time          // of the first ask
	look    time.Time          // when a record expires or is to be asked for again
	paced   speech.Pace
	soon    time.Time // when what was last learnt leads to questions
	refused int
}

// question is a name in canonical form and a type.
type question struct {
	name string
	kind uint16
}

// told is what a question is answered by, in one way.
type told struct {
	question
	key string
}

// New returns a browser of the link of the interface zone, which starts to ask shortly after now: for services of the
// types named, such as _http._tcp, or for all that there are.
func New(now time.Time, zone string, types []string, dice *rand.Rand) *Browser {
	b := &Browser{
		zone: zone, dice: dice, types: map[string]bool{},
		cache: map[question][]*record{}, known: map[told]*record{}, sources: map[netip.Addr]int{}, asks: map[question]*ask{},
		leads: map[netip.Addr]int{}, paced: speech.Pace{Burst: packetBurst + 1, Every: packetEvery},
	}
	for _, t := range types {
		b.types[dns.CanonicalName(t+".local")] = true
	}
	first := now.Add(speech.Between(dice, 20*time.Millisecond, 120*time.Millisecond)) // section 5.2
	for name := range b.types {
		b.ask(question{name, dns.TypePTR}, netip.Addr{}, first, forever)
	}
	if len(types) == 0 {
		b.ask(question{all, dns.TypePTR}, netip.Addr{}, first, forever)
	}
	return b
}

// Refused is how many datagrams were malformed and records found no room so far.
func (b *Browser) Refused() int { return b.refused }

// Receive takes a datagram that came from the link. Only answers count, and only from the port of mDNS (section 6).
func (b *Browser) Receive(now time.Time, from netip.AddrPort, datagram []byte) {
	if len(datagram) > 2 && datagram[2]&0x80 == 0 {
		return // a query, perhaps our own
	}
	var m dns.Msg
	if from.Port() != Port || !plausible(datagram) || m.Unpack(datagram) != nil {
		b.refused++
		return
	}
	flushed := map[question]bool{}
	for _, records := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range records {
			if q, taken := b.take(now, from.Addr().WithZone(""), rr); taken && rr.Header().Class&flush != 0 {
				flushed[q] = true
			}
		}
	}
	for q := range flushed {
		b.outdate(now, q)
	}
}

// plausible looks at the header before anything is made of a datagram.
func plausible(datagram []byte) bool {
	if len(datagram) < 12 || len(datagram) > longestMessage || datagram[2]&0x78 != 0 {
		return false
	}
	count := 0
	for at := 4; at < 12; at += 2 {
		count += int(datagram[at])<<8 | int(datagram[at+1])
	}
	return count <= mostInDatagram
}

// Deadline is when Advance has something to do.
func (b *Browser) Deadline() time.Time {
	at := b.due
	if !at.IsZero() {
		at = speech.Later(at, b.paced.Ready())
	}
	return speech.Sooner(at, b.look)
}

// Advance returns the queries that are due, for the group.
func (b *Browser) Advance(now time.Time) [][]byte {
	b.expire(now)
	return b.query(now)
}

// serviceType reports whether labels are a type of service on this link: _http._tcp.local.
func serviceType(labels []string) bool {
	return len(labels) == 3 && len(labels[0]) > 1 && labels[0][0] == '_' && strings.EqualFold(labels[2], "local") &&
		(strings.EqualFold(labels[1], "_tcp") || strings.EqualFold(labels[1], "_udp"))
}

// instance takes the name of a service apart: what it is called, and its type in canonical form.
func instance(name string) (called, kind string, ok bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) != 4 || !serviceType(labels[1:]) {
		return "", "", false
	}
	return plain(labels[0]), dns.CanonicalName(strings.Join(labels[1:], ".")), true
}

// plain undoes the escapes of text as the DNS library gives it: \DDD and \X.
func plain(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			out.WriteByte(c)
			continue
		}
		i++
		if i+2 < len(text) && digit(text[i]) && digit(text[i+1]) && digit(text[i+2]) {
			out.WriteByte((text[i]-'0')*100 + (text[i+1]-'0')*10 + text[i+2] - '0')
			i += 2
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
