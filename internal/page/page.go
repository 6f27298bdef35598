// Package page serves the API and the web page over TCP, to browsers and programs of this machine; and, on a listener
// of their own and over TLS, a page of one room to guests.
//
// Its invariant: without the token nobody learns more than the page's own files, and no other site learns even those:
// what a browser sends for another site, or under a name that another site could point here, is refused. The token is
// worth nothing to the listener of guests, and what guests have is worth nothing to the page.
package page

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"bcast/internal/control"
	"bcast/internal/fair"
)

// maxConnections bounds what others of this machine can have open here. A page has two, a browser at most six.
const maxConnections = 64

// Listen opens addr, which must be this machine's alone: the token would cross any network in the clear.
func Listen(addr string) (net.Listener, error) {
	if err := CheckAddr(addr); err != nil {
		return nil, err
	}
	ln, err := control.ListenTCP(addr, "serve the page on",
		"choose another port: --http 127.0.0.1:PORT; 0 is any free one")
	if err != nil {
		return nil, err
	}
	return fair.Limit(ln, maxConnections, maxConnections), nil
}

// CheckForm refuses what is no address and port.
func CheckForm(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address and a port, such as 127.0.0.1:8080", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Errorf("%q has no port: write it as 127.0.0.1:8080", addr)
	}
	return nil
}

// CheckAddr refuses what is no address of this machine for itself.
func CheckAddr(addr string) error {
	if err := CheckForm(addr); err != nil {
		return err
	}
	if host, port, _ := net.SplitHostPort(addr); !local(host) {
		return fmt.Errorf("%q can be reached by others, who would see the token and every post on their way; "+
			"use 127.0.0.1:%s, and from elsewhere ssh -L %[2]s:127.0.0.1:%[2]s; or --guests for people with a link", addr, port)
	}
	return nil
}

// local tells whether a host is this machine, whoever resolves names.
func local(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.IsLoopback()
}

// Serve answers on ln until ctx ends, as control.Serve does, those who have the token. It closes ln.
func Serve(ctx context.Context, ln net.Listener, api control.API, token string, log *slog.Logger) error {
	return control.ServeBehind(ctx, ln, api, log, func(open http.Handler) http.Handler { return newGuard(token, open) })
}
