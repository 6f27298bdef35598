package record

import (
	"bytes"
	"strings"
	"testing"
)

// The example of PROTOCOL.md, section 6.
func TestOffer(t *testing.T) {
	o := Offer{Hash: [32]byte(bytes.Repeat([]byte{0xab}, 32)), Size: 2_100_000, Flags: 0x81, Name: "photo.jpg"}
	want := unhex(t, strings.Repeat("ab", 32)+"0000000000200b20 81 70686f746f2e6a7067")
	if b := AppendOffer(nil, o); !bytes.Equal(b, want) {
		t.Errorf("%x", b)
	}
	if got, err := ParseOffer(want); err != nil || got != o {
		t.Errorf("%+v, %v", got, err)
	}
	long := func(n int) []byte { return AppendOffer(nil, Offer{Name: strings.Repeat("x", n)}) }
	if _, err := ParseOffer(long(255)); err != nil {
		t.Errorf("a name of 255 bytes: %v", err)
	}
	for what, b := range map[string][]byte{
		"nothing": nil, "no name": want[:41], "no flags": want[:40], "a name of 256 bytes": long(256),
		"too large":    AppendOffer(nil, Offer{Size: MaxOfferSize + 1, Name: "x"}),
		"a size below": AppendOffer(nil, Offer{Size: -1, Name: "x"}), "no text": AppendOffer(nil, Offer{Name: "\xff"}),
	} {
		if got, err := ParseOffer(b); err == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
}
