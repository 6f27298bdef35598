package main

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/lan"
)

func neighbour(addr, mac string) lan.Neighbour {
	n := lan.Neighbour{Addr: netip.MustParseAddr(addr), Iface: "eth0"}
	if hw, err := net.ParseMAC(mac); err == nil {
		n.MAC, n.Complete = hw, true
	}
	return n
}

func TestRosterIsOneRowADevice(t *testing.T) {
	var r roster
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := start.Add(time.Minute)
	bob := control.Peer{ID: "b0b", Nick: "bob", Addr: "10.0.0.9:27475", Status: "here", FirstSeen: start, LastSeen: later}
	table := []lan.Neighbour{neighbour("10.0.0.9", "02:00:00:00:00:09"), neighbour("10.0.0.10", "02:00:00:00:00:10"),
		neighbour("10.0.0.2", "02:00:00:00:00:02"), neighbour("10.0.0.3", "")}

	if changed := r.update(nil, table, start); len(changed) != 3 {
		t.Fatalf("found %+v, want three that answered", changed)
	}
	changed := r.update([]control.Peer{bob}, table, later)
	if len(changed) != 1 || changed[0].ID != "b0b" || changed[0].MAC != "02:00:00:00:00:09" ||
		len(changed[0].FoundBy) != 2 || changed[0].Kind != "bcast" {
		t.Errorf("the neighbour that is bob: %+v", changed)
	}
	var order []string
	for _, d := range r.devices {
		order = append(order, d.Addrs[0])
	}
	if len(order) != 3 || order[0] != "10.0.0.2" || order[1] != "10.0.0.9" || order[2] != "10.0.0.10" {
		t.Errorf("order %v", order)
	}
	if host := r.devices[0]; !host.FirstSeen.Equal(start) || !host.LastSeen.Equal(later) || host.Status != "seen" {
		t.Errorf("host %+v", host)
	}
	if changed := r.update([]control.Peer{bob}, table, later); len(changed) != 0 {
		t.Errorf("nothing new, but %+v", changed)
	}
	bob.Status = "lost"
	if changed := r.update([]control.Peer{bob}, table, later); len(changed) != 1 || changed[0].Status != "lost" {
		t.Errorf("bob is lost: %+v", changed)
	}
}

// A machine may run several daemons: they share an address and are different devices.
func TestRosterKeepsDevicesOfOneAddressApart(t *testing.T) {
	var r roster
	peers := []control.Peer{{ID: "1", Nick: "a", Addr: "127.0.0.1:27475"}, {ID: "2", Nick: "b", Addr: "127.0.0.1:27476"}}
	if changed := r.update(peers, nil, time.Now()); len(changed) != 2 {
		t.Errorf("found %+v, want two", changed)
	}
}
