package zeroconf

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/fuzztest"
	"bcast/internal/mdns"
	"bcast/internal/roster"
	"bcast/internal/ssdp"
	"bcast/internal/wsd"
)

// fakeHost has one segment, whose links deliver what is put into them.
type fakeHost struct {
	taken     netip.AddrPort // a group whose port another program has for itself
	addr      netip.Addr     // its own
	bits      int            // of its subnet
	documents map[string]string
	fetched   []string

	neighbours []roster.Sighting

	mu    sync.Mutex
	links map[string]*fakeLink // by group, "?" before it if it only asks
}

type fakeLink struct {
	in     chan []byte
	from   netip.AddrPort
	once   sync.Once
	mu     sync.Mutex
	sent   [][]byte
	closed chan struct{}
}

func newFakeHost() *fakeHost {
	return &fakeHost{links: map[string]*fakeLink{}, addr: netip.MustParseAddr("10.77.0.10"), bits: 24}
}

func (f *fakeHost) Segments() ([]Segment, error)           { return []Segment{f}, nil }
func (f *fakeHost) Neighbours() ([]roster.Sighting, error) { return f.neighbours, nil }
func (f *fakeHost) Seed() [32]byte                         { return [32]byte{7} }
func (f *fakeHost) Name() string                           { return "e0" }
func (f *fakeHost) Addrs() []netip.Addr                    { return []netip.Addr{f.addr} }
func (f *fakeHost) Subnets() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(f.addr, f.bits), netip.MustParsePrefix("fe80::1/64")}
}
func (f *fakeHost) Has(like netip.Addr) bool { return like.Is4() }

func (f *fakeHost) Fetch(_ context.Context, from netip.Addr, url, _ string, _ int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetched = append(f.fetched, from.String()+" "+url)
	if document, known := f.documents[url]; known {
		return []byte(document), nil
	}
	return nil, errors.New("not found")
}

func (f *fakeHost) Listen(netip.Addr) (net.Listener, error) {
	return nil, errors.New("a survey serves nothing")
}

func (f *fakeHost) Open(group netip.AddrPort, join bool, _ int) (Link, error) {
	if join && group == f.taken {
		return nil, errors.New("port 5353 is taken")
	}
	name := group.String()
	if !join {
		name = "?" + name
	}
	link := &fakeLink{in: make(chan []byte), from: netip.MustParseAddrPort("10.77.0.3:5353"), closed: make(chan struct{})}
	f.links[name] = link
	return link, nil
}

func (l *fakeLink) Receive(buf []byte) (int, netip.AddrPort, error) {
	select {
	case datagram := <-l.in:
		return copy(buf, datagram), l.from, nil
	case <-l.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (l *fakeLink) Send(datagram []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, bytes.Clone(datagram))
	return nil
}

func (l *fakeLink) SendTo(datagram []byte, _ netip.AddrPort) error { return l.Send(datagram) }

func (l *fakeLink) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *fakeLink) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

func begin(t *testing.T, host *fakeHost) *Survey {
	t.Helper()
	s, err := StartSurvey(t.Context(), SurveyConfig{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are the devices that a look finds, each with the number of its services.
func names(t *testing.T, s *Survey) []string {
	t.Helper()
	devices, _, err := s.Look(nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range devices {
		all = append(all, d.Name+strings.Repeat("+", len(d.Services)))
	}
	return all
}

func TestASurveyAsksAndListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		description, err := os.ReadFile("../ssdp/testdata/description.xml")
		if err != nil {
			t.Fatal(err)
		}
		host.documents = map[string]string{"http://10.77.0.3:8200/root.xml": string(description)}
		s := begin(t, host)
		time.Sleep(120 * time.Millisecond)
		synctest.Wait()
		for _, group := range []string{mdns.Group4.String(), "?" + ssdp.Group.String(), "?" + wsd.Group4.String()} {
			if host.links[group].count() == 0 {
				t.Errorf("%s was not asked", group)
			}
		}
		if host.links[ssdp.Group.String()].count() != 0 {
			t.Error("SSDP was asked from the port that is for announcements")
		}
		for _, datagram := range fuzztest.Captures(t, "../ssdp/testdata/captures.txt") {
			host.links["?"+ssdp.Group.String()].in <- datagram
		}
		synctest.Wait()
		if got := names(t, s); !slices.Equal(got, []string{"Shelf+"}) {
			t.Errorf("found %v", got)
		}
		if len(host.fetched) != 1 || host.fetched[0] != "10.77.0.3 http://10.77.0.3:8200/root.xml" {
			t.Errorf("fetched %v", host.fetched)
		}
		for _, datagram := range fuzztest.Captures(t, "../mdns/testdata/captures.txt")[:10] {
			host.links[mdns.Group4.String()].in <- datagram
		}
		synctest.Wait()
		if got := names(t, s); !slices.Equal(got, []string{"h1+++", "Shelf+"}) {
			t.Errorf("found %v", got)
		}
		select {
		case <-s.News():
		default:
			t.Error("nobody is told that there is news")
		}
		if len(s.Problems()) != 0 || s.Refused() != 0 {
			t.Errorf("%v, %d refused", s.Problems(), s.Refused())
		}
		s.Close()
	})
}

// Another program of this host, or we ourselves, announces what it offers: that is no device of the subnet to be found.
func TestASurveyLeavesOutItsOwnHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		host.addr = netip.MustParseAddr("10.77.0.1") // h1's, whose avahi was captured
		s := begin(t, host)
		for _, datagram := range fuzztest.Captures(t, "../mdns/testdata/captures.txt")[:10] {
			host.links[mdns.Group4.String()].in <- datagram
		}
		synctest.Wait()
		if got := names(t, s); len(got) != 0 {
			t.Errorf("found %v", got)
		}
		s.Close()
	})
}

// Nothing is probed unless asked for; then the own subnet, no more of it than 256 addresses, no faster than 250 a second.
func TestAProbeIsBounded(t *testing.T) {
	for bits, want := range map[int]int{29: 5, 24: 253, 8: 253, 31: 0} {
		synctest.Test(t, func(t *testing.T) {
			host := newFakeHost()
			host.bits = bits
			s, err := StartSurvey(t.Context(), SurveyConfig{Host: host, Probe: true})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(400 * time.Millisecond)
			synctest.Wait()
			asked := host.links["?224.0.0.1:9"]
			if n := asked.count(); n > 100 || n < min(want, 99) {
				t.Errorf("/%d: %d in 400 ms", bits, n)
			}
			time.Sleep(time.Minute)
			if n := asked.count(); n != want {
				t.Errorf("/%d: %d addresses are asked, want %d", bits, n, want)
			}
			s.Close()
			quiet := newFakeHost()
			begin(t, quiet).Close()
			if quiet.links["?224.0.0.1:9"] != nil {
				t.Error("a survey probes by itself")
			}
		})
	}
}

// Another program may hold the port of mDNS for itself: then one asks from any port and is answered there.
func TestASurveyWithoutThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		host.taken = mdns.Group4
		s := begin(t, host)
		time.Sleep(120 * time.Millisecond)
		synctest.Wait()
		asking := host.links["?"+mdns.Group4.String()]
		if asking == nil || asking.count() == 0 {
			t.Fatal("nothing is asked")
		}
		if p := s.Problems(); len(p) != 1 || !strings.Contains(p[0].Error(), "mdns on e0: announcements are not heard") {
			t.Errorf("problems %v", p)
		}
		s.Close()
	})
}

// Endless, slow, redirected and packed documents, and a name that stands for somewhere else.
func TestADV_fetch_A_document_has_limits(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for range 1000 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
					return
				}
			}
		case "/slow":
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 64<<10))
		case "/packed":
			w.Write([]byte(r.Header.Get("Accept-Encoding")))
		default:
			w.Write([]byte("at " + r.Host))
		}
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	here := netip.MustParseAddr("127.0.0.1")
	get := func(path string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if path == "/slow" {
			ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		}
		defer cancel()
		body, err := thisHost{}.Fetch(ctx, here, "http://10.255.255.1:"+port+path, "", 10_000)
		return string(body), err
	}
	for _, path := range []string{"/endless", "/slow", "/redirect", "/header"} {
		if _, err := get(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
	if body, err := get("/packed"); body != "" || err != nil {
		t.Errorf("packed documents are asked for: %q, %v", body, err)
	}
	if body, err := get("/"); body != "at 10.255.255.1:"+port || err != nil {
		t.Errorf("%q, %v: not the address alone was dialled", body, err)
	}
}
