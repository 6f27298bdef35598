package controltest

import (
	"context"
	"fmt"
	"slices"

	"bcast/internal/control"
)

var _ control.Hospitality = (*Device)(nil)

// InviteGuests implements control.Hospitality; who is the guest of a link says the test that uses it.
func (d *Device) InviteGuests(
	_ context.Context, room string, options control.GuestOptions,
) (control.GuestLink, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	good, err := options.Duration()
	if err != nil {
		return control.GuestLink{}, err
	}
	now := d.tick()
	link := control.GuestLink{ID: fmt.Sprintf("%08x", len(d.links)+1), Room: room, Made: now, Expires: now.Add(good),
		Fingerprint: fmt.Sprintf("%064x", 7), Guests: []control.Guest{}}
	d.links = append(d.links, link)
	link.URLs = []string{"https://10.77.0.1:8080/#guest=" + link.ID}
	return link, nil
}

// Guests implements control.Hospitality.
func (d *Device) Guests(context.Context) ([]control.GuestLink, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]control.GuestLink{}, d.links...), nil
}

// RevokeGuests implements control.Hospitality.
func (d *Device) RevokeGuests(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := slices.IndexFunc(d.links, func(l control.GuestLink) bool { return l.ID == id })
	if at < 0 {
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no guest link %q", id), "")
	}
	d.links = slices.Delete(d.links, at, at+1)
	return nil
}

// Visit brings a guest by a link.
func (d *Device) Visit(link, nick string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.links {
		if d.links[i].ID == link {
			d.links[i].Guests = append(slices.Clone(d.links[i].Guests),
				control.Guest{ID: deviceID(nick), Nick: nick, Tag: deviceID(nick)[:4], Since: d.tick(), Here: true})
		}
	}
}
