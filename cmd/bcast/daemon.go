package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
)

func (a *app) daemonCommand() *cli.Command {
	return &cli.Command{
		Name:  "daemon",
		Usage: "run the node in the foreground",
		Description: example("Prints one `ready` line, then logs to standard error. SIGINT and SIGTERM say goodbye and\n"+
			"stop within 2 s, SIGHUP reads interfaces and the home again and announces the result.",
			"bcast daemon --nick alice --room lobby --print"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "nick", Usage: "`NICK` shown to others [$BCAST_NICK]"},
			&cli.StringSliceFlag{Name: "iface", Usage: "interface `NAME` or pattern, repeatable [$BCAST_IFACE]"},
			&cli.StringFlag{Name: "port", Usage: "shared broadcast `PORT`, 27474 unless given [$BCAST_PORT]"},
			&cli.StringFlag{Name: "recv-buffer", Usage: "receive buffer in `BYTES`, 16 to 65535; below 512 the node only " +
				"watches [$BCAST_RECV_BUFFER]"},
			&cli.StringSliceFlag{Name: "room", Usage: "join `ROOM`, repeatable [$BCAST_ROOMS]"},
			&cli.StringFlag{Name: "broadcast-budget", Usage: "`BYTES` a second that this node may broadcast"},
			&cli.BoolFlag{Name: "print", Usage: "write posts as log lines"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json: the log's `FORMAT`"},
		},
		Action: a.runDaemon,
	}
}

// configured is a node as its daemon presents it: with the program's version and the sources of its settings.
type configured struct {
	participant
	version  string
	settings []control.Setting
}

func (n configured) Status(ctx context.Context) (control.Status, error) {
	status, err := n.participant.Status(ctx)
	status.Version = n.version
	return status, err
}

func (n configured) Config(ctx context.Context) ([]control.Setting, error) {
	settings, err := n.participant.Config(ctx)
	return attribute(settings, n.settings), err
}

func (a *app) runDaemon(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	log, err := a.logger(c.String("log-format"))
	if err != nil {
		return err
	}
	cfg, settings, err := resolve(daemonFlag(c), a.getenv)
	if err != nil {
		return err
	}
	if cfg.Home, err = a.home(c); err != nil {
		return err
	}
	path, err := socketPath(cfg.Home)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	cfg.Logger = log
	node, err := a.start(context.WithoutCancel(c.Context), cfg)
	if err != nil {
		return err
	}
	node = configured{node, readBuild().Version, append(a.homeSetting(c, cfg.Home), settings...)}
	err = a.serveDaemon(c, node, path, log, hangups)
	if closeErr := node.Close(); err == nil {
		err = closeErr
	}
	return err
}

// serveDaemon answers on the control socket until the command is interrupted.
func (a *app) serveDaemon(
	c *cli.Context, node participant, path string, log *slog.Logger, hangups <-chan os.Signal,
) error {
	listener, err := control.Listen(path, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- control.Serve(ctx, listener, node, log) }()
	if err := a.ready(c, node); err != nil {
		return err
	}
	a.tellSupervisor(log, "READY=1")
	if c.Bool("print") {
		go logPosts(ctx, node, log)
	}
	for {
		select {
		case <-hangups:
			if err := node.Reload(ctx); err != nil {
				log.Error("reload failed", "error", err)
			} else {
				log.Info("reloaded")
			}
		case err := <-served:
			a.tellSupervisor(log, "STOPPING=1")
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
}

func (a *app) ready(c *cli.Context, node control.API) error {
	status, err := node.Status(c.Context)
	if err != nil {
		return err
	}
	r := readiness{true, status.ID, status.Nick, status.Tag, status.Port, status.Unicast, []string{}}
	for _, i := range status.Interfaces {
		if i.Used {
			r.Interfaces = append(r.Interfaces, i.Name)
		}
	}
	p := a.printer(c)
	if p.json {
		return p.object(r)
	}
	return p.line("ready id=%s nick=%s tag=%s port=%d unicast_port=%d interfaces=%s", r.ID, clean(r.Nick), clean(r.Tag),
		r.Port, r.Unicast, strings.Join(r.Interfaces, ","))
}

func (a *app) logger(format string) (*slog.Logger, error) {
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
			log.Info("post", "room", clean(p.Room), "nick", clean(p.Nick), "tag", clean(p.Tag), "text", clean(p.Text))
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
