package roster

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Limits. Whoever is on the link can tell of as many devices as it likes.
const (
	perSource    = 4096             // sightings of a source, those that are gone included: no protocol tells of more here
	rememberGone = 10 * time.Minute // how long one that is gone is listed
	mostAddrs    = 16               // addresses of a sighting: who claims more would be merged with half the subnet
	mostServices = 64               // of a sighting
	mostTexts    = 32               // strings of a service
	longest      = 255              // bytes of any text: a DNS name, a TXT string
	proxied      = 4                // IPv4 addresses behind one MAC address; with more it belongs to a relay
)

// bounded is a copy of a sighting within the limits.
func bounded(s Sighting) Sighting {
	texts := []*string{&s.ID, &s.Nick, &s.Tag, &s.Status, &s.MAC, &s.UUID, &s.Host, &s.Name, &s.Kind, &s.Model}
	for _, text := range texts {
		*text = clip(*text)
	}
	s.Addrs = append(s.Addrs[:0:0], s.Addrs[:min(len(s.Addrs), mostAddrs)]...)
	s.Services = append(s.Services[:0:0], s.Services[:min(len(s.Services), mostServices)]...)
	for i, service := range s.Services {
		service.Type, service.Name = clip(service.Type), clip(service.Name)
		service.Text = append(service.Text[:0:0], service.Text[:min(len(service.Text), mostTexts)]...)
		for j, text := range service.Text {
			service.Text[j] = clip(text)
		}
		s.Services[i] = service
	}
	return s
}

// clip cuts a text that is too long, between characters. What is left is a copy: it holds no datagram in memory.
func clip(text string) string {
	if len(text) <= longest {
		return text
	}
	end := longest
	for end > longest-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end])
}
