package identity

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestAgreement(t *testing.T) {
	key := testKey(t)
	var _ ecdh.KeyExchanger = key.Agreement()
	const want = "fa8fe3a88447bc05a6404c71b12d48c35b9684c8561fb935576ca588e48cb817" // (1+y)/(1-y) of the public key
	if got := hex.EncodeToString(key.Agreement().PublicKey().Bytes()); got != want {
		t.Errorf("X25519 key %s, want %s", got, want)
	}
	other, err := KeyFromSeed(bytes.Repeat([]byte{0x0b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := key.Agreement().ECDH(other.Agreement().PublicKey())
	b, errB := other.Agreement().ECDH(key.Agreement().PublicKey())
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("they do not agree: %v, %v", errA, errB)
	}
	small, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Agreement().ECDH(small); err == nil {
		t.Error("agrees with a key of small order")
	}
}

func TestAgreementIsNeverPrinted(t *testing.T) {
	a := testKey(t).Agreement()
	var log bytes.Buffer
	for _, v := range []any{a, &a, []Agreement{a}, struct{ A Agreement }{a}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&log, verb, v)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "key", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "key", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		log.Write(b)
	}
	scalar := a.private.Bytes()
	text := strings.ToLower(log.String())
	for _, leak := range []string{hex.EncodeToString(scalar[:4]), strings.Trim(fmt.Sprint(scalar[:4]), "[]"),
		fmt.Sprintf("%#x, %#x", scalar[0], scalar[1])} {
		if strings.Contains(text, leak) {
			t.Errorf("the key shows as %q", leak)
		}
	}
	if strings.Count(text, "[redacted]") < 4*9 {
		t.Errorf("something else was printed: %s", text)
	}
}
