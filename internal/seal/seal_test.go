package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"bcast/identity"
)

func openRoom(tb testing.TB, name identity.RoomName, epoch uint32) *Room {
	tb.Helper()
	r, err := Open(PublicSecret(name), epoch, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

var testPrefix = [PrefixSize]byte{'b', 'c', 1, 50}

func sealed(tb testing.TB, r *Room, inner []byte, size int) []byte {
	tb.Helper()
	outer, err := r.Outer(testPrefix, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		tb.Fatal(err)
	}
	return r.Seal(outer, inner, size)
}

func TestSealRoundTrip(t *testing.T) {
	r := openRoom(t, "lobby", 0)
	for _, n := range []int{0, 1, 100, 512 - Overhead, 512 - Overhead + 1, 1400 - Overhead, 16000, 65507 - Overhead} {
		for _, size := range []int{0, 256, 512, 1400} {
			inner := bytes.Repeat([]byte{0xab}, n)
			d := sealed(t, r, inner, size)
			if want := max(size, n+Overhead); len(d) != want {
				t.Errorf("%d bytes padded to %d make %d", n, size, len(d))
			}
			got, err := r.Unseal(d)
			if !r.Owns(d) || err != nil || !bytes.Equal(got, inner) {
				t.Errorf("%d bytes padded to %d do not come back: %v", n, size, err)
			}
		}
	}
}

// Traffic analysis: within a class all datagrams have one size.
func TestADV_traffic_Padding_hides_sizes(t *testing.T) {
	r := openRoom(t, "lobby", 0)
	for n := range 256 - Overhead + 1 {
		if d := sealed(t, r, make([]byte, n), 256); len(d) != 256 {
			t.Fatalf("%d bytes make %d", n, len(d))
		}
	}
}

func TestOtherKeysDoNotOwn(t *testing.T) {
	d := sealed(t, openRoom(t, "lobby", 0), []byte("hi"), 256)
	for _, other := range []*Room{openRoom(t, "kitchen", 0), openRoom(t, "lobby", 1)} {
		if other.Owns(d) {
			t.Error("the tag fits other keys")
		}
		if _, err := other.Unseal(d); err == nil {
			t.Error("other keys open it")
		}
	}
	lobby := openRoom(t, "lobby", 0).ID
	if lobby != openRoom(t, "lobby", 9).ID || lobby == openRoom(t, "kitchen", 0).ID {
		t.Error("a room keeps its id over key epochs, and no two share one")
	}
}

// Partitioning oracles (Len, Grubbs, Ristenpart 2021): no datagram opens under two keys.
//
// The tag commits: who replaces it by the tag of a room of their own makes that room own the datagram and nobody open
// it.
func TestADV_oracle_The_tag_commits_to_one_key(t *testing.T) {
	lobby, mine := openRoom(t, "lobby", 0), openRoom(t, "mine", 0)
	d := sealed(t, lobby, []byte("hi"), 256)
	tag := mine.tagMAC.Sum(d[:PrefixSize+NonceSize])
	copy(d[PrefixSize+NonceSize:OuterSize], tag[:])
	if !mine.Owns(d) || lobby.Owns(d) {
		t.Fatal("the tag was not replaced")
	}
	for _, r := range []*Room{lobby, mine} {
		if _, err := r.Unseal(d); err == nil {
			t.Error("a datagram with another room's tag opens")
		}
	}
}

// CVE-2016-2141 (JGroups): no part of a sealed datagram can be changed, cut off or left out.
func TestADV_23_Every_bit_of_a_datagram_counts(t *testing.T) {
	r := openRoom(t, "lobby", 0)
	d := sealed(t, r, []byte("hello"), 128)
	if got, err := r.Unseal(d); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	for i := range len(d) * 8 {
		bad := bytes.Clone(d)
		bad[i/8] ^= 1 << (i % 8)
		if front := i/8 < OuterSize; r.Owns(bad) == front {
			t.Errorf("bit %d: owned %v", i, !front)
		}
		before := bytes.Clone(bad)
		if got, err := r.Unseal(bad); err == nil || got != nil {
			t.Errorf("bit %d: opens as %q", i, got)
		}
		if !bytes.Equal(bad, before) {
			t.Errorf("bit %d: what does not open was changed", i)
		}
	}
	for n := range d {
		if r.Owns(d[:n]) != (n >= OuterSize) {
			t.Errorf("%d bytes: owned", n)
		}
		if _, err := r.Unseal(d[:n]); err == nil {
			t.Errorf("%d bytes open", n)
		}
	}
	if _, err := r.Unseal(append(bytes.Clone(d), 0)); err == nil {
		t.Error("a byte more opens")
	}
}

func TestLengthBeyondTheInside(t *testing.T) {
	r := openRoom(t, "lobby", 0)
	outer, err := r.Outer(testPrefix, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte{0, 4, 'a', 'b', 'c'}
	d := r.aead.Seal(bytes.Clone(outer), outer[PrefixSize:][:NonceSize], plain, outer)
	if got, err := r.Unseal(d); err == nil {
		t.Errorf("opens as %q", got)
	}
	d = r.aead.Seal(bytes.Clone(outer), outer[PrefixSize:][:NonceSize], plain[:1], outer)
	if _, err := r.Unseal(d); err == nil {
		t.Error("half a length opens")
	}
}

// CVE-2024-52616 (Avahi): no nonce is predictable, and none is made without randomness.
func TestADV_15_Nonces_come_from_the_generator(t *testing.T) {
	r := openRoom(t, "lobby", 0)
	random := rand.NewChaCha8([32]byte{1})
	a, errA := r.Outer(testPrefix, random)
	b, errB := r.Outer(testPrefix, random)
	if errA != nil || errB != nil || bytes.Equal(a, b) {
		t.Errorf("two datagrams with one nonce: %v, %v", errA, errB)
	}
	if _, err := r.Outer(testPrefix, iotest.ErrReader(errors.New("dry"))); err == nil {
		t.Error("a nonce without randomness")
	}
}

func TestFingerprintIsKeyed(t *testing.T) {
	a, b := openRoom(t, "lobby", 0), openRoom(t, "kitchen", 0)
	if a.Fingerprint([]byte("x")) == b.Fingerprint([]byte("x")) ||
		a.Fingerprint([]byte("x")) == a.Fingerprint([]byte("y")) ||
		a.Fingerprint(nil) != a.Fingerprint([]byte{}) {
		t.Error("fingerprints")
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	secret := Secret(bytes.Repeat([]byte{0x0a}, 32))
	room, err := Open(secret, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	room.tagMAC, room.rangeKey = NewMAC(secret[:]), secret[:]
	type holder struct {
		Secret Secret
		Room   *Room
	}
	var log bytes.Buffer
	for _, v := range []any{secret, &secret, room, *room, room.tagMAC, holder{secret, room}, []Secret{secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&log, verb, v)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "secret", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "secret", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		log.Write(b)
	}
	text := strings.ToLower(log.String())
	for _, leak := range []string{"0a0a", "0xa, 0xa", "10 10 10", "10,10,10", `\n\n\n`, "cgokcgok"} {
		if strings.Contains(text, leak) {
			t.Errorf("the secret shows as %q", leak)
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Error("nothing was printed at all")
	}
}
