package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/guest"
	"bcast/internal/home"
	"bcast/internal/page"
	"bcast/internal/show"
)

// guestCertificate holds, in the home, the certificate of the page for guests, with its key; guestName is whose it is.
const (
	guestCertificate = "guests.pem"
	guestName        = "guests.bcast"
)

func (a *app) guestsCommand() *cli.Command {
	return &cli.Command{
		Name:  "guests",
		Usage: "list guest links and who came by them, or end one",
		Description: example("A guest has no bcast: a browser and a link will do, for one room and for a while. The\n"+
			"daemon has to take in guests. Links and guests end with it.",
			"bcast daemon --http 0.0.0.0:8080 --guests", "bcast invite lobby --guest", "bcast guests",
			"bcast guests --revoke 1f0c9a2e"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "revoke", Usage: "end the link with that `ID`, and send away who came by it"},
		},
		Action: ask(a, takes(0, 0), a.guests),
	}
}

func (a *app) guests(c *cli.Context, daemon *control.Client, _ []string) error {
	p := a.printer(c)
	if c.IsSet("revoke") {
		id := c.String("revoke")
		if err := daemon.RevokeGuests(c.Context, id); err != nil {
			return err
		}
		return a.done(c, map[string]any{"link": id, "revoked": true})
	}
	links, err := daemon.Guests(c.Context)
	if err != nil {
		return err
	}
	return p.guestLinks(links)
}

func (p *printer) guestLinks(links []control.GuestLink) error {
	if p.json {
		return objects(p, links)
	}
	var rows [][]string
	for _, l := range links {
		var names []string
		for _, g := range l.Guests {
			name := show.Clean(g.Nick) + "-" + show.Clean(g.Tag)
			if !g.Here {
				name += " (away)"
			}
			names = append(names, name)
		}
		rows = append(rows, []string{l.ID, show.Room(l.Room, ""), l.Expires.Local().Format("2006-01-02 15:04"),
			strings.Join(names, ", ")})
	}
	return p.columns([]string{"LINK", "ROOM", "UNTIL", "GUESTS"}, rows)
}

// inviteGuest makes a guest link and prints it. A terminal is shown the code, too: it is for a phone.
func (a *app) inviteGuest(c *cli.Context, daemon *control.Client, room string) error {
	link, err := daemon.InviteGuests(c.Context, room, control.GuestOptions{For: c.String("for")})
	if err != nil {
		return err
	}
	p := a.printer(c)
	if p.json {
		return p.object(link)
	}
	if c.Bool("qr") || isTerminal(a.out) {
		if err := p.code(link.URLs[0]); err != nil {
			return err
		}
	}
	for _, url := range link.URLs {
		if err := p.line("%s", url); err != nil {
			return err
		}
	}
	a.note("good until %s; `bcast guests --revoke %s` ends it", link.Expires.Local().Format("2006-01-02 15:04"), link.ID)
	a.note("the browser warns of a certificate that it does not know; it is the right one if its SHA-256 is %s",
		pairs(link.Fingerprint))
	return nil
}

// pairs writes a fingerprint as browsers do.
func pairs(hex string) string {
	var b strings.Builder
	for i, c := range strings.ToUpper(hex) {
		if i > 0 && i%2 == 0 {
			b.WriteByte(':')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// guesthouse is where a daemon takes in guests; nil where it takes in none.
type guesthouse struct {
	net.Listener
	certificate []byte
	door        *guest.Door
}

// Hospitality of a daemon; see control.Hospitality.

// InviteGuests implements control.Hospitality.
func (n configured) InviteGuests(ctx context.Context, room string, o control.GuestOptions) (control.GuestLink, error) {
	if n.guests == nil {
		return control.GuestLink{}, control.NoGuests()
	}
	return n.guests.door.InviteGuests(ctx, room, o)
}

// Guests implements control.Hospitality.
func (n configured) Guests(ctx context.Context) ([]control.GuestLink, error) {
	if n.guests == nil {
		return nil, control.NoGuests()
	}
	return n.guests.door.Guests(ctx)
}

// RevokeGuests implements control.Hospitality.
func (n configured) RevokeGuests(ctx context.Context, link string) error {
	if n.guests == nil {
		return control.NoGuests()
	}
	return n.guests.door.RevokeGuests(ctx, link)
}

// noun is how the daemon tells of it.
func (g *guesthouse) noun() *control.Guesthouse {
	if g == nil {
		return nil
	}
	return &control.Guesthouse{
		Addr: g.Addr().String(), Fingerprint: certificate.Fingerprint(g.certificate), Pin: certificate.Pin(g.certificate),
	}
}

// furnish makes ready to take in guests of a node: the certificate, and how a device is made for each. Theirs are as
// the node's own is, but keep nothing on the disk.
func (a *app) furnish(g *guesthouse, node control.API, cfg bcast.Config, log *slog.Logger) error {
	if g == nil {
		return nil
	}
	var err error
	g.certificate, err = home.Keep(cfg.Home, guestCertificate, func() ([]byte, error) {
		return certificate.Make(rand.Reader, time.Now(), guestName)
	})
	if err == nil {
		err = certificate.Check(g.certificate)
	}
	if err != nil {
		return control.NewError(control.CodeHome, err, err.Error(),
			"remove "+filepath.Join(cfg.Home, guestCertificate)+" for a new one")
	}
	cfg.Home, cfg.Rooms, cfg.Ephemeral = "", nil, false
	g.door = guest.New(guest.Config{
		Host: node, Log: log, Fingerprint: certificate.Fingerprint(g.certificate),
		Start: func(ctx context.Context, nick string) (guest.Device, error) {
			cfg := cfg
			cfg.Nick = nick
			return a.start(ctx, cfg)
		},
		Bases: func(ctx context.Context) ([]string, error) { return g.bases(ctx, node) },
	})
	log.Info("guests are taken in", "addr", g.Addr().String(), "sha256", certificate.Fingerprint(g.certificate))
	return nil
}

// bases are the addresses of the page for guests: of the networks that the node uses, or the one listened on.
func (g *guesthouse) bases(ctx context.Context, node control.API) ([]string, error) {
	at := g.Addr().(*net.TCPAddr).AddrPort()
	if !at.Addr().Unmap().IsUnspecified() {
		return []string{"https://" + netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()}, nil
	}
	status, err := node.Status(ctx)
	if err != nil {
		return nil, err
	}
	var bases []string
	for _, i := range status.Interfaces {
		for _, text := range i.Addrs {
			if p, err := netip.ParsePrefix(text); err == nil && i.Used && p.Addr().Is4() {
				bases = append(bases, fmt.Sprintf("https://%s", netip.AddrPortFrom(p.Addr(), at.Port())))
			}
		}
	}
	if bases == nil {
		return nil, control.NewError(control.CodeNoNetwork, nil, "no interface has an address to give to guests",
			"`bcast ifaces` says why each is not used")
	}
	return bases, nil
}

// serve takes in guests until ctx ends, and then sends them away.
func (g *guesthouse) serve(ctx context.Context, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { g.door.Run(ctx) })
	err := page.ServeGuests(ctx, g, g.door, g.certificate, log)
	stop()
	running.Wait()
	return err
}
