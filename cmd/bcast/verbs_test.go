package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

func TestSay(t *testing.T) {
	for _, test := range []struct {
		line, in string
		setup    func(*fakeNode)
		code     int
		out, err string
	}{
		{line: "say lobby hello there", out: "r3.0\n"},
		{line: "say #lobby hello --json", out: `{"id":"r3.0","members":1,"have":1}` + "\n"},
		{line: "say dev hello --wait none", setup: func(n *fakeNode) { n.Meet("dora", "dev") }, out: ".0\n", err: "bcast: joined dev"},
		{line: "say lobby hello --wait all --timeout 10ms", setup: deaf("bob"), code: exitNone, out: "r3.0\n",
			err: "seen by 0 of 1, missing bob (here)"},
		{line: "say lobby hello --wait all --timeout 10ms", setup: both, code: exitSome, err: "seen by 1 of 2, missing carol (here)"},
		{line: "say lobby hello --timeout 10ms", setup: deaf("bob"), code: exitDone, err: "seen by 0 of 1, missing bob (here)"},
		{line: "say lobby hello --wait here --timeout 10ms", setup: deaf("bob"), code: exitNone, err: "missing bob (here)"},
		{line: "say lobby hello --wait 1", setup: both, code: exitDone, out: ".0\n"},
		{line: "say lobby hello --wait 2 --timeout 10ms", setup: both, code: exitSome, err: "seen by 1 of 2, missing carol"},
		{line: "say lobby hello --wait 2 --timeout 10ms --json", setup: both, code: exitSome,
			out: `"members":2,"have":1,"missing":[{"id":"6361726f6c`},
		{line: "say lobby hello --wait 0", code: exitUsage, err: "--wait"},
		{line: "say lobby tick --every 1ms --count 3", out: "r3.0\nr5.0\nr7.0\n"},
		{line: "say lobby -", in: "from a pipe\n", out: "r3.0\n"},
		{line: "say lobby -", in: strings.Repeat("x", control.MaxText+1), code: exitUsage, err: "longer than the 16384"},
		{line: "say lobby -", in: "\xff", code: exitUsage, err: "not valid UTF-8"},
		{line: "say lobby -", in: "a\x07b", code: exitUsage, err: "control character U+0007 at byte 1"},
		{line: "say lobby -", in: "\n", code: exitUsage, err: "the text is empty"},
		{line: "say no/room hi", code: exitUsage, err: "room name"},
		{line: "say lobby", code: exitUsage, err: "hint: usage: bcast say ROOM TEXT"},
		{line: "say lobby hi --wait some", code: exitUsage, err: "none of all, here, none and a number"},
		{line: "say lobby hi --count -1", code: exitUsage, err: "--count -1"},
		{line: "say lobby hi --every 0s", code: exitUsage, err: "--every 0s"},
		{line: "say lobby hi --timeout -1s", code: exitUsage, err: "--timeout -1s"},
	} {
		node := alice(t)
		if test.setup != nil {
			test.setup(node)
		}
		b := newBench(t, node)
		b.in = strings.NewReader(test.in)
		code := b.shell(test.line)
		b.want(code, test.code, test.out, test.err)
		if code != exitUsage && !node.isClosed() {
			t.Errorf("%s: the node was not closed", test.line)
		}
	}
}

func TestSayWhenNobodyIsHere(t *testing.T) {
	node := alice(t)
	node.Lose("bob")
	node.Join(t.Context(), "alone", control.JoinOptions{})
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	for _, test := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"say lobby hello --wait all --timeout 10ms", exitNone, ".0\n", "seen by 0 of 1, missing bob (away "},
		{"say lobby hello --wait here", exitDone, ".0\n", ""},
		{"say alone hello --wait all", exitDone, ".0\n", "no other member"},
		{"say alone hello --wait here", exitDone, ".0\n", "no other member"},
		{"say alone hello --wait 1 --timeout 10ms", exitNone, ".0\n", "no other member"},
	} {
		b := d.beside()
		b.want(b.shell(test.line), test.code, test.out, test.err)
	}
}

func deaf(nick string) func(*fakeNode) {
	return func(n *fakeNode) { n.Deafen(nick) }
}

func both(n *fakeNode) {
	n.Meet("carol", "lobby")
	n.Deafen("carol")
}

// daemonOf serves a node on b's home until the test ends.
func daemonOf(b *bench, line string) (stop func() int) {
	b.t.Helper()
	stop = b.background("daemon " + line)
	b.out.await(b.t, "ready")
	return stop
}

func TestVerbsOfADaemon(t *testing.T) {
	node := alice(t)
	node.Hear("lobby", "bob", "old news")
	d := newBench(t, node)
	d.env["BCAST_RECV_BUFFER"] = "600"
	stop := daemonOf(d, "--port 27500 --print --ephemeral --durability full")
	for _, test := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"status", 0, "alice (" + node.tag() + ")", ""},
		{"status", 0, "sending     beat 0.25 a second, 0 bytes a second", ""},
		{"status --json", 0, `"nick":"alice"`, ""},
		{"rooms", 0, "lobby  2     2        1", ""},
		{"rooms --json", 0, `{"name":"lobby","public":true,"members":2,`, ""},
		{"members lobby", 0, "bob", ""},
		{"members lobby --json", 0, `"status":"self"`, ""},
		{"members nowhere", 1, "", "room nowhere is not joined"},
		{"peers", 0, "10.77.0.10", ""},
		{"peers --json", 0, `"nick":"bob"`, ""},
		{"loss", 0, "bob   wired  ?            25 %       ok", ""},
		{"loss --json", 0, `"misses":0.25`, ""},
		{"loss lobby", 2, "", "too many arguments"},
		{"id", 0, "alice-" + node.tag(), ""},
		{"config", 0, "port               27500", ""},
		{"config --json", 0, `{"name":"recv-buffer","value":"600","from":"env"}`, ""},
		{"tail lobby --follow=false", 0, "bob: old news", ""},
		{"tail lobby --follow=false --limit 1 --json", 0, `"text":"old news"`, ""},
		{"tail lobby --limit -1", 2, "", "--limit"},
		{"history lobby --search ol", 0, "bob: old news", ""},
		{"history lobby --search new --json", 0, `"text":"old news"`, ""},
		{"history lobby --limit -1", 2, "", "--limit"},
		{"history lobby --export - --import -", 2, "", "--import"},
		{"history lobby --export - --limit 3", 2, "", "--export"},
		{"history lobby --export -", 0, `"bytes":"b2xkIG5ld3M=","posts":[{"room":"lobby",`, "1 records of lobby exported"},
		{"history lobby --import /none", 1, "", "import: open /none"},
		{"history nowhere", 1, "", "room nowhere is not joined"},
		{"who r3.0", 0, "r3.0 in lobby: 1 of 1 members have it, as far as others told", ""},
		{"who r3.0 --json", 0, `{"post":"r3.0","room":"lobby","members":1,"have":1,"partial":true,"missing":[]}`, ""},
		{"who zz", 1, "", `post "zz": not known here`},
		{"join --detach dev --keep 90d,1GB", 0, "joined dev", ""},
		{"join --detach dev --ephemeral", 0, "joined dev", "kept as it was"},
		{"rooms", 0, "90d, 1,000,000,000 bytes", ""},
		{"status", 0, "0 posts, datagrams of 1400 bytes, kept 90d, 1,000,000,000 bytes", ""},
		{"leave dev", 0, "", ""},
		{"join --detach dev", 0, "joined dev", ""},
		{"join --detach dev --json", 0, `{"room":"dev","new":false}`, ""},
		{"leave dev", 0, "", ""},
		{"leave dev", 1, "", "not joined"},
		{"nick alicia", 0, "", ""},
		{"nick a!b@c --json extra", 2, "", `"code":"usage"`},
		{"nick " + strings.Repeat("x", 40), 2, "", "at most 32"},
		{"say lobby hi --wait all", 0, ".0", ""},
		{"doctor --for 1ms", 1, "PROBLEM  Own broadcasts on eth0 do not come back", ""},
		{"doctor --for 1ms --json", 1, `"healthy":false`, ""},
		{"daemon", 1, "", "bcast: "},
	} {
		b := d.beside()
		b.want(b.shell(test.line), test.code, test.out, test.err)
	}
	d.err.await(t, `msg=post room=lobby nick=alicia`)
	if code := stop(); code != 0 || !node.isClosed() {
		t.Errorf("the daemon ended with %d, node closed: %v", code, node.isClosed())
	}
	if !d.asked.Ephemeral || d.asked.Durability != "full" || d.asked.Port != 27500 || d.asked.RecvBuffer != 600 || d.asked.Home != d.home {
		t.Errorf("the node was started with %+v", d.asked)
	}
	b := d.beside()
	b.want(b.shell("status"), exitNoDaemon, "", "no bcast daemon runs on this home\nbcast: hint: start one: bcast daemon\n")
}

func (n *fakeNode) tag() string {
	status, _ := n.Status(context.Background())
	return status.Tag
}

// A home may be named as it is seen from here: the node is told where that is.
func TestTheHomeIsAbsolute(t *testing.T) {
	d := newBench(t, alice(t))
	t.Chdir(filepath.Dir(d.home))
	d.env["BCAST_HOME"] = filepath.Base(d.home)
	stop := daemonOf(d, "")
	if code := stop(); code != 0 || d.asked.Home != d.home {
		t.Errorf("the daemon ended with %d and was given the home %q, want %q", code, d.asked.Home, d.home)
	}
}

func TestDaemonRefusesWrongSettings(t *testing.T) {
	for _, test := range []struct{ line, env, err string }{
		{"--recv-buffer 8", "", `--recv-buffer "8" is not a number within 16 to 65535`},
		{"--port 70000", "", `--port "70000"`},
		{"--durability none", "", `--durability "none" is neither normal nor full`},
		{"--room no/room", "", "--room room name"},
		{"--nick #x", "", "--nick nick"},
		{"--log-format xml", "", "neither text nor json"},
		{"--link tin", "", `--link "tin" is neither auto, wired nor wifi`},
		{"--broadcast-budget some", "", "--broadcast-budget"},
		{"", "BCAST_PORT=x", `BCAST_PORT "x"`},
		{"extra", "", "too many arguments"},
	} {
		b := newBench(t)
		name, value, _ := strings.Cut(test.env, "=")
		b.env[name] = value
		b.want(b.shell("daemon "+test.line), exitUsage, "", test.err)
	}
}

func TestTailTakesOver(t *testing.T) {
	first, second := alice(t), alice(t)
	second.Meet("carol") // its posts then have other ids than the first one's
	d := newBench(t, first)
	stopDaemon := daemonOf(d, "")
	b := d.beside(second)
	stopTail := b.background("tail lobby")
	first.Hear("lobby", "bob", "before")
	b.out.await(t, "bob: before")
	if code := stopDaemon(); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	second.Hear("lobby", "bob", "after")
	b.out.await(t, "bob: after")
	third := b.beside()
	third.want(third.shell("status --wait 5s --json"), 0, `"nick":"alice"`, "")
	if code := stopTail(); code != 0 || !second.isClosed() {
		t.Errorf("tail ended with %d, node closed: %v", code, second.isClosed())
	}
}

func TestTailTellsWhatChangedAndWhatIsWrong(t *testing.T) {
	node := alice(t)
	post := node.Hear("lobby", "bob", "old")
	b := newBench(t, node)
	stop := b.background("tail lobby")
	b.out.await(t, "bob: old")
	node.Tell(control.Event{Type: control.EventProblem, Problem: "the disk\x1b is full"})
	b.err.await(t, "bcast: the disk is full\n")
	post.Text, post.Edited = "new", true
	node.Tell(control.Event{Type: control.EventEdited, Post: &post})
	b.out.await(t, "bob: new [edited]")
	post.Room = "dev"
	node.Tell(control.Event{Type: control.EventEdited, Post: &post})
	node.Tell(control.Event{Type: control.EventSync, Sync: &control.Sync{Room: "lobby", Total: 1000}})
	node.Hear("lobby", "bob", "last")
	b.out.await(t, "bob: last")
	if code := stop(); code != 0 || strings.Count(b.out.String(), "edited:") != 1 || strings.Contains(b.out.String(), "catching") {
		t.Errorf("exit %d, out %q", code, b.out)
	}
}

func TestStatusWaitGivesUp(t *testing.T) {
	b := newBench(t)
	b.want(b.shell("status --wait 30ms"), exitNoDaemon, "", "answered within 30ms")
}

func TestAnotherTerminalIsWaitedFor(t *testing.T) {
	d := newBench(t, alice(t))
	b := d.beside() // cannot start a node: the home is in use
	code := make(chan int, 1)
	go func() { code <- b.shell("say lobby hi") }()
	stop := daemonOf(d, "")
	b.want(<-code, exitDone, ".0", "")
	stop()
}

func TestTailShowsEachPostOnceAcrossAGap(t *testing.T) {
	device := controltest.New("alice")
	device.Join(t.Context(), "lobby", control.JoinOptions{})
	device.Hear("lobby", "bob", "one")
	device.Hear("lobby", "bob", "two")
	var shown []string
	f := &follower{room: "lobby", seat: &seat{API: gapped{device}, own: true},
		enter: func(context.Context, control.API) error { return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	f.show = func(event control.Event) error {
		if shown = append(shown, event.Post.Text); len(shown) == 3 {
			cancel()
		}
		return nil
	}
	device.Join(ctx, "dev", control.JoinOptions{})
	device.Hear("dev", "bob", "elsewhere")
	device.Hear("lobby", "bob", "three")
	if err := f.run(ctx); err != nil || strings.Join(shown, " ") != "one two three" {
		t.Errorf("shown %v, %v", shown, err)
	}
}

// gapped is a device whose event stream always begins with a gap and then tells everything again.
type gapped struct{ *controltest.Device }

func (g gapped) Status(ctx context.Context) (control.Status, error) {
	status, err := g.Device.Status(ctx)
	status.EventID = "999"
	return status, err
}

func TestSeenPostsForgetsTheOldest(t *testing.T) {
	var seen seenPosts
	for i := range seenLimit + 1 {
		seen.add(fmt.Sprint(i))
	}
	if len(seen.ids) != seenLimit || len(seen.order) != seenLimit || seen.ids["0"] || !seen.ids["1"] {
		t.Errorf("%d posts are remembered, want %d without the first", len(seen.ids), seenLimit)
	}
}

func TestBench(t *testing.T) {
	for _, test := range []struct {
		line     string
		setup    func(*fakeNode)
		code     int
		out, err string
	}{
		{line: "bench send lobby --count 10", out: "10 posts sent in 2.00 s, 5 a second; 1 of 1 members have them\n"},
		{line: "bench send lobby", setup: both, code: exitSome, out: "1,000 posts sent"},
		{line: "bench send lobby", setup: deaf("bob"), code: exitNone, out: "0 of 1 members have them"},
		{line: "bench recv lobby --count 10 --json", out: `{"sent":10,"received":10,"lost":0,"duplicates":0,"seconds":2,` +
			`"per_second":5,"p50_ms":1,"p99_ms":1,"max_ms":1,"bytes":2000}` + "\n"},
		{line: "bench recv lobby", out: "0 lost, 0 twice; delay 1.00 ms for half, 1.00 ms for 99 %, 1.00 ms at most"},
		{line: "bench both lobby", code: exitUsage, err: "neither send nor recv"},
		{line: "bench send", code: exitUsage, err: "an argument is missing"},
		{line: "bench send lobby --timeout 0s", code: exitUsage, err: "--timeout 0s"},
		{line: "bench recv no/room", code: exitUsage, err: "room name"},
	} {
		node := alice(t)
		if test.setup != nil {
			test.setup(node)
		}
		b := newBench(t, node)
		b.want(b.shell(test.line), test.code, test.out, test.err)
	}
}
