package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
	"bcast/internal/zeroconf"
)

func (a *app) announceCommand() *cli.Command {
	return &cli.Command{
		Name:      "announce",
		Usage:     "have a service of this host found on the subnet until Ctrl-C",
		ArgsUsage: "NAME",
		Description: example("By bcast's presence, by mDNS, where bcast discover, avahi-browse and phones look, and by\n"+
			"SSDP, for what speaks UPnP. If another host has the name, it is NAME (2). What a daemon is to announce\n"+
			"always is in "+zeroconf.ServicesFile+" in the home, which it reads again on SIGHUP:\n"+
			"\n"+
			"   [[service]]\n"+
			"   name = \"Printer room\"\n"+
			"   type = \"_http._tcp\"\n"+
			"   port = 80\n"+
			"   txt = [\"path=/\"]",
			"bcast announce 'My site' --service _http._tcp --port 8080 --txt path=/index.html"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "service", Usage: "its `TYPE`, such as _http._tcp"},
			&cli.IntFlag{Name: "port", Usage: "its `PORT`"},
			&cli.DurationFlag{Name: "for", Usage: "end after so long"},
			&cli.StringSliceFlag{Name: "txt", Usage: "say more of it: `KEY=VALUE`, again for more"},
		},
		Action: a.announce,
	}
}

func (a *app) announce(c *cli.Context) (err error) {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	for _, needed := range []string{"service", "port"} {
		if !c.IsSet(needed) {
			return usageError("announce: --"+needed+" is missing", "e.g. bcast announce Web --service _http._tcp --port 80")
		}
	}
	if err := positive(c, "for"); err != nil {
		return err
	}
	ctx := c.Context
	if c.IsSet("for") {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.Duration("for"))
		defer stop()
	}
	seat, err := a.sit(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	p := a.printer(c)
	service := control.Service{Name: args[0], Type: c.String("service"), Port: c.Int("port"), Text: c.StringSlice("txt")}
	for told, err := range seat.Announce(ctx, service) {
		if err == nil {
			err = p.announced(told)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// announced prints what has become of a service.
func (p *printer) announced(told control.Announced) error {
	if p.json {
		return p.object(told)
	}
	return p.line("%s", announcedText(told))
}

// announcedText says what has become of a service.
func announcedText(told control.Announced) string {
	where := "by " + told.By
	if told.Iface != "" {
		where += " on " + show.Clean(told.Iface)
	}
	name := fmt.Sprintf("%q %s port %d", show.Clean(told.Name), show.Clean(told.Type), told.Port)
	if told.Problem != "" {
		return fmt.Sprintf("not announced %s: %s: %s", where, name, show.Clean(told.Problem))
	}
	if told.Host != "" {
		name += ", this host as " + show.Clean(told.Host)
	}
	if told.Location != "" {
		name += ", described at " + show.Clean(told.Location)
	}
	return fmt.Sprintf("announced %s: %s", where, name)
}
