package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
)

func testKey(tb testing.TB) *Key {
	tb.Helper()
	key, err := KeyFromSeed(bytes.Repeat([]byte{0x0a}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestKeyIsNeverPrinted(t *testing.T) {
	key := testKey(t)
	var log bytes.Buffer
	type holder struct{ Key *Key }
	for _, v := range []any{key, *key, holder{key}, &holder{key}, []*Key{key}, map[string]Key{"k": *key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&log, verb, v)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "key", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "key", v)
		if b, err := json.Marshal(v); err == nil {
			log.Write(b)
		}
	}
	if err := fmt.Errorf("use %v: %w", key, errors.New("no")); err != nil {
		log.WriteString(err.Error())
	}
	text := strings.ToLower(log.String())
	for _, secret := range []string{"0a0a", "0xa, 0xa", "10 10 10", `\n\n\n\n`, "cgokcgok"} {
		if strings.Contains(text, secret) {
			t.Errorf("the seed shows as %q", secret)
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Error("nothing was printed at all")
	}
}

func TestKeyFromSeed(t *testing.T) {
	key := testKey(t)
	again, err := KeyFromSeed(key.Seed())
	if err != nil || again.Public() != key.Public() || again.ID() != key.ID() {
		t.Errorf("seed and back: %v", err)
	}
	key.Seed()[0]++ // a copy
	if key.Seed()[0] != 0x0a {
		t.Error("Seed hands out the key itself")
	}
	for _, seed := range [][]byte{nil, make([]byte, 32), make([]byte, 31), bytes.Repeat([]byte{1}, 33)} {
		if _, err := KeyFromSeed(seed); err == nil {
			t.Errorf("a seed of %x passes", seed)
		}
	}
	if _, err := NewKey(iotest.ErrReader(errors.New("dry"))); err == nil {
		t.Error("a key without randomness")
	}
	if k, err := NewKey(bytes.NewReader(bytes.Repeat([]byte{0x0a}, 32))); err != nil || k.ID() != key.ID() {
		t.Errorf("NewKey: %v", err)
	}
}

func TestVerify(t *testing.T) {
	key := testKey(t)
	message := []byte("message")
	sig := key.Sign(message)
	public := key.Public()
	if !public.Verify(message, sig) {
		t.Fatal("own signature")
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if public.Verify(message, bad) {
			t.Errorf("byte %d of the signature does not count", i)
		}
	}
	for _, bad := range [][]byte{nil, sig[:63], append(bytes.Clone(sig), 0)} {
		if public.Verify(message, bad) {
			t.Errorf("a signature of %d bytes", len(bad))
		}
	}
	if public.Verify([]byte("massage"), sig) || (PublicKey{1}).Verify(message, sig) {
		t.Error("another message or key")
	}
}

// A signature whose second half has the group order added is the same equation, and has to be refused: it would be a
// second encoding of one record.
func TestSignatureIsNotMalleable(t *testing.T) {
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	key := testKey(t)
	sig := key.Sign(nil)
	carry := 0
	for i, b := range order {
		carry += int(sig[32+i]) + int(b)
		sig[32+i], carry = byte(carry), carry>>8
	}
	if carry != 0 {
		t.Fatal("the sum does not fit: choose another message")
	}
	public := key.Public()
	if public.Verify(nil, sig) {
		t.Error("S + L passes")
	}
}

func TestDeviceID(t *testing.T) {
	id := testKey(t).ID()
	text := id.String()
	if again, err := ParseDeviceID(text); err != nil || again != id {
		t.Errorf("%s and back: %v", text, err)
	}
	if len(text) != 26 || !strings.HasPrefix(text, id.LongTag()) || !strings.HasPrefix(id.LongTag(), id.Tag()) {
		t.Errorf("text %s, tags %s and %s", text, id.Tag(), id.LongTag())
	}
	spare := text[:25] + string(text[25]+1) // differs in bits that no id has
	for _, bad := range []string{"", text[:25], text + "a", strings.ToUpper(text), spare, text[:13] + "\n" + text[13:],
		text + "======", strings.Repeat("1", 26)} {
		if got, err := ParseDeviceID(bad); err == nil || got != (DeviceID{}) {
			t.Errorf("%q passes as %s", bad, got)
		}
	}
	if !(DeviceID{}).IsZero() || id.IsZero() || id.Compare(DeviceID{}) <= 0 || id.Compare(id) != 0 {
		t.Error("zero or order")
	}
}

func TestInstance(t *testing.T) {
	i := Instance{Boot: 0x01020304, Nonce: 0x05060708090a0b0c}
	b := AppendInstance([]byte{0xff}, i)
	if want := []byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; !bytes.Equal(b, want) {
		t.Errorf("% x", b)
	}
	if ParseInstance(b[1:]) != i || i.IsZero() || !(Instance{}).IsZero() || i.String() != "16909060-05060708090a0b0c" {
		t.Errorf("back: %v", ParseInstance(b[1:]))
	}
}
