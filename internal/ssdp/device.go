package ssdp

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"
)

// Device is what a description says of an announced device.
type Device struct {
	UUID string // as UUID makes it
	Name string // what people read
	What string // of what kind it is, for people
	Page string // an address that a browser can open; empty: there is none
}

// UUID names a device by what does not change of it. Nobody can tell from it what that was.
func UUID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	id := h.Sum(nil)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: of our own making (RFC 9562)
	return fmt.Sprintf("uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// Description is the document of a device (section 2.3).
func (d Device) Description() ([]byte, error) {
	type device struct {
		Type  string `xml:"deviceType"`
		Name  string `xml:"friendlyName"`
		Maker string `xml:"manufacturer"`
		About string `xml:"modelDescription"`
		Model string `xml:"modelName"`
		UDN   string `xml:"UDN"`
		Page  string `xml:"presentationURL,omitempty"`
	}
	text, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"urn:schemas-upnp-org:device-1-0 root"`
		Major   int      `xml:"specVersion>major"`
		Minor   int      `xml:"specVersion>minor"`
		Device  device   `xml:"device"`
	}{Major: 1, Device: device{deviceType, d.Name, "bcast", d.What, "service", d.UUID, d.Page}})
	return append([]byte(xml.Header), text...), err
}
