// Command bench takes part in a LAN with what else people use to talk to all hosts of one, and measures it as `bcast
// bench` measures bcast: the same posts, the same counting. bench/run starts it in network namespaces and makes a table.
//
//	bench memberlist|gossipsub|nats --self 10.77.0.2 --first 10.77.0.1 --hosts 10
//	bench serve 10.77.0.1 DIR         a plain file server, and a plain copy of what it serves (files.go)
//	bench copy 10.77.0.1 NAME DIR
//
// It prints one JSON object a line: ready and all (nanoseconds since 1970) when it serves and when it sees all other
// hosts, and a result for each line on standard input, which is `recv RUN SILENCE` or `send RUN COUNT SIZE RATE`. RUN is
// a number that tells this measurement from what comes late of the one before.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"bcast/internal/meter"
)

// bus is one of the systems: what is said reaches all hosts.
type bus interface {
	// Say hands one message over. It may wait, as the system lets its users wait.
	Say(message []byte) error
	// Flush returns when all that was said has left the process, as far as the system tells.
	Flush() error
	// Seen is how many other hosts this one sees.
	Seen() int
}

// place is where a process takes part.
type place struct {
	self, first string // addresses; the first host is the seed or the server of systems that need one
	hosts       int
}

var systems = map[string]func(place, func([]byte)) (bus, error){
	"memberlist": newMemberlist, "gossipsub": newGossipsub, "nats": newNATS,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	switch words := os.Args[1:]; {
	case len(words) == 3 && words[0] == "serve":
		return serveFiles(words[1], words[2])
	case len(words) == 4 && words[0] == "copy":
		return copyFiles(words[1], words[2], words[3])
	}
	if len(os.Args) < 2 || systems[os.Args[1]] == nil {
		return fmt.Errorf("usage: bench memberlist|gossipsub|nats --self ADDR --first ADDR --hosts N, serve ADDR DIR, copy ADDR NAME DIR")
	}
	var at place
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&at.self, "self", "127.0.0.1", "address of this host")
	flags.StringVar(&at.first, "first", "127.0.0.1", "address of the first host")
	flags.IntVar(&at.hosts, "hosts", 2, "how many hosts there are")
	flags.Parse(os.Args[2:])
	c := &counter{}
	b, err := systems[os.Args[1]](at, c.hear)
	if err != nil {
		return err
	}
	report(map[string]int64{"ready": time.Now().UnixNano()})
	go func() {
		for b.Seen() < at.hosts-1 {
			time.Sleep(time.Millisecond)
		}
		report(map[string]int64{"all": time.Now().UnixNano()})
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := obey(lines.Text(), b, c); err != nil {
			return err
		}
	}
	return lines.Err()
}

// obey does what one line of standard input asks for.
func obey(line string, b bus, c *counter) error {
	var run uint64
	var silence string
	if n, _ := fmt.Sscanf(line, "recv %d %s", &run, &silence); n == 2 {
		d, err := time.ParseDuration(silence)
		if err != nil {
			return err
		}
		c.begin(run)
		go c.result(d)
		return nil
	}
	p := meter.Probe{}
	var size int
	var rate float64
	if _, err := fmt.Sscanf(line, "send %d %d %d %g", &p.Run, &p.Count, &size, &rate); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	return send(b, p, size, rate)
}

// send says the probes of a run, at a rate or as fast as they are taken.
func send(b bus, p meter.Probe, size int, rate float64) error {
	began := time.Now()
	for ; p.Seq < p.Count; p.Seq++ {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(p.Seq) / rate * float64(time.Second)))))
		}
		p.Sent = time.Now().UnixNano()
		if err := b.Say([]byte(p.Text(size))); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	report(map[string]float64{"said": float64(p.Count), "seconds": seconds, "per_second": float64(p.Count) / seconds})
	return nil
}

// counter counts what comes.
type counter struct {
	mu    sync.Mutex
	run   uint64
	tally meter.Tally
	whole chan struct{} // closed once all is there
}

// begin counts what comes of a run, and of no other.
func (c *counter) begin(run uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.tally, c.whole = run, meter.Tally{}, make(chan struct{})
}

func (c *counter) hear(message []byte) {
	now := time.Now()
	if p, ok := meter.Parse(string(message)); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.Run == c.run {
			if c.tally.Add(p, len(message), now); c.tally.Complete(0) {
				select {
				case <-c.whole:
				default:
					close(c.whole)
				}
			}
		}
	}
}

// result waits until all is there, or nothing came for so long, and reports.
func (c *counter) result(silence time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for whole, left := c.whole, silence; left > 0; {
		c.mu.Unlock()
		select { // nobody is woken meanwhile, as in bcast's own bench
		case <-whole:
			left = 0
		case <-time.After(left):
		}
		c.mu.Lock()
		if left > 0 {
			left = time.Until(c.tally.Last().Add(silence))
		}
	}
	s := c.tally.Summary()
	report(map[string]float64{
		"sent": float64(s.Sent), "received": float64(s.Received), "lost": float64(s.Lost),
		"duplicates": float64(s.Duplicates), "seconds": s.Took.Seconds(),
		"per_second": float64(s.Received) / max(s.Took.Seconds(), 1e-9),
		"p50_ms":     s.P50.Seconds() * 1e3, "p99_ms": s.P99.Seconds() * 1e3, "max_ms": s.Max.Seconds() * 1e3,
	})
}

var printing sync.Mutex

func report(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of numbers: only NaN could do that
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("%s\n", line)
}
