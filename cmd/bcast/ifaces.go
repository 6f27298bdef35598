package main

import (
	"github.com/urfave/cli/v2"

	"bcast"
)

func (a *app) ifacesCommand() *cli.Command {
	return &cli.Command{
		Name:      "ifaces",
		Usage:     "list the host's interfaces and why one is not used",
		ArgsUsage: "[PATTERN…]",
		Description: example("Needs no daemon. With patterns it shows what `daemon --iface` would use. VPNs, tunnels and "+
			"bridges of containers are left out unless a pattern names them; one behind a ! leaves out what it matches.",
			"bcast ifaces 'eth*' '!eth1'"),
		Action: func(c *cli.Context) error {
			ifaces, err := bcast.Interfaces(c.Args().Slice())
			if err != nil {
				return err
			}
			return a.printer(c).interfaces(ifaces)
		},
	}
}
