package irc

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// texts are what the PRIVMSG among lines say.
func texts(lines []string) string {
	var all []string
	for _, line := range lines {
		if _, text, found := strings.Cut(line, " PRIVMSG "); found {
			_, text, _ = strings.Cut(text, " :")
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func TestChathistory(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		var posts []control.Post
		for n := range 10 {
			posts = append(posts, g.device.Hear("lobby", "bob", fmt.Sprint(n)))
		}
		id := func(n int) string { return "msgid=" + posts[n].ID }
		at := func(n int) string { return "timestamp=" + stamp(posts[n].Time) }
		c := g.enter("draft/chathistory batch server-time message-tags")
		for _, test := range []struct{ ask, want string }{
			{"LATEST #lobby * 3", "7 8 9"},
			{"LATEST #lobby * 1000000", "0 1 2 3 4 5 6 7 8 9"},
			{"LATEST #lobby " + id(6) + " 2", "8 9"},
			{"LATEST #lobby " + id(7) + " 5", "8 9"},
			{"LATEST #lobby " + at(7) + " 5", "8 9"},
			{"BEFORE #lobby " + id(3) + " 2", "1 2"},
			{"BEFORE #lobby " + at(3) + " 20", "0 1 2"},
			{"BEFORE #lobby " + id(0) + " 2", ""},
			{"AFTER #lobby " + id(3) + " 2", "4 5"},
			{"AFTER #lobby " + id(3) + "/02 2", "4 5"},
			{"AFTER #lobby " + at(3) + " 2", "4 5"},
			{"AFTER #lobby timestamp=2001-01-01T00:00:00.000Z 2", "0 1"},
			{"AROUND #lobby " + id(5) + " 4", "4 5 6 7"},
			{"AROUND #lobby " + at(5) + " 5", "3 4 5 6 7"},
			{"AROUND #lobby " + id(9) + " 2", "8 9"},
			{"AROUND #lobby " + id(5) + " 1", "5"},
			{"BETWEEN #lobby " + id(2) + " " + id(6) + " 2", "3 4"},
			{"BETWEEN #lobby " + id(6) + " " + id(2) + " 2", "4 5"},
			{"BETWEEN #lobby " + at(2) + " " + at(6) + " 10", "3 4 5"},
			{"BETWEEN #lobby " + at(6) + " " + id(2) + " 2", "4 5"},
			{"BETWEEN #lobby " + id(2) + " " + at(6) + " 2", "3 4"},
		} {
			time.Sleep(time.Second)
			c.send("CHATHISTORY " + test.ask)
			lines := c.take()
			if got := texts(lines); got != test.want || !matches(lines[0], ":irc.bcast BATCH +… chathistory #lobby") {
				t.Errorf("%s: %q, want %q: %q", test.ask, got, test.want, lines)
			}
		}
		for ask, want := range map[string]string{
			"LATEST #lobby * 0": "INVALID_PARAMS LATEST #lobby", "LATEST #lobby * x": "INVALID_PARAMS LATEST #lobby",
			"LATEST #nope * 1": "INVALID_TARGET LATEST #nope", "LATEST nobody * 1": "INVALID_TARGET LATEST nobody",
			"AFTER #lobby * 1": "INVALID_PARAMS AFTER #lobby", "AFTER #lobby msgid=no 1": "INVALID_PARAMS AFTER #lobby",
			"BEFORE #lobby msgid=no 1": "INVALID_PARAMS BEFORE #lobby", "BETWEEN #lobby * 1": "INVALID_PARAMS BETWEEN #lobby",
			"BETWEEN #lobby msgid=no msgid=nor 1": "INVALID_PARAMS BETWEEN #lobby", "FROB #lobby 1": "INVALID_PARAMS FROB #lobby",
			"TARGETS * * 1": "INVALID_PARAMS TARGETS", "TARGETS msgid=x msgid=y 1": "INVALID_PARAMS TARGETS",
		} {
			time.Sleep(time.Second)
			c.send("CAP REQ standard-replies", "CHATHISTORY "+ask)
			c.want(":irc.bcast CAP alice ACK :standard-replies", ":irc.bcast FAIL CHATHISTORY "+want+" :…")
		}
	})
}

// Posts that are further back than one page are found, and one with a time out of order hides none.
func TestChathistoryWalksBack(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		var posts []control.Post
		for n := range 2*pageSize + 10 {
			posts = append(posts, g.device.Hear("lobby", "bob", fmt.Sprint(n)))
		}
		c := g.enter("draft/chathistory")
		c.send("CHATHISTORY AFTER #lobby msgid=" + posts[4].ID + " 2")
		if got := texts(c.take()); !strings.HasSuffix(got, "] 6") || !strings.Contains(got, "] 5 [") {
			t.Errorf("got %q", got)
		}
		c.send("CHATHISTORY LATEST #lobby timestamp=" + stamp(posts[2*pageSize].Time) + " 1000")
		if got := c.take(); len(got) != 9 {
			t.Errorf("%d lines: %q", len(got), got)
		}
	})
}

func TestTargetsAreTheRoomsWithNewPosts(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		for _, room := range []string{"lobby", "dev", "old"} {
			g.device.Join(t.Context(), room, control.JoinOptions{})
		}
		g.device.Meet("bob", "lobby")
		g.device.Join(t.Context(), "@bob", control.JoinOptions{})
		old := g.device.Hear("old", "bob", "x")
		dev := g.device.Hear("dev", "bob", "x")
		bob := g.device.Hear("@"+bobID, "bob", "x")
		c := g.enter("draft/chathistory batch server-time message-tags")
		c.send("CHATHISTORY TARGETS timestamp=" + stamp(old.Time) + " timestamp=2100-01-01T00:00:00Z 10")
		c.want(":irc.bcast BATCH +1 draft/chathistory-targets", "@batch=1 :irc.bcast CHATHISTORY TARGETS #dev "+stamp(dev.Time),
			"@batch=1 :irc.bcast CHATHISTORY TARGETS bob "+stamp(bob.Time), ":irc.bcast BATCH -1")
		c.send("CHATHISTORY LATEST bob * 5")
		c.want(":irc.bcast BATCH +2 chathistory bob", "@batch=2;msgid=…;time=… :bob!626f@bcast PRIVMSG alice :x",
			":irc.bcast BATCH -2")
	})
}

// forgetful is a participant whose event log loses what it is told to.
type forgetful struct{ *controltest.Device }

func (f forgetful) Events(ctx context.Context, after string) iter.Seq2[control.Event, error] {
	return func(yield func(control.Event, error) bool) {
		for event, err := range f.Device.Events(ctx, after) {
			if event.Post != nil && event.Post.Text == "missed" {
				continue
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// Who missed events is shown what was said meanwhile, once.
func TestAGapIsFilledFromTheHistory(t *testing.T) {
	as := func(d *controltest.Device) control.API { return forgetful{d} }
	servingAs(t, Config{}, as, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		g.device.Join(t.Context(), "@bob", control.JoinOptions{})
		c := g.enter("server-time batch")
		g.device.Hear("lobby", "bob", "seen")
		c.want("@time=… :bob!626f@bcast PRIVMSG #lobby :seen")
		g.device.Hear("lobby", "bob", "missed")
		g.device.Hear("@"+bobID, "bob", "missed")
		c.want()
		g.device.Tell(control.Event{Type: control.EventGap})
		c.want(":irc.bcast BATCH +1 chathistory #lobby", "@batch=1;time=… :bob!626f@bcast PRIVMSG #lobby :missed",
			":irc.bcast BATCH -1", ":irc.bcast BATCH +2 chathistory bob",
			"@batch=2;time=… :bob!626f@bcast PRIVMSG alice :missed", ":irc.bcast BATCH -2")
		g.device.Tell(control.Event{Type: control.EventGap})
		c.want()
		for range missedPlayback + 1 {
			g.device.Hear("lobby", "bob", "missed")
		}
		g.device.Tell(control.Event{Type: control.EventGap})
		got := c.take()
		if len(got) != missedPlayback+3 ||
			got[len(got)-1] != ":irc.bcast NOTICE #lobby :more was said than is shown here: bcast history" {
			t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
		}
	})
}

// picky is a participant that knows none of the posts that a reply is for.
type picky struct{ *controltest.Device }

func (p picky) Say(ctx context.Context, say control.Say) (control.Said, error) {
	if say.Target != "" {
		return control.Said{}, control.NewError(control.CodeNotFound, nil, "not known here", "")
	}
	return p.Device.Say(ctx, say)
}

func TestAReplyToWhatIsNotKeptIsSaid(t *testing.T) {
	as := func(d *controltest.Device) control.API { return picky{d} }
	servingAs(t, Config{}, as, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		c := g.enter("message-tags echo-message")
		c.send("@+draft/reply=gone.0 PRIVMSG #lobby :yes")
		c.want("@msgid=… :alice!aaaa@bcast PRIVMSG #lobby :yes")
		c.send("@+draft/reply=gone.0 PRIVMSG #lobby : ")
		c.want(":irc.bcast NOTICE alice :PRIVMSG: not known here")
		c.send("@+draft/react=x;+draft/reply=gone.0 TAGMSG #lobby", "NOTICE #lobby : ")
		c.want(":irc.bcast NOTICE alice :TAGMSG: not known here")
	})
}
