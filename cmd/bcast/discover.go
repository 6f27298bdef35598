package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/lan"
)

// discoverLook is how often `discover --watch` reads the neighbour table, which tells nobody when it changes.
const discoverLook = time.Second

// device is one device of the subnet, whatever it was found by. Other protocols add their own finds to the same row.
type device struct {
	ID        string    `json:"id,omitempty"`
	Nick      string    `json:"nick,omitempty"`
	Name      string    `json:"name"`
	Addrs     []string  `json:"addrs"`
	MAC       string    `json:"mac"`
	Kind      string    `json:"kind"` // bcast | host
	Services  []string  `json:"services"`
	FoundBy   []string  `json:"found_by"` // bcast | arp
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Status    string    `json:"status"` // of a bcast device: here, suspect, lost or left; of another: seen
	tag       string
}

func (a *app) discoverCommand() *cli.Command {
	return &cli.Command{
		Name:  "discover",
		Usage: "list every device known on the subnet",
		Description: example("bcast devices and what the host's neighbour table holds, one row a device.",
			"bcast discover --for 3s --json"),
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "for", Usage: "listen so long before printing; 3s without a daemon"},
			&cli.BoolFlag{Name: "watch", Usage: "go on and print each device that is new or changed"},
		},
		Action: a.discover,
	}
}

func (a *app) discover(c *cli.Context) error {
	return a.observe(c, func(ctx context.Context, api control.API) error {
		p, found := a.printer(c), roster{}
		changed, err := found.look(ctx, api)
		if err != nil {
			return err
		}
		if err := p.devices(changed); err != nil || !c.Bool("watch") {
			return err
		}
		for pause(ctx, discoverLook) {
			if changed, err = found.look(ctx, api); err != nil {
				return err
			}
			for _, d := range changed {
				if err := p.deviceChange(d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// roster is the devices found so far, in order of address.
type roster struct {
	devices []device
}

// look asks all sources and returns the devices that are new or changed.
func (r *roster) look(ctx context.Context, api control.API) ([]device, error) {
	peers, err := api.Peers(ctx)
	if err != nil {
		return nil, err
	}
	neighbours, err := lan.Neighbours()
	if err != nil {
		return nil, err
	}
	return r.update(peers, neighbours, time.Now().UTC()), nil
}

// update merges what was found now. A row is a device: a peer is known by its id, everything else by address, and a
// neighbour that turns out to be a peer's address is that peer.
func (r *roster) update(peers []control.Peer, neighbours []lan.Neighbour, now time.Time) []device {
	before := r.devices
	r.devices = slices.Clone(before)
	for _, peer := range peers {
		d := r.row(func(d device) bool { return d.ID == peer.ID || d.ID == "" && slices.Contains(d.Addrs, host(peer.Addr)) })
		mac, foundBy := d.MAC, d.FoundBy
		*d = device{
			ID: peer.ID, Nick: peer.Nick, tag: peer.Tag, Name: peer.Nick, Addrs: []string{host(peer.Addr)}, MAC: mac,
			Kind: "bcast", Services: []string{}, FoundBy: with(foundBy, "bcast"), FirstSeen: peer.FirstSeen,
			LastSeen: peer.LastSeen, Status: peer.Status,
		}
	}
	for _, n := range neighbours {
		if !n.Complete {
			continue // asked for, but nobody answered
		}
		addr := n.Addr.String()
		d := r.row(func(d device) bool { return slices.Contains(d.Addrs, addr) })
		if d.Kind == "" {
			*d = device{Addrs: []string{addr}, Kind: "host", Services: []string{}, FirstSeen: now, Status: "seen"}
		}
		if d.Kind == "host" {
			d.LastSeen = now
		}
		d.MAC, d.FoundBy = n.MAC.String(), with(d.FoundBy, "arp")
	}
	slices.SortStableFunc(r.devices, func(a, b device) int { return address(a).Compare(address(b)) })
	return slices.DeleteFunc(slices.Clone(r.devices), func(d device) bool {
		return slices.ContainsFunc(before, d.looksLike)
	})
}

// row returns the first device that matches, or a new row.
func (r *roster) row(matches func(device) bool) *device {
	at := slices.IndexFunc(r.devices, matches)
	if at < 0 {
		r.devices = append(r.devices, device{})
		at = len(r.devices) - 1
	}
	return &r.devices[at]
}

// looksLike reports whether nothing that a person watches for has changed.
func (d device) looksLike(old device) bool {
	return d.ID == old.ID && d.Nick == old.Nick && d.MAC == old.MAC && d.Status == old.Status &&
		slices.Equal(d.Addrs, old.Addrs) && slices.Equal(d.FoundBy, old.FoundBy)
}

func with(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return slices.Sorted(slices.Values(append(slices.Clone(list), word)))
}

// host is the address without a port.
func host(addr string) string {
	if withPort, err := netip.ParseAddrPort(addr); err == nil {
		return withPort.Addr().String()
	}
	return addr
}

func address(d device) netip.Addr {
	addr, _ := netip.ParseAddr(d.Addrs[0])
	return addr
}
