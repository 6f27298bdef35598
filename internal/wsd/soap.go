package wsd

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"strings"

	"bcast/internal/document"
)

// longestMessage is how many bytes of a datagram are read.
const longestMessage = 16 << 10

// envelope is a message to the group: action, id, body.
const envelope = `<?xml version="1.0" encoding="utf-8"?>` +
	`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"` +
	` xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"` +
	` xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">` +
	`<s:Header><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>` +
	`<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/%s</a:Action><a:MessageID>%s</a:MessageID></s:Header>` +
	`<s:Body>%s</s:Body></s:Envelope>`

const (
	probeBody = `<d:Probe/>`
	// typedBody is what computers ask each other; some answer to nothing else.
	typedBody = `<d:Probe><d:Types xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof">wsdp:Device</d:Types>` +
		`</d:Probe>`
	resolveBody = `<d:Resolve><a:EndpointReference><a:Address>%s</a:Address></a:EndpointReference></d:Resolve>`
)

// getEnvelope asks for metadata: endpoint, id.
const getEnvelope = `<?xml version="1.0" encoding="utf-8"?>` +
	`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"` +
	` xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header><a:To>%s</a:To>` +
	`<a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action><a:MessageID>%s</a:MessageID>` +
	`<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
	`</s:Header><s:Body/></s:Envelope>`

// received is what is read of a message; names count whatever their namespace, since there are several of each.
type received struct {
	Header struct {
		Action    string `xml:"Action"`
		RelatesTo string `xml:"RelatesTo"`
	} `xml:"Header"`
	Body struct {
		Hello          target   `xml:"Hello"`
		Bye            target   `xml:"Bye"`
		ProbeMatches   []target `xml:"ProbeMatches>ProbeMatch"`
		ResolveMatches []target `xml:"ResolveMatches>ResolveMatch"`
	} `xml:"Body"`
}

// target is a device in a message.
type target struct {
	Address string `xml:"EndpointReference>Address"`
	Types   string `xml:"Types"`
	XAddrs  string `xml:"XAddrs"`
}

func (t target) endpoint() string { return strings.TrimSpace(t.Address) }

// action is the last part of the action's name.
func (m received) action() string {
	action := strings.TrimSpace(m.Header.Action)
	return action[strings.LastIndexByte(action, '/')+1:]
}

func parse(datagram []byte) (received, error) {
	var m received
	if len(datagram) > longestMessage {
		return m, fmt.Errorf("%d bytes", len(datagram))
	}
	return m, document.Decode(datagram, &m)
}

func escape(text string) string {
	var out bytes.Buffer
	xml.EscapeText(&out, []byte(text))
	return out.String()
}

// metadata is what a device says of itself.
type metadata struct{ name, host, model string }

// readMetadata reads the answer to a Get (Devices Profile for Web Services 1.1, section 5; computers also tell a name
// by the publication schema of Windows).
func readMetadata(text []byte) (metadata, error) {
	var m struct {
		Sections []struct {
			Name     string   `xml:"ThisDevice>FriendlyName"`
			Maker    string   `xml:"ThisModel>Manufacturer"`
			Model    string   `xml:"ThisModel>ModelName"`
			Computer []string `xml:"Relationship>Host>Computer"`
		} `xml:"Body>Metadata>MetadataSection"`
	}
	if err := document.Decode(text, &m); err != nil {
		return metadata{}, err
	}
	var told metadata
	for _, s := range m.Sections {
		if s.Name != "" {
			told.name = document.Tidy(s.Name)
		}
		if s.Maker != "" || s.Model != "" {
			told.model = strings.TrimSpace(document.Tidy(s.Maker) + " " + document.Tidy(s.Model))
		}
		for _, computer := range s.Computer { // NAME/Workgroup:GROUP or NAME/Domain:DOMAIN
			told.host, _, _ = strings.Cut(document.Tidy(computer), "/")
		}
	}
	told.name = cmp.Or(told.host, told.name)
	return told, nil
}

// kindOf puts types into words; those that say nothing are left out.
func kindOf(types []string) string {
	for _, t := range types {
		switch _, name, _ := strings.Cut(t, ":"); name {
		case "Computer":
			return "computer"
		case "PrintDeviceType":
			return "printer"
		case "ScanDeviceType":
			return "scanner"
		case "NetworkVideoTransmitter":
			return "camera"
		}
	}
	return ""
}
