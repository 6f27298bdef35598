// Package certificate makes the certificates with which a device speaks TLS to other programs, and has a listener speak
// it: IRC clients and browsers, which know no device keys.
//
// Its invariant: a certificate it makes vouches for itself alone. Who connects knows whom he speaks to by comparing the
// fingerprint, or does not know it.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// years is how long a certificate is good for: it is pinned, and who wants another one removes the file.
const years = 10

// Make makes a certificate of that name that vouches for itself, with its key, as PEM. The key is of P-256, because
// browsers take no Ed25519.
func Make(random io.Reader, now time.Time, name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name, "localhost"},
		NotBefore:    now.AddDate(0, 0, -1),
		NotAfter:     now.AddDate(years, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}

// Check refuses what is not the PEM of a certificate and its key.
func Check(text []byte) error {
	_, err := parse(text)
	return err
}

func parse(text []byte) (tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return certificate, fmt.Errorf("certificate: %w", err)
	}
	return certificate, nil
}

// Listen has a listener speak TLS with the certificate and key of that PEM. Handshakes are made by who reads first, so
// that a client that makes none holds up no other. Nothing but HTTP/1.1 is offered to those who ask.
func Listen(ln net.Listener, text []byte) (net.Listener, error) {
	certificate, err := parse(text)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true,
	}), nil
}

// Fingerprint is what people and clients compare: the SHA-256 of the certificate, in hexadecimal digits.
func Fingerprint(text []byte) string {
	if block := first(text); block != nil {
		sum := sha256.Sum256(block.Bytes)
		return hex.EncodeToString(sum[:])
	}
	return ""
}

// Pin is what curl compares: the SHA-256 of the public key, as its --pinnedpubkey takes it.
func Pin(text []byte) string {
	block := first(text)
	if block == nil {
		return ""
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:])
}

// first is the first certificate of a PEM.
func first(text []byte) *pem.Block {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return block
		}
	}
	return nil
}
