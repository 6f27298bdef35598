package control

import "time"

// Bench asks for a measurement in a room. One that was not joined is joined for as long as it takes.
type Bench struct {
	Do   string `json:"do"` // send | recv
	Room string `json:"room"`
	// Count is how many posts to send; to receive, at least how many: 0 is as many as the senders announce.
	Count int     `json:"count,omitempty"`
	Size  int     `json:"size,omitempty"` // bytes of a post's text; 0 is BenchSize
	Rate  float64 `json:"rate,omitempty"` // posts a second; 0 is as many as go
	// Stored measures with a history on the disk; else the room is in memory only, here.
	Stored bool `json:"stored,omitempty"`
	// Silence is a duration: who receives gives up after so much of it, and who sends waits so long for the members here
	// to have it all. Empty is BenchSilence.
	Silence string `json:"silence,omitempty"`
}

// What Bench does unless told otherwise.
const (
	BenchSize    = 200
	BenchSilence = 10 * time.Second
)

// Benched is what a measurement found. A sender knows what it sent, in how many seconds, and who of the members has it;
// a receiver the rest. Delays are from Say in the sender's node to the event in the receiver's, by the clocks of both.
type Benched struct {
	Sent       int     `json:"sent"`
	Received   int     `json:"received"`
	Lost       int     `json:"lost"`
	Duplicates int     `json:"duplicates"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50ms      float64 `json:"p50_ms"`
	P99ms      float64 `json:"p99_ms"`
	MaxMs      float64 `json:"max_ms"`
	Bytes      int64   `json:"bytes"`             // of the posts' texts
	Members    int     `json:"members,omitempty"` // of a sender: the others
	Have       int     `json:"have,omitempty"`    // those of them known to have all
	Warning    string  `json:"warning,omitempty"`
}
