package zeroconf

import (
	"context"
	"net/netip"
	"time"

	"bcast/internal/document"
	"bcast/internal/ssdp"
	"bcast/internal/wsd"
)

// Limits of fetching what devices say of themselves.
const (
	fetchesAtOnce = 4
	fetchWithin   = 2 * time.Second // from the connection to the last byte
)

// wanted is a document to be fetched, and what takes it. The protocols have made sure that it is at the address that
// told of it.
type wanted struct {
	from      netip.Addr
	url, post string
	take      func([]byte)
}

// fetch starts what a protocol wants fetched. What finds no slot within the time of two fetches is left out.
func (s *Survey) fetch(ctx context.Context, p protocol) {
	for _, d := range s.documents(p) {
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 2*fetchWithin)
			defer cancel()
			select {
			case s.slots <- struct{}{}:
				defer func() { <-s.slots }()
			case <-ctx.Done():
				return
			}
			ctx, cancel = context.WithTimeout(ctx, fetchWithin)
			defer cancel()
			body, err := s.host.Fetch(ctx, d.from, d.url, d.post, document.Longest)
			if err != nil {
				return // it stays without a name
			}
			s.mu.Lock()
			d.take(body)
			s.mu.Unlock()
			s.tell()
		})
	}
}

// documents are what a protocol wants fetched now.
func (s *Survey) documents(p protocol) []wanted {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []wanted
	switch p := p.(type) {
	case *ssdp.Searcher:
		for _, f := range p.Fetches() {
			all = append(all, wanted{f.From, f.URL, "", func(body []byte) { p.Fetched(f, body) }})
		}
	case *wsd.Prober:
		for _, f := range p.Fetches() {
			all = append(all, wanted{f.From, f.URL, f.Request, func(body []byte) { p.Fetched(f, body) }})
		}
	}
	return all
}
