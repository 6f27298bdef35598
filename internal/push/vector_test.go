package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"bcast/internal/seal"
)

// The example of PROTOCOL.md, section 16: what a stranger's implementation can be held against.
func TestExample(t *testing.T) {
	ring, err := seal.NewRing(seal.PublicSecret("lobby"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var post [seal.PostIDSize]byte
	for i := range 16 {
		post[i] = 0x50
	}
	keys := ring.Push(post)[0]
	stripe := make([]byte, paddedSize)
	for i := range 2000 {
		stripe[i] = byte(i % 251)
	}
	first := appendShard(nil, keys, 0, 0, shard(stripe, 0))
	parity := appendParity(nil, stripe, 2, 192)
	text, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, seals := range map[string]cipher.AEAD{"shards key": keys.Shards, "control key": keys.Control} {
		found := regexp.MustCompile(what + ` +([0-9a-f]{64})`).FindSubmatch(text)
		if found == nil {
			t.Fatalf("PROTOCOL.md does not tell the %s", what)
		}
		key, err := hex.DecodeString(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		told, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		var nonce [nonceSize]byte
		if !bytes.Equal(told.Seal(nil, nonce[:], nil, nil), seals.Seal(nil, nonce[:], nil, nil)) {
			t.Errorf("the %s is another than PROTOCOL.md tells", what)
		}
	}
	for what, want := range map[string][]byte{
		"push id": keys.ID[:], "shard, from its start": first[:40], "shard, its end": first[len(first)-16:],
		"parity": parity[:16],
	} {
		if !strings.Contains(string(text), hex.EncodeToString(want)) {
			t.Errorf("%s: PROTOCOL.md does not have %x", what, want)
		}
	}
}
