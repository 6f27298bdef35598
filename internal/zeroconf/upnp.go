package zeroconf

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bcast/internal/fair"
	"bcast/internal/mdns"
	"bcast/internal/speech"
	"bcast/internal/ssdp"
)

// Limits of who reads descriptions.
const (
	mostReaders = 16
	mostOfOne   = 4
	readWithin  = 5 * time.Second
	longestHead = 4 << 10
)

// upnp is how SSDP tells of services: each is a device of its own, which a document describes that this host serves.
type upnp struct {
	*ssdp.Advertiser
	link   *link
	device string
	offers map[int]described
}

// described is a service as a device.
type described struct {
	mdns.Service
	uuid string
}

// openSSDP opens what SSDP needs on a segment: a socket, and a server of descriptions, which is there for as long as
// anything is announced.
func (a *Announcer) openSSDP(on Segment, l *link) {
	l.voice = &upnp{ssdp.NewAdvertiser(a.dice), l, a.cfg.Device, map[int]described{}}
	ln, err := on.Listen(l.page.Addr())
	if err != nil {
		l.problem = fmt.Errorf("descriptions cannot be served: %w", err)
		return
	}
	at := ln.Addr().String()
	l.base = "http://" + at + "/"
	l.describe = &http.Server{
		Handler:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, l, at) }),
		ReadTimeout: readWithin, WriteTimeout: readWithin, MaxHeaderBytes: longestHead,
		ErrorLog: log.New(io.Discard, "", 0), // of what strangers do wrong
	}
	l.describe.SetKeepAlivesEnabled(false)
	a.work.Go(func() { _ = l.describe.Serve(fair.Limit(near{ln, l.page.Masked()}, mostOfOne, mostReaders)) })
	a.join(on, l, 1, ssdp.Group)
}

// near takes connections from the link alone.
type near struct {
	net.Listener
	subnet netip.Prefix
}

func (n near) Accept() (net.Conn, error) {
	for {
		conn, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err == nil && n.subnet.Contains(from.Addr().Unmap()) {
			return conn, nil
		}
		conn.Close()
	}
}

// pageOn is the address of a segment for descriptions, with its subnet: the one in use if it is still there.
func pageOn(on Segment, links []*link) (page netip.Prefix, here bool) {
	four := slices.DeleteFunc(slices.Clone(on.Subnets()), func(p netip.Prefix) bool { return !p.Addr().Is4() })
	for _, l := range links {
		if l.iface == on.Name() && slices.Contains(four, l.page) {
			return l.page, true
		}
	}
	if len(four) == 0 {
		return page, false
	}
	return four[0], true
}

// locationOf is where a service is described.
func (l *link) locationOf(id int) string { return l.base + strconv.Itoa(id) }

// serve answers who reads a description, and nothing else.
func (a *Announcer) serve(w http.ResponseWriter, r *http.Request, l *link, at string) {
	id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	switch {
	case r.Host != at: // a name that another site had resolved to here
		http.Error(w, "not here", http.StatusMisdirectedRequest)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
		return
	case err != nil:
		http.NotFound(w, r)
		return
	}
	text, found := a.description(l, id)
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // the reader is gone
}

// description is the document of a service.
func (a *Announcer) description(l *link, id int) (text []byte, found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, known := l.voice.(*upnp).offers[id]
	if !known {
		return nil, false
	}
	for _, s := range a.states() {
		if s.By == SSDP && s.Iface == l.iface && s.ID == id {
			d.Name = s.Name
		}
	}
	text, err := ssdp.Device{UUID: d.uuid, Name: d.Name, What: fmt.Sprintf("%s, port %d", d.Type, d.Port),
		Page: pageOf(d.Service, l.page.Addr())}.Description()
	return text, err == nil
}

// pageOf is the address of a service for browsers; empty: it has none.
func pageOf(s mdns.Service, host netip.Addr) string {
	scheme, is := map[string]string{"_http._tcp": "http", "_https._tcp": "https"}[s.Type]
	if !is {
		return ""
	}
	at := url.URL{Scheme: scheme, Host: netip.AddrPortFrom(host, uint16(s.Port)).String(), Path: "/"}
	for _, text := range s.Text {
		path, is := strings.CutPrefix(text, "path=")
		if to, err := url.Parse("/" + strings.TrimLeft(path, "/")); is && err == nil {
			at.Path, at.RawQuery = to.Path, to.RawQuery
		}
	}
	return at.String()
}

// Move implements voice: where the address is another, so is the link.
func (*upnp) Move(time.Time, []netip.Addr, []netip.Addr) {}

// Offer implements voice.
func (u *upnp) Offer(now time.Time, id int, s mdns.Service) {
	uuid := u.newUUID(s)
	u.offers[id] = described{s, uuid}
	if u.link.describe != nil {
		u.Advertiser.Offer(now, id, uuid, u.link.locationOf(id))
	}
}

// newUUID names a service by what it is and whose. One that is announced twice is two.
func (u *upnp) newUUID(s mdns.Service) string {
	for n := 0; ; n++ {
		uuid := ssdp.UUID(u.device, s.Name, s.Type, strconv.Itoa(s.Port), strconv.Itoa(n))
		if !slices.ContainsFunc(slices.Collect(maps.Values(u.offers)), func(d described) bool { return d.uuid == uuid }) {
			return uuid
		}
	}
}

// Withdraw implements voice.
func (u *upnp) Withdraw(id int) {
	delete(u.offers, id)
	u.Advertiser.Withdraw(id)
}

// Goodbye implements voice.
func (u *upnp) Goodbye() []speech.Packet {
	clear(u.offers)
	return u.Advertiser.Goodbye()
}

// Offers implements voice.
func (u *upnp) Offers() []mdns.Offered {
	var all []mdns.Offered
	for _, id := range slices.Sorted(maps.Keys(u.offers)) {
		all = append(all, mdns.Offered{ID: id, Name: u.offers[id].Name, Ready: u.Told(id)})
	}
	return all
}
