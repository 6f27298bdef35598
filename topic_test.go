package bcast_test

import (
	"testing"
	"testing/synctest"
	"time"

	"bcast"
)

// wantTopic checks what the lobby is about for several members.
func wantTopic(t *testing.T, want string, nodes ...*bcast.Node) {
	t.Helper()
	time.Sleep(time.Second) // till all have heard
	for i, n := range nodes {
		rooms, err := n.Rooms(t.Context())
		if err != nil || len(rooms) != 1 || rooms[0].Topic != want {
			t.Errorf("node %d: rooms %+v, %v; want the topic %q", i, rooms, err, want)
		}
		if status, err := n.Status(t.Context()); err != nil || status.Rooms[0].Topic != want {
			t.Errorf("node %d: status has %q, %v; want %q", i, status.Rooms[0].Topic, err, want)
		}
	}
}

// A topic is a post like any other: what its author makes of it later is what the room is about, for all members alike.
func TestTopicIsTheLastThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, home := bcast.NewLAN(), t.TempDir()
		alice := on(t, lan, "", bcast.Config{Nick: "alice", Home: home, Rooms: []string{"lobby"}})
		before := newest(t, alice)
		bob := on(t, lan, "bob")
		defer bob.Close()
		await(t, alice, before, "bob", "here")
		say := func(n *bcast.Node, kind, target, text string) string {
			t.Helper()
			said, err := n.Say(t.Context(), bcast.Say{Room: "lobby", Kind: kind, Target: target, Text: text})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return said.ID
		}
		wantTopic(t, "", alice, bob)
		boats := say(alice, "topic", "", "boats")
		wantTopic(t, "boats", alice, bob)
		say(alice, "edit", boats, "sails")
		wantTopic(t, "sails", alice, bob)
		trains := say(bob, "topic", "", "trains")
		planes := say(bob, "topic", "", "planes")
		wantTopic(t, "planes", alice, bob)
		say(bob, "delete", planes, "")
		wantTopic(t, "trains", alice, bob)
		say(alice, "edit", boats, "oars") // of one that is not the last
		wantTopic(t, "trains", alice, bob)
		carol := on(t, lan, "carol")
		defer carol.Close()
		time.Sleep(10 * time.Second)
		wantTopic(t, "trains", alice, bob, carol)
		say(bob, "delete", trains, "")
		wantTopic(t, "oars", alice, bob, carol)

		if err := alice.Close(); err != nil {
			t.Fatal(err)
		}
		alice = on(t, lan, "", bcast.Config{Home: home})
		defer alice.Close()
		wantTopic(t, "oars", alice)
		say(alice, "delete", boats, "")
		wantTopic(t, "", alice, bob, carol)
	})
}

// Anyone can say topics and take them back: so many are looked through, and no more.
func TestManyTopicsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := on(t, bcast.NewLAN(), "alice")
		defer alice.Close()
		say := func(kind, target, text string) string {
			said, err := alice.Say(t.Context(), bcast.Say{Room: "lobby", Kind: kind, Target: target, Text: text})
			if err != nil {
				t.Fatal(err)
			}
			return said.ID
		}
		say("topic", "", "boats")
		for range 60 {
			say("delete", say("topic", "", "spam"), "")
		}
		wantTopic(t, "boats", alice)
		for range 200 {
			say("delete", say("topic", "", "spam"), "")
		}
		wantTopic(t, "", alice)
	})
}
