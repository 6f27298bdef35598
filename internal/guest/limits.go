package guest

import (
	"sync"
	"time"
)

const (
	// maxLinks is how many links are good at once; who wants more ends one.
	maxLinks = 16
	// maxGuests is how many guests there are at once, by all links together: each is a device, with one of the sixteen
	// ports that the devices of a host share.
	maxGuests = 8
	// entries and entriesEach bound who comes: each that does makes a key and sockets, and posts here.
	entries, entriesEach = 10, 6 * time.Second
	// asks and asksEach bound all that a guest asks; a page that is opened asks some twenty times.
	asks, asksEach = 100, 200 * time.Millisecond
	// Posts of a guest: so many at once, and one each.
	posts, postsEach = 20, 2 * time.Second
	// Signals, and new nicks, likewise.
	signals, signalsEach = 5, 2 * time.Second
	nicks, nicksEach     = 3, 20 * time.Second
	// maxText is the longest post of a guest in bytes.
	maxText = 4096
	// maxPage is how many posts are told at once.
	maxPage = 500
	// keeping is more than a post takes from when it comes to when it can be asked for.
	keeping = time.Second
	// few is how many of the newest posts are asked for to find one that was said now.
	few = 64
	// maxStreams is how many pages a guest has open at once.
	maxStreams = 4
	// maxReads is how many files a guest reads at once: its device asks the others for them, and the host carries them.
	maxReads = 2
	// keptRecords and keptBytes are what a guest's device keeps of the room in memory.
	keptRecords, keptBytes = 2000, 4 << 20
	// maxShown is how many posts are remembered that a guest was shown; of older ones it hears no more.
	maxShown = 20_000
	// maxIdle is how long a guest may have no page open before it has left.
	maxIdle = 20 * time.Minute
	// sweepEach is how often links and guests are looked at whose time may be over.
	sweepEach = 5 * time.Second
	// goodbye bounds how long a guest's device says that it leaves.
	goodbye = 2 * time.Second
)

// pace lets through so many at once, and one more each while. The zero pace lets nobody through.
type pace struct {
	most int
	each time.Duration

	mu   sync.Mutex
	full time.Time // when all will be free again
}

// take tells whether one more may pass.
func (p *pace) take(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full.Before(now) {
		p.full = now
	}
	if next := p.full.Add(p.each); next.Sub(now) <= time.Duration(p.most)*p.each && p.most > 0 {
		p.full = next
		return true
	}
	return false
}

// recent remembers the newest of what it was given.
type recent struct {
	known map[string]bool
	order []string
}

func (r *recent) add(id string) {
	if r.known[id] {
		return
	}
	if r.known == nil {
		r.known = map[string]bool{}
	}
	if len(r.order) == maxShown {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
	r.known[id], r.order = true, append(r.order, id)
}
