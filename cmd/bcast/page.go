package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"strconv"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/home"
	"bcast/internal/page"
)

func (a *app) pageCommand() *cli.Command {
	return &cli.Command{
		Name:  "page",
		Usage: "print the address of the web page, with the token that opens it",
		Description: example("The daemon has to serve it. Whoever has the address reads and writes as this device. The\n"+
			"token is in http.token in the home; remove that and restart for another one.",
			"bcast daemon --http 127.0.0.1:8080", "bcast page"),
		Action: ask(a, takes(0, 0), a.page),
	}
}

// pageAddress is where the page is.
type pageAddress struct {
	URL       string              `json:"url"`
	Addr      string              `json:"addr"`
	TokenFile string              `json:"token_file"`
	Guests    *control.Guesthouse `json:"guests,omitempty"`
}

// page asks the daemon and not the environment: another program may have the port that a daemon was to have, and would
// be sent the token.
func (a *app) page(c *cli.Context, daemon *control.Client, _ []string) error {
	settings, err := daemon.Config(c.Context)
	if err != nil {
		return err
	}
	addr := chosen(settings, "http")
	if addr == "" {
		return control.NewError(control.CodeNotFound, nil, "the daemon serves no page", "bcast daemon --http 127.0.0.1:8080")
	}
	token, err := home.ReadToken(chosen(settings, "home"))
	if err != nil {
		return control.NewError(control.CodeHome, err, err.Error(), "")
	}
	// What follows # stays in the browser: it is in no request and no log.
	at := pageAddress{"http://" + addr + "/#token=" + token, addr, home.TokenPath(chosen(settings, "home")), nil}
	if chosen(settings, "guests") != "" {
		status, err := daemon.Status(c.Context)
		if err != nil {
			return err
		}
		at.Guests = status.Guests
	}
	p := a.printer(c)
	if p.json {
		return p.object(at)
	}
	if at.Guests != nil {
		a.note("guests come to https://%s by links of `bcast invite ROOM --guest`; SHA-256 of the certificate: %s",
			at.Guests.Addr, pairs(at.Guests.Fingerprint))
	}
	return p.line("%s", at.URL)
}

// webListener is where a daemon serves the page; nil where it serves none.
type webListener struct {
	net.Listener
	guests *guesthouse
	token  string
}

// listenHTTP opens the address of --http, if there is one, and writes into settings which it became. With --guests it
// is that of guests, who may be anybody on the network: the page of this device, which its token opens, is then on the
// next port, of this machine alone.
func listenHTTP(settings []control.Setting) (*webListener, error) {
	addr, guests := chosen(settings, "http"), wanted(chosen(settings, "guests"))
	switch {
	case addr == "" && guests:
		return nil, usageError("--guests: guests come to the address of --http, and there is none",
			"bcast daemon --http 0.0.0.0:8080 --guests")
	case addr == "":
		return nil, nil
	case !guests:
		if err := page.CheckAddr(addr); err != nil {
			return nil, usageError("--http "+err.Error(), "")
		}
		ln, err := page.Listen(addr)
		if err != nil {
			return nil, err
		}
		became(settings, "http", ln.Addr())
		return &webListener{Listener: ln}, nil
	}
	open, err := page.ListenGuests(addr)
	if err != nil {
		return nil, err
	}
	own, err := page.Listen(besides(addr, open))
	if err != nil {
		open.Close()
		return nil, err
	}
	became(settings, "http", own.Addr())
	became(settings, "guests", open.Addr())
	return &webListener{Listener: own, guests: &guesthouse{Listener: open}}, nil
}

// besides is the address of this device's own page when guests have that of --http: the next port, or any.
func besides(addr string, guests net.Listener) string {
	port := guests.Addr().(*net.TCPAddr).Port + 1
	if _, text, _ := net.SplitHostPort(addr); text == "0" || port > 65535 {
		port = 0
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func (w *webListener) close() {
	if w == nil {
		return
	}
	w.Close() // at the latest; who served it has
	if w.guests != nil {
		w.guests.Close()
	}
}

// house is where guests are taken in, if they are.
func (w *webListener) house() *guesthouse {
	if w == nil {
		return nil
	}
	return w.guests
}

// admit makes sure of the token that opens the page, before anybody is told that the daemon is ready.
func (w *webListener) admit(dir string) (err error) {
	if w == nil {
		return nil
	}
	if w.token, err = home.MakeToken(dir, rand.Reader); err != nil {
		return control.NewError(control.CodeHome, err, err.Error(), "remove "+home.TokenPath(dir)+" for a new one")
	}
	return nil
}

func (w *webListener) serve(ctx context.Context, api control.API, log *slog.Logger) error {
	return page.Serve(ctx, w, api, w.token, log)
}
