// Command ping is a bot that answers !ping, without a daemon and without files: go run ./examples/ping
package main

import "bcast"
import "context"
import "log"

func main() {
	node, err := bcast.Start(context.Background(), bcast.Config{Nick: "pong", Rooms: []string{"lobby"}})
	if err != nil {
		log.Fatal(err)
	}
	for e := range node.Events(context.Background(), "") {
		if e.Type == bcast.EventPost && e.Post.Text == "!ping" {
			node.Say(context.Background(), bcast.Say{Room: e.Post.Room, Text: "pong, " + e.Post.Nick})
		}
	}
}
