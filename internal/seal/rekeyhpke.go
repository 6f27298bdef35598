package seal

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// The suite of RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
const (
	kemSuite  = "KEM\x00\x20"
	hpkeSuite = "HPKE\x00\x20\x00\x01\x00\x03"
	encSize   = 32
)

// sealHPKE seals plain to a public key: base mode, one message, no associated data. It returns enc and ciphertext as
// crypto/hpke's Seal does. That one draws its ephemeral key from the system; here randomness is an argument, or two
// runs of the simulator with one seed would differ. The other end is crypto/hpke.
func sealHPKE(random io.Reader, to *ecdh.PublicKey, info, plain []byte) ([]byte, error) {
	var scalar [32]byte
	if _, err := io.ReadFull(random, scalar[:]); err != nil {
		return nil, fmt.Errorf("draw an ephemeral key: %w", err)
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		return nil, fmt.Errorf("ephemeral key: %w", err)
	}
	shared, err := ephemeral.ECDH(to)
	if err != nil {
		return nil, fmt.Errorf("agree on a key: %w", err)
	}
	enc := ephemeral.PublicKey().Bytes()
	key, nonce := hpkeKeys(shared, enc, to.Bytes(), info)
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, fmt.Errorf("message key: %w", err)
	}
	return aead.Seal(enc, nonce, plain, nil), nil
}

// hpkeKeys is Encap's key derivation and the key schedule for a first message: RFC 9180, 4.1 and 5.1 in mode 0.
func hpkeKeys(shared, enc, to, info []byte) (key, nonce []byte) {
	secret := hpkeExpand(kemSuite, hpkeExtract(kemSuite, nil, "eae_prk", shared), "shared_secret",
		string(enc)+string(to), 32)
	context := "\x00" + string(hpkeExtract(hpkeSuite, nil, "psk_id_hash", nil)) +
		string(hpkeExtract(hpkeSuite, nil, "info_hash", info))
	master := hpkeExtract(hpkeSuite, secret, "secret", nil)
	return hpkeExpand(hpkeSuite, master, "key", context, chacha20poly1305.KeySize),
		hpkeExpand(hpkeSuite, master, "base_nonce", context, chacha20poly1305.NonceSize)
}

// hpkeExtract is LabeledExtract of RFC 9180, 4.
func hpkeExtract(suite string, salt []byte, label string, ikm []byte) []byte {
	prk, err := hkdf.Extract(sha256.New, []byte("HPKE-v1"+suite+label+string(ikm)), salt)
	if err != nil {
		panic(fmt.Sprintf("extract %s: %v", label, err)) // only a hash that is not allowed can do that
	}
	return prk
}

// hpkeExpand is LabeledExpand of RFC 9180, 4.
func hpkeExpand(suite string, prk []byte, label, info string, size uint16) []byte {
	labelled := string(binary.BigEndian.AppendUint16(nil, size)) + "HPKE-v1" + suite + label + info
	key, err := hkdf.Expand(sha256.New, prk, labelled, int(size))
	if err != nil {
		panic(fmt.Sprintf("expand %s: %v", label, err)) // only a size beyond HKDF's can do that
	}
	return key
}
