package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/hook"
	"bcast/internal/show"
)

func (a *app) daemonCommand() *cli.Command {
	return &cli.Command{
		Name:  "daemon",
		Usage: "run the node in the foreground",
		Description: example("Prints one `ready` line, then logs to standard error. SIGINT and SIGTERM say goodbye and\n"+
			"stop within 2 s, SIGHUP reads interfaces and the home again and announces the result.",
			"bcast daemon --nick alice --room lobby --irc 127.0.0.1:6667"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "nick", Usage: "`NICK` shown to others [$BCAST_NICK]"},
			&cli.StringSliceFlag{Name: "iface", Usage: "interface `NAME`, pattern or !pattern, repeatable [$BCAST_IFACE]"},
			&cli.StringFlag{Name: "port", Usage: "shared broadcast `PORT`, 27474 unless given [$BCAST_PORT]"},
			&cli.StringFlag{Name: "recv-buffer", Usage: "receive buffer in `BYTES`, 16 to 65535; below 512 the node only " +
				"watches [$BCAST_RECV_BUFFER]"},
			&cli.StringSliceFlag{Name: "room", Usage: "join `ROOM`, repeatable [$BCAST_ROOMS]"},
			&cli.BoolFlag{Name: "ephemeral", Usage: "keep the rooms of --room in memory only"},
			&cli.StringFlag{Name: "durability", Usage: "`HOW` safe posts are: normal, or full: on the disk before they are " +
				"sent [$BCAST_DURABILITY]"},
			&cli.StringFlag{Name: "link", Usage: "`KIND` of the links: wired, wifi, or auto: what the system says; a wire " +
				"that ends at an access point is wifi [$BCAST_LINK]"},
			&cli.StringFlag{Name: "mdns", Usage: "tell by multicast DNS of this device and of what it offers (on), of what it " +
				"offers alone (services), or of nothing (off) [$BCAST_MDNS]"},
			&cli.StringFlag{Name: "ssdp", Usage: "tell by SSDP of what it offers (services), with descriptions that it serves " +
				"on the link while it does, or of nothing (off) [$BCAST_SSDP]"},
			&cli.StringFlag{Name: "http", Usage: "serve page and API at `ADDR`, such as 127.0.0.1:8080; see bcast page " +
				"[$BCAST_HTTP]"},
			&cli.BoolFlag{Name: "guests", Usage: "take in guests at the address of --http, such as 0.0.0.0:8080, over TLS " +
				"and by links; the page is then on the next port of 127.0.0.1; see bcast invite --guest [$BCAST_GUESTS]"},
			&cli.BoolFlag{Name: "watch", Usage: "watch the whole subnet, over all protocols: log what becomes of its devices, " +
				"and remember them for bcast discover [$BCAST_WATCH]"},
			&cli.StringFlag{Name: "irc", Usage: "serve IRC clients at `ADDR`, such as 127.0.0.1:6667 [$BCAST_IRC]"},
			&cli.StringFlag{Name: "irc-password-file", Usage: "`FILE` with the password that clients send with PASS; beyond " +
				"127.0.0.1 there has to be one, and TLS is spoken [$BCAST_IRC_PASSWORD_FILE]"},
			&cli.StringFlag{Name: "irc-cert", Usage: "PEM `FILE` of the certificate for IRC; else irc.pem in the home, made " +
				"if need be"},
			&cli.StringFlag{Name: "irc-key", Usage: "PEM `FILE` of its key, if that is another one"},
			&cli.StringFlag{Name: "broadcast-budget", Usage: "`BYTES` a second that this node may broadcast"},
			&cli.BoolFlag{Name: "print", Usage: "write posts as log lines"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text, or json as with --json: the log's `FORMAT`"},
		},
		Action: a.runDaemon,
	}
}

// configured is a node as its daemon presents it: with the program's version and the sources of its settings.
type configured struct {
	participant
	version  string
	settings []control.Setting
	hooks    *hooksInForce    // nil: none are run
	services *servicesInForce // nil: none are announced
	guests   *guesthouse      // nil: none are taken in
}

func (n configured) Status(ctx context.Context) (control.Status, error) {
	status, err := n.participant.Status(ctx)
	status.Version, status.IRC, status.HTTP = n.version, chosen(n.settings, "irc"), chosen(n.settings, "http")
	status.Guests = n.guests.noun()
	return status, err
}

func (n configured) Config(ctx context.Context) ([]control.Setting, error) {
	settings, err := n.participant.Config(ctx)
	settings = attribute(settings, n.settings)
	if n.hooks != nil {
		settings = append(settings, hookSettings(n.hooks.now())...)
	}
	if n.services != nil {
		settings = append(settings, serviceSettings(n.services.now())...)
	}
	return settings, err
}

func (a *app) runDaemon(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	log, err := a.logger(c)
	if err != nil {
		return err
	}
	cfg, settings, err := resolve(daemonFlag(c), a.getenv)
	if err != nil {
		return err
	}
	cfg.Ephemeral = c.Bool("ephemeral")
	if cfg.Home, err = a.home(c); err != nil {
		return err
	}
	path, err := socketPath(cfg.Home)
	if err != nil {
		return err
	}
	list, err := hook.Load(cfg.Home)
	if err != nil {
		return err
	}
	announced, err := loadServices(cfg.Home)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	cfg.Logger = log
	gate, err := openGateway(settings)
	if err != nil {
		return err
	}
	defer gate.close()
	web, err := listenHTTP(settings)
	if err != nil {
		return err
	}
	defer web.close()
	node, err := a.start(context.WithoutCancel(c.Context), cfg)
	if err != nil {
		return err
	}
	hooks, err := beginHooks(c.Context, node, cfg, wanted(chosen(settings, "watch")), list)
	if err != nil {
		return errors.Join(err, node.Close())
	}
	services := &servicesInForce{home: cfg.Home, api: node, log: log}
	services.begin(c.Context, announced)
	if err = a.furnish(web.house(), node, cfg, log); err != nil {
		hooks.end()
		services.end()
		return errors.Join(err, node.Close())
	}
	node = configured{
		node, readBuild().Version, append(a.homeSetting(c, cfg.Home), settings...), hooks, services, web.house(),
	}
	err = a.serveDaemon(c, node, serving{
		home: cfg.Home, socket: path, irc: gate, web: web, hooks: hooks, services: services, log: log,
		hangups: hangups,
	})
	hooks.end()
	services.end()
	if closeErr := node.Close(); err == nil {
		err = closeErr
	}
	return err
}

// beginHooks runs hooks; the subnet is watched if that is wanted, or one of them waits for it.
func beginHooks(
	ctx context.Context, node participant, cfg bcast.Config, watch bool, list []hook.Hook,
) (*hooksInForce, error) {
	look := &lookout{node: node, log: cfg.Logger}
	hooks := &hooksInForce{home: cfg.Home, api: node, log: cfg.Logger, watch: look.begin}
	if watch {
		if err := look.begin(ctx); err != nil {
			return nil, err
		}
	}
	return hooks, hooks.begin(ctx, list)
}

// serving is where a daemon answers and what it heeds.
type serving struct {
	home, socket string
	irc          *gateway
	web          *webListener
	hooks        *hooksInForce
	services     *servicesInForce
	log          *slog.Logger
	hangups      <-chan os.Signal
}

// face serves a node in one way, until ctx ends.
type face func(ctx context.Context, node participant) error

// faces makes ready all ways in which a node is to be served.
func (s *serving) faces() ([]face, error) {
	if err := s.irc.certify(s.home, s.log); err != nil {
		return nil, err
	}
	if err := s.web.admit(s.home); err != nil {
		return nil, err
	}
	listener, err := control.Listen(s.socket, s.log)
	if err != nil {
		return nil, err
	}
	faces := []face{func(ctx context.Context, node participant) error {
		return control.Serve(ctx, listener, node, s.log)
	}}
	if s.irc != nil {
		faces = append(faces, func(ctx context.Context, node participant) error { return s.irc.serve(ctx, node, s.log) })
	}
	if s.web != nil {
		faces = append(faces, func(ctx context.Context, node participant) error {
			return s.web.serve(ctx, node, s.log)
		})
	}
	if house := s.web.house(); house != nil {
		faces = append(faces, func(ctx context.Context, _ participant) error { return house.serve(ctx, s.log) })
	}
	return faces, nil
}

// serveDaemon answers on the control socket, and by what else it was asked for, until the command is interrupted.
func (a *app) serveDaemon(c *cli.Context, node participant, s serving) error {
	faces, err := s.faces()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context)
	defer stop()
	served := make(chan error, len(faces))
	for _, serve := range faces {
		go func() { served <- serve(ctx, node) }()
	}
	left := len(faces)
	if err = a.ready(c, node); err == nil {
		a.tellReady(ctx, node, s.log)
		if c.Bool("print") {
			go logPosts(ctx, node, s.log)
		}
		err = s.heed(ctx, node, served)
		left--
		a.tellSupervisor(s.log, "STOPPING=1")
	}
	stop() // one face that failed ends the others
	for range left {
		err = errors.Join(err, <-served)
	}
	return err
}

// heed reloads when told to, until a face ends.
func (s *serving) heed(ctx context.Context, node participant, served <-chan error) error {
	for {
		select {
		case <-s.hangups:
			if err := errors.Join(node.Reload(ctx), s.hooks.again(ctx), s.services.again(ctx)); err != nil {
				s.log.Error("reload failed", "error", err)
			} else {
				s.log.Info("reloaded")
			}
		case err := <-served:
			return err
		}
	}
}

// readiness is the line that tells a script that the daemon can be used.
type readiness struct {
	Ready      bool     `json:"ready"`
	ID         string   `json:"id"`
	Nick       string   `json:"nick"`
	Tag        string   `json:"tag"`
	Port       int      `json:"port"`
	Unicast    int      `json:"unicast_port"`
	Interfaces []string `json:"interfaces"`
	HTTP       string   `json:"http,omitempty"`
	Guests     string   `json:"guests,omitempty"`
	IRC        string   `json:"irc,omitempty"`
}

func (a *app) ready(c *cli.Context, node control.API) error {
	status, err := node.Status(c.Context)
	if err != nil {
		return err
	}
	r := readiness{
		Ready: true, ID: status.ID, Nick: status.Nick, Tag: status.Tag, Port: status.Port, Unicast: status.Unicast,
		Interfaces: []string{}, HTTP: status.HTTP, IRC: status.IRC,
	}
	if status.Guests != nil {
		r.Guests = status.Guests.Addr
	}
	for _, i := range status.Interfaces {
		if i.Used {
			r.Interfaces = append(r.Interfaces, i.Name)
		}
	}
	p := a.printer(c)
	if p.json {
		return p.object(r)
	}
	line := fmt.Sprintf("ready id=%s nick=%s tag=%s port=%d unicast_port=%d interfaces=%s", r.ID,
		show.Clean(r.Nick), show.Clean(r.Tag), r.Port, r.Unicast, strings.Join(r.Interfaces, ","))
	if r.HTTP != "" {
		line += " http=" + r.HTTP
	}
	if r.Guests != "" {
		line += " guests=" + r.Guests
	}
	if r.IRC != "" {
		line += " irc=" + r.IRC
	}
	return p.line("%s", line)
}

func (a *app) logger(c *cli.Context) (*slog.Logger, error) {
	format := c.String("log-format")
	if a.asJSON && !c.IsSet("log-format") {
		format = "json"
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, nil)), nil
	default:
		return nil, usageError(fmt.Sprintf("--log-format %q is neither text nor json", format), "")
	}
}

// logPosts writes what is said, for people who watch a daemon's log.
func logPosts(ctx context.Context, api control.API, log *slog.Logger) {
	for event, err := range api.Events(ctx, "") {
		switch {
		case err != nil:
			log.Error("posts are no longer printed", "error", err)
		case event.Post != nil:
			p := event.Post
			room := show.Room(p.Room, p.Direct)
			log.Info("post", "room", room, "nick", show.Clean(p.Nick), "tag", show.Clean(p.Tag), "text", show.Clean(p.Text))
		}
	}
}

// daemonFlag looks settings up among the flags given.
func daemonFlag(c *cli.Context) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if !c.IsSet(name) {
			return "", false
		}
		if list := c.StringSlice(name); list != nil {
			return strings.Join(list, ","), true
		}
		return c.String(name), true
	}
}

// homeSetting tells where the home comes from.
func (a *app) homeSetting(c *cli.Context, dir string) []control.Setting {
	from := "default"
	switch {
	case c.String("home") != "":
		from = "flag"
	case a.getenv("BCAST_HOME") != "":
		from = "env"
	}
	return []control.Setting{{Name: "home", Value: dir, From: from}}
}
