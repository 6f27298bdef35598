package bcast_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bcast"
)

// on starts a participant in the lobby of a LAN in memory.
func on(t *testing.T, lan *bcast.LAN, nick string, options ...bcast.Option) *bcast.Node {
	t.Helper()
	cfg := bcast.Config{Nick: nick, Rooms: []string{"lobby"}}
	node, err := bcast.Start(t.Context(), append([]bcast.Option{cfg, bcast.OnLAN(lan)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// await reads events until one of a peer with that status comes, and tells how long that took.
func await(t *testing.T, node *bcast.Node, after, nick, status string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	began := time.Now()
	for e := range node.Events(ctx, after) {
		if e.Type == bcast.EventPeer && e.Peer.Nick == nick && e.Peer.Status == status {
			return time.Since(began)
		}
	}
	t.Fatalf("%s was never %s", nick, status)
	return 0
}

func newest(t *testing.T, node *bcast.Node) string {
	t.Helper()
	status, err := node.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.EventID
}

func TestNodesOfALANMeetAndPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		alice := on(t, lan, "alice")
		defer alice.Close()
		before := newest(t, alice)
		bob, elsewhere := on(t, lan, "bob"), on(t, bcast.NewLAN(), "carol")
		defer elsewhere.Close()
		await(t, alice, before, "bob", "here")

		before = newest(t, alice)
		lan.Unplug(elsewhere) // is on another one
		lan.Unplug(bob)
		if took := await(t, alice, before, "bob", "lost"); took > 10*time.Second {
			t.Errorf("a host without a cable was missed after %v", took)
		}
		before = newest(t, alice)
		lan.Plug(bob)
		await(t, alice, before, "bob", "here")
		before = newest(t, alice)
		if err := bob.Close(); err != nil {
			t.Error(err)
		}
		await(t, alice, before, "bob", "left")
		if peers, err := alice.Peers(t.Context()); err != nil || len(peers) != 1 {
			t.Errorf("peers %+v, %v: want bob alone", peers, err)
		}
	})
}

// Others refuse a datagram with a name that is not in its normal form, so none goes out, however it was written.
func TestNamesGoOutInNormalForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, home := bcast.NewLAN(), t.TempDir()
		alice := on(t, lan, "alice")
		defer alice.Close()
		if err := os.WriteFile(home+"/state.json", []byte(`{"boot": 3, "nick": "zoe\u0308"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		before := newest(t, alice)
		remembered := on(t, lan, "", bcast.Config{Home: home, Rooms: []string{"Ku\u0308che"}})
		await(t, alice, before, "zo\u00eb", "here")
		remembered.Close()

		t.Setenv("USER", "ANDRE\u0301 G")
		fromUser := on(t, lan, "")
		defer fromUser.Close()
		await(t, alice, before, "ANDR\u00c9G", "here")

		before = newest(t, alice)
		chosen := on(t, lan, "", bcast.Config{Nick: "che\u0301", Rooms: []string{"LOBBY", "e\u0301te\u0301"}})
		defer chosen.Close()
		await(t, alice, before, "ch\u00e9", "here")
		if err := chosen.Nick(t.Context(), "rene\u0301"); err != nil {
			t.Fatal(err)
		}
		await(t, alice, before, "ren\u00e9", "here")
		peers, err := alice.Peers(t.Context())
		if err != nil || !slices.ContainsFunc(peers, func(p bcast.Peer) bool {
			return p.Nick == "ren\u00e9" && slices.Contains(p.Rooms, "\u00e9t\u00e9") && slices.Contains(p.Rooms, "lobby")
		}) {
			t.Errorf("peers %+v, %v: want ren\u00e9 in lobby and \u00e9t\u00e9", peers, err)
		}
		status, err := alice.Status(t.Context())
		if err != nil || status.Drops["malformed"] != 0 {
			t.Errorf("%d refused, %v", status.Drops["malformed"], err)
		}
	})
}

// A newcomer gets what was said before it came, also where that takes a stream.
func TestNewcomerOnALANCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		lan := bcast.NewLAN()
		alice := on(t, lan, "alice")
		defer alice.Close()
		for i := range n {
			if _, err := alice.Say(t.Context(), bcast.Say{Room: "lobby", Text: fmt.Sprint("post ", i)}); err != nil {
				t.Fatal(err)
			}
		}
		bob := on(t, lan, "bob")
		defer bob.Close()
		time.Sleep(10 * time.Second)
		posts, err := bob.Posts(t.Context(), "lobby", bcast.PostQuery{})
		if err != nil || len(posts) != n || posts[n-1].Text != fmt.Sprint("post ", n-1) {
			t.Errorf("%d posts, %v; want %d", len(posts), err, n)
		}
	})
}

func TestEphemeralLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := t.TempDir() + "/home"
		node := on(t, bcast.NewLAN(), "alice", bcast.Config{Home: home, Nick: "eve"}, bcast.Ephemeral())
		defer node.Close()
		status, err := node.Status(t.Context())
		if err != nil || status.Home != "" || status.Nick != "eve" {
			t.Errorf("status %+v, %v: want a guest named eve", status, err)
		}
		if _, err := os.Stat(home); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("its home: %v, want none", err)
		}
	})
}

// What became of a post is told with all that a face shows of it.
func TestChangedPostsAreToldWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := bcast.NewLAN()
		alice := on(t, lan, "alice")
		defer alice.Close()
		before := newest(t, alice)
		bob := on(t, lan, "bob")
		defer bob.Close()
		await(t, alice, before, "bob", "here")
		asked, err := alice.Say(t.Context(), bcast.Say{Room: "lobby", Text: "coffee?"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		reply, err := bob.Say(t.Context(), bcast.Say{Room: "lobby", Kind: "reply", Target: asked.ID, Text: "yes"})
		if err != nil {
			t.Fatal(err)
		}
		edit := bcast.Say{Room: "lobby", Kind: "edit", Target: reply.ID, Text: "no, @alice"}
		if _, err := bob.Say(t.Context(), edit); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for e := range alice.Events(ctx, before) {
			if e.Type != bcast.EventEdited {
				continue
			}
			if p := e.Post; p.Text != "no, @alice" || !p.Mention || p.Quote == nil || p.Quote.Text != "coffee?" {
				t.Errorf("told of %+v, quoting %+v", p, p.Quote)
			}
			return
		}
		t.Error("alice was not told")
	})
}
