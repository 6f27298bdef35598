package irc

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"bcast/internal/certificate"
	"bcast/internal/control"
)

// minPassword is the shortest password in bytes that anything beyond this machine may be opened with.
const minPassword = 8

// CheckAddr refuses what is no address to listen on, and tells whether only this machine can reach it.
func CheckAddr(addr string) (local bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("%q is not an address with a port, such as 127.0.0.1:6667", addr)
	}
	ip := net.ParseIP(host)
	if host != "" && host != "localhost" && ip == nil {
		return false, fmt.Errorf("%q: %s is neither an IP address nor localhost", addr, host)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false, fmt.Errorf("%q: %s is not a port", addr, port)
	}
	return host == "localhost" || ip.IsLoopback(), nil
}

// Listen opens an address. What others can reach takes a password: whoever connects speaks as this device.
func Listen(addr, password string) (net.Listener, error) {
	local, err := CheckAddr(addr)
	unfit := func(r rune) bool { return r < ' ' }
	switch {
	case err != nil:
		return nil, control.NewError(control.CodeUsage, err, "irc: "+err.Error(), "")
	case password != "" && (len(password) < minPassword || strings.ContainsFunc(password, unfit)):
		return nil, control.NewError(control.CodeUsage, nil,
			fmt.Sprintf("irc: the password has to be one line of at least %d bytes", minPassword), "")
	case !local && password == "":
		return nil, control.NewError(control.CodeUsage, nil,
			fmt.Sprintf("irc: others can reach %s, and whoever connects speaks as this device: it takes a password", addr),
			"--irc-password-file FILE; or --irc 127.0.0.1:6667 for this machine alone")
	}
	return control.ListenTCP(addr, "serve IRC on", "choose another address with --irc")
}

// secure has a listener speak TLS if there is a certificate. What others can reach is served with one and a password,
// or not at all.
func secure(ln net.Listener, cfg Config) (net.Listener, error) {
	tcp, ok := ln.Addr().(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && (cfg.Password == "" || cfg.Certificate == nil) {
		ln.Close()
		return nil, control.NewError(control.CodeUsage, nil,
			fmt.Sprintf("irc: others can reach %s: it takes a password and TLS", tcp), "--irc-password-file FILE")
	}
	if cfg.Certificate == nil {
		return ln, nil
	}
	speaking, err := certificate.Listen(ln, cfg.Certificate)
	if err != nil {
		ln.Close()
		return nil, control.NewError(control.CodeUsage, err, "irc: "+err.Error(), certificateHint)
	}
	return speaking, nil
}

// certificateHint says what to do about a certificate that is none.
const certificateHint = "--irc-cert and --irc-key name PEM files; without them irc.pem in the home is used"

// CheckCertificate refuses what is not the PEM of a certificate and its key.
func CheckCertificate(text []byte) error {
	if err := certificate.Check(text); err != nil {
		return control.NewError(control.CodeUsage, err, "irc: "+err.Error(), certificateHint)
	}
	return nil
}

// MakeCertificate makes the certificate of a gateway, see certificate.Make.
func MakeCertificate(random io.Reader, now time.Time) ([]byte, error) {
	return certificate.Make(random, now, serverName)
}
