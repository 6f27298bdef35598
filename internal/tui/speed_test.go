package tui

import (
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// postsOf is so many posts as a participant tells them.
func postsOf(n int) []control.Post {
	posts := make([]control.Post, n)
	for i := range posts {
		posts[i] = control.Post{
			Room: "lobby", ID: fmt.Sprintf("%d.0", i), From: fmt.Sprint(i % 7), Nick: fmt.Sprintf("nick%d", i%7), Kind: "text",
			Text: "the quick brown fox jumps over the lazy dog, more than once a line", Time: controltest.Epoch.Add(time.Duration(i) * time.Minute),
		}
	}
	return posts
}

// opened is a model with a page of posts, without the calls that it asks for.
func opened(b *testing.B, posts []control.Post) *Model {
	device := controltest.New("alice")
	device.Join(b.Context(), "lobby", control.JoinOptions{})
	status, _ := device.Status(b.Context())
	m := New(b.Context(), Config{Now: time.Now})
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	m.Update(seated{device, status, ""})
	m.Update(page{room: "lobby", posts: posts, limit: pageSize})
	return m
}

func BenchmarkOpen(b *testing.B) {
	posts := postsOf(pageSize)
	for b.Loop() {
		opened(b, posts).View()
	}
}

// A post that comes, and the screen with it.
func BenchmarkPost(b *testing.B) {
	posts := postsOf(b.N + pageSize)
	m := opened(b, posts[:pageSize])
	b.ResetTimer()
	for i := range b.N {
		m.Update(happened{{Type: control.EventPost, Post: &posts[pageSize+i]}})
		m.View()
	}
}

// A key of the page up, far back in what was loaded.
func BenchmarkScroll(b *testing.B) {
	m := opened(b, postsOf(keepPosts))
	for b.Loop() {
		m.scroll(m.room(), 1)
		m.View()
	}
}
