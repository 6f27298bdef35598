package engine

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// benchPosts is how many posts a benchmark says at once: some flights.
const benchPosts = 160

// speakers are two hosts that see each other, with the budget lifted.
func speakers(b *testing.B) (from, to *host) {
	c := newCable(b)
	from, to = c.host(1), c.host(1)
	c.wait(time.Second)
	from.Do(from.clock(), 5, SetBudget{Broadcast: math.MaxInt32})
	c.now += time.Second // it fills
	from.settle()
	return from, to
}

func benchSay(n int) Say {
	say := Say{Room: lobby, Posts: make([]record.Post, benchPosts)}
	for i := range say.Posts {
		say.Posts[i] = record.Post{Kind: record.KindText, Text: fmt.Sprintf("%0200d", n*benchPosts+i)}
	}
	return say
}

// drain does what an engine wants with a store that keeps at once, and gives back what it sends and how many posts
// it shows.
func drain(h *host) (sent []Send, posts int) {
	for {
		var out Output
		h.Drain(&out)
		if out.IsEmpty() {
			return sent, posts
		}
		for _, s := range out.Store {
			h.Stored(h.clock(), s.Token, nil, nil)
		}
		sent = append(sent, out.Send...)
		for _, e := range out.Events {
			posts += len(e.Chat.Posts)
		}
	}
}

// BenchmarkSay is a post from Do to its datagram.
func BenchmarkSay(b *testing.B) {
	from, _ := speakers(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchPosts {
		say := benchSay(n)
		from.Do(from.clock(), 9, say)
		drain(from)
	}
}

// received are b.N posts and more as datagrams, in a receiver's eyes.
func received(b *testing.B, from *host) []Datagram {
	var all []Datagram
	for n := 0; n < b.N; n += benchPosts {
		from.Do(from.clock(), 9, benchSay(n))
		sent, _ := drain(from)
		for _, s := range sent {
			all = append(all, Datagram{
				Data: s.Data, Size: len(s.Data), From: from.addr, Iface: 1, TTL: 255, Broadcast: true, OnLink: true,
			})
		}
	}
	return all
}

// opener remembers signatures that were right, as a node does.
func opener(h *host) *Opener {
	known := map[[64]byte]bool{}
	o := *h.Opener()
	o.prove = unbudgeted(func(key identity.PublicKey, message, sig []byte) bool {
		name := [64]byte(sig)
		if !known[name] {
			known[name] = key.Verify(message, sig)
		}
		return known[name]
	})
	return &o
}

// BenchmarkOpen is a post's share of opening datagrams: what runs on all cores.
func BenchmarkOpen(b *testing.B) {
	from, to := speakers(b)
	all := received(b, from)
	opener := opener(to)
	b.ReportAllocs()
	b.ResetTimer()
	for _, d := range all {
		if _, drop := opener.Open(d); drop != "" {
			b.Fatal(drop)
		}
	}
}

// BenchmarkReceive is a post from the opened datagram to the event: what runs on the loop.
func BenchmarkReceive(b *testing.B) {
	from, to := speakers(b)
	opened := make([]Opened, 0, b.N)
	opener := opener(to)
	for _, d := range received(b, from) {
		o, drop := opener.Open(d)
		if drop != "" {
			b.Fatal(drop)
		}
		opened = append(opened, o)
	}
	events := 0
	b.ReportAllocs()
	b.ResetTimer()
	for batch := range slices.Chunk(opened, 128) {
		to.ReceiveAll(to.clock(), batch, make([]wire.Drop, len(batch)))
		_, n := drain(to)
		events += n
	}
	if events < b.N {
		b.Errorf("%d events of %d posts", events, b.N)
	}
}
