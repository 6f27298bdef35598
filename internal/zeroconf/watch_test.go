package zeroconf

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/roster"
)

func TestAWatcherTellsAndRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newFakeHost()
		host.neighbours = []roster.Sighting{{Key: "10.0.0.9", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}, MAC: "02:00:00:00:00:09"}}
		var told []string
		var kept []roster.Device
		cfg := Watching{
			SurveyConfig: SurveyConfig{Host: host}, Log: slog.New(slog.DiscardHandler),
			Peers: func(context.Context) ([]roster.Sighting, error) {
				return []roster.Sighting{{Key: "b", ID: "b", Name: "bob", Kind: "bcast", Status: "here"}}, nil
			},
			Tell: func(c roster.Change) { told = append(told, c.Change+" "+c.Device.Key) },
			Keep: func(devices []roster.Device) error { kept = devices; return errors.New("the disk is full") },
		}
		w, err := Watch(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		first := host.links["?239.255.255.250:1900"]
		w.Renew()
		time.Sleep(time.Second)
		synctest.Wait()
		if again := host.links["?239.255.255.250:1900"]; again == first || again.count() == 0 {
			t.Error("the segments are not listened to anew")
		}
		w.Close()
		if all := strings.Join(told, ", "); all != "new MAC 02:00:00:00:00:09, new id b" || len(kept) != 2 || len(w.Devices()) != 2 {
			t.Errorf("told %q, kept %d", all, len(kept))
		}

		told, cfg.Before, host.neighbours = nil, kept, nil
		if w, err = Watch(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.Close()
		if all := strings.Join(told, ", "); all != "lost MAC 02:00:00:00:00:09" {
			t.Errorf("after a restart told %q", all)
		}
	})
}
