package ssdp

import (
	"strings"
	"unicode"

	"bcast/internal/document"
)

// mostDepth is how deep devices may be embedded.
const mostDepth = 4

// described is a device element of a description (UPnP Device Architecture 2.0, section 2.3).
type described struct {
	Type     string      `xml:"deviceType"`
	Name     string      `xml:"friendlyName"`
	Maker    string      `xml:"manufacturer"`
	Model    string      `xml:"modelName"`
	UDN      string      `xml:"UDN"`
	Services []string    `xml:"serviceList>service>serviceType"`
	Embedded []described `xml:"deviceList>device"`
}

// description is what a document says of one device.
type description struct {
	name, model, kind string
}

// Fetched takes the document that was fetched.
func (s *Searcher) Fetched(at Fetch, text []byte) {
	root, err := readDescription(text)
	if err != nil {
		s.refused++
		return
	}
	s.apply(at, root, 0)
}

// apply notes what a document says of a device and those in it, if they were announced with this document.
func (s *Searcher) apply(at Fetch, d described, depth int) {
	if known := s.devices[place{strings.TrimSpace(d.UDN), at.From}]; known != nil && known.location == at {
		known.root = known.root || depth == 0
		known.told = &description{name: document.Tidy(d.Name), kind: kindOf(d.Type),
			model: strings.TrimSpace(document.Tidy(d.Maker) + " " + document.Tidy(d.Model))}
		for _, service := range d.Services {
			if service = document.Tidy(service); len(known.services) < mostServices && service != "" {
				known.services[service] = true
			}
		}
	}
	for _, embedded := range d.Embedded {
		if depth < mostDepth {
			s.apply(at, embedded, depth+1)
		}
	}
}

// readDescription reads a description.
func readDescription(text []byte) (described, error) {
	var root struct {
		Device described `xml:"device"`
	}
	if err := document.Decode(text, &root); err != nil {
		return described{}, err
	}
	return root.Device, nil
}

// kindOf puts a device type into words: urn:schemas-upnp-org:device:MediaServer:1 is a media server. What says nothing
// is left out.
func kindOf(deviceType string) string {
	parts := strings.Split(deviceType, ":")
	if len(parts) < 4 || parts[2] != "device" {
		return ""
	}
	switch parts[3] {
	case "Basic":
		return ""
	case "InternetGatewayDevice":
		return "router"
	}
	var words strings.Builder
	lower := false
	for _, r := range document.Tidy(parts[3]) {
		if unicode.IsUpper(r) && lower {
			words.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		words.WriteRune(unicode.ToLower(r))
	}
	return words.String()
}
