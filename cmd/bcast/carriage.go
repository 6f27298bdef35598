package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/show"
)

const (
	// defaultPatience is how long a broken connection is tried again.
	defaultPatience = 30 * time.Second
	// carriageEach is how often it is told how far files have come.
	carriageEach = 500 * time.Millisecond
	// paceOver is how much of the time before the pace is measured over.
	paceOver = 5 * time.Second
)

// carriage tells how far files have come: people on a terminal in one line that changes, programs in objects.
type carriage struct {
	app     *app
	p       *printer
	line    bool // standard error is a terminal
	stop    chan struct{}
	stopped sync.WaitGroup

	mu          sync.Mutex
	began       time.Time
	files, done int
	bytes, have int64 // of all files; here and right
	came        int64 // of have, what came now
	samples     []sample
	shown       bool
}

// sample is how much had come at a moment.
type sample struct {
	at   time.Time
	came int64
}

// progress is how far files have come, as programs see it.
type progress struct {
	Type      string   `json:"type"` // progress | file | done
	Name      string   `json:"name,omitempty"`
	Files     int      `json:"files,omitempty"`
	Done      int      `json:"done,omitempty"`    // files
	Bytes     int64    `json:"bytes"`             // here and checked
	Size      int64    `json:"size"`              // of all
	Resumed   int64    `json:"resumed,omitempty"` // of bytes, what was here from before
	PerSecond float64  `json:"per_second"`
	LeftS     *float64 `json:"left_s,omitempty"`
	Seconds   float64  `json:"seconds"`
}

// carriage begins to tell.
func (a *app) carriage(c *cli.Context) *carriage {
	t := &carriage{app: a, p: a.printer(c), began: time.Now(), stop: make(chan struct{})}
	t.line = !t.p.json && isTerminal(a.err)
	if t.line || t.p.json {
		t.stopped.Go(t.tick)
	}
	return t
}

// options has what carries files tell of them here.
func (t *carriage) options(o files.Options) files.Options {
	o.Total = func(n int, bytes int64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.files, t.bytes = t.files+n, t.bytes+bytes
	}
	o.Progress = func(n int64, before bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.have += n; !before {
			t.came += n
		}
	}
	o.Each = t.each
	return o
}

// each tells what became of one file. What failed alone is said by who asked for it.
func (t *carriage) each(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.done++
		if t.p.json {
			t.p.object(map[string]string{"type": "file", "name": name})
		}
	case t.files != 1 || t.done > 0:
		t.clear()
		t.app.report(control.FileError(err), t.p.json)
	}
}

func (t *carriage) tick() {
	each := time.NewTicker(carriageEach)
	defer each.Stop()
	for {
		select {
		case <-each.C:
			t.tell("progress")
		case <-t.stop:
			return
		}
	}
}

// end says how it ended.
func (t *carriage) end() {
	close(t.stop)
	t.stopped.Wait()
	t.mu.Lock()
	t.clear()
	whole := t.files > 0 && t.done == t.files
	t.mu.Unlock()
	switch {
	case t.p.json:
		t.tell("done")
	case whole:
		now := t.now("done")
		text := fmt.Sprintf("%s, %s", plural(now.Done, "file"), show.Bytes(now.Size))
		if now.Resumed > 0 {
			text += fmt.Sprintf(", %s of it were here", show.Bytes(now.Resumed))
		}
		t.app.note("%s in %s, %s a second", text, clockSpan(now.Seconds), show.Bytes(int64(now.PerSecond)))
	}
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return show.Thousands(n) + " " + what
}

// clear takes the changing line away; t.mu is held.
func (t *carriage) clear() {
	if t.shown {
		fmt.Fprint(t.app.err, "\r\x1b[K")
		t.shown = false
	}
}

func (t *carriage) tell(kind string) {
	now := t.now(kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.p.json {
		t.p.object(now)
		return
	}
	if now.Size == 0 {
		return
	}
	text := fmt.Sprintf("%3d %%  %s of %s  %s/s", now.Bytes*100/now.Size, show.Bytes(now.Bytes), show.Bytes(now.Size),
		show.Bytes(int64(now.PerSecond)))
	if now.Files > 1 {
		text += fmt.Sprintf("  %s of %s", show.Thousands(now.Done), plural(now.Files, "file"))
	}
	if now.LeftS != nil {
		text += "  " + clockSpan(*now.LeftS) + " left"
	}
	fmt.Fprintf(t.app.err, "\r%s\x1b[K", text)
	t.shown = true
}

// now is how far it has come. The pace while files come is that of the last seconds, at the end that of all.
func (t *carriage) now(kind string) progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	t.samples = append(t.samples, sample{at, t.came})
	for len(t.samples) > 1 && at.Sub(t.samples[0].at) > paceOver {
		t.samples = t.samples[1:]
	}
	from := t.samples[0]
	if kind == "done" || len(t.samples) == 1 {
		from = sample{t.began, 0}
	}
	n := progress{Type: kind, Files: t.files, Done: t.done, Bytes: t.have, Size: t.bytes, Resumed: t.have - t.came,
		Seconds: at.Sub(t.began).Seconds()}
	if passed := at.Sub(from.at).Seconds(); passed > 0 {
		n.PerSecond = float64(t.came-from.came) / passed
	}
	if kind == "progress" && n.PerSecond > 0 && t.bytes > 0 {
		left := float64(t.bytes-t.have) / n.PerSecond
		n.LeftS = &left
	}
	return n
}

// clockSpan is a span of time as clocks show it.
func clockSpan(seconds float64) string {
	s := int64(seconds + 0.5)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
