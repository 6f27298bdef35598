package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/lan"
)

// maxPayload is the largest payload of a UDP datagram over IPv4.
const maxPayload = 65507

// sending is one datagram that was sent, as scripts see it.
type sending struct {
	Time  time.Time `json:"time"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	Iface string    `json:"iface,omitempty"`
	Size  int       `json:"size"`
}

func (a *app) sendtoCommand() *cli.Command {
	return &cli.Command{
		Name:      "sendto",
		Usage:     "send raw datagrams",
		ArgsUsage: "ADDR:PORT|broadcast:PORT DATA|-",
		Description: example("Sends DATA, or what comes on standard input, in one datagram. To broadcast:PORT it goes to\n"+
			"the directed broadcast address of every interface in use. '' is the empty datagram.",
			"bcast sendto 10.0.0.7:9999 hello", "bcast sendto broadcast:9999 --size 64 --count 10 --every 1s"),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "size", Usage: "repeat or cut DATA to so many `BYTES`"},
			&cli.IntFlag{Name: "count", Usage: "so many datagrams; 0: one, or without end with --every"},
			&cli.DurationFlag{Name: "every", Usage: "time between two datagrams"},
			&cli.StringFlag{Name: "iface", Usage: "leave by interface `NAME`"},
		},
		Action: a.sendto,
	}
}

func (a *app) sendto(c *cli.Context) error {
	args, err := arguments(c, 1, 2)
	if err != nil {
		return err
	}
	to, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	data, err := a.payload(c, args[1:])
	if err != nil {
		return err
	}
	repeat, err := repetition(c)
	if err != nil {
		return err
	}
	routes, err := to.routes(c.String("iface"))
	if err != nil {
		return socketError(err)
	}
	raw, err := lan.OpenRaw(lan.RawConfig{Buffer: 1})
	if err != nil {
		return socketError(err)
	}
	defer raw.Close()
	p := a.printer(c)
	return repeat.each(c.Context, func() error {
		var failed error
		for _, r := range routes {
			now := time.Now().UTC()
			if err := raw.SendTo(data, r.to, r.iface); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			if err := p.sent(sending{now, raw.LocalAddr().String(), r.to.String(), r.iface, len(data)}); err != nil {
				return err
			}
		}
		if failed != nil {
			return socketError(failed)
		}
		return nil
	})
}

// target is where sendto sends: an address, or with none the broadcast address of each interface.
type target struct {
	addr netip.Addr
	port uint16
}

func parseTarget(text string) (target, error) {
	host, portText, ok := cutLast(text, ":")
	if !ok {
		return target{}, usageError(fmt.Sprintf("%q has no port", text), "e.g. 10.0.0.7:9999 or broadcast:9999")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return target{}, usageError(fmt.Sprintf("%q is not a port within 1 to 65535", portText), "")
	}
	if host == "broadcast" {
		return target{port: uint16(port)}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.Is4() {
		return target{}, usageError(fmt.Sprintf("%q is not an IPv4 address", host), "e.g. 10.0.0.7:9999 or broadcast:9999")
	}
	return target{addr, uint16(port)}, nil
}

func cutLast(s, separator string) (head, tail string, ok bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}

// String writes a target as parseTarget reads it.
func (t target) String() string {
	if !t.addr.IsValid() {
		return fmt.Sprintf("broadcast:%d", t.port)
	}
	return netip.AddrPortFrom(t.addr, t.port).String()
}

// route is one datagram's way: an empty interface leaves it to the routing table.
type route struct {
	to    netip.AddrPort
	iface string
}

func (t target) routes(iface string) ([]route, error) {
	if t.addr.IsValid() {
		return []route{{netip.AddrPortFrom(t.addr, t.port), iface}}, nil
	}
	var patterns []string
	if iface != "" {
		if _, err := lan.BroadcastAddrs(iface); err != nil {
			return nil, err // says why just this interface is not used
		}
		patterns = []string{iface}
	}
	ifaces, err := lan.Interfaces(patterns)
	if err != nil {
		return nil, err
	}
	var routes []route
	for _, i := range ifaces {
		for _, addr := range i.Broadcast {
			if i.Used {
				routes = append(routes, route{netip.AddrPortFrom(addr, t.port), i.Name})
			}
		}
	}
	if len(routes) == 0 {
		return nil, fmt.Errorf("broadcast: %w", lan.ErrNoInterface)
	}
	return routes, nil
}

// payload is what the words ask to be sent: DATA or standard input, repeated or cut to --size.
func (a *app) payload(c *cli.Context, words []string) ([]byte, error) {
	var data []byte
	switch {
	case len(words) == 0 && !c.IsSet("size"):
		return nil, usageError("sendto: no data", "give DATA, - for standard input, '' for the empty datagram, or --size")
	case len(words) == 0:
		data = []byte("0123456789abcdef")
	case words[0] == "-":
		var err error
		if data, err = io.ReadAll(io.LimitReader(a.in, maxPayload+1)); err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
	default:
		data = []byte(words[0])
	}
	if c.IsSet("size") {
		size := c.Int("size")
		if size < 0 || size > maxPayload {
			return nil, usageError(fmt.Sprintf("--size %d is not within 0 to %d", size, maxPayload), "")
		}
		if len(data) == 0 && size > 0 {
			return nil, usageError("--size cannot repeat nothing", "")
		}
		data = bytes.Repeat(data, size/max(1, len(data))+1)[:size]
	}
	if len(data) > maxPayload {
		return nil, control.NewError(control.CodeTooLarge, nil,
			fmt.Sprintf("the data is longer than the %d bytes that a datagram holds", maxPayload), "")
	}
	return data, nil
}

// repeater does something count times, every so often; with count 0 until it is interrupted.
type repeater struct {
	count int
	every time.Duration
}

// repetition reads --count and --every, alike in all commands that have them.
func repetition(c *cli.Context) (repeater, error) {
	r := repeater{c.Int("count"), c.Duration("every")}
	switch {
	case r.count < 0:
		return r, usageError(fmt.Sprintf("--count %d is not a number of times", r.count), "")
	case c.IsSet("every") && r.every <= 0:
		return r, usageError(fmt.Sprintf("--every %v is not a time to wait", r.every), "e.g. 1s")
	case r.count == 0 && r.every == 0:
		r.count = 1
	}
	return r, nil
}

func (r repeater) each(ctx context.Context, act func() error) error {
	for done := 1; ; done++ {
		if err := act(); err != nil {
			return err
		}
		if done == r.count || ctx.Err() != nil {
			return nil
		}
		if r.every > 0 && !pause(ctx, r.every) {
			return nil
		}
	}
}
