package stream

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"bcast/identity"
)

// What both sides have to agree on in the handshake (ALPN, RFC 7301): it says what the connection is for.
const (
	protocol      = "bcast/1"       // the conversation of streams
	filesProtocol = "bcast-files/1" // HTTP, of which this package knows nothing
)

// exporterLabel names the secret by which the caller binds what it says to one connection (RFC 8446, 7.5).
const exporterLabel = "EXPORTER-bcast/1"

// Validity of a certificate. It is the device's for as long as the device has its key, whatever clocks show: RFC 5280
// gives the end for "none".
var (
	validFrom  = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	validUntil = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// signer lets crypto/tls sign with a device key without having it.
type signer struct{ key *identity.Key }

func (s signer) Public() crypto.PublicKey {
	public := s.key.Public()
	return ed25519.PublicKey(public[:])
}

func (s signer) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != 0 {
		return nil, errors.New("a device key signs messages, not hashes")
	}
	return s.key.Sign(message), nil
}

// certify makes the certificate of a key: no name, no date, nothing but the key, and so always the same.
func certify(key *identity.Key) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    validFrom,
		NotAfter:     validUntil,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	own := signer{key}
	der, err := x509.CreateCertificate(rand.Reader, template, template, own.Public(), own)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own, Leaf: leaf}, nil
}

// configure says how we speak TLS, as acceptor and, with dialling, as dialler.
//
// InsecureSkipVerify turns off the check of names, dates and authorities, of which there are none. What takes its place
// is the key: VerifyConnection runs in every handshake, and that the peer holds the key is proven by its signature of
// the handshake, which is never skipped. Without tickets there is no resumption, so every stream has such a proof.
func configure(certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{certificate},
		NextProtos:             []string{protocol, filesProtocol},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		InsecureSkipVerify:     true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := peerKey(state)
			return err
		},
	}
}

// dialling is config for dialling one device, to speak so with it.
func dialling(peer identity.PublicKey, speak string, config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{speak}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		key, err := peerKey(state)
		if err == nil && key != peer {
			err = ErrWrongKey
		}
		return err
	}
	return config
}

// peerKey is the device key that the peer's certificate carries.
func peerKey(state tls.ConnectionState) (identity.PublicKey, error) {
	if p := state.NegotiatedProtocol; p != protocol && p != filesProtocol { // crypto/tls lets pass who offers none at all
		return identity.PublicKey{}, fmt.Errorf("the peer does not speak %s", protocol)
	}
	if n := len(state.PeerCertificates); n != 1 {
		return identity.PublicKey{}, fmt.Errorf("%d certificates, want 1", n)
	}
	public, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return identity.PublicKey{}, errors.New("the peer's key is not an Ed25519 key")
	}
	key := identity.PublicKey(public)
	if isSmall(key) {
		return identity.PublicKey{}, errors.New("the peer's key is one under which anybody can sign")
	}
	return key, nil
}

// small are the y of the points of order 1, 2, 4 and 8 as bytes can give them, without the sign bit of x: with such a
// point for a key, signatures can be made without any secret.
var small = [...]identity.PublicKey{
	{},  // order 4
	{1}, // order 1
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}, // order 8
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, // order 8
	nearPrime(0xec), // p-1: order 2
	nearPrime(0xed), // p: 0 again
	nearPrime(0xee), // p+1: 1 again
}

// nearPrime is a number close to p = 2^255 - 19, whose own last byte is 0xed, in little-endian order.
func nearPrime(last byte) identity.PublicKey {
	var k identity.PublicKey
	for i := range k {
		k[i] = 0xff
	}
	k[0], k[31] = last, 0x7f
	return k
}

// isSmall tells whether key is a point of small order.
func isSmall(key identity.PublicKey) bool {
	key[31] &= 0x7f
	for _, y := range small {
		if key == y {
			return true
		}
	}
	return false
}
