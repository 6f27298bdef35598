package zeroconf

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/mdns"
)

// fakeSegment is one that keeps what is sent by it; its sockets hear nothing.
type fakeSegment struct {
	name  string
	addrs []netip.Addr
	taken error // why no socket opens

	mu   sync.Mutex
	sent []string // the answers and notices, as text
	open int
}

func (s *fakeSegment) Name() string        { return s.name }
func (s *fakeSegment) Addrs() []netip.Addr { return s.addrs }

func (s *fakeSegment) Subnets() (all []netip.Prefix) {
	for _, addr := range s.addrs {
		all = append(all, netip.PrefixFrom(addr.WithZone(""), 8))
	}
	return all
}

// Listen takes connections of this host, whatever the segment's address.
func (s *fakeSegment) Listen(netip.Addr) (net.Listener, error) {
	if s.taken != nil {
		return nil, s.taken
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

func (s *fakeSegment) Has(like netip.Addr) bool {
	for _, addr := range s.addrs {
		if addr.Is4() == like.Is4() {
			return true
		}
	}
	return false
}

func (s *fakeSegment) Open(netip.AddrPort, bool, int) (Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken != nil {
		return nil, s.taken
	}
	s.open++
	return &socket{segment: s, closed: make(chan struct{})}, nil
}

// said tells whether a record whose text has all the words was sent, and forgets what was sent.
func (s *fakeSegment) said(words ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, text := range s.sent {
		has := true
		for _, word := range words {
			has = has && strings.Contains(text, word)
		}
		found = found || has
	}
	s.sent = nil
	return found
}

type socket struct {
	segment *fakeSegment
	closed  chan struct{}
}

func (s *socket) Receive([]byte) (int, netip.AddrPort, error) {
	<-s.closed
	return 0, netip.AddrPort{}, net.ErrClosed
}

func (s *socket) Send(datagram []byte) error {
	s.segment.mu.Lock()
	defer s.segment.mu.Unlock()
	if text := string(datagram); strings.HasPrefix(text, "NOTIFY ") {
		s.segment.sent = append(s.segment.sent, strings.Join(strings.Fields(text), " "))
		return nil
	}
	var m dns.Msg
	if err := m.Unpack(datagram); err != nil {
		return err
	}
	for _, rr := range m.Answer {
		s.segment.sent = append(s.segment.sent, strings.Join(strings.Fields(rr.String()), " "))
	}
	return nil
}

func (s *socket) SendTo(datagram []byte, _ netip.AddrPort) error { return s.Send(datagram) }

func (s *socket) Close() error {
	s.segment.mu.Lock()
	defer s.segment.mu.Unlock()
	s.segment.open--
	close(s.closed)
	return nil
}

var site = mdns.Service{Name: "Web", Type: "_http._tcp", Port: 80}

// Interfaces come, change and go while a service is announced; what cannot be opened is said.
func TestServicesFollowTheInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		four, six := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fe80::1%e1")
		e0, e1 := &fakeSegment{name: "e0", addrs: []netip.Addr{four}}, &fakeSegment{name: "e1", addrs: []netip.Addr{six}}
		taken := &fakeSegment{name: "e2", addrs: []netip.Addr{four}, taken: errors.New("port 5353 is taken")}
		var now []Segment
		a := StartAnnouncer(AnnouncerConfig{Host: "shelf", Segments: func() ([]Segment, error) { return now, nil }})
		id := a.Offer(site, MDNS)
		states := func() string {
			time.Sleep(5 * time.Second)
			synctest.Wait()
			all, changed := a.States(id)
			if changed == nil {
				t.Fatal("nobody would be told of changes")
			}
			text := ""
			for _, s := range all {
				text += s.Iface + " " + s.Name + " " + s.Host
				if s.Problem != nil {
					text += " " + s.Problem.Error()
				}
				text += ";"
			}
			return text
		}
		if got := states(); got != " Web  no network interface can multicast now;" {
			t.Errorf("without an interface: %q", got)
		}
		now = []Segment{e1, e0, taken}
		a.Look()
		if got := states(); got != "e0 Web shelf.local;e1 Web shelf.local;e2 Web shelf.local port 5353 is taken;" {
			t.Errorf("on three: %q", got)
		}
		if !e0.said("shelf.local. 120 CLASS32769 A 10.77.0.1") || !e1.said("AAAA fe80::1") {
			t.Error("the addresses are not told")
		}
		e0.addrs = []netip.Addr{netip.MustParseAddr("10.77.0.2")}
		now = []Segment{e0}
		a.Look()
		if got := states(); got != "e0 Web shelf.local;" || !e0.said("A 10.77.0.2") || e1.open != 0 || e0.open != 1 {
			t.Errorf("moved: %q, %d and %d sockets open", got, e0.open, e1.open)
		}
		a.Close()
		if !e0.said(" 0 IN PTR Web._http._tcp.local.") || e0.open != 0 || a.Refused() != 0 {
			t.Errorf("no goodbye, %d sockets open", e0.open)
		}
	})
}

func TestWhatADaemonAlwaysAnnounces(t *testing.T) {
	home := t.TempDir()
	if services, err := LoadServices(home); err != nil || services != nil {
		t.Errorf("no file: %v, %v", services, err)
	}
	for text, want := range map[string]string{
		"[[service]]\nname = 'Web'\ntype = '_http._tcp'\nport = 80\ntxt = ['path=/']\n": "",
		"[[service]]\nname = 'Web'\ntype = '_http._tcp'\nport = 80\nhost = 'x'\n":       "announce.toml:5: service.host is not known here",
		"[[service]\n":                           "announce.toml:1: ",
		"[[service]]\nname = 'Web'\nport = 80\n": "announce.toml: service 1: \"\" is no type of service",
		strings.Repeat("[[service]]\n", 33):      "33 services, at most 32",
		strings.Repeat("#", maxFile+1):           "is longer than",
	} {
		if err := os.WriteFile(filepath.Join(home, ServicesFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		services, err := LoadServices(home)
		if want == "" && (err != nil || len(services) != 1 || services[0].Text[0] != "path=/") {
			t.Errorf("%v, %v", services, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
}
