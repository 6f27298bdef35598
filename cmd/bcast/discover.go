package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) discoverCommand() *cli.Command {
	return &cli.Command{
		Name:  "discover",
		Usage: "list every device known on the subnet",
		Description: example("What bcast, mDNS, SSDP and WS-Discovery tell, and the host's neighbour table: one row a "+
			"device,\nwith its services and how it is known. Nothing is scanned without --probe.\n`bcast daemon --watch` "+
			"remembers: then the answer comes at once, --all also lists\nthose that are gone, and --watch tells what "+
			"became of whom.",
			"bcast discover --for 3s --json", "bcast discover --service _ipp._tcp"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Usage: "listen so long before printing; 3s without --watch"},
			&cli.BoolFlag{Name: "watch", Usage: "go on and print each device that is new or changed"},
			&cli.BoolFlag{Name: "all", Usage: "also those that are gone, which a daemon that watches remembers"},
			&cli.StringSliceFlag{Name: "service", Usage: "only devices that offer `TYPE`, such as _http._tcp; again for more"},
			&cli.BoolFlag{Name: "probe", Usage: "have every address of this subnet, at most a /24, asked for by ARP: that " +
				"finds who is silent"},
			&cli.StringFlag{Name: "vendors", Usage: "name makers of network cards by `FILE`, such as oui.txt or manuf"},
		},
		Action: a.discover,
	}
}

func (a *app) discover(c *cli.Context) (err error) {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	if err := positive(c, "for"); err != nil {
		return err
	}
	looking, done, err := a.browsing(c)
	if err != nil {
		return err
	}
	defer done()
	if daemon, err := a.daemon(c); err == nil && !c.IsSet("vendors") && !c.Bool("probe") {
		defer daemon.Close()
		if _, err := daemon.Devices(c.Context); err == nil {
			return a.discoverWatched(c, daemon)
		}
	}
	seat, err := a.sit(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, seat.Close()) }()
	looking.With = seat
	found, err := bcast.Browse(c.Context, looking, bcast.OnHost(a.subnet))
	if err != nil {
		return err
	}
	defer found.Close()
	for _, problem := range found.Problems() {
		fmt.Fprintf(a.err, "bcast: %s\n", show.Clean(problem.Error()))
	}
	d := discovery{browser: found, services: c.StringSlice("service"), p: a.printer(c)}
	wait, watch := c.Duration("for"), c.Bool("watch")
	if wait == 0 && !watch {
		wait = listenFor
	}
	if wait > 0 && !pause(c.Context, wait) {
		return nil // interrupted
	}
	if wait > 0 {
		err = d.list(c.Context)
	}
	if err != nil || !watch {
		return err
	}
	return d.watch(c.Context)
}

// browsing is what the command line asks to look for; done is to be called when it is read.
func (a *app) browsing(c *cli.Context) (looking bcast.Browsing, done func(), err error) {
	for _, service := range c.StringSlice("service") {
		switch kind, transport, found := strings.Cut(service, "."); {
		case strings.Contains(service, ":"): // of SSDP or WS-Discovery
		case found && strings.HasPrefix(kind, "_") && (transport == "_tcp" || transport == "_udp"):
			looking.Types = append(looking.Types, service)
		default:
			return looking, nil, usageError(fmt.Sprintf("--service %s is no type of service", show.Clean(service)),
				"e.g. _http._tcp")
		}
	}
	looking.Probe = c.Bool("probe")
	name := c.String("vendors")
	if name == "" {
		return looking, func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return looking, nil, err
	}
	looking.Vendors = file
	return looking, func() { file.Close() }, nil
}

// discovery prints what a browser finds.
type discovery struct {
	browser  *bcast.Browser
	services []string // only devices that offer one of them; empty: all
	p        *printer
}

// list prints the devices that are there.
func (d *discovery) list(ctx context.Context) error {
	devices, err := d.browser.Devices(ctx)
	if err != nil && ctx.Err() != nil {
		return nil // interrupted
	}
	if err != nil {
		return err
	}
	return d.p.devices(slices.DeleteFunc(devices, func(device bcast.Device) bool {
		return device.Status == bcast.DeviceGone || !d.wants(device)
	}))
}

// wants tells whether a device offers what is looked for.
func (d *discovery) wants(device bcast.Device) bool { return offersOne(device, d.services) }

// offersOne tells whether a device offers one of some services, if any are named.
func offersOne(device bcast.Device, services []string) bool {
	return len(services) == 0 || slices.ContainsFunc(services, device.Offers)
}

// watch prints each device that is new or changed, until ctx ends.
func (d *discovery) watch(ctx context.Context) error {
	for device, err := range d.browser.Changes(ctx) {
		if err == nil && d.wants(device) {
			err = d.p.deviceChange(device)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// discoverWatched prints what a daemon that watches the subnet remembers, and what it tells from then on.
func (a *app) discoverWatched(c *cli.Context, daemon *control.Client) error {
	status, err := daemon.Status(c.Context)
	if err != nil {
		return err
	}
	events := control.Watch(c.Context, daemon, status.EventID)
	if c.IsSet("for") && !pause(c.Context, c.Duration("for")) {
		return nil // interrupted
	}
	devices, err := daemon.Devices(c.Context)
	if err != nil {
		return err
	}
	p, services := a.printer(c), c.StringSlice("service")
	devices = slices.DeleteFunc(devices, func(d bcast.Device) bool {
		return !offersOne(d, services) || !c.Bool("all") && !d.IsHere()
	})
	if err := p.remembered(devices); err != nil || !c.Bool("watch") {
		return err
	}
	for happening := range events {
		if happening.Err != nil {
			return happening.Err
		}
		if change := happening.Event.Device; change != nil && offersOne(change.Device, services) {
			if err := p.becameOf(*change); err != nil {
				return err
			}
		}
	}
	return nil
}
