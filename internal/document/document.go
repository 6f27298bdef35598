// Package document is what the foreign discovery protocols share of fetching and reading what a device says of itself.
//
// Its invariant: nothing is taken to be fetched from anywhere but the address that told of it, and nothing that is read
// unfolds to more than it is.
package document

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Longest is how many bytes of a document are read.
const Longest = 64 << 10

// longestURL is how many bytes a location may have.
const longestURL = 512

// IsAt tells whether a location may be fetched: by HTTP, at the address that told of it.
func IsAt(location string, from netip.Addr) bool {
	at, err := url.Parse(location)
	if err != nil || at.Scheme != "http" || at.User != nil || len(location) > longestURL {
		return false
	}
	addr, err := netip.ParseAddr(at.Hostname())
	return err == nil && addr.Unmap().WithZone("") == from.Unmap().WithZone("")
}

// Decode reads XML. No protocol here needs entities or a document type, so that none is taken: what they unfold to has
// no limit.
func Decode(text []byte, into any) error {
	if len(text) > Longest {
		return fmt.Errorf("%d bytes", len(text))
	}
	if bytes.Contains(text, []byte("<!DOCTYPE")) || bytes.Contains(text, []byte("<!ENTITY")) {
		return errors.New("it has a document type")
	}
	return xml.Unmarshal(text, into)
}

// Tidy is a text of a document on one line.
func Tidy(text string) string { return strings.Join(strings.Fields(text), " ") }
