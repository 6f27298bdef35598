package bcast_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"bcast"
)

// Two devices of one network find each other, and one says something. Here the network is one in memory, so that the
// example runs anywhere; without OnLAN it is the one that this host is on.
func Example() {
	ctx := context.Background()
	alice, bob := pair(ctx)
	defer alice.Close()
	defer bob.Close()

	heard := bob.Events(ctx, "") // from now on
	said, err := alice.Say(ctx, bcast.Say{Room: "lobby", Text: "the printer is on fire", Wait: "all"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d members have it\n", said.Have, said.Members)
	for e, err := range heard {
		if err != nil {
			log.Fatal(err)
		}
		if e.Type == bcast.EventPost {
			fmt.Printf("%s says in %s: %s\n", e.Post.Nick, e.Post.Room, e.Post.Text)
			break
		}
	}
	// Output:
	// 1 of 1 members have it
	// alice says in lobby: the printer is on fire
}

// pair starts two participants in the lobby. It returns when the first knows that the second is here and
// a member.
func pair(ctx context.Context) (alice, bob *bcast.Node) {
	lan := bcast.NewLAN()
	alice, err := bcast.Start(ctx, bcast.Config{Nick: "alice", Rooms: []string{"lobby"}}, bcast.OnLAN(lan))
	if err != nil {
		log.Fatal(err)
	}
	met := alice.Events(ctx, "")
	bob, err = bcast.Start(ctx, bcast.Config{Nick: "bob", Rooms: []string{"lobby"}}, bcast.OnLAN(lan))
	if err != nil {
		log.Fatal(err)
	}
	here, joined := false, false
	for e := range met {
		here = here || e.Type == bcast.EventPeer && e.Peer.Nick == "bob" && e.Peer.Status == "here"
		joined = joined || e.Type == bcast.EventMember && e.Member.Nick == "bob" && e.Member.Change == "join"
		if here && joined {
			break
		}
	}
	return alice, bob
}

// A bot answers what others say, and leaves the loop when it has seen enough.
func ExampleNode_Events() {
	ctx := context.Background()
	alice, bob := pair(ctx)
	defer alice.Close()
	defer bob.Close()

	go alice.Say(ctx, bcast.Say{Room: "lobby", Text: "what is the answer?"})
	for e, err := range bob.Events(ctx, "") {
		if err != nil {
			log.Fatal(err)
		}
		if e.Type != bcast.EventPost {
			continue // others may come: a bot looks at what it knows
		}
		fmt.Println(e.Post.Nick+":", e.Post.Text)
		if e.Post.Own {
			break
		}
		bob.Say(ctx, bcast.Say{Room: e.Post.Room, Kind: "reply", Target: e.Post.ID, Text: "42"})
	}
	// Output:
	// alice: what is the answer?
	// bob: 42
}

// Rooms are joined and left at any time; joining twice is no error.
func ExampleNode_Join() {
	ctx := context.Background()
	node, err := bcast.Start(ctx, bcast.Ephemeral(), bcast.OnLAN(bcast.NewLAN()))
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()

	for range 2 {
		joined, err := node.Join(ctx, "#Build", bcast.JoinOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(joined.Room, joined.New)
	}
	_, err = node.Say(ctx, bcast.Say{Room: "lobby", Text: "hello"})
	if failed, ok := errors.AsType[*bcast.Error](err); ok && failed.Code == bcast.CodeNotJoined {
		fmt.Println(failed.Message)
	}
	// Output:
	// build true
	// build false
	// room "lobby" is not joined
}

func ExampleNode_Peers() {
	ctx := context.Background()
	alice, bob := pair(ctx)
	defer alice.Close()
	defer bob.Close()

	peers, err := alice.Peers(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range peers {
		fmt.Println(p.Nick, p.Status)
	}
	// Output:
	// bob here
}

// What was said can be asked for at any time; of a room with a long history, a page of it.
func ExampleNode_Posts() {
	ctx := context.Background()
	alice, bob := pair(ctx)
	defer alice.Close()
	defer bob.Close()

	for _, text := range []string{"tea at four", "lunch at noon", "tea is ready"} {
		if _, err := alice.Say(ctx, bcast.Say{Room: "lobby", Text: text}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := alice.Say(ctx, bcast.Say{Room: "lobby", Text: "bye", Wait: "all"}); err != nil {
		log.Fatal(err)
	}
	posts, err := bob.Posts(ctx, "lobby", bcast.PostQuery{Search: "tea", Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range posts {
		fmt.Println(p.Nick+":", p.Text)
	}
	// Output:
	// alice: tea at four
	// alice: tea is ready
}

// A service is announced for as long as the loop goes on; others find it by what they look at the subnet with.
func ExampleNode_Announce() {
	ctx := context.Background()
	alice, bob := pair(ctx)
	defer alice.Close()
	defer bob.Close()

	browser, err := bcast.Browse(ctx, bcast.Browsing{With: bob})
	if err != nil {
		log.Fatal(err)
	}
	defer browser.Close()
	web := bcast.Service{Name: "Sensor 7", Type: "_http._tcp", Port: 8080, Text: []string{"path=/now"}}
	for told, err := range alice.Announce(ctx, web) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("announced by %s as %q\n", told.By, told.Name)
		break // a program that goes on offering it does not
	}
	for device, err := range browser.Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(device.Name, "is", device.Status)
		break
	}
	// Output:
	// announced by bcast as "Sensor 7"
	// alice is here
}

// Browse tells of each device as it comes, over all protocols.
func ExampleBrowse() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	lan := bcast.NewLAN()
	go func() {
		for range bcast.Announce(ctx, bcast.Service{Name: "Shelf", Type: "_http._tcp", Port: 80},
			bcast.Config{Nick: "shelf"}, bcast.OnLAN(lan)) {
		}
	}()
	browser, err := bcast.Browse(ctx, bcast.Browsing{Types: []string{"_http._tcp"}}, bcast.OnLAN(lan))
	if err != nil {
		log.Fatal(err)
	}
	defer browser.Close()
	for device, err := range browser.Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if device.Offers("_http._tcp") {
			fmt.Printf("%s offers %s\n", device.Name, device.Services[0].Name)
			break
		}
	}
	// Output:
	// shelf offers Shelf
}
