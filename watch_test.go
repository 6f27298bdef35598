package bcast

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/roster"
	"bcast/internal/zeroconf"
)

// neighbourhood is a host that nobody speaks a foreign protocol to, and that has neighbours.
type neighbourhood []roster.Sighting

func (n neighbourhood) Segments() ([]zeroconf.Segment, error)  { return nil, nil }
func (n neighbourhood) Neighbours() ([]roster.Sighting, error) { return n, nil }
func (n neighbourhood) Seed() [32]byte                         { return [32]byte{} }
func (n neighbourhood) Fetch(context.Context, netip.Addr, string, string, int) ([]byte, error) {
	return nil, errors.New("there is no network")
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printer := roster.Sighting{Key: "p", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}, MAC: "02:00:00:00:00:09"}
		lan := NewLAN()
		node, err := Start(t.Context(), OnLAN(lan), Config{Nick: "alice", subnet: neighbourhood{printer}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := node.Devices(t.Context()); control.AsError(err) == nil || control.AsError(err).Code != control.CodeNotFound {
			t.Errorf("devices of who does not watch: %v", err)
		}
		events := node.Events(t.Context(), "")
		if err := errors.Join(node.Watch(t.Context()), node.Watch(t.Context())); err != nil {
			t.Fatal(err)
		}
		bob, err := Start(t.Context(), OnLAN(lan), Config{Nick: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		bob.Close()
		time.Sleep(time.Minute)
		devices, err := node.Devices(t.Context())
		if err != nil || len(devices) != 2 || devices[0].MAC != printer.MAC || devices[1].Nick != "bob" || devices[1].Status != "left" {
			t.Errorf("%+v, %v", devices, err)
		}
		node.Close()
		told := map[string]int{}
		for e := range events {
			if e.Type == EventDevice {
				told[e.Device.Change+" "+e.Device.Device.Kind]++
			}
		}
		if len(told) != 3 || told["new host"] != 1 || told["new bcast"] != 1 || told["lost bcast"] != 1 {
			t.Errorf("told %v", told)
		}
		if err := node.Watch(t.Context()); err != nil {
			t.Error(err)
		}

		alone, err := Start(t.Context(), OnLAN(NewLAN()))
		if err != nil {
			t.Fatal(err)
		}
		defer alone.Close()
		if err := alone.Watch(t.Context()); control.AsError(err) == nil || control.AsError(err).Code != control.CodeUnsupported {
			t.Errorf("a LAN in memory is watched: %v", err)
		}
	})
}
