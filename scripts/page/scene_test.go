package page_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// scene is a participant with much to show: several rooms, people who come and go, cuts and losses.
type scene struct {
	*controltest.Device
	now time.Time
}

var cast = []struct {
	nick, status string
	rtt, missed  float64
}{
	{"bob", "here", 0.4, 0}, {"carol", "here", 1.2, 0.004}, {"dave", "lost", 0, 0}, {"erin", "suspect", 12.5, 0.31},
	{"printer-3rd-floor", "here", 3.1, 0}, {"אלישע", "here", 2.2, 0.05}, {"小林", "here", 0.9, 0}, {"zoë", "left", 0, 0},
}

func (s *scene) Peers(context.Context) ([]control.Peer, error) {
	var peers []control.Peer
	for i, c := range cast {
		missed := c.missed
		peers = append(peers, control.Peer{
			ID: id(c.nick), Nick: c.nick, Tag: id(c.nick)[:4], Addr: fmt.Sprintf("10.77.0.%d", 10+7*i), Iface: "wlan0",
			Status: c.status, FirstSeen: s.now.Add(-5 * time.Hour), LastSeen: s.now.Add(-time.Duration(i*i) * time.Minute),
			RTTms: c.rtt, RecvBuffer: 65535 - i*i*1000, Link: "wifi", Rooms: []string{"lobby"}, Unicast: "ok",
			Missed: &missed, Verified: c.nick == "carol",
		})
	}
	return peers, nil
}

func (s *scene) Members(context.Context, string) ([]control.Member, error) {
	members := []control.Member{{ID: id("alice"), Nick: "alice", Tag: id("alice")[:4], Status: "self", LastSeen: s.now}}
	peers, _ := s.Peers(context.Background())
	for _, p := range peers {
		m := control.Member{ID: p.ID, Nick: p.Nick, Tag: p.Tag, Status: p.Status, LastSeen: p.LastSeen, Verified: p.Verified}
		if p.Nick == "小林" {
			m.Away = "昼ごはん"
		}
		members = append(members, m)
	}
	return members, nil
}

func (s *scene) Rooms(context.Context) ([]control.Room, error) {
	return []control.Room{
		{Name: "lobby", Public: true, Members: 9, Present: 7, Posts: 4312, DatagramLimit: 1400, Topic: "the uplink is dead until three"},
		{Name: "crew", Members: 3, Present: 2, Posts: 96, DatagramLimit: 600, LimitedBy: "printer-3rd-floor-9a1c"},
		{Name: "build-3", Public: true, Members: 5, Present: 5, Posts: 120, Missing: 4, DatagramLimit: 1400},
		{Name: "@" + id("bob"), Members: 2, Present: 2, Posts: 12, DatagramLimit: 1400, Direct: "bob"},
	}, nil
}

func (s *scene) Status(ctx context.Context) (control.Status, error) {
	status, err := s.Device.Status(ctx)
	status.Version, status.UptimeS = "v1.0.0", 18000
	status.Guests = &control.Guesthouse{Addr: "0.0.0.0:8080", Fingerprint: strings.Repeat("a1", 32)}
	status.Rooms, _ = s.Rooms(ctx)
	heard := s.now.Add(-20 * time.Second)
	status.Interfaces = []control.Interface{
		{Name: "wlan0", Addrs: []string{"10.77.0.1/24"}, MTU: 1500, Link: "wifi", Up: true, Used: true, OwnHeard: &heard},
		{Name: "docker0", Addrs: []string{"172.17.0.1/16"}, MTU: 1500, Link: "wired", Up: true, Reason: "no carrier"},
	}
	status.RecvBuffer, status.Cuts = 1024, 31
	status.CutFrom = []control.CutSource{{Addr: "10.77.0.31:27475", Nick: "erin", Count: 29}, {Addr: "10.77.0.9:1900", Count: 2}}
	status.Drops = map[string]uint64{"own": 40213, "cut": 31, "not_bcast": 212, "replayed": 17, "bad_signature": 2, "off_link": 0}
	status.Sent = map[string]uint64{"beat": 4500, "record": 812}
	status.Received = map[string]uint64{"beat": 32011, "record": 5120}
	status.SentBytes, status.BytesPerSecond = 3_912_004, 212
	return status, err
}

// Ledger is as the device has it; the scene's members are not its peers.
func (s *scene) Ledger(_ context.Context, post string) (control.Ledger, error) {
	return control.Ledger{Post: post, Room: "lobby", Members: 8, Have: 6, Missing: []control.Missing{
		{ID: id("dave"), Nick: "dave", Tag: "w3rt", Status: "lost", Since: s.now.Add(-2 * time.Hour)},
		{ID: id("zoë"), Nick: "zoë", Tag: "p0qa", Status: "left", Since: s.now.Add(-time.Hour)},
	}}, nil
}

func (s *scene) Invite(context.Context, string) (control.Invitation, error) {
	return control.Invitation{Room: "crew", Invite: "bcast:1:crew#" + strings.Repeat("k7f2q3", 9)}, nil
}

func (s *scene) Verification(_ context.Context, peer string) (control.Verification, error) {
	return control.Verification{ID: peer, Nick: "bob", Tag: "aaaa", Words: strings.Fields(
		"deny myself brick coral boat later cannon then marine pull")}, nil
}

func id(nick string) string { return (fmt.Sprintf("%x", nick) + strings.Repeat("0", 32))[:32] }

// newScene has a conversation to read.
func newScene(t *testing.T) *scene {
	t.Helper()
	d := device(t, "lobby")
	for _, room := range []string{"crew", "build-3"} {
		if _, err := d.Join(t.Context(), room, control.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		d.Hear("lobby", []string{"bob", "carol"}[i/7%2], fmt.Sprintf("measurement %d: all sensors of the hall answer", i))
	}
	bring := func(nick, text string, more func(*control.Post)) control.Post {
		p := control.Post{Room: "lobby", Nick: nick, Text: text}
		if more != nil {
			more(&p)
		}
		return d.Bring(p)
	}
	first := bring("bob", "is the uplink dead for you too?", nil)
	bring("bob", "my traceroute ends at the router", nil)
	bring("alice", "yes. welcome to the lobby", func(p *control.Post) { p.Own = true })
	bring("carol", "they say until three. coffee is ready, and it is the last of the good beans, so whoever wants some had better "+
		"come before the people of the third floor hear of it", func(p *control.Post) {
		p.Verified = true
		p.Reactions = []control.Reaction{{Text: "👍", From: []string{"a", "b"}, Nicks: []string{"bob", "erin"}},
			{Text: "☕", From: []string{"c", "d", "e"}, Nicks: []string{"小林", "alice", "zoë"}}}
	})
	bring("小林", "ありがとう！今行きます", func(p *control.Post) {
		p.Kind, p.ReplyTo, p.Quote = "reply", first.ID, &control.Quote{From: id("carol"), Nick: "carol", Text: "they say until three. coffee is ready"}
	})
	bring("אלישע", "שלום לכולם, אני בדרך", nil)
	bring("carol", "the uplink is dead until three", func(p *control.Post) { p.Kind = "topic" })
	bring("erin", "pours two cups", func(p *control.Post) { p.Kind = "action" })
	bring("printer-3rd-floor", "tray 2 is empty\nsee http://10.77.0.45/status for the rest", nil)
	bring("bob", "alice: can you look at the switch?", func(p *control.Post) { p.Mention = true })
	bring("alice", "on my way", func(p *control.Post) { p.Own, p.Edited = true, true })
	return &scene{d, controltest.Epoch.Add(time.Hour)}
}
