package bcast

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/control"
)

// push pushes a file and returns how it ended.
func (c *crew) push(n *Node, order PushOrder) Pushed {
	c.Helper()
	status, err := n.Status(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	now, err := n.Push(c.Context(), order)
	if err != nil {
		c.Fatal(err)
	}
	for e, err := range n.Events(c.Context(), status.EventID) {
		if err != nil {
			c.Fatal(err)
		}
		if e.Type != EventPush || e.Push.Post != now.Post {
			continue
		}
		if now = *e.Push; now.State == control.PushOver || now.State == control.PushStopped {
			break
		}
	}
	return now
}

// private has nodes join a private room of the first.
func (c *crew) private(room string, first *Node, others ...*Node) {
	c.Helper()
	if _, err := first.Join(c.Context(), room, JoinOptions{Private: true}); err != nil {
		c.Fatal(err)
	}
	invitation, err := first.Invite(c.Context(), room)
	if err != nil {
		c.Fatal(err)
	}
	for _, n := range others {
		if _, err := n.Join(c.Context(), invitation.Invite, JoinOptions{}); err != nil {
			c.Fatal(err)
		}
	}
	time.Sleep(3 * time.Second)
}

// A pushed file is taken as each one's inbox says, and who takes it has it and serves it.
func TestPushedFilesAreTakenAsUsersSay(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob, carol, dave := c.start("alice"), c.start("bob"), c.start("carol"), c.start("dave")
		defer c.close(alice, bob, carol, dave)
		c.private("crew", alice, bob, carol, dave)
		for n, accept := range map[*Node]string{bob: "room", dave: "never"} {
			if _, err := n.SetInbox(c.Context(), Inbox{Accept: accept}); err != nil {
				c.Fatal(err)
			}
		}
		go func() { // carol's user is asked
			for e, err := range carol.Events(c.Context(), "") {
				if err == nil && e.Type == control.EventOffer {
					err = carol.AnswerOffer(c.Context(), e.Offer.ID, true)
				}
				if err != nil {
					return
				}
			}
		}()
		end := c.push(alice, PushOrder{Room: "crew", File: c.photo, Rate: control.RateAsTaken})
		if end.State != control.PushOver || end.Members != 3 || end.Have != 2 {
			c.Errorf("the push ended as %+v", end)
		}
		states := map[string]string{}
		for _, taker := range end.Takers {
			states[taker.Nick] = taker.State
		}
		want := map[string]string{"bob": control.TakerWhole, "carol": control.TakerWhole, "dave": control.TakerRefused}
		for nick, state := range want {
			if states[nick] != state {
				c.Errorf("%s is %q, want %q", nick, states[nick], state)
			}
		}
		for _, nick := range []string{"bob", "carol"} {
			if got, err := os.ReadFile(filepath.Join(c.homes[nick], "inbox", "photo.jpg")); err != nil || !bytes.Equal(got, c.content) {
				c.Errorf("%s has %d bytes: %v", nick, len(got), err)
			}
		}
		if post := c.post(bob, "crew", end.Post); post.File == nil || !post.File.Held || !post.File.Pushed {
			c.Errorf("bob sees %+v", post.File)
		}
		if again := c.push(alice, PushOrder{Room: "crew", File: c.photo}); again.Have != 2 || again.Sent > 0 {
			c.Errorf("pushed again: %+v", again)
		}
		if file := c.get(dave, end.Post); file.State != control.FileWhole {
			c.Errorf("dave, who then wants it, gets %+v", file)
		}
	})
}

// What cannot be pushed is refused before anything is said; one push is under way at a time, and can be ended.
func TestPushesThatAreRefused(t *testing.T) {
	withCrew(t, func(c *crew) {
		alice, bob := c.start("alice", "lobby"), c.start("bob", "lobby")
		defer c.close(alice, bob)
		time.Sleep(3 * time.Second)
		empty := filepath.Join(c.homes["alice"], "empty")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			c.Fatal(err)
		}
		for _, test := range []struct {
			order PushOrder
			code  control.Code
		}{
			{PushOrder{Room: "lobby", File: empty}, CodeTooLarge},
			{PushOrder{Room: "lobby", File: "photo.jpg"}, CodeInvalid},
			{PushOrder{Room: "lobby", File: c.homes["alice"]}, CodeInvalid},
			{PushOrder{Room: "nowhere", File: c.photo}, control.CodeNotJoined},
			{PushOrder{Room: "lobby", File: c.photo, Rate: -2}, CodeInvalid},
			{PushOrder{Room: "@bob", File: c.photo}, CodeInvalid},
		} {
			if _, err := alice.Push(c.Context(), test.order); control.AsError(err).Code != test.code {
				c.Errorf("%+v: %v, want %s", test.order, err, test.code)
			}
		}
		if posts, err := alice.Posts(c.Context(), "lobby", PostQuery{}); err != nil || len(posts) > 0 {
			c.Errorf("said: %v, %v", posts, err)
		}
		under, err := alice.Push(c.Context(), PushOrder{Room: "lobby", File: c.photo}) // bob's user is asked, and silent
		if err != nil {
			c.Fatal(err)
		}
		if _, err := alice.Push(c.Context(), PushOrder{Room: "lobby", File: c.photo}); control.AsError(err).Code != CodeBusy {
			c.Errorf("a second one: %v", err)
		}
		if err := alice.StopPush(c.Context(), under.Post); err != nil {
			c.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := alice.PushStatus(c.Context(), under.Post); control.AsError(err).Code != CodeNotFound {
			c.Errorf("it goes on: %v", err)
		}
	})
}

// A home that is named from the working directory is the same one to whom its inbox is named to.
func TestTheHomeOfANodeIsAbsolute(t *testing.T) {
	for _, home := range []string{"", "run/a", "/run/a"} {
		cfg := Config{Home: home}
		if err := cfg.fill(); err != nil {
			t.Fatal(err)
		}
		if home != "" != filepath.IsAbs(cfg.Home) {
			t.Errorf("%q is taken as %q", home, cfg.Home)
		}
	}
}

// Who pushes more than is taken part in of one device is not heard: that is told, and told once.
func TestManyPushesOfOneDeviceAreTold(t *testing.T) {
	var log bytes.Buffer
	n := &Node{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, expecting: map[string]*expectation{}}
	n.files.arrivals.open(t.Context())
	author := identity.DeviceID{7}
	for _, post := range []string{"one", "two"} {
		n.expecting[post] = &expectation{author: author, busy: true}
	}
	for _, post := range []string{"two", "three", "four", "three"} {
		n.expect(author, post)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "post=three") {
		t.Errorf("logged %q", got)
	}
}
