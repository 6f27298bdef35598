package zeroconf

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"bcast/internal/lan"
	"bcast/internal/roster"
)

// thisHost is the host that the program runs on.
type thisHost struct{}

type hostSegment struct{ lan.Segment }

func (s hostSegment) Name() string { return s.Segment.Name }

func (s hostSegment) Addrs() (addrs []netip.Addr) {
	for _, p := range s.Segment.Addrs {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

func (s hostSegment) Subnets() []netip.Prefix { return s.Segment.Addrs }

func (s hostSegment) Open(group netip.AddrPort, join bool, hops int) (Link, error) {
	return s.OpenGroup(group, join, hops)
}

func (hostSegment) Listen(at netip.Addr) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", netip.AddrPortFrom(at, 0).String())
}

func (thisHost) Segments() ([]Segment, error) { return Segments() }

// Segments are those of this host.
func Segments() ([]Segment, error) {
	found, err := lan.Segments()
	if err != nil {
		return nil, err
	}
	var segments []Segment
	for _, s := range found {
		segments = append(segments, hostSegment{s})
	}
	return segments, nil
}

func (thisHost) Seed() (seed [32]byte) {
	rand.Read(seed[:])
	return seed
}

// Neighbours are the hosts that this one spoke to lately and that answered. Not every system tells.
func (thisHost) Neighbours() ([]roster.Sighting, error) {
	var sightings []roster.Sighting
	for _, read := range []func() ([]lan.Neighbour, error){lan.Neighbours, lan.Neighbours6} {
		table, err := read()
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		for _, n := range table {
			if n.Complete {
				sightings = append(sightings, roster.Sighting{Key: n.Addr.WithZone(n.Iface).String(), Addrs: []netip.Addr{n.Addr},
					MAC: n.MAC.String()})
			}
		}
	}
	return sightings, nil
}

// Fetch implements Host.
func (thisHost) Fetch(ctx context.Context, from netip.Addr, url, post string, limit int) ([]byte, error) {
	dial := func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", to.String())
	}
	return Fetch(ctx, dial, from, url, post, limit)
}

// Fetch dials the address alone, whatever the URL says, follows nothing, and unpacks nothing.
func Fetch(
	ctx context.Context, dial func(context.Context, netip.AddrPort) (net.Conn, error), from netip.Addr, url, post string,
	limit int,
) ([]byte, error) {
	client := http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				_, name, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				port, err := strconv.ParseUint(name, 10, 16)
				if err != nil {
					return nil, err
				}
				return dial(ctx, netip.AddrPortFrom(from, uint16(port)))
			},
			DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 8 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if post != "" {
		method, body = http.MethodPost, strings.NewReader(post)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if post != "" {
		request.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("get %s: more than %d bytes", url, limit)
	}
	return text, err
}
