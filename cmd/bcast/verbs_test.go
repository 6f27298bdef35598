package main

import (
	"context"
	"encoding/json"
	"fmt"
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
			err: "0 of 1 members"},
		{line: "say lobby hello --wait all --timeout 10ms", setup: both, code: exitSome, err: "1 of 2 members"},
		{line: "say lobby hello --timeout 10ms", setup: deaf("bob"), code: exitDone, err: "0 of 1 members"},
		{line: "say lobby tick --every 1ms --count 3", out: "r3.0\nr5.0\nr7.0\n"},
		{line: "say lobby -", in: "from a pipe\n", out: "r3.0\n"},
		{line: "say lobby -", in: strings.Repeat("x", control.MaxText+1), code: exitUsage, err: "longer than the 16384"},
		{line: "say lobby -", in: "\xff", code: exitUsage, err: "not valid UTF-8"},
		{line: "say lobby -", in: "a\x07b", code: exitUsage, err: "control character U+0007 at byte 1"},
		{line: "say lobby -", in: "\n", code: exitUsage, err: "the text is empty"},
		{line: "say no/room hi", code: exitUsage, err: "room name"},
		{line: "say lobby", code: exitUsage, err: "hint: usage: bcast say ROOM TEXT"},
		{line: "say lobby hi --wait some", code: exitUsage, err: "neither all nor none"},
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
	stop := daemonOf(d, "--port 27500 --print")
	for _, test := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"status", 0, "alice (" + node.tag() + ")", ""},
		{"status --json", 0, `"nick":"alice"`, ""},
		{"rooms", 0, "lobby  2     2        1", ""},
		{"rooms --json", 0, `{"name":"lobby","public":true,"members":2,`, ""},
		{"members lobby", 0, "bob", ""},
		{"members lobby --json", 0, `"status":"self"`, ""},
		{"members nowhere", 1, "", "room nowhere is not joined"},
		{"peers", 0, "10.77.0.10", ""},
		{"peers --json", 0, `"nick":"bob"`, ""},
		{"id", 0, "alice-" + node.tag(), ""},
		{"config", 0, "port              27500", ""},
		{"config --json", 0, `{"name":"recv-buffer","value":"600","from":"env"}`, ""},
		{"tail lobby --follow=false", 0, "bob: old news", ""},
		{"tail lobby --follow=false --limit 1 --json", 0, `"text":"old news"`, ""},
		{"tail lobby --limit -1", 2, "", "--limit"},
		{"join --detach dev", 0, "joined dev", ""},
		{"join --detach dev --json", 0, `{"room":"dev","new":false}`, ""},
		{"leave dev", 0, "", ""},
		{"leave dev", 1, "", "not joined"},
		{"nick alicia", 0, "", ""},
		{"nick a!b@c --json extra", 2, "", `"code":"usage"`},
		{"nick " + strings.Repeat("x", 40), 2, "", "at most 32"},
		{"say lobby hi --wait all", 0, ".0", ""},
		{"doctor", 1, "PROBLEM  Own broadcasts on eth0 never come back", ""},
		{"doctor --json", 1, `"healthy":false`, ""},
		{"daemon", 1, "", "bcast: "},
	} {
		b := d.beside()
		b.want(b.shell(test.line), test.code, test.out, test.err)
	}
	d.err.await(t, `msg=post room=lobby nick=alicia`)
	if code := stop(); code != 0 || !node.isClosed() {
		t.Errorf("the daemon ended with %d, node closed: %v", code, node.isClosed())
	}
	if d.asked.Port != 27500 || d.asked.RecvBuffer != 600 || d.asked.Home != d.home {
		t.Errorf("the node was started with %+v", d.asked)
	}
	b := d.beside()
	b.want(b.shell("status"), exitNoDaemon, "", "no bcast daemon runs on this home\nbcast: hint: start one: bcast daemon\n")
}

func (n *fakeNode) tag() string {
	status, _ := n.Status(context.Background())
	return status.Tag
}

func TestDaemonRefusesWrongSettings(t *testing.T) {
	for _, test := range []struct{ line, env, err string }{
		{"--recv-buffer 8", "", `--recv-buffer "8" is not a number within 16 to 65535`},
		{"--port 70000", "", `--port "70000"`},
		{"--room no/room", "", "--room room name"},
		{"--nick #x", "", "--nick nick"},
		{"--log-format xml", "", "neither text nor json"},
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
	device.Join(t.Context(), "lobby")
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
	device.Join(ctx, "dev")
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

func TestDiscoverIsOneObjectADevice(t *testing.T) {
	b := newBench(t, alice(t))
	if code := b.shell("discover --json --for 1ms"); code != 0 {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	for _, line := range strings.Split(strings.TrimSpace(b.out.String()), "\n") {
		var d device
		if err := json.Unmarshal([]byte(line), &d); err != nil || len(d.Addrs) == 0 || len(d.FoundBy) == 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
	b.want(0, 0, `"nick":"bob","name":"bob","addrs":["10.77.0.10"],"mac":"","kind":"bcast","services":[],"found_by":["bcast"]`, "")
}
