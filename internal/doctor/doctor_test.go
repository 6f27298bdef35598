package doctor

import (
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ago(d time.Duration) *time.Time {
	t := now.Add(-d)
	return &t
}

// sound is a host with one interface and one peer and nothing wrong.
func sound() Facts {
	return Facts{
		Now: now,
		Status: control.Status{Port: 27474, Unicast: 27475, RecvBuffer: 65535,
			Interfaces: []control.Interface{
				{Name: "eth0", Addrs: []string{"10.77.0.1/24"}, Link: "wired", Used: true, OwnHeard: ago(time.Second)},
				{Name: "tun0", Link: "wired", Reason: "it cannot broadcast"},
			},
			Rooms: []control.Room{{Name: "lobby", DatagramLimit: 1400}}},
		Peers: []control.Peer{{Nick: "bob", Addr: "10.77.0.2", Status: "here", Unicast: "ok",
			LastBroadcast: ago(4 * time.Second), LastUnicast: ago(time.Hour)}},
		RmemMax: 16 << 20,
	}
}

func TestExamine(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*Facts)
		healthy bool
		check   string // of the finding expected
		level   Level
		verdict string // in the verdict
	}{
		{"sound", func(*Facts) {}, true, "peers", OK, "one other device is here"},
		{"alone", func(f *Facts) { f.Peers = nil }, true, "broadcast", OK, "no other bcast device"},
		{"two peers", func(f *Facts) { f.Peers = append(f.Peers, f.Peers[0]) }, true, "peers", OK, "2 other devices"},
		{"lost peer", func(f *Facts) { f.Peers[0].Status = "lost" }, true, "ports", OK, "no other bcast device"},
		{"no interface", func(f *Facts) { f.Status.Interfaces = f.Status.Interfaces[1:] }, false, "interfaces", Problem,
			"No interface"},
		{"loopback", func(f *Facts) { f.Status.Interfaces[0].Link = "loopback" }, true, "interfaces", Warning, "well"},
		{"no ports", func(f *Facts) { f.Status.Unicast = 0 }, false, "ports", Problem, "not bound"},
		{"own never heard", func(f *Facts) { f.Status.Interfaces[0].OwnHeard = nil }, false, "broadcast", Problem,
			"on eth0 never come back"},
		{"own no longer heard", func(f *Facts) { f.Status.Interfaces[0].OwnHeard = ago(2 * time.Minute) }, false,
			"broadcast", Problem, "2m0s ago"},
		{"unicast blocked", func(f *Facts) { f.Peers[0].Unicast = "blocked" }, false, "unicast", Problem,
			"Unicast to bob (10.77.0.2) is blocked"},
		{"never a broadcast", func(f *Facts) { f.Peers[0].LastBroadcast = nil }, false, "broadcast", Problem,
			"No broadcast of bob"},
		{"no more broadcasts", func(f *Facts) { f.Peers[0].LastBroadcast = ago(2 * time.Minute) }, false, "broadcast",
			Problem, "No broadcast of bob"},
		{"never a unicast", func(f *Facts) { f.Peers[0].LastUnicast = nil }, true, "unicast", Warning, "well"},
		{"watch", func(f *Facts) { f.Status.RecvBuffer = 100 }, false, "buffer", Problem, "100 bytes is too small"},
		{"short buffer", func(f *Facts) { f.Status.RecvBuffer = 600 }, true, "buffer", Warning, "well"},
		{"limited room", func(f *Facts) {
			f.Status.Rooms[0] = control.Room{Name: "lobby", DatagramLimit: 600, LimitedBy: "carol-k7f2"}
		}, true, "buffer", Warning, "well"},
		{"short queue", func(f *Facts) { f.RmemMax = 212992 }, true, "queue", Warning, "well"},
		{"unknown queue", func(f *Facts) { f.RmemMax = 0 }, true, "ports", OK, "well"},
		{"cuts", func(f *Facts) { f.Status.Cuts = 3 }, true, "cuts", Warning, "well"},
		{"the cause before its effects", func(f *Facts) {
			f.Status.Interfaces[0].OwnHeard = nil
			f.Peers[0].Unicast = "blocked"
		}, false, "unicast", Problem, "on eth0 never come back"},
	} {
		facts := sound()
		test.change(&facts)
		report := Examine(facts)
		if report.Healthy != test.healthy || !strings.Contains(report.Verdict, test.verdict) {
			t.Errorf("%s: healthy %v, verdict %q", test.name, report.Healthy, report.Verdict)
		}
		if !found(report, test.check, test.level) {
			t.Errorf("%s: no %s finding of level %s in %+v", test.name, test.check, test.level, report.Findings)
		}
	}
}

func found(report Report, check string, level Level) bool {
	for _, f := range report.Findings {
		if f.Check == check && f.Level == level {
			return true
		}
	}
	return false
}

func TestProblemsComeWithAFix(t *testing.T) {
	facts := sound()
	facts.Status.Interfaces[0].OwnHeard, facts.Peers[0].Unicast, facts.Status.RecvBuffer = nil, "blocked", 16
	for _, f := range Examine(facts).Findings {
		if f.Level == Problem && f.Fix == "" {
			t.Errorf("no fix for: %s", f.Message)
		}
	}
}

func TestCutsNameTheirSource(t *testing.T) {
	facts := sound()
	facts.Status.Cuts = 5
	facts.Status.CutFrom = []control.CutSource{{Addr: "10.77.0.2:27474", Nick: "bob", Count: 4}}
	if got := checkCuts(facts)[0].Message; !strings.Contains(got, "4 of them from bob") {
		t.Errorf("got %q", got)
	}
}
