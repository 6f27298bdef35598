package main

import (
	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/lan"
)

func (a *app) ifacesCommand() *cli.Command {
	return &cli.Command{
		Name:        "ifaces",
		Usage:       "list the host's interfaces and why one is not used",
		ArgsUsage:   "[PATTERN…]",
		Description: example("Needs no daemon. With patterns it shows what `daemon --iface` would use.", "bcast ifaces 'eth*'"),
		Action: func(c *cli.Context) error {
			ifaces, err := lan.Interfaces(c.Args().Slice())
			if err != nil {
				return control.NewError(control.CodeInvalid, err, err.Error(), "a pattern is a name, * and ? may stand in it")
			}
			return a.printer(c).interfaces(describeAll(ifaces))
		},
	}
}

func describeAll(ifaces []lan.Interface) []control.Interface {
	list := make([]control.Interface, 0, len(ifaces))
	for _, i := range ifaces {
		d := control.Interface{
			Name: i.Name, Index: i.Index, Addrs: []string{}, MTU: i.MTU, MAC: i.MAC.String(), Link: "wired", Up: i.Up,
			Used: i.Used, Reason: i.Reason,
		}
		for _, addr := range i.Addrs {
			d.Addrs = append(d.Addrs, addr.String())
		}
		for _, addr := range i.Broadcast {
			d.Broadcast = append(d.Broadcast, addr.String())
		}
		switch {
		case i.Loopback:
			d.Link = "loopback"
		case i.Wifi:
			d.Link = "wifi"
		}
		list = append(list, d)
	}
	return list
}
