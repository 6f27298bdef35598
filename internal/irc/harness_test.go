package irc

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// gateway is a server in a bubble, with a device behind it.
type gateway struct {
	t      *testing.T
	device *controltest.Device
	ln     *controltest.Listener
	stop   context.CancelFunc
}

// serving runs a test with a gateway in front of a device named alice.
func serving(t *testing.T, cfg Config, test func(g *gateway)) {
	t.Helper()
	servingAs(t, cfg, func(d *controltest.Device) control.API { return d }, test)
}

// servingAs puts something between the device and the gateway.
func servingAs(t *testing.T, cfg Config, as func(*controltest.Device) control.API, test func(g *gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		device.Adjust(func(s *control.Status) { s.Tag = "aaaa" })
		ctx, stop := context.WithCancel(t.Context())
		g := &gateway{t, device, controltest.NewListener(), stop}
		cfg.Version = "v1"
		if cfg.Log == nil {
			cfg.Log = slog.New(slog.DiscardHandler)
		}
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, g.ln, as(device), cfg) }()
		test(g)
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// client is an IRC client that writes down what it gets.
type client struct {
	g    *gateway
	conn net.Conn

	mu    sync.Mutex
	lines []string
	ended bool
}

// pipe is a connection that nobody reads.
func (g *gateway) pipe() net.Conn {
	conn, err := g.ln.Dial(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return conn
}

// dial connects and says nothing.
func (g *gateway) dial() *client {
	near := g.pipe()
	c := &client{g: g, conn: near}
	go func() {
		in := bufio.NewReader(near)
		for {
			line, err := in.ReadString('\n')
			c.mu.Lock()
			if line != "" {
				c.lines = append(c.lines, line)
			}
			c.ended = err != nil
			c.mu.Unlock()
			if err != nil {
				near.Close()
				return
			}
		}
	}()
	return c
}

// enter connects as alice with capabilities, and forgets the welcome.
func (g *gateway) enter(caps string) *client {
	c := g.dial()
	if caps != "" {
		c.send("CAP REQ :"+caps, "CAP END")
	}
	c.send("NICK alice", "USER alice 0 * :Alice")
	c.take()
	return c
}

// send writes lines as they are.
func (c *client) send(lines ...string) {
	c.g.t.Helper()
	for _, line := range lines {
		if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
			c.g.t.Errorf("%q is not taken: %v", line, err)
		}
	}
	synctest.Wait()
}

// raw is all that came since it was last asked for.
func (c *client) raw() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

// take is the same, with tags in order and without line ends.
func (c *client) take() []string {
	lines := c.raw()
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r\n")
		if tags, rest, _ := strings.Cut(line, " "); strings.HasPrefix(tags, "@") {
			all := strings.Split(tags[1:], ";")
			slices.Sort(all)
			line = "@" + strings.Join(all, ";") + " " + rest
		}
		lines[i] = line
	}
	return lines
}

func (c *client) isClosed() bool {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// want fails unless exactly these lines came; in each, … stands for any text.
func (c *client) want(lines ...string) {
	c.g.t.Helper()
	got := c.take()
	if len(got) == len(lines) {
		same := true
		for i := range got {
			same = same && matches(got[i], lines[i])
		}
		if same {
			return
		}
	}
	c.g.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
}

// matches tells whether a line is as a pattern says.
func matches(line, pattern string) bool {
	parts := strings.Split(pattern, "…")
	if !strings.HasPrefix(line, parts[0]) {
		return false
	}
	line = line[len(parts[0]):]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(line, part)
		}
		at := strings.Index(line, part)
		if at < 0 {
			return false
		}
		line = line[at+len(part):]
	}
	return line == ""
}
