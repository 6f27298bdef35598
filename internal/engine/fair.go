package engine

import (
	"time"

	"bcast/identity"
)

// One author must not take the whole way to the store while others speak, too: what is refused of it comes again, and
// what the others say waits behind this much of it and no more. Alone it may use all of maxBacklog.
const (
	fairShare = 2 << 20          // bytes
	fairFor   = 10 * time.Second // after the last word of another
)

// shares are the bytes on their way to the store by author, and the two authors that spoke last.
type shares struct {
	bytes  map[identity.PublicKey]int
	latest [2]struct {
		author identity.PublicKey
		at     time.Duration
	}
}

func (s *shares) add(now time.Duration, author identity.PublicKey, bytes int) {
	s.bytes[author] += bytes
	if s.latest[0].author != author {
		s.latest[1] = s.latest[0]
		s.latest[0].author = author
	}
	s.latest[0].at = now
}

func (s *shares) remove(author identity.PublicKey, bytes int) {
	if s.bytes[author] -= bytes; s.bytes[author] <= 0 {
		delete(s.bytes, author)
	}
}

// full tells whether an author has to wait until more of it is stored.
func (s *shares) full(now time.Duration, author identity.PublicKey) bool {
	if s.bytes[author] < fairShare {
		return false
	}
	other := s.latest[0]
	if other.author == author {
		other = s.latest[1]
	}
	return other.author != identity.PublicKey{} && now < other.at+fairFor
}
