package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/identity"
)

func testKey(tb testing.TB, b byte) *identity.Key {
	tb.Helper()
	key, err := identity.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// firstRun says what matters not who says it.
var firstRun = identity.Instance{Boot: 1, Nonce: 1}

func helloOf(claims Claims) Presence {
	return Presence{Type: TypeHello, Instance: firstRun, Counter: 1, Claims: claims}
}

func verify(key identity.PublicKey, message, sig []byte) bool { return key.Verify(message, sig) }

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func fullClaims() Claims {
	return Claims{
		Nick: identity.Nick(strings.Repeat("é", 16)), Challenge: Challenge{1}, Echo: Challenge{2},
		Addrs: []netip.Addr{netip.MustParseAddr("fe80::1"), netip.MustParseAddr("10.0.0.1"),
			netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::3")},
		UnicastPort: 65535, StreamPort: 65535, Wifi: true, RecvBuffer: 65535, Watch: true, MaxVersion: 255,
		NextBeat: (1<<32 - 1) * time.Millisecond,
	}
}

func TestPresenceRoundTrip(t *testing.T) {
	key := testKey(t, 1)
	for _, typ := range []Type{TypeHello, TypeAnswer, TypeAck, TypeBeat, TypeProbe, TypeBye, TypeEcho} {
		for name, claims := range map[string]Claims{
			"least": {Nick: "a", Addrs: nil}, "full": fullClaims(),
			"rooms": {Nick: "bob", Rooms: []identity.RoomName{"lobby", "küche"}, MoreRooms: true},
			"services": {Nick: "bob", Services: []Service{{Name: "Käse", Type: "_http._tcp", Port: 80, Text: []string{"a=b", ""}},
				{Name: "b", Type: "_bcast._udp", Port: 65535}}, MoreServices: true},
		} {
			p := Presence{Type: typ, Key: key.Public(), Instance: identity.Instance{Boot: 1, Nonce: 2}, Counter: 3,
				To: identity.Instance{Boot: 4, Nonce: 5}, Claims: claims}
			b := SealPresence(p, key)
			got, err := ParsePresence(b)
			if err != nil || len(b) != PresenceSize || !got.Verify(verify) {
				t.Fatalf("%v %s: %v", typ, name, err)
			}
			if again := SealPresence(*got, key); !bytes.Equal(again, b) {
				t.Errorf("%v %s: another datagram the second time", typ, name)
			}
			got.message, got.sig = nil, nil
			if !reflect.DeepEqual(*got, p) {
				t.Errorf("%v %s comes back as\n%+v, not\n%+v", typ, name, *got, p)
			}
		}
	}
}

// An echo is as long as it says, whatever stands behind its signature, and fits with all that can be in it.
func TestEchoRoundTrip(t *testing.T) {
	key := testKey(t, 1)
	for _, size := range []int{PresenceSize, 1400, MaxProbe} {
		claims := fullClaims()
		claims.Probe = Probe{Way: WayLimited, Size: size, Clock: 1<<64 - 1, Left: 65535, Heard: make([]HeardStart, maxHeard)}
		claims.Probe.Heard[7] = HeardStart{1, 2, 3, 4, 5}
		b := SealPresence(Presence{Type: TypeEcho, Instance: firstRun, Counter: 1, Claims: claims}, key)
		got, err := ParsePresence(b)
		if err != nil || len(b) != size || !got.Verify(verify) || !reflect.DeepEqual(got.Probe, claims.Probe) {
			t.Fatalf("%d bytes for %d, %v", len(b), size, err)
		}
		for _, wrong := range [][]byte{append(bytes.Clone(b), 0), b[:len(b)-1]} {
			if _, err := ParsePresence(wrong); err == nil {
				t.Errorf("%d bytes pass for %d", len(wrong), size)
			}
		}
	}
}

func TestRoomsThatDoNotFit(t *testing.T) {
	key := testKey(t, 1)
	for _, c := range []struct{ count, size int }{{1, 64}, {5, 64}, {64, 1}, {65, 1}, {300, 1}, {40, 8}} {
		claims := fullClaims()
		claims.Nick = "n"
		for i := range c.count {
			name := fmt.Sprintf("%0*d", c.size, i)
			claims.Rooms = append(claims.Rooms, identity.RoomName(name[len(name)-c.size:]))
		}
		p, err := ParsePresence(SealPresence(helloOf(claims), key))
		if err != nil {
			t.Errorf("%d rooms of %d bytes: %v", c.count, c.size, err)
			continue
		}
		if !slices.Equal(p.Rooms, claims.Rooms[:len(p.Rooms)]) || p.MoreRooms != (len(p.Rooms) < c.count) {
			t.Errorf("%d rooms of %d bytes: %d came, more %v", c.count, c.size, len(p.Rooms), p.MoreRooms)
		}
		if len(p.Rooms) == 0 || c.count == 1 && p.MoreRooms {
			t.Errorf("%d rooms of %d bytes: %d came", c.count, c.size, len(p.Rooms))
		}
	}
}

// Services have a share of the claims; texts go first, then services.
func TestServicesThatDoNotFit(t *testing.T) {
	key := testKey(t, 1)
	service := func(name, text int) Service {
		return Service{Name: strings.Repeat("n", name), Type: "_http._tcp", Port: 80, Text: []string{strings.Repeat("t", text)}}
	}
	for _, c := range []struct {
		services            []Service
		came, texts, atMost int
	}{
		{[]Service{service(1, 1)}, 1, 1, 1}, {slices.Repeat([]Service{service(1, 0)}, 9), 7, 7, MaxServices},
		{[]Service{service(63, 255)}, 1, 0, 1}, {[]Service{service(63, 20), service(63, 1)}, 1, 1, 1},
		{slices.Repeat([]Service{{Name: "n", Type: "_a._tcp", Port: 1}}, 9), 8, 0, MaxServices},
	} {
		claims := fullClaims()
		claims.Services, claims.Rooms = c.services, []identity.RoomName{"lobby"}
		p, err := ParsePresence(SealPresence(helloOf(claims), key))
		if err != nil {
			t.Errorf("%d services: %v", len(c.services), err)
			continue
		}
		texts := 0
		for _, s := range p.Services {
			texts += len(s.Text)
		}
		if len(p.Services) != c.came || texts != c.texts || len(p.Rooms) != 1 || p.MoreServices != (c.came < len(c.services)) {
			t.Errorf("of %d services %d came with %d texts, more %v", len(c.services), len(p.Services), texts, p.MoreServices)
		}
	}
}

func TestADV_23_Every_byte_of_presence_is_signed(t *testing.T) {
	b := SealPresence(helloOf(Claims{Nick: "alice"}), testKey(t, 1))
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if p, err := ParsePresence(bad); err == nil && p.Verify(verify) {
			t.Errorf("byte %d does not count", i)
		}
	}
	for _, n := range []int{0, 1, PresenceSize - 1, PresenceSize + 1, 1400} {
		if _, err := ParsePresence(append(bytes.Clone(b), make([]byte, 1400)...)[:n]); err == nil {
			t.Errorf("%d bytes pass", n)
		}
	}
}

// withClaims is a signed presence datagram with these bytes for claims.
func withClaims(key *identity.Key, claims []byte) []byte {
	b := SealPresence(helloOf(Claims{Nick: "a"}), key)
	clear(b[presenceClaims:])
	be.PutUint16(b[68:], uint16(len(claims)))
	copy(b[presenceClaims:presenceSig], claims)
	copy(b[presenceSig:], key.Sign(presenceMessage(b)))
	return b
}

func TestClaimsRefused(t *testing.T) {
	key := testKey(t, 1)
	for name, claims := range map[string]string{
		"nothing": "", "no map": "80", "no nick": "a0", "empty nick": "a10060", "bad nick": "a1006120",
		"nick of bytes": "a1004161",
		"invalid UTF-8": "a10061ff", "key twice": "a2006161 006162", "unknown key twice": "a3006161 1863f5 1863f5",
		"indefinite map": "bf006161ff", "indefinite text": "a1007f6161ff", "tag": "a100c06161", "behind": "a100616100",
		"challenge of numbers": "a2006161 0190" + strings.Repeat("01", 16), "address of numbers": "a2006161 03818401020304",
		"challenge of text": "a2006161 0170" + strings.Repeat("61", 16), "float": "a2006161 04fa47000000",
		"challenge of 15": "a2006161 014f" + strings.Repeat("00", 15),
		"echo of 17":      "a2006161 0251" + strings.Repeat("00", 17),
		"address of 5":    "a2006161 0381450102030405",
		"five addresses":  "a2006161 0385" + strings.Repeat("4401020304", 5),
		"port of 17 bits": "a2006161 041a00010000", "negative port": "a2006161 0420", "port of text": "a2006161 046131",
		"version 256": "a2006161 09190100", "beat of 33 bits": "a2006161 0a1b0000000100000000",
		"bad room name": "a2006161 0b816120", "upper case room": "a2006161 0b816141", "room with #": "a2006161 0b81622361",
		"decomposed room": "a2006161 0b816365cc81", "decomposed nick": "a1006365cc81",
		"65 in a list": "a2006161 189f9841" + strings.Repeat("00", 65),
		"deep":         "a2006161 1863" + strings.Repeat("81", 9) + "01",
	} {
		if p, err := ParsePresence(withClaims(key, unhex(t, claims))); err == nil {
			t.Errorf("%s passes as %+v", name, p.Claims)
		}
	}
}

// As a destination the zero instance is everyone; counters begin at 1, so that 0 can be none.
func TestPresenceOfNobody(t *testing.T) {
	key := testKey(t, 1)
	for name, p := range map[string]Presence{
		"no instance": {Type: TypeHello, Counter: 1, Claims: Claims{Nick: "a"}},
		"counter 0":   {Type: TypeHello, Instance: firstRun, Claims: Claims{Nick: "a"}},
	} {
		if _, err := ParsePresence(SealPresence(p, key)); err == nil {
			t.Errorf("%s passes", name)
		}
		sender := Sender{Key: key.Public(), Instance: p.Instance, Counter: p.Counter}
		if _, err := ParseSigned(TypeBusy, AppendSigned(nil, Busy{}, sender, key, [16]byte{}, nil)); err == nil {
			t.Errorf("%s passes in a frame", name)
		}
	}
}

func TestClaimsOfLaterVersions(t *testing.T) {
	key := testKey(t, 1)
	for name, claims := range map[string]string{
		"key 99": "a2006161 1863 a1616182f5f6", "text key": "a2006161 6130 6162", "negative key": "a2006161 20 f5",
		"mapped address": "a2006161 0381 50 00000000000000000000ffff0a000001",
		"long form":      "a2 1800 6161 04 1a0000ffff", "unsorted": "a2 04 01 00 6161",
	} {
		p, err := ParsePresence(withClaims(key, unhex(t, claims)))
		if err != nil || p.Nick != "a" || !p.Verify(verify) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "mapped address" && (len(p.Addrs) != 1 || !p.Addrs[0].Is4()) {
			t.Errorf("%s: %v is no IPv4 address", name, p.Addrs)
		}
	}
}
