package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/home"
	"bcast/internal/irc"
)

// certificateFile holds, in the home, the certificate that was made for IRC, with its key.
const certificateFile = "irc.pem"

// gateway is where a daemon serves IRC clients; nil where it serves none.
type gateway struct {
	net.Listener
	password    string
	tls         bool
	certificate []byte // nil: the home's
}

// openGateway opens the address of --irc, if there is one, and writes into settings which it became.
func openGateway(settings []control.Setting) (*gateway, error) {
	addr := chosen(settings, "irc")
	if addr == "" {
		return nil, nil
	}
	g := &gateway{}
	if name := chosen(settings, "irc-password-file"); name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, control.NewError(control.CodeUsage, err, "--irc-password-file: "+err.Error(), "")
		}
		g.password = string(bytes.TrimRight(text, "\r\n"))
	}
	local, err := irc.CheckAddr(addr)
	if err != nil {
		return nil, usageError("--irc "+err.Error(), "")
	}
	if name := chosen(settings, "irc-cert"); name != "" {
		g.certificate, err = readPair(name, cmp.Or(chosen(settings, "irc-key"), name))
		if err == nil {
			err = irc.CheckCertificate(g.certificate)
		}
		if err != nil {
			return nil, err
		}
	}
	g.tls = !local || g.certificate != nil
	if g.Listener, err = irc.Listen(addr, g.password); err != nil {
		return nil, err
	}
	became(settings, "irc", g.Addr())
	return g, nil
}

func readPair(names ...string) ([]byte, error) {
	var all []byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, control.NewError(control.CodeUsage, err, "--irc-cert, --irc-key: "+err.Error(), "")
		}
		all = append(append(all, text...), '\n')
	}
	return all, nil
}

func (g *gateway) close() {
	if g != nil {
		g.Close() // at the latest; who served it has
	}
}

// certify sees to the certificate, which the home dir keeps unless another one was named, and tells what to pin.
func (g *gateway) certify(dir string, log *slog.Logger) error {
	if g == nil || !g.tls {
		return nil
	}
	if g.certificate == nil {
		var err error
		g.certificate, err = home.Keep(dir, certificateFile, func() ([]byte, error) {
			return irc.MakeCertificate(rand.Reader, time.Now())
		})
		if err == nil {
			err = irc.CheckCertificate(g.certificate)
		}
		if err != nil {
			path := filepath.Join(dir, certificateFile)
			return control.NewError(control.CodeHome, err, err.Error(), "remove "+path+" for a new one")
		}
	}
	log.Info("irc speaks TLS", "sha256", certificate.Fingerprint(g.certificate))
	return nil
}

func (g *gateway) serve(ctx context.Context, api control.API, log *slog.Logger) error {
	return irc.Serve(ctx, g, api, irc.Config{
		Password: g.password, Certificate: g.certificate, Version: readBuild().Version, Log: log,
	})
}
