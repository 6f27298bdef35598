package main

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

func TestHistoryWithoutADaemonIsRead(t *testing.T) {
	for _, test := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"history lobby", 0, "bob: old news", ""},
		{"history lobby --json --limit 1", 0, `"text":"newer"`, ""},
		{"history lobby --export -", 0, `"bytes":"bmV3ZXI="`, "2 records of lobby exported"},
		{"history dev", 1, "", "room dev is not joined"},
		{"who POST", exitSome, "MISSING  TAG   STATUS\ncarol    6361  away ", ""},
	} {
		b := newBench(t)
		b.kept = alice(t)
		b.kept.Meet("carol", "lobby")
		b.kept.Lose("carol")
		post := b.kept.Hear("lobby", "bob", "old news")
		b.kept.Hear("lobby", "bob", "newer")
		b.want(b.shell(strings.Replace(test.line, "POST", post.ID, 1)), test.code, test.out, test.err)
		if !b.kept.isClosed() {
			t.Errorf("%s: the files were not closed", test.line)
		}
	}
	b := newBench(t)
	b.want(b.shell("history lobby"), exitFailed, "", "nothing is kept here")
}

func TestHistoryOfARoomThatWasLeft(t *testing.T) {
	node := alice(t)
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	b := d.beside()
	b.kept = alice(t)
	b.kept.Join(t.Context(), "dev", control.JoinOptions{})
	b.kept.Hear("dev", "bob", "long ago")
	b.want(b.shell("history dev"), 0, "bob: long ago", "")
	b.want(b.shell("history lobby --since zzzz"), exitFailed, "", `post "zzzz"`)
	node.broken = control.NewError(control.CodeCorrupt, nil, "page 7 is damaged", "")
	b = d.beside()
	b.kept = alice(t)
	b.want(b.shell("history lobby"), exitFailed, "", "page 7 is damaged")
}

func TestExportAndImport(t *testing.T) {
	node := alice(t)
	node.Hear("lobby", "bob", "one")
	node.Hear("lobby", "bob", "two")
	d := newBench(t, node)
	stop := daemonOf(d, "")
	file := filepath.Join(t.TempDir(), "lobby.jsonl")
	b := d.beside()
	b.want(b.shell("history lobby --export "+file), 0, "", "2 records of lobby exported")
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	b.want(b.shell("history lobby --import "+file), 0, "0 records taken, 2 known already, 0 refused", "")
	stop()

	other := alice(t) // no daemon: a node for the moment
	b = newBench(t, other)
	b.want(b.shell("history dev --json --import "+file), 0, `{"new":2,"known":0,"refused":0}`, "{\"note\":\"joined dev")
	if posts, _ := other.Posts(t.Context(), "dev", control.PostQuery{}); len(posts) != 2 || !other.isClosed() {
		t.Errorf("posts %+v, closed %v", posts, other.isClosed())
	}
	b = newBench(t, alice(t))
	b.in = strings.NewReader("{}\n{\"id\":\"a\",\"bytes\":\"aGk=\"}")
	b.want(b.shell("history lobby --import -"), exitFailed, "1 records taken, 0 known already, 1 refused", "no author signed")
	b = newBench(t, alice(t))
	b.in = strings.NewReader("{}\nnonsense")
	b.want(b.shell("history lobby --import -"), exitUsage, "", "line 2 is no record")
}

// torn is an archive whose records end in an error.
type torn struct{ *fakeNode }

func (a torn) Records(ctx context.Context, room string) iter.Seq2[control.Record, error] {
	return func(yield func(control.Record, error) bool) {
		for r := range a.fakeNode.Records(ctx, room) {
			if !yield(r, nil) {
				return
			}
		}
		yield(control.Record{}, control.NewError(control.CodeNotFound, nil, "the rest is gone", ""))
	}
}

func TestAPartOfAnExportIsNotTakenForAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lobby.jsonl")
	os.WriteFile(file, []byte("the last one"), 0o600)
	b := newBench(t)
	b.kept = alice(t)
	b.kept.Hear("lobby", "bob", "one")
	b.app.open = func(string) (closingArchive, error) { return torn{b.kept}, nil }
	b.want(b.shell("history lobby --export "+file), exitFailed, "", "the rest is gone")
	if data, _ := os.ReadFile(file); string(data) != "the last one" {
		t.Errorf("the file holds %q", data)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
	b.want(b.shell("history lobby --export "+dir+"/none/x"), exitFailed, "", "export: ")
	ctx, cancel := context.WithCancel(t.Context())
	b.app.open = func(string) (closingArchive, error) { cancel(); return b.kept, nil }
	if code := b.app.run(ctx, []string{"history", "lobby", "--export", file + "2"}); code != exitFailed {
		t.Errorf("an export that was interrupted ended with %d", code)
	}
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]control.Retention{
		"90d": {Age: "2160h0m0s"}, "36h": {Age: "36h0m0s"}, "1000": {Count: 1000}, "10MB": {Bytes: 10e6}, "3gb": {Bytes: 3e9},
		"30d,5000,1MB": {Age: "720h0m0s", Count: 5000, Bytes: 1e6}, "all": {},
	} {
		if got, err := parseKeep(text); err != nil || got != want {
			t.Errorf("%s = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "soon", "-1", "0", "-3d", "d", "MB", "-1MB", "5 d", "1e3", "99999999999999999999", "10d,x"} {
		if got, err := parseKeep(text); err == nil {
			t.Errorf("%q = %+v, want an error", text, got)
		}
	}
}

func TestKeptLine(t *testing.T) {
	for _, test := range []struct {
		room control.Room
		want string
	}{
		{control.Room{}, ""},
		{control.Room{Ephemeral: true, Retention: &control.Retention{Count: 1}}, "in memory only"},
		{control.Room{Retention: &control.Retention{}}, "for good"},
		{control.Room{Retention: &control.Retention{Age: "2160h", Count: 100000, Bytes: 5}}, "90d, 100,000 records, 5 bytes"},
	} {
		if got := keptLine(test.room); got != test.want {
			t.Errorf("%+v = %q, want %q", test.room, got, test.want)
		}
	}
}

// watched runs say against sightings of a device and returns what they told, with the second in which they did.
func watched(t *testing.T, act func(*controltest.Device, func(time.Duration))) []string {
	device := controltest.New("alice")
	device.Join(t.Context(), "lobby", control.JoinOptions{})
	device.Meet("bob", "lobby")
	device.Meet("carol", "lobby")
	var told []string
	start := time.Now()
	p := newBench(t).printerOn(newBuffer(), false)
	s := newSightings(func(post string) (control.Ledger, error) { return device.Ledger(t.Context(), post) },
		func(l control.Ledger) {
			text, _, _ := strings.Cut(p.seen(l.Have, l.Members, l.Missing), " (")
			told = append(told, time.Since(start).String()+" "+text)
		})
	defer s.stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for event := range device.Events(ctx, "") {
			s.note(event)
		}
	}()
	synctest.Wait()
	act(device, func(d time.Duration) {
		time.Sleep(d)
		synctest.Wait()
	})
	return told
}

func TestSightingsSpeakWhenReceiptsSettle(t *testing.T) {
	say := func(d *controltest.Device) string {
		said, _ := d.Say(t.Context(), control.Say{Room: "lobby", Text: "hi"})
		return said.ID
	}
	for name, test := range map[string]struct {
		act  func(*controltest.Device, func(time.Duration))
		want string
	}{
		"one is away, comes back, nothing is told twice": {func(d *controltest.Device, pass func(time.Duration)) {
			d.Lose("bob")
			post := say(d)
			pass(time.Minute)
			d.Regain("bob")
			pass(time.Minute)
			d.Tell(control.Event{Type: control.EventReceipt, Receipt: &control.Receipt{Post: post, Have: 2, Members: 2}})
			pass(time.Minute)
		}, "2s seen by 1 of 2, missing bob; 1m0s seen by 2 of 2"},
		"receipts that trickle in are told once": {func(d *controltest.Device, pass func(time.Duration)) {
			d.Meet("dora", "lobby")
			for _, nick := range []string{"bob", "carol", "dora"} {
				d.Deafen(nick)
			}
			say(d)
			pass(1500 * time.Millisecond)
			d.Regain("bob")
			pass(1500 * time.Millisecond)
			d.Regain("carol")
			pass(time.Minute)
		}, "5s seen by 2 of 3, missing dora"},
		"only the newest of many counts": {func(d *controltest.Device, pass func(time.Duration)) {
			for range 30 {
				say(d)
				pass(time.Second)
			}
			pass(time.Minute)
		}, "31s seen by 2 of 2"},
		"posts of others say nothing": {func(d *controltest.Device, pass func(time.Duration)) {
			d.Hear("lobby", "bob", "hi")
			pass(time.Minute)
		}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := strings.Join(watched(t, test.act), "; "); got != test.want {
				t.Errorf("%s: %s, want %s", name, got, test.want)
			}
		})
	}
}
