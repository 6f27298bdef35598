package irc

import (
	"bcast/internal/control"
	"bcast/internal/show"
)

// maxSeen is how many of the last posts shown a connection remembers, so as to show none twice and to know what is new
// about one.
const maxSeen = 512

// seen is the last posts that a client was shown.
type seen struct {
	ring [maxSeen]string
	next int
	by   map[string]*glimpse
}

// glimpse is what is remembered of a post.
type glimpse struct {
	quote     string
	reactions map[string]bool // by who and what
}

// reacted is one sign of one device to a post.
type reacted struct{ from, nick, text string }

func newSeen() *seen { return &seen{by: map[string]*glimpse{}} }

func (s *seen) has(post string) bool    { return s.by[post] != nil }
func (s *seen) of(post string) *glimpse { return s.by[post] }

func (s *seen) add(post control.Post) {
	if s.has(post.ID) {
		return
	}
	delete(s.by, s.ring[s.next])
	s.ring[s.next] = post.ID
	s.next = (s.next + 1) % maxSeen
	g := &glimpse{quote: head(show.Clean(post.Text), control.QuoteLength), reactions: map[string]bool{}}
	s.by[post.ID] = g
	s.react(post)
}

// react notes the reactions to a post and returns those that are new.
func (s *seen) react(post control.Post) (fresh []reacted) {
	g := s.by[post.ID]
	if g == nil {
		return nil
	}
	now := map[string]bool{}
	for _, r := range post.Reactions {
		for i, from := range r.From {
			key := from + " " + r.Text
			if now[key] = true; !g.reactions[key] {
				nick := ""
				if i < len(r.Nicks) {
					nick = r.Nicks[i]
				}
				fresh = append(fresh, reacted{from, nick, r.Text})
			}
		}
	}
	g.reactions = now
	return fresh
}
