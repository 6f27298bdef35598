package control

import "bcast/internal/roster"

// What there is on the subnet beside peers, as all protocols together tell of it: see roster.
type (
	Device       = roster.Device
	DeviceChange = roster.Change
)

// Here tells whether a status is that of a device that is here: one that is late is not taken for gone.
func Here(status string) bool { return status == "here" || status == "suspect" }

// Devices counts, for each public room that is known here, the devices here that are in it: what the rooms of this one
// and the peers' own words tell.
func Devices(rooms []Room, peers []Peer) map[string]int {
	devices := map[string]int{}
	for _, r := range rooms {
		if r.Public {
			devices[r.Name] = 1
		}
	}
	for _, peer := range peers {
		if !Here(peer.Status) {
			continue
		}
		for _, name := range peer.Rooms {
			devices[name]++
		}
	}
	return devices
}
