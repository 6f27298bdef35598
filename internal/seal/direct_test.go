package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"bcast/identity"
)

func deviceKey(tb testing.TB, seed byte) *identity.Key {
	tb.Helper()
	k, err := identity.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestDirectSecret(t *testing.T) {
	a, b, c := deviceKey(t, 10), deviceKey(t, 11), deviceKey(t, 12)
	ab, errA := DirectSecret(a, b.Public())
	ba, errB := DirectSecret(b, a.Public())
	if errA != nil || errB != nil || ab != ba {
		t.Fatalf("they do not agree: %v, %v", errA, errB)
	}
	const want = "2d0339d8afbfb7443cace3cf4b914c34061a66778d673a33dea86383a31bf991" // computed apart from this code
	if got := hex.EncodeToString(ab[:]); got != want {
		t.Errorf("secret %s, want %s", got, want)
	}
	if ac, err := DirectSecret(a, c.Public()); err != nil || ac == ab {
		t.Errorf("one secret for two peers: %v", err)
	}
	if _, err := DirectSecret(a, a.Public()); err == nil {
		t.Error("a direct room with oneself")
	}
}

// The points of small order on edwards25519, other encodings of points, and what is no point.
var badKeys = map[string]string{
	"identity":               "0100000000000000000000000000000000000000000000000000000000000000",
	"order 2":                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 4":                "0000000000000000000000000000000000000000000000000000000000000000",
	"order 4, other":         "0000000000000000000000000000000000000000000000000000000000000080",
	"order 8":                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"order 8, other":         "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"identity, negative":     "0100000000000000000000000000000000000000000000000000000000000080",
	"identity, not reduced":  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"beyond, not reduced":    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"no point of the curve":  "0200000000000000000000000000000000000000000000000000000000000000",
	"all bits set, no point": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func badKey(t *testing.T, text string) identity.PublicKey {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return identity.PublicKey(b)
}

func TestADV_24_Keys_that_agree_with_everybody(t *testing.T) {
	for name, text := range badKeys {
		if _, err := DirectSecret(deviceKey(t, 10), badKey(t, text)); !errors.Is(err, errAgreement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
