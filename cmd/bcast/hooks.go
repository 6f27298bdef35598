package main

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/hook"
	"bcast/internal/roster"
	"bcast/internal/show"
)

func (a *app) hooksCommand() *cli.Command {
	return &cli.Command{
		Name:      "hooks",
		Usage:     "check what the daemon does when something happens, and try it",
		ArgsUsage: "[test EVENT]",
		Description: example("Hooks are in "+hook.File+" in the home. A daemon runs them, and reads them again on SIGHUP.\n"+
			"\n"+
			"   [[hook]]\n"+
			"   on = \"mention\"          # "+strings.Join(hook.Events(), " ")+"\n"+
			"   room = \"ops*\"           # of these rooms; @bob is the one with bob\n"+
			"   nick = \"bob\"            # by whom; verified = true: only of compared keys\n"+
			"   text = \"(?i)fire\"       # a regular expression\n"+
			"   exec = 'notify-send \"$BCAST_NICK\" \"$BCAST_TEXT\"'\n"+
			"\n"+
			"   [[hook]]\n"+
			"   on = \"device-lost\"\n"+
			"   for = \"2m\"              # gone for so long; device-new, device-back: here for so long\n"+
			"   most = 6                # times a minute; 60 unless given\n"+
			"   timeout = \"5s\"          # of one action; 30s for exec, 10s for a webhook unless given\n"+
			"   kind = \"*\"              # of all devices of the subnet, which is then watched: printer, bcast, host …\n"+
			"   webhook = \"https://example.org/alarm\"\n"+
			"   headers = { Authorization = \"Bearer …\" }\n"+
			"\n"+
			"A program finds what happened in BCAST_EVENT, BCAST_NICK, BCAST_TEXT and others, and as JSON on its standard\n"+
			"input; an address gets the JSON. test does at once what the hooks say on an event made up by the flags.",
			"bcast hooks", "bcast hooks test mention --room ops --nick bob --text 'fire, @alice'"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "room", Usage: "of the event made up: its `ROOM`; lobby unless given"},
			&cli.StringFlag{Name: "nick", Usage: "whose it is: `NICK`; somebody unless given"},
			&cli.StringFlag{Name: "text", Usage: "what was said"},
			&cli.StringFlag{Name: "kind", Usage: "what `KIND` of device of the subnet it is; host unless given"},
		},
		Action: a.hooks,
	}
}

func (a *app) hooks(c *cli.Context) error {
	args, err := arguments(c, 0, 2)
	if err != nil {
		return err
	}
	if len(args) > 0 && (args[0] != "test" || len(args) != 2 || !slices.Contains(hook.Events(), args[1])) {
		return usageError("hooks: test and an event, or nothing", "events: "+strings.Join(hook.Events(), ", "))
	}
	dir, err := a.home(c)
	if err != nil {
		return err
	}
	hooks, err := hook.Load(dir)
	if err != nil {
		return err
	}
	p := a.printer(c)
	if len(args) > 0 {
		return a.tryHooks(c, p, hook.New(hooks, hook.Config{Home: dir, Log: a.warnings()}), args[1])
	}
	if len(hooks) == 0 && !p.json {
		return p.line("no hooks: there is no %s in %s", hook.File, dir)
	}
	for _, h := range hooks {
		if err := p.hook(h); err != nil {
			return err
		}
	}
	return nil
}

// hookNoun is a hook as programs see it: an address without what may be secret in it.
type hookNoun struct {
	Line     int    `json:"line"`
	On       string `json:"on"`
	Room     string `json:"room,omitempty"`
	Nick     string `json:"nick,omitempty"`
	Text     string `json:"text,omitempty"`
	Verified bool   `json:"verified,omitempty"`
	Kind     string `json:"kind,omitempty"`
	For      string `json:"for,omitempty"`
	Most     int    `json:"most"`
	Exec     string `json:"exec,omitempty"`
	Webhook  string `json:"webhook,omitempty"`
}

func (p *printer) hook(h hook.Hook) error {
	if !p.json {
		return p.line("line %d: %s", h.Line, show.Clean(h.String()))
	}
	noun := hookNoun{Line: h.Line, On: h.On, Room: h.Room, Nick: h.Nick, Verified: h.Verified, Kind: h.Kind, Most: h.Most,
		Exec: h.Exec}
	if h.Text != nil {
		noun.Text = h.Text.String()
	}
	if h.For > 0 {
		noun.For = h.For.String()
	}
	if h.Webhook != "" {
		noun.Webhook = h.Where()
	}
	return p.object(noun)
}

// tried is what became of a hook that was tried.
type tried struct {
	Line  int    `json:"line"`
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// tryHooks does what the hooks on an event say of one that is made up, and fails if one of them does.
func (a *app) tryHooks(c *cli.Context, p *printer, r *hook.Runner, on string) error {
	failed := 0
	count, err := r.Try(c.Context, on, madeUp(c, on), func(h hook.Hook, err error) error {
		result := tried{Line: h.Line, Done: err == nil}
		if err != nil {
			failed++
			result.Error = err.Error()
		}
		switch {
		case p.json:
			return p.object(result)
		case err != nil:
			return p.line("line %d: failed: %s", h.Line, show.Clean(result.Error))
		}
		return p.line("line %d: done", h.Line)
	})
	switch {
	case err != nil:
		return err
	case count == 0:
		return control.NewError(control.CodeNotFound, nil, "no hook waits for such an event",
			"`bcast hooks` lists them; --room, --nick and --text are what filters see")
	case failed > 0:
		return exit(exitFailed)
	}
	return nil
}

// madeUp is an event as the flags say.
func madeUp(c *cli.Context, on string) control.Event {
	nick, room, now := cmp.Or(c.String("nick"), "somebody"), cmp.Or(c.String("room"), lobby), time.Now().UTC()
	const id, tag = "testtesttesttesttesttestte", "test"
	e := control.Event{ID: "test", Time: now}
	switch on {
	case "post", "mention":
		e.Type = control.EventPost
		e.Post = &control.Post{Room: room, ID: id + ".0", Record: id, From: id, Nick: nick, Tag: tag, Time: now, Kind: "text",
			Text: cmp.Or(c.String("text"), "a test"), Mention: on == "mention", Verified: true}
	case "file-offered":
		e.Type = control.EventPost
		e.Post = &control.Post{Room: room, ID: id + ".0", Record: id, From: id, Nick: nick, Tag: tag, Time: now,
			Kind: "offer", Text: c.String("text"), Verified: true,
			File: &control.OfferedFile{Name: "test.txt", Size: 4, Hash: strings.Repeat("0", 64)}}
	case "file-received":
		e.Type = control.EventFile
		e.File = &control.File{Post: id + ".0", Room: room, Name: "test.txt", Size: 4, Bytes: 4, State: control.FileWhole,
			Path: "/tmp/test.txt", From: id, Nick: nick, Tag: tag, Verified: true}
	case "join", "leave":
		e.Type = control.EventMember
		e.Member = &control.MemberChange{Room: room, ID: id, Nick: nick, Tag: tag, Change: on, Verified: true}
	case "cut":
		e.Type = control.EventCut
		e.Cut = &control.Cut{From: "192.0.2.1:27475", Nick: nick, Room: room, Received: 512, Size: 1400, Count: 1}
	case "device-changed", "address-conflict", "name-conflict":
		e.Type, e.Device = control.EventDevice, madeUpDevice(c, on, nick, now)
	default:
		if c.IsSet("kind") {
			e.Type, e.Device = control.EventDevice, madeUpDevice(c, on, nick, now)
			break
		}
		e.Type = control.EventPeer
		status := "here"
		if on == "device-lost" {
			status = "lost"
		}
		e.Peer = &control.Peer{ID: id, Nick: nick, Tag: tag, Addr: "192.0.2.1:27475", Status: status, FirstSeen: now,
			LastSeen: now, Rooms: []string{room}, Verified: true}
	}
	return e
}

// madeUpDevice is a device of the subnet, and what became of it.
func madeUpDevice(c *cli.Context, on, name string, now time.Time) *control.DeviceChange {
	d := control.Device{Key: "MAC 02:00:5e:00:53:01", Name: name, Addrs: []string{"192.0.2.1"}, MAC: "02:00:5e:00:53:01",
		Kind: cmp.Or(c.String("kind"), "host"), Services: []roster.Service{}, FoundBy: []roster.Source{roster.ARP},
		Evidence: []roster.Evidence{}, FirstSeen: now, LastSeen: now, Status: roster.Seen}
	if on == "device-lost" {
		d.Status = roster.Gone
	}
	change := &control.DeviceChange{Change: strings.TrimPrefix(on, "device-"), Device: d}
	switch on {
	case "device-changed":
		change.What = []string{"addrs"}
	case "address-conflict":
		change.What = d.Addrs
	case "name-conflict":
		other := d
		other.Addrs = []string{"192.0.2.2"}
		change.What, change.With = []string{name}, &other
	}
	return change
}

// hooksInForce are the hooks that a daemon runs. They can be read again.
type hooksInForce struct {
	home string
	api  control.API
	log  *slog.Logger
	// watch has the subnet watched, for the hooks on it.
	watch func(context.Context) error
	inForce[hook.Hook]
}

// begin runs hooks instead of those that run now.
func (h *hooksInForce) begin(ctx context.Context, list []hook.Hook) error {
	if slices.ContainsFunc(list, hook.Hook.Watches) {
		if err := h.watch(ctx); err != nil {
			return err
		}
	}
	h.replace(ctx, list, func(ctx context.Context) {
		if err := hook.New(list, hook.Config{Home: h.home, Log: h.log}).Run(ctx, h.api); err != nil && ctx.Err() == nil {
			h.log.Error("hooks are no longer run", "err", err)
		}
	})
	return nil
}

// again reads the file again. One with a mistake changes nothing.
func (h *hooksInForce) again(ctx context.Context) error {
	list, err := hook.Load(h.home)
	if err != nil {
		return err
	}
	return h.begin(ctx, list)
}

// hookSettings are hooks as `bcast config` lists them.
func hookSettings(list []hook.Hook) (settings []control.Setting) {
	for _, one := range list {
		settings = append(settings, control.Setting{Name: "hook", Value: one.String(), From: "home"})
	}
	return settings
}
