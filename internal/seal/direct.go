package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"filippo.io/edwards25519"

	"bcast/identity"
)

var errAgreement = errors.New("key agreement: the device's key is no point of the curve, or one of small order")

// agreementKey is the X25519 form of a device's public key: the Montgomery u of its Edwards point (RFC 7748, 4.1). A
// text that is no point, a second encoding of one, and a point of small order, with which everybody agrees on the same
// secret, are refused.
func agreementKey(p identity.PublicKey) (*ecdh.PublicKey, error) {
	point, err := new(edwards25519.Point).SetBytes(p[:])
	if err != nil || !bytes.Equal(point.Bytes(), p[:]) ||
		new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errAgreement
	}
	return ecdh.X25519().NewPublicKey(point.BytesMontgomery())
}

// DirectSecret is the secret of the room of two devices: direct messages. Both derive the same from their own key and
// the other's public key, without a word sent. The room's name is local to each of them.
//
// What it promises: nobody else reads it or makes a datagram of it, and each knows that only the other could. What it
// does not: there is no forward secrecy, so who gets one of the two keys reads all that was ever recorded from the air;
// and who gets a device's key can seal datagrams to it as if from any other. But records are signed here as in every
// room, so it can not put words into another's mouth.
func DirectSecret(own *identity.Key, peer identity.PublicKey) (Secret, error) {
	low, high := own.Public(), peer
	if low == high {
		return Secret{}, errors.New("direct room: the peer is this device")
	}
	if bytes.Compare(low[:], high[:]) > 0 {
		low, high = high, low
	}
	public, err := agreementKey(peer)
	if err != nil {
		return Secret{}, fmt.Errorf("direct room with %s: %w", peer.ID(), err)
	}
	shared, err := own.Agreement().ECDH(public)
	if err != nil {
		return Secret{}, fmt.Errorf("direct room with %s: %w", peer.ID(), err)
	}
	info := "bcast/1 direct\x00" + string(low[:]) + string(high[:])
	secret, err := hkdf.Key(sha256.New, shared, nil, info, len(Secret{}))
	if err != nil {
		return Secret{}, fmt.Errorf("direct room with %s: %w", peer.ID(), err)
	}
	return Secret(secret), nil
}
