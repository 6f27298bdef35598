package files

import (
	"sync"
	"sync/atomic"
)

// maxKept is how many hashes of blocks are kept for who asks next: 8 MiB of them, those of 64 GiB of files.
const maxKept = 1 << 18

// trees are hashes of files that were asked for lately.
type trees struct {
	mu    sync.Mutex
	known map[treeKey][]Hash
	order []treeKey // the first was made first
	kept  int
}

// treeKey is a file of this host and what it held.
type treeKey struct{ path, version string }

func (t *trees) find(key treeKey) []Hash {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[key]
}

func (t *trees) keep(key treeKey, hashes []Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[treeKey][]Hash{}
	}
	if was, known := t.known[key]; known {
		t.kept += len(hashes) - len(was)
		t.known[key] = hashes
		return
	}
	t.known[key], t.order = hashes, append(t.order, key)
	for t.kept += len(hashes); t.kept > maxKept && len(t.order) > 1; t.order = t.order[1:] {
		t.kept -= len(t.known[t.order[0]])
		delete(t.known, t.order[0])
	}
}

// Counts is what a server did since it began.
type Counts struct {
	SentBytes, ReceivedBytes uint64
	Sent, Received           uint64          // files, or ranges of them
	Refused                  map[Code]uint64 // requests
}

type counts struct {
	sentBytes, receivedBytes, sentFiles, receivedFiles atomic.Uint64
	mu                                                 sync.Mutex
	refusals                                           map[Code]uint64
}

func (c *counts) sent(n int64) {
	c.sentFiles.Add(1)
	c.sentBytes.Add(uint64(n))
}

func (c *counts) received(n int64) {
	c.receivedFiles.Add(1)
	c.receivedBytes.Add(uint64(n))
}

func (c *counts) refused(code Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals == nil {
		c.refusals = map[Code]uint64{}
	}
	c.refusals[code]++
}

// Counts tells what was done since the beginning.
func (s *Server) Counts() Counts {
	c := &s.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	refused := map[Code]uint64{}
	for code, n := range c.refusals {
		refused[code] = n
	}
	return Counts{
		SentBytes: c.sentBytes.Load(), ReceivedBytes: c.receivedBytes.Load(), Sent: c.sentFiles.Load(),
		Received: c.receivedFiles.Load(), Refused: refused,
	}
}
