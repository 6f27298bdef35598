package zeroconf

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a segment in memory whose listener takes what dial connects.
type pipes struct {
	fakeSegment
	conns chan net.Conn
}

func newPipes() *pipes {
	return &pipes{fakeSegment{name: "e0", addrs: []netip.Addr{netip.MustParseAddr("10.77.0.1")}}, make(chan net.Conn)}
}

func (p *pipes) Listen(at netip.Addr) (net.Listener, error) {
	if p.taken != nil {
		return nil, p.taken
	}
	return &ear{p, net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 8000)), make(chan struct{})}, nil
}

// ear is a listener of pipes.
type ear struct {
	*pipes
	addr   net.Addr
	closed chan struct{}
}

func (e *ear) Accept() (net.Conn, error) {
	select {
	case c := <-e.conns:
		return c, nil
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

func (e *ear) Addr() net.Addr { return e.addr }

func (e *ear) Close() error { close(e.closed); return nil }

// caller is the serving end of a connection from an address.
type caller struct {
	net.Conn
	from string
}

func (c caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from + ":4000"))
}

// dial connects from an address.
func (p *pipes) dial(from string) net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- caller{theirs, from}
	return ours
}

// get sends a request from an address, and reads the answer; status 0: it was hung up.
func (p *pipes) get(t *testing.T, from, request string) (status int, body string) {
	t.Helper()
	conn := p.dial(from)
	defer conn.Close()
	go io.WriteString(conn, request)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// standing is an announcer of one site by SSDP alone, on pipes.
func standing(p *pipes) (a *Announcer, id int) {
	a = StartAnnouncer(AnnouncerConfig{Host: "shelf", Device: "abc", Segments: func() ([]Segment, error) { return []Segment{p}, nil }})
	id = a.Offer(site, SSDP)
	time.Sleep(5 * time.Second)
	synctest.Wait()
	return a, id
}

const ask = "GET /1 HTTP/1.1\r\nHost: 10.77.0.1:8000\r\n\r\n"

func TestServicesAreDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, id := standing(p)
		defer a.Close()
		states, _ := a.States(id)
		if len(states) != 1 || states[0].Location != "http://10.77.0.1:8000/1" || !states[0].Ready || states[0].Problem != nil {
			t.Fatalf("states %+v", states)
		}
		if !p.said("NTS: ssdp:alive", "NT: upnp:rootdevice", "LOCATION: http://10.77.0.1:8000/1") {
			t.Error("it is not announced")
		}
		status, body := p.get(t, "10.77.0.9", ask)
		if status != http.StatusOK || !strings.Contains(body, "<friendlyName>Web</friendlyName>") ||
			!strings.Contains(body, "<presentationURL>http://10.77.0.1:80/</presentationURL>") {
			t.Errorf("%d: %s", status, body)
		}
		for request, want := range map[string]int{
			strings.Replace(ask, "GET", "HEAD", 1):                 http.StatusOK,
			strings.Replace(ask, "GET", "POST", 1):                 http.StatusMethodNotAllowed,
			strings.Replace(ask, "/1", "/2", 1):                    http.StatusNotFound,
			strings.Replace(ask, "/1", "/../1", 1):                 http.StatusNotFound,
			strings.Replace(ask, "/1", "/", 1):                     http.StatusNotFound,
			strings.Replace(ask, "10.77.0.1:8000", "evil.test", 1): http.StatusMisdirectedRequest,
			"GET /1 HTTP/1.1\r\nHost: 10.77.0.1:8000\r\nX: " + strings.Repeat("x", 3*longestHead) + "\r\n\r\n": http.StatusRequestHeaderFieldsTooLarge,
		} {
			if got, _ := p.get(t, "10.77.0.9", request); got != want {
				t.Errorf("%.60q: %d, want %d", request, got, want)
			}
		}
		a.Withdraw(id)
		if !p.said("NTS: ssdp:byebye", "NT: upnp:rootdevice") {
			t.Error("no goodbye")
		}
		synctest.Wait()
		select {
		case p.conns <- nil:
			t.Error("it is still served")
		case <-time.After(time.Second):
		}
	})
}

// One name for both: what mDNS came to call a service is in its description.
func TestADescriptionHasTheNameInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a := StartAnnouncer(AnnouncerConfig{Host: "shelf", Segments: func() ([]Segment, error) { return []Segment{p}, nil }})
		defer a.Close()
		a.Offer(site, MDNS, SSDP)
		twin := a.Offer(site, MDNS, SSDP)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		states, _ := a.States(twin)
		if len(states) != 2 || states[0].Name != states[1].Name {
			t.Errorf("states %+v", states)
		}
		one, two := p.uuidOf(t, "/1"), p.uuidOf(t, "/2")
		if one == two || one == "" {
			t.Errorf("the devices are %q and %q", one, two)
		}
	})
}

// uuidOf is the UUID of a description.
func (p *pipes) uuidOf(t *testing.T, path string) string {
	_, body := p.get(t, "10.77.0.9", strings.Replace(ask, "/1", path, 1))
	_, rest, _ := strings.Cut(body, "<UDN>")
	uuid, _, _ := strings.Cut(rest, "</UDN>")
	return uuid
}

// Where an address is another one, a goodbye takes back the description of before, and it is announced anew.
func TestDescriptionsFollowTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, id := standing(p)
		defer a.Close()
		p.said()
		p.addrs = []netip.Addr{netip.MustParseAddr("10.77.0.2")}
		a.Look()
		synctest.Wait()
		if !p.said("NTS: ssdp:byebye") {
			t.Error("what was told of the address before stays")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		states, _ := a.States(id)
		if !p.said("NTS: ssdp:alive", "LOCATION: http://10.77.0.2:8000/1") || states[0].Location != "http://10.77.0.2:8000/1" || p.open != 1 {
			t.Errorf("states %+v, %d open", states, p.open)
		}
		p.addrs = []netip.Addr{netip.MustParseAddr("fe80::1%e0")}
		a.Look()
		time.Sleep(time.Second)
		synctest.Wait()
		if states, _ = a.States(id); len(states) != 1 || states[0].Problem == nil || p.open != 0 {
			t.Errorf("without IPv4: %+v, %d open", states, p.open)
		}
	})
}

func TestWhatCannotBeDescribedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		p.taken = errors.New("no port is left")
		a, id := standing(p)
		defer a.Close()
		states, _ := a.States(id)
		if len(states) != 1 || states[0].Problem == nil || !strings.Contains(states[0].Problem.Error(), "no port is left") {
			t.Errorf("states %+v", states)
		}
	})
}

// Descriptions are for the link, whoever else reaches the address.
func TestADV_14_Off_link_reads_no_description(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, _ := standing(p)
		defer a.Close()
		if status, body := p.get(t, "192.0.2.1", ask); status != 0 {
			t.Errorf("%d: %s", status, body)
		}
		if status, _ := p.get(t, "10.77.0.9", ask); status != http.StatusOK {
			t.Errorf("the link gets %d", status)
		}
	})
}

// Who connects and says nothing, slowly or from one address, keeps nobody out.
func TestADV_21_Who_reads_no_description_is_not_waited_for(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, _ := standing(p)
		defer a.Close()
		for range mostOfOne {
			defer p.dial("10.77.0.66").Close()
		}
		if status, _ := p.get(t, "10.77.0.66", ask); status != 0 {
			t.Errorf("one more of an address gets %d", status)
		}
		if status, _ := p.get(t, "10.77.0.9", ask); status != http.StatusOK {
			t.Errorf("another address gets %d", status)
		}
		time.Sleep(readWithin + time.Second)
		if status, _ := p.get(t, "10.77.0.66", ask); status != http.StatusOK {
			t.Errorf("after their time it gets %d", status)
		}
	})
}
