package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) lossCommand() *cli.Command {
	return &cli.Command{
		Name:  "loss",
		Usage: "who loses what: how many broadcasts do not arrive, here and at each peer",
		Description: example("MISSED HERE is the share of a peer's beats that did not arrive here, IT MISSES that of all "+
			"peers' beats that it says to miss. Beats come every few seconds: counting takes minutes.", "bcast loss"),
		Action: ask(a, takes(0, 0), func(c *cli.Context, daemon *control.Client, _ []string) error {
			peers, err := daemon.Peers(c.Context)
			if err != nil {
				return err
			}
			return a.printer(c).losses(peers)
		}),
	}
}

// losses is a row for each peer that is here.
func (p *printer) losses(peers []control.Peer) error {
	var here []control.Peer
	for _, peer := range peers {
		if control.Here(peer.Status) {
			here = append(here, peer)
			p.know(peer.ID, peer.Nick, peer.Tagged, peer.Verified)
		}
	}
	if p.json {
		return objects(p, here)
	}
	var rows [][]string
	for _, peer := range here {
		rows = append(rows, []string{p.name(peer.ID, peer.Nick, peer.Tag), show.Clean(peer.Link), share(peer.Missed),
			share(peer.Misses), show.Clean(peer.Unicast)})
	}
	return p.columns([]string{"NICK", "LINK", "MISSED HERE", "IT MISSES", "UNICAST"}, rows)
}

// share shows what may not be known yet.
func share(part *float64) string {
	if part == nil {
		return "?"
	}
	return fmt.Sprintf("%.0f %%", 100**part)
}
