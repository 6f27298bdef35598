package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/lan"
	"bcast/internal/show"
)

// datagram is one that was received, as scripts see it.
type datagram struct {
	Time      time.Time `json:"time"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Iface     string    `json:"iface"`
	Broadcast bool      `json:"broadcast"`
	Received  int       `json:"received"` // what the buffer took
	Size      int       `json:"size"`     // what was sent
	Lost      int       `json:"lost"`
	Truncated bool      `json:"truncated"`
	CutBy     string    `json:"cut_by,omitempty"` // kernel | bcast
	Text      *string   `json:"text,omitempty"`   // what came, when it is text
	Data      []byte    `json:"data"`
}

func (a *app) recvfromCommand() *cli.Command {
	return &cli.Command{
		Name:  "recvfrom",
		Usage: "receive raw datagrams and show what a short buffer does to them",
		Description: example("Prints every datagram that reaches the port, with sender, destination, interface and how\n"+
			"much of it the buffer took. Broadcasts are shared with a daemon on the same port.",
			"bcast recvfrom --port 9999 --buffer 16", "bcast recvfrom --port 9999 --count 1 --json"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "port", Value: defaultPort, Usage: "UDP `PORT`, 27474 unless given; 0: any free one"},
			&cli.IntFlag{Name: "buffer", Value: lan.MaxDatagram,
				Usage: "receive buffer in `BYTES`, 1 to 65535; the largest unless given"},
			&cli.IntFlag{Name: "count", Usage: "stop after so many datagrams; 0: never"},
			&cli.StringFlag{Name: "bind", Usage: "`ADDR` to bind; one of this host hears no broadcast"},
			&cli.StringFlag{Name: "iface", Usage: "only datagrams that come by interface `NAME`"},
			&cli.BoolFlag{Name: "hex", Usage: "show bytes and text side by side"},
			&cli.DurationFlag{Name: "timeout", Usage: "give up when so much time passes without a datagram"},
		},
		Action: a.recvfrom,
	}
}

func (a *app) recvfrom(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	raw, err := openRaw(c)
	if err != nil {
		return err
	}
	defer raw.Close()
	p := a.printer(c)
	if !p.json {
		fmt.Fprintf(a.err, "bcast: receiving on %s\n", raw.LocalAddr())
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	silence := newDeadline(c.Duration("timeout"), cancel)
	defer silence.stop()
	for count := 0; c.Int("count") == 0 || count < c.Int("count"); count++ {
		got, err := raw.Receive()
		switch {
		case silence.passed():
			return control.NewError(control.CodeTimeout, nil,
				fmt.Sprintf("no datagram within %v", c.Duration("timeout")), "")
		case ctx.Err() != nil:
			return nil // interrupted
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		}
		silence.restart()
		if err := p.datagram(describe(got), c.Bool("hex")); err != nil {
			return err
		}
	}
	return nil
}

func openRaw(c *cli.Context) (*lan.Raw, error) {
	if err := positive(c, "timeout"); err != nil {
		return nil, err
	}
	cfg := lan.RawConfig{Port: c.Int("port"), Iface: c.String("iface"), Buffer: c.Int("buffer")}
	switch {
	case cfg.Port < 0 || cfg.Port > 65535:
		return nil, usageError(fmt.Sprintf("--port %d is not within 0 to 65535", cfg.Port), "")
	case cfg.Buffer < 1 || cfg.Buffer > lan.MaxDatagram:
		return nil, usageError(fmt.Sprintf("--buffer %d is not within 1 to %d", cfg.Buffer, lan.MaxDatagram), "")
	case c.Int("count") < 0:
		return nil, usageError(fmt.Sprintf("--count %d is not a number of datagrams", c.Int("count")), "")
	}
	if text := c.String("bind"); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is4() {
			return nil, usageError(fmt.Sprintf("--bind %s is not an IPv4 address", text), "e.g. 0.0.0.0")
		}
		cfg.Bind = addr
	}
	raw, err := lan.OpenRaw(cfg)
	if err != nil {
		return nil, socketError(err)
	}
	return raw, nil
}

// socketError gives an error of lan the code that scripts know.
func socketError(err error) error {
	var taken *lan.PortTakenError
	switch {
	case errors.As(err, &taken):
		return control.NewError(control.CodePortTaken, err, err.Error(), "choose another --port, or end that program")
	case errors.Is(err, lan.ErrNoInterface):
		return control.NewError(control.CodeNoNetwork, err, err.Error(), "bcast ifaces lists them")
	default:
		return err
	}
}

func describe(raw lan.RawDatagram) datagram {
	d := datagram{
		Time: raw.Time.UTC(), From: raw.From.String(), Iface: raw.Iface, Broadcast: raw.Broadcast,
		Received: len(raw.Data), Size: raw.Size, Lost: raw.Size - len(raw.Data), Truncated: raw.Size > len(raw.Data),
		CutBy: raw.CutBy, Data: raw.Data,
	}
	if d.Data == nil {
		d.Data = []byte{} // "" in JSON, not null
	}
	if raw.To.IsValid() {
		d.To = raw.To.String()
	}
	if utf8.Valid(raw.Data) {
		text := string(raw.Data)
		d.Text = &text
	}
	return d
}

// printable reports whether data can be shown as it is: valid UTF-8 without what a terminal would act on.
func printable(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	for _, r := range string(data) {
		if show.Misleads(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// deadline cancels when nothing has restarted it for a while; of zero length it never does.
type deadline struct {
	length time.Duration
	timer  *time.Timer
	fired  chan struct{}
}

func newDeadline(length time.Duration, cancel func()) *deadline {
	d := &deadline{length: length, fired: make(chan struct{})}
	if length > 0 {
		d.timer = time.AfterFunc(length, func() {
			close(d.fired)
			cancel()
		})
	}
	return d
}

func (d *deadline) restart() {
	if d.timer != nil && d.timer.Stop() {
		d.timer.Reset(d.length)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (d *deadline) passed() bool {
	select {
	case <-d.fired:
		return true
	default:
		return false
	}
}
