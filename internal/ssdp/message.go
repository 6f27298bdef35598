package ssdp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// deviceType is what an announced device is for control points: one with a name and perhaps a page, and nothing that
// could be controlled.
const deviceType = "urn:schemas-upnp-org:device:Basic:1"

// server says what speaks. UPnP 1.0 asks for the fewest headers, and every control point takes it; which system this
// host runs is nobody's affair.
const server = "bcast/1 UPnP/1.0 bcast/1"

// name is what a device is called as a target.
func (d *advert) name(t target) string {
	switch t {
	case asRoot:
		return "upnp:rootdevice"
	case asType:
		return deviceType
	}
	return d.uuid
}

// usn tells the notices of a device apart.
func (d *advert) usn(t target) string {
	if t == asItself {
		return d.uuid
	}
	return d.uuid + "::" + d.name(t)
}

// is tells whether a search is for a device as a target.
func (d *advert) is(t target, wanted string) bool {
	return wanted == "ssdp:all" || wanted == d.name(t) || t == asItself && strings.EqualFold(wanted, d.uuid)
}

// notice says to all that a device is here (section 1.2.2).
func (d *advert) notice(t target, location string) []byte {
	return message("NOTIFY * HTTP/1.1", "HOST", Group.String(), "CACHE-CONTROL", forLife, "LOCATION", location,
		"NT", d.name(t), "NTS", "ssdp:alive", "SERVER", server, "USN", d.usn(t))
}

// byebye says that it is not any more (section 1.2.3).
func (d *advert) byebye(t target) []byte {
	return message("NOTIFY * HTTP/1.1", "HOST", Group.String(), "NT", d.name(t), "NTS", "ssdp:byebye", "USN", d.usn(t))
}

// answer says so to who searched (section 1.3.3). Nothing in it is the asker's.
func (d *advert) answer(t target, location string) []byte {
	return message("HTTP/1.1 200 OK", "CACHE-CONTROL", forLife, "EXT", "", "LOCATION", location, "SERVER", server,
		"ST", d.name(t), "USN", d.usn(t))
}

// forLife says for how long what is told counts.
var forLife = fmt.Sprintf("max-age=%d", usualLife/time.Second)

// message is a first line with headers, name and value in turn.
func message(first string, headers ...string) []byte {
	text := []byte(first + "\r\n")
	for n := 0; n < len(headers); n += 2 {
		text = fmt.Appendf(text, "%s: %s\r\n", headers[n], headers[n+1])
	}
	return append(text, "\r\n"...)
}

// readSearch reads what is searched for, and how long the asker waits. Who does not say how long, as section 1.3.2 has
// it, is not answered.
func readSearch(datagram []byte) (wanted string, within time.Duration, ok bool) {
	if len(datagram) > longestSearch {
		return "", 0, false
	}
	first, headers, ok := parse(datagram)
	seconds, err := strconv.ParseUint(headers["mx"], 10, 31)
	if !ok || first != "M-SEARCH * HTTP/1.1" || headers["man"] != `"ssdp:discover"` || err != nil || seconds == 0 {
		return "", 0, false
	}
	return headers["st"], time.Duration(seconds) * time.Second, true
}
