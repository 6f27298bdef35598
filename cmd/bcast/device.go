package main

import (
	"fmt"
	"slices"
	"strings"

	"bcast/internal/roster"
	"bcast/internal/show"
)

// devices prints what is on the subnet: for people a row a device, and below it what it offers and how it is known.
func (p *printer) devices(devices []roster.Device) error {
	return p.table(devices, nil, func(roster.Device) []string { return nil })
}

// remembered prints the devices that a daemon remembers, with when it saw them.
func (p *printer) remembered(devices []roster.Device) error {
	return p.table(devices, []string{"LAST SEEN", "FIRST SEEN"}, func(d roster.Device) []string {
		return []string{p.ago(d.LastSeen), p.ago(d.FirstSeen)}
	})
}

// becameOf is what `discover --watch` prints of what a daemon tells became of a device.
func (p *printer) becameOf(c roster.Change) error {
	if p.json {
		return p.object(struct {
			roster.Device
			Change string         `json:"change"`
			What   []string       `json:"what,omitempty"`
			With   *roster.Device `json:"with,omitempty"`
		}{c.Device, c.Change, c.What, c.With})
	}
	words := []string{p.clock(p.now()), c.Change}
	if len(c.What) > 0 {
		words = append(words, show.Clean(strings.Join(c.What, " ")))
	}
	if c.With != nil {
		words = append(words, "with "+strings.Join(c.With.Addrs, " "))
	}
	cells := slices.DeleteFunc(p.deviceRow(c.Device), func(cell string) bool { return cell == "" })
	return p.branch(strings.Join(words, " ")+": "+strings.Join(cells, "  "), c.Device)
}

// table prints a row a device, with more columns behind it if there are any, and what hangs on it.
func (p *printer) table(devices []roster.Device, more []string, cells func(roster.Device) []string) error {
	if p.json {
		return objects(p, devices)
	}
	rows := [][]string{append([]string{"NAME", "ADDRESS", "MAC", "KIND", "STATUS", "FOUND BY"}, more...)}
	for _, d := range devices {
		rows = append(rows, append(p.deviceRow(d), cells(d)...))
	}
	lines := aligned(rows)
	if err := p.line("%s", lines[0]); err != nil {
		return err
	}
	for i, d := range devices {
		if err := p.branch(lines[i+1], d); err != nil {
			return err
		}
	}
	return nil
}

// deviceChange is what `discover --watch` prints of a device that is new or changed.
func (p *printer) deviceChange(d roster.Device) error {
	if p.json {
		return p.object(d)
	}
	cells := slices.DeleteFunc(p.deviceRow(d), func(cell string) bool { return cell == "" })
	return p.branch(p.clock(d.LastSeen)+" "+strings.Join(cells, "  "), d)
}

func (p *printer) deviceRow(d roster.Device) []string {
	name := show.Clean(d.Name)
	if d.ID != "" {
		name = p.name(d.ID, d.Nick, d.Tag)
	}
	mac := d.MAC
	if d.Vendor != "" {
		mac += " " + show.Clean(d.Vendor)
	}
	var by []string
	for _, source := range d.FoundBy {
		by = append(by, string(source))
	}
	return []string{name, strings.Join(d.Addrs, " "), mac, show.Clean(d.Kind), d.Status, strings.Join(by, " ")}
}

// branch prints a device's line and what hangs on it.
func (p *printer) branch(line string, d roster.Device) error {
	var leaves []string
	if d.Model != "" {
		leaves = append(leaves, "model "+show.Clean(d.Model))
	}
	for _, s := range d.Services {
		leaf := show.Clean(s.Type)
		if s.Name != "" {
			leaf += fmt.Sprintf(" %q", show.Clean(s.Name))
		}
		if s.Port != 0 {
			leaf += fmt.Sprintf(" port %d", s.Port)
		}
		for _, text := range s.Text {
			leaf += " " + show.Clean(text)
		}
		leaves = append(leaves, leaf)
	}
	for _, e := range d.Evidence {
		leaves = append(leaves, p.dim(evidence(e)))
	}
	text := line
	for i, leaf := range leaves {
		twig := "├ "
		if i == len(leaves)-1 {
			twig = "└ "
		}
		text += "\n  " + twig + leaf
	}
	return p.line("%s", text)
}

// evidence is how a device is known by one protocol, and why that is the same device.
func evidence(e roster.Evidence) string {
	text := string(e.By) + " " + show.Clean(e.Key)
	if len(e.Shares) > 0 {
		text += " (same " + show.Clean(strings.Join(e.Shares, ", ")) + ")"
	}
	if e.Gone {
		text += " gone"
	}
	return text
}
