package irc

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

// serverName is the source of what the gateway itself says. No nick looks so: a dot is escaped in them.
const serverName = "irc.bcast"

const (
	// registerLimit is how long a client may take to say who it is, TLS included.
	registerLimit = 20 * time.Second
	// pingAfter is how long a client may be silent before it is asked whether it is there; pingLimit, how long it may take
	// to answer.
	pingAfter, pingLimit = 90 * time.Second, 60 * time.Second
	// writeLimit is how long a client may not read.
	writeLimit = 20 * time.Second
	// byeLimit bounds the last words of a connection: a daemon has 2 s to stop.
	byeLimit = time.Second

	// floodBurst is how many lines a client may send at once, floodRate how many a second after that; maxRefused, how many
	// it may go on to send while they are refused.
	floodBurst, floodRate, maxRefused = 100, 10, 100
	// passPause is how long a wrong password takes to be refused: with maxUnregistered, eight guesses a second.
	passPause = time.Second
)

// conn is one client. All of it but read runs on one goroutine.
type conn struct {
	s    *server
	api  control.API
	peer *admitted
	out  *bufio.Writer

	caps   map[string]bool
	asking bool // CAP LS or REQ came, CAP END has not
	passed bool
	nick   string // that it asked for
	user   bool
	quit   string // why it ends

	registered bool
	people     *people
	rooms      map[string]*room
	talks      map[string]*person // by the name of the direct room: whom it is with
	events     <-chan control.Happening
	seen       *seen
	said       map[string]string // own posts that this client sent and that have not come back: its label

	held    *[]ircmsg.Message // what a labelled command answers
	batches int

	tokens  float64
	filled  time.Time
	refused int
	pinged  bool
}

// incoming is a line, or why there is none.
type incoming struct {
	text string
	err  error
}

func newConn(s *server, peer *admitted) *conn {
	return &conn{
		s: s, api: s.api, peer: peer, out: bufio.NewWriter(peer), caps: map[string]bool{}, rooms: map[string]*room{},
		talks: map[string]*person{}, seen: newSeen(), said: map[string]string{}, tokens: floodBurst, filled: time.Now(),
	}
}

// run serves until the client or ctx ends.
func (c *conn) run(ctx context.Context) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	lines := make(chan incoming)
	go c.read(working, lines)
	silence := time.NewTimer(registerLimit)
	defer silence.Stop()
	defer context.AfterFunc(working, func() { c.peer.SetWriteDeadline(time.Now().Add(byeLimit)) })()
	for c.quit == "" {
		select {
		case l, ok := <-lines:
			if !ok {
				return // the client is gone
			}
			c.patience(working)
			c.line(working, l)
			if c.pinged = false; c.registered {
				silence.Reset(pingAfter)
			}
		case happening, ok := <-c.events:
			if !ok || happening.Err != nil {
				c.quit = "the daemon ends"
				continue
			}
			c.patience(working)
			c.event(working, happening.Event)
		case <-silence.C:
			c.patience(working)
			c.silent(working)
			silence.Reset(pingLimit)
		case <-ctx.Done():
			c.quit = "the daemon ends"
		}
		if c.out.Flush() != nil {
			return
		}
	}
	c.peer.SetWriteDeadline(time.Now().Add(byeLimit))
	c.emit(outgoing{command: "ERROR", params: []string{"Closing link: " + c.quit}})
	c.out.Flush()
}

// patience bounds how long the client may take what it is sent next.
func (c *conn) patience(ctx context.Context) {
	c.peer.SetWriteDeadline(time.Now().Add(writeLimit))
	if ctx.Err() != nil { // also if it ended just now
		c.peer.SetWriteDeadline(time.Now().Add(byeLimit))
	}
}

// read hands up lines until the connection ends.
func (c *conn) read(ctx context.Context, lines chan<- incoming) {
	defer close(lines)
	from := bufio.NewReaderSize(c.peer, maxTags+maxLine)
	for {
		text, err := readLine(from)
		if err != nil && !errors.Is(err, errLong) {
			return
		}
		select {
		case lines <- incoming{text, err}:
		case <-ctx.Done():
			return
		}
	}
}

// silent asks a client whether it is there, or ends it.
func (c *conn) silent(ctx context.Context) {
	switch {
	case !c.registered:
		c.quit = "registration timed out"
	case c.pinged:
		c.quit = "ping timeout"
	default:
		c.pinged = true
		c.emit(outgoing{command: "PING", params: []string{serverName}})
		if status, err := c.api.Status(ctx); err == nil { // another face may have changed the nick
			c.renamed(status.Nick)
		}
	}
}

// line does what a line asks for.
func (c *conn) line(ctx context.Context, l incoming) {
	var m ircmsg.Message
	err := l.err
	if err == nil {
		m, err = parse(l.text)
	}
	if err == nil && m.Command == "" {
		return
	}
	known, there := commands[m.Command]
	if !c.affords(max(known.cost, 1)) {
		c.fail(m.Command, "RATE_LIMITED", "too much at once: this line was not taken; wait a little")
		if c.refused++; c.refused > maxRefused {
			c.quit = "excess flood"
		}
		return
	}
	c.refused = 0
	switch {
	case errors.Is(err, errLong):
		c.numeric("417", "Input line was too long")
		return
	case errors.Is(err, errUTF8):
		c.fail("*", "INVALID_UTF8", "the line was not taken: this network speaks UTF-8")
		return
	case err != nil:
		c.fail("*", "INVALID_LINE", err.Error())
		return
	}
	c.answer(c.labelOf(m), func() (later bool) {
		switch {
		case !c.registered && !known.early:
			c.numeric("451", "You have not registered")
		case !there:
			c.numeric("421", word(m.Command), "Unknown command")
		case len(m.Params) < known.least:
			c.numeric("461", m.Command, "Not enough parameters")
		default:
			return known.do(c, ctx, m)
		}
		return false
	})
}

// affords takes lines out of the bucket, if there are so many.
func (c *conn) affords(lines int) bool {
	now := time.Now()
	c.tokens = min(floodBurst, c.tokens+now.Sub(c.filled).Seconds()*floodRate)
	c.filled = now
	if c.tokens < float64(lines) {
		return false
	}
	c.tokens -= float64(lines)
	return true
}

// outgoing is a message to the client, before it is known which tags it asked for.
type outgoing struct {
	source  *person // nil: the gateway
	command string
	params  []string
	at      time.Time // zero: now
	id      string    // of the post
	batch   string
	tags    map[string]string // for those who asked for message-tags
	said    bool              // the last parameter is somebody's text
}

func (c *conn) emit(o outgoing) {
	source := serverName
	tags := map[string]string{}
	if o.source != nil {
		source = o.source.mask()
		if o.at.IsZero() {
			o.at = time.Now()
		}
		if c.caps[capAccountTag] {
			tags["account"] = show.Clean(o.source.id)
		}
	}
	if c.caps[capServerTime] && !o.at.IsZero() {
		tags["time"] = stamp(o.at)
	}
	if c.caps[capMessageTags] {
		for name, value := range o.tags {
			tags[name] = show.Clean(value)
		}
		if o.id != "" {
			tags["msgid"] = word(o.id)
		}
	}
	if o.batch != "" {
		tags["batch"] = o.batch
	}
	if o.command == "ERROR" || o.command == "PING" {
		source = "" // some old clients take no source for these
	}
	m := ircmsg.MakeMessage(tags, source, o.command, slices.Clone(o.params)...)
	if o.said {
		m.ForceTrailing()
	}
	if c.held != nil {
		*c.held = append(*c.held, m)
		return
	}
	c.write(m)
}

func (c *conn) write(m ircmsg.Message) {
	b, err := line(m)
	if err != nil {
		c.s.Log.Error("irc line not sent", "error", err)
		return
	}
	c.out.Write(b) // an error stays and comes back from Flush
}

// numeric answers as servers have done since RFC 1459.
func (c *conn) numeric(code string, params ...string) {
	c.emit(outgoing{command: code, params: append([]string{c.called()}, params...)})
}

// called is what the client goes by.
func (c *conn) called() string {
	switch {
	case c.people != nil:
		return c.people.self.name
	case c.nick != "":
		return c.nick
	}
	return "*"
}

// fail tells of a failure that has no numeric: with standard-replies for programs, else for people.
func (c *conn) fail(command, code, text string, about ...string) {
	command = word(command)
	if c.caps[capStandardReplies] {
		c.emit(outgoing{command: "FAIL", params: slices.Concat([]string{command, code}, about, []string{text})})
		return
	}
	c.emit(outgoing{command: "NOTICE", params: []string{c.called(), command + ": " + text}, said: true})
}

// refuse tells why the participant did not do what a command asked for.
func (c *conn) refuse(command string, err error, about ...string) {
	code := map[control.Code]string{
		control.CodeInvalid: "INVALID_PARAMS", control.CodeTooLarge: "TOO_LARGE", control.CodeNotFound: "NOT_FOUND",
		control.CodeAmbiguous: "AMBIGUOUS", control.CodeNotJoined: "NOT_JOINED", control.CodeBusy: "TRY_AGAIN",
		control.CodeReadOnly: "READ_ONLY",
	}[control.AsError(err).Code]
	if code == "" {
		code = "FAILED"
	}
	c.fail(command, code, show.Failure(err), about...)
}
