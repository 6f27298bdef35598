package mdns

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"bcast/internal/roster"
)

// Sightings are the hosts of the link that told an address, each with the services on it.
func (b *Browser) Sightings(now time.Time) []roster.Sighting {
	hosts := b.hosts(now)
	for q, records := range b.cache {
		if q.kind != dns.TypePTR || q.name == all {
			continue
		}
		for _, r := range records {
			if r.ends.After(now) {
				b.place(now, hosts, r.target)
			}
		}
	}
	var sightings []roster.Sighting
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		s := hosts[name]
		slices.SortFunc(s.Addrs, netip.Addr.Compare)
		slices.SortFunc(s.Services, func(x, y roster.Service) int {
			return cmp.Or(strings.Compare(x.Type, y.Type), strings.Compare(x.Name, y.Name), cmp.Compare(x.Port, y.Port))
		})
		sightings = append(sightings, *s)
	}
	return sightings
}

// hosts are those with addresses, by name.
func (b *Browser) hosts(now time.Time) map[string]*roster.Sighting {
	hosts := map[string]*roster.Sighting{}
	for q, records := range b.cache {
		if q.kind != dns.TypeA && q.kind != dns.TypeAAAA {
			continue
		}
		for _, r := range records {
			if !r.ends.After(now) {
				continue
			}
			s := hosts[q.name]
			if s == nil {
				name := plain(strings.TrimSuffix(q.name, "."))
				s = &roster.Sighting{Key: name + "%" + b.zone, Host: name, Name: strings.TrimSuffix(name, ".local"), Last: r.born}
				hosts[q.name] = s
			}
			addr := r.addr
			if addr.IsLinkLocalUnicast() && addr.Is6() {
				addr = addr.WithZone(b.zone)
			}
			s.Addrs = append(s.Addrs, addr)
			if r.born.After(s.Last) {
				s.Last = r.born
			}
		}
	}
	return hosts
}

// place puts a service to its host.
func (b *Browser) place(now time.Time, hosts map[string]*roster.Sighting, name string) {
	called, kind, _ := instance(name)
	q := dns.CanonicalName(name)
	for _, srv := range b.cache[question{q, dns.TypeSRV}] {
		host := hosts[dns.CanonicalName(srv.target)]
		if host == nil || !srv.ends.After(now) {
			continue
		}
		service := roster.Service{Type: strings.TrimSuffix(kind, ".local."), Name: called, Port: srv.port}
		for _, txt := range b.cache[question{q, dns.TypeTXT}] {
			if txt.ends.After(now) {
				service.Text = txt.texts
			}
		}
		host.Services = append(host.Services, service)
		if srv.born.After(host.Last) {
			host.Last = srv.born
		}
	}
}
