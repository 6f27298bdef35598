package main

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
)

func TestJoinOnAPipe(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	b.in = strings.NewReader("one\n\ntwo")
	b.want(b.shell("join lobby --durability full --ephemeral"), exitDone, "alice: one\n", "")
	b.want(0, 0, "alice: two\n", "")
	b.want(0, 0, "- lobby was joined before and is kept as it was\n", "")
	if b.asked.Durability != "full" {
		t.Errorf("the node was started with %+v", b.asked)
	}
	rooms, _ := node.Rooms(t.Context())
	if len(rooms) != 1 || !node.isClosed() {
		t.Errorf("after joining a room joined before: rooms %+v, closed %v", rooms, node.isClosed())
	}
}

func TestJoinLeavesTheRoomThatItJoined(t *testing.T) {
	node := alice(t)
	node.Meet("dora", "dev")
	b := newBench(t, node)
	b.in = strings.NewReader("hi\n")
	b.want(b.shell("join dev --json"), exitDone, `"room":"dev"`, "")
	if rooms, _ := node.Rooms(t.Context()); len(rooms) != 1 || rooms[0].Name != "lobby" {
		t.Errorf("rooms %+v, want lobby only", rooms)
	}
}

func TestGuestHasNoHome(t *testing.T) {
	node := alice(t)
	b := newBench(t, node)
	b.want(b.shell("join --guest eve lobby"), exitDone, "", "")
	if b.asked.Home != "" || b.asked.Nick != "eve" {
		t.Errorf("the node was started with %+v", b.asked)
	}
}

func TestJoinRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"join a b":                   "too many arguments",
		"join no/room":               "room name",
		"join --guest #x":            "nick",
		"join --keep soon":           `--keep "soon" is no age, number or size`,
		"join --durability none":     "neither normal nor full",
		"join --guest eve --detach":  "exclude each other",
		"join lobby --detach --wait": "unknown flag --wait",
	} {
		b := newBench(t)
		b.want(b.shell(line), exitUsage, "", want)
	}
	b := newBench(t)
	b.want(b.shell("join --detach"), exitNoDaemon, "", "no bcast daemon")
}

func TestLineQueueKnowsTheLastLine(t *testing.T) {
	in, out := io.Pipe()
	lines := readLines(t.Context(), in)
	io.WriteString(out, "one\r\n")
	if line, more := lines.next(t.Context()); line != "one" || !more {
		t.Errorf("got %q, %v", line, more)
	}
	if lines.atEnd() {
		t.Error("the end is known though the pipe is open")
	}
	io.WriteString(out, "two\n   \n")
	go out.Close()
	if lines.next(t.Context()); !lines.atEnd() {
		t.Error("the end is not known though only a blank line followed")
	}
	if _, more := lines.next(t.Context()); more {
		t.Error("a line after the end")
	}
}

// onTestScreen runs a conversation on a terminal whose keys are written to the pipe returned.
func onTestScreen(t *testing.T, node *fakeNode) (keys *io.PipeWriter, screenOut *buffer, done <-chan error) {
	b := newBench(t)
	in, keys := io.Pipe()
	v := &conversation{app: b.app, seat: &seat{API: node, own: true, leave: node.Close}}
	out := newBuffer()
	result := make(chan error, 1)
	go func() {
		result <- v.onScreen(t.Context(), "lobby", newScreen(in, out, func() (int, int) { return 80, 24 }))
	}()
	return keys, out, result
}

func TestScreen(t *testing.T) {
	node := alice(t)
	node.Hear("lobby", "bob", "before you came")
	keys, out, done := onTestScreen(t, node)
	out.await(t, "bob: before you came")
	io.WriteString(keys, "hello\r")
	out.await(t, "alice: hello")
	node.Hear("lobby", "bob", "hi alice")
	out.await(t, "bob: hi alice")
	node.Cut(control.Cut{Nick: "bob", Received: 600, Size: 1400})
	out.await(t, "[cut 600/1400 from bob]")
	node.Meet("carol", "lobby")
	out.await(t, "carol joined")
	for _, step := range []struct{ keys, want string }{
		{"/me waves\r", "* alice waves"},
		{"//slash\r", "alice: /slash"},
		{"/members\r", "carol  6361"},
		{"/help\r", "/join ROOM"},
		{"/reply me too\r", "me too"},
		{"/nonsense\r", "! there is no /nonsense (/help lists what there is)"},
		{"/nick alicia\r", "> "},
		{"/join no/room\r", "! room name"},
		{"/join dev\r", "you"},
	} {
		io.WriteString(keys, step.keys)
		out.await(t, step.want)
	}
	out.await(t, "dev> ")
	io.WriteString(keys, "new room\r")
	out.await(t, "alicia: new room")
	io.WriteString(keys, "\x04")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if rooms, _ := node.Rooms(t.Context()); len(rooms) != 1 || rooms[0].Name != "lobby" {
		t.Errorf("rooms %+v, want lobby: it was joined before, dev was not", rooms)
	}
}

func TestScreenTellsWhoHasWhatWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := alice(t)
		node.Meet("carol", "lobby")
		node.Lose("carol")
		keys, out, done := onTestScreen(t, node)
		synctest.Wait()
		io.WriteString(keys, "hello\r")
		synctest.Wait()
		if strings.Contains(out.String(), "seen by") {
			t.Errorf("told at once: %q", out)
		}
		time.Sleep(settled)
		synctest.Wait()
		if !strings.Contains(out.String(), "- seen by 1 of 2, missing carol (away ") {
			t.Errorf("not told: %q", out)
		}
		io.WriteString(keys, "\x04")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestScreenQuit(t *testing.T) {
	keys, out, done := onTestScreen(t, alice(t))
	out.await(t, "lobby> ")
	io.WriteString(keys, "/quit\r")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPresenceTellsWhatChanges(t *testing.T) {
	p := presence{room: "lobby", status: map[string]string{}, members: map[string]bool{"4": true}}
	peer := func(id, status, room string) control.Peer {
		return control.Peer{ID: id, Status: status, Rooms: []string{room}, LastSeen: time.Time{}}
	}
	for i, step := range []struct {
		peer control.Peer
		want bool
	}{
		{peer("1", "here", "lobby"), false}, // its join is told
		{peer("1", "here", "lobby"), false},
		{peer("1", "suspect", "lobby"), false},
		{peer("1", "here", "lobby"), false},
		{peer("1", "lost", "lobby"), true},
		{peer("1", "lost", "lobby"), false},
		{peer("1", "here", "lobby"), true},
		{peer("2", "lost", "dev"), false},
		{peer("3", "left", "lobby"), true},
		{peer("4", "here", ""), false}, // a member of a private room
		{peer("4", "left", ""), true},
		{peer("5", "left", ""), false},
	} {
		if got := p.changes(step.peer); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
