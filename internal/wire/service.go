package wire

import (
	"fmt"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Limits of the services that presence tells of.
const (
	MaxServices     = 8
	maxServiceBytes = 128 // of all of them: the rest is for the rooms
	maxServiceName  = 63  // bytes
	maxServiceText  = 255 // bytes of one text
)

// serviceType is what a type of service has to look like: RFC 6335, section 5.1, and RFC 6763, section 7.
var serviceType = regexp.MustCompile(`^_[A-Za-z0-9-]{1,15}\._(tcp|udp)$`)

// Service is something that a device offers, as DNS service discovery has it.
type Service struct {
	Name string // as people read it
	Type string // such as _http._tcp
	Port uint16
	Text []string // key=value
}

// Equal tells whether two services are the same in all they say.
func (s Service) Equal(other Service) bool {
	return s.Name == other.Name && s.Type == other.Type && s.Port == other.Port && slices.Equal(s.Text, other.Text)
}

type wireService struct {
	_    struct{} `cbor:",toarray"`
	Name string
	Type string
	Port uint16
	Text []string
}

// encodeServices are as many as have room, and whether some are left out. A text that has none is left out first.
func encodeServices(services []Service) (all []wireService, more bool) {
	size := 0
	for _, s := range services {
		w := wireService{Name: s.Name, Type: s.Type, Port: s.Port, Text: append([]string{}, s.Text...)}
		for fits(w)+size > maxServiceBytes && len(w.Text) > 0 {
			w.Text = w.Text[:len(w.Text)-1]
		}
		if size += fits(w); size > maxServiceBytes || len(all) == MaxServices {
			return all, true
		}
		all = append(all, w)
	}
	return all, false
}

func fits(w wireService) int { return len(must(cborEncoding.Marshal(w))) }

func parseServices(all []wireService) (services []Service, err error) {
	if len(all) > MaxServices {
		return nil, fmt.Errorf("%d services, at most %d", len(all), MaxServices)
	}
	for _, w := range all {
		if !serviceType.MatchString(w.Type) || w.Port == 0 || w.Name == "" || !plain(w.Name, maxServiceName) ||
			slices.ContainsFunc(w.Text, func(text string) bool { return !plain(text, maxServiceText) }) {
			return nil, fmt.Errorf("%q is no service", w.Type)
		}
		s := Service{Name: w.Name, Type: w.Type, Port: w.Port}
		if len(w.Text) > 0 {
			s.Text = w.Text
		}
		services = append(services, s)
	}
	return services, nil
}

// plain tells whether a text is short enough and has no control characters.
func plain(text string, most int) bool {
	for _, c := range text {
		if unicode.IsControl(c) {
			return false
		}
	}
	return len(text) <= most && utf8.ValidString(text)
}
