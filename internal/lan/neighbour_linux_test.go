package lan

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// neighbourMessage is an RTM_NEWNEIGH of one entry.
func neighbourMessage(index uint32, state uint16, addr string, mac []byte) []byte {
	body := make([]byte, 12)
	body[0] = unix.AF_INET6
	binary.NativeEndian.PutUint32(body[4:], index)
	binary.NativeEndian.PutUint16(body[8:], state)
	attr := func(kind uint16, value []byte) {
		head := make([]byte, 4)
		binary.NativeEndian.PutUint16(head, uint16(4+len(value)))
		binary.NativeEndian.PutUint16(head[2:], kind)
		body = append(append(body, head...), value...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	attr(unix.NDA_DST, netip.MustParseAddr(addr).AsSlice())
	if mac != nil {
		attr(unix.NDA_LLADDR, mac)
	}
	head := make([]byte, unix.SizeofNlMsghdr)
	binary.NativeEndian.PutUint32(head, uint32(len(head)+len(body)))
	binary.NativeEndian.PutUint16(head[4:], unix.RTM_NEWNEIGH)
	return append(head, body...)
}

func TestParseNeighbours(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 9}
	var rib []byte
	for _, m := range [][]byte{
		neighbourMessage(2, unix.NUD_STALE, "fe80::9", mac),
		neighbourMessage(2, unix.NUD_REACHABLE, "2001:db8::9", mac),
		neighbourMessage(2, unix.NUD_FAILED, "fe80::8", nil),
		neighbourMessage(2, unix.NUD_INCOMPLETE, "fe80::7", mac),
		neighbourMessage(2, unix.NUD_NOARP, "ff02::1", []byte{0x33, 0x33, 0, 0, 0, 1}),
	} {
		rib = append(rib, m...)
	}
	table, err := parseNeighbours(rib, map[int]string{2: "e0"})
	if err != nil || len(table) != 2 {
		t.Fatalf("%+v, %v", table, err)
	}
	if n := table[0]; n.Addr.String() != "fe80::9%e0" || n.MAC.String() != "02:00:00:00:00:09" || !n.Complete {
		t.Errorf("%+v", n)
	}
	if table[1].Addr.String() != "2001:db8::9" {
		t.Errorf("%+v", table[1])
	}
	for cut := range rib {
		parseNeighbours(rib[:cut], nil) // whatever is cut off, it neither fails nor hangs
	}
	if _, err := Neighbours6(); err != nil {
		t.Error(err)
	}
}
