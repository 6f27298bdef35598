package roster

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// mark is something that only one device has: what two sightings share makes them one device.
type mark struct{ kind, value string }

func (m mark) String() string { return m.kind + " " + m.value }

// Kinds of marks.
const (
	byID      = "id"
	byUUID    = "UUID"
	byHost    = "host name"
	byAddress = "address"
	byMAC     = "MAC"
)

// marks are collected without what says nothing.
type marks []mark

func (m *marks) add(kind, value string) {
	if value != "" {
		*m = append(*m, mark{kind, value})
	}
}

// marksOf are the marks of a sighting. Values that many devices have are none.
func marksOf(s Sighting) []mark {
	var all marks
	all.add(byID, s.ID)
	all.add(byUUID, plainUUID(s.UUID))
	all.add(byHost, PlainHost(s.Host))
	for _, addr := range s.Addrs {
		if addr = addr.Unmap(); addr.IsValid() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() {
			all.add(byAddress, addr.String())
		}
	}
	all.add(byMAC, plainMAC(s.MAC))
	slices.SortFunc(all, func(a, b mark) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.value, b.value))
	})
	return slices.Compact(all)
}

// plainUUID is a UUID in one spelling, or nothing if it is none or names nobody.
func plainUUID(text string) string {
	text = strings.ToLower(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "urn:"))
	text = strings.TrimPrefix(text, "uuid:")
	if len(text) < 8 || strings.Trim(text, "0-") == "" || strings.Trim(text, "f-") == "" {
		return ""
	}
	return text
}

// PlainHost is a host name in one spelling: the label alone if it is of this link. Nothing, if every host is called so.
func PlainHost(name string) string {
	name = strings.TrimSuffix(strings.ToLower(strings.TrimSuffix(name, ".")), ".local")
	if name == "localhost" || name == "localhost.localdomain" {
		return ""
	}
	return name
}

// plainMAC is the MAC address of one card in one spelling, or nothing.
func plainMAC(text string) string {
	digits := macDigits(text)
	if len(digits) != 12 || strings.Trim(digits, "0") == "" || firstByte(digits)&1 != 0 {
		return ""
	}
	b, _ := hex.DecodeString(digits)
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// separators stand between the digits of MAC addresses, however they are written.
var separators = strings.NewReplacer(":", "", "-", "", ".", "")

// macDigits are the digits of a MAC address in upper case; empty if it is none of six bytes.
func macDigits(text string) string {
	digits := strings.ToUpper(separators.Replace(text))
	if b, err := hex.DecodeString(digits); err != nil || len(b) != 6 {
		return ""
	}
	return digits
}

// firstByte is the first byte of an address: its lowest bit marks groups, the next one addresses that were made up.
func firstByte(digits string) byte {
	b, _ := hex.DecodeString(digits[:2])
	return b[0]
}

// merge groups entries into devices: those that share a mark, directly or by others. Two ids are always two devices,
// because one machine may run several; what carries neither goes with the first.
func merge(entries []*entry) [][]*entry {
	relays := relayed(entries)
	group := make([]int, len(entries)) // of a union-find forest: the parent, itself for a root
	ids := make([]string, len(entries))
	holder := map[mark]int{}
	root := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	for i, e := range entries {
		group[i], ids[i] = i, e.ID
		for _, m := range e.marks {
			if relays[m] {
				continue
			}
			first, held := holder[m]
			if !held {
				holder[m] = i
				continue
			}
			a, b := root(first), root(i)
			if a == b || ids[a] != "" && ids[b] != "" && ids[a] != ids[b] {
				continue
			}
			a, b = min(a, b), max(a, b)
			group[b] = a
			if ids[a] == "" {
				ids[a] = ids[b]
			}
		}
	}
	return gather(entries, root)
}

func gather(entries []*entry, root func(int) int) [][]*entry {
	var groups [][]*entry
	at := map[int]int{} // root to its place in groups
	for i, e := range entries {
		n, known := at[root(i)]
		if !known {
			n = len(groups)
			at[root(i)] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], e)
	}
	return groups
}

// relayed are the MAC addresses that stand for more addresses than a host has: those of who answers for others, such as
// a repeater or a router that does proxy ARP.
func relayed(entries []*entry) map[mark]bool {
	addrs := map[string]map[netip.Addr]bool{}
	for _, e := range entries {
		mac := plainMAC(e.MAC)
		if mac == "" {
			continue
		}
		if addrs[mac] == nil {
			addrs[mac] = map[netip.Addr]bool{}
		}
		for _, addr := range e.Addrs {
			if addr.Unmap().Is4() {
				addrs[mac][addr.Unmap()] = true
			}
		}
	}
	relays := map[mark]bool{}
	for mac, behind := range addrs {
		if len(behind) > proxied {
			relays[mark{byMAC, mac}] = true
		}
	}
	return relays
}
