package roster

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Vendors are makers of network cards by the beginning of the MAC address, from a registry file: hexadecimal digits in
// upper case, six, seven or nine of them.
type Vendors map[string]string

const (
	mostVendors  = 200_000 // the public registries have some 55,000
	longestEntry = 4096    // bytes of a line
)

// ReadVendors reads a registry of MAC prefixes, a line each: the IEEE's oui.txt and oui.csv, Wireshark's manuf, nmap's
// nmap-mac-prefixes. Other lines are skipped; a file without any entry is an error.
func ReadVendors(r io.Reader) (Vendors, error) {
	vendors := Vendors{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestEntry)
	for lines.Scan() {
		prefix, name := vendorLine(lines.Text())
		if name == "" {
			continue
		}
		if len(vendors) == mostVendors {
			return nil, fmt.Errorf("more than %d vendors", mostVendors)
		}
		vendors[prefix] = clip(name)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(vendors) == 0 {
		return nil, fmt.Errorf("no line of it is a MAC prefix and a name, as in oui.txt, manuf or nmap-mac-prefixes")
	}
	return vendors, nil
}

// vendorLine takes a line apart; the name is empty if it is no entry.
func vendorLine(line string) (prefix, name string) {
	if fields := strings.SplitN(line, ",", 4); len(fields) >= 3 && strings.HasPrefix(fields[0], "MA-") {
		name = fields[2]
		if rest, quoted := strings.CutPrefix(strings.Join(fields[2:], ","), `"`); quoted {
			name, _, _ = strings.Cut(rest, `"`)
		}
		return vendorPrefix(fields[1]), strings.TrimSpace(name)
	}
	first, rest, found := strings.Cut(strings.TrimSpace(line), " ")
	if tabbed, after, tab := strings.Cut(strings.TrimSpace(line), "\t"); tab && len(tabbed) < len(first) {
		first, rest, found = tabbed, after, true
	}
	prefix = vendorPrefix(first)
	if !found || prefix == "" {
		return "", ""
	}
	rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), "(hex)"))
	if short, long, columns := strings.Cut(rest, "\t"); columns { // manuf: short name, long name
		rest = strings.TrimSpace(long)
		if rest == "" {
			rest = short
		}
	}
	return prefix, rest
}

// vendorPrefix is a prefix in one spelling: 00-1A-2B, 00:1a:2b, 001A2B, 00:1A:2B:30:00:00/28. Empty if it is none.
func vendorPrefix(text string) string {
	text, bits, masked := strings.Cut(text, "/")
	digits := strings.ToUpper(separators.Replace(text))
	if masked {
		keep := map[string]int{"24": 6, "28": 7, "36": 9}[bits]
		if keep == 0 || keep > len(digits) {
			return ""
		}
		digits = digits[:keep]
	}
	if n := len(digits); n != 6 && n != 7 && n != 9 || strings.Trim(digits, "0123456789ABCDEF") != "" {
		return ""
	}
	return digits
}

// Of is who made the card with a MAC address; empty if nobody knows, or if the address was made up (privacy addresses,
// virtual machines).
func (v Vendors) Of(mac string) string {
	digits := macDigits(mac)
	if digits == "" || firstByte(digits)&2 != 0 {
		return ""
	}
	for _, n := range []int{9, 7, 6} {
		if name := v[digits[:n]]; name != "" {
			return name
		}
	}
	return ""
}
