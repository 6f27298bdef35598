package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/doctor"
	"bcast/internal/home"
	"bcast/internal/show"
	"bcast/internal/zeroconf"
)

// Exit codes. Scripts rely on them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitSome     = 3 // some members do not have it yet
	exitNone     = 4 // none has
	exitNoDaemon = 5
)

// stdio is where a run reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// app is one run of the program.
type app struct {
	stdio
	getenv func(string) string
	start  func(context.Context, bcast.Config) (participant, error)
	open   func(dir string) (closingArchive, error)
	look   func(ctx context.Context, port int, listen time.Duration) doctor.Host
	asJSON bool          // --json was given
	subnet zeroconf.Host // where discover listens; nil: this host
}

// participant is a node of this process.
type participant interface {
	control.API
	// Reload reads interfaces and the home's settings again and announces the result.
	Reload(context.Context) error
	// Watch looks at the whole subnet from now on.
	Watch(context.Context) error
	// Close says goodbye and releases the home.
	Close() error
}

// run runs the command line in words and returns the exit code.
func run(ctx context.Context, words []string, std stdio, getenv func(string) string) int {
	a := &app{stdio: std, getenv: getenv, start: startNode, open: openHistory, look: lookAtHost}
	return a.run(ctx, words)
}

func startNode(ctx context.Context, cfg bcast.Config) (participant, error) {
	node, err := bcast.Start(ctx, cfg)
	if err != nil {
		return nil, err // never a nil *Node in a participant
	}
	return node, nil
}

func openHistory(dir string) (closingArchive, error) {
	kept, err := bcast.OpenHistory(dir)
	if err != nil {
		return nil, err
	}
	return kept, nil
}

func (a *app) run(ctx context.Context, words []string) int {
	a.asJSON = slices.Contains(before(words, "--"), "--json")
	parser := a.parser()
	arranged, err := arrange(words, tableOf(parser.Flags), tablesOf(parser.Commands))
	if err == nil {
		err = parser.RunContext(ctx, append([]string{parser.Name}, arranged...))
	}
	return a.report(err, a.asJSON)
}

func tablesOf(commands []*cli.Command) map[string]flagTable {
	tables := map[string]flagTable{}
	for _, c := range commands {
		tables[c.Name] = tableOf(c.Flags)
	}
	return tables
}

func before(words []string, end string) []string {
	if at := slices.Index(words, end); at >= 0 {
		return words[:at]
	}
	return words
}

// parser describes the whole command line.
func (a *app) parser() *cli.App {
	parser := &cli.App{
		Name:           "bcast",
		Usage:          "group chat and device discovery for the network you are on",
		UsageText:      "bcast [--home DIR] [--json] COMMAND [flags] [arguments]",
		Description:    "Try it: run `bcast join lobby` on two machines of one network.",
		HideVersion:    true,
		HideHelp:       true, // the library's is one flag for the whole process, written at each run
		Writer:         a.out,
		ErrWriter:      a.err,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   refuseUsage,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "home", Usage: "`DIR` of key, rooms and control socket [$BCAST_HOME]"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, errors too"},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
			helpFlag(),
		},
		Commands: append([]*cli.Command{
			a.joinCommand(), a.chatCommand(), a.sayCommand(), a.tailCommand(), a.historyCommand(),
			a.whoCommand(), a.roomsCommand(), a.membersCommand(), a.leaveCommand(), a.inviteCommand(),
			a.guestsCommand(), a.rekeyCommand(), a.verifyCommand(), a.blockCommand(), a.nickCommand(), a.peersCommand(),
			a.discoverCommand(), a.announceCommand(), a.daemonCommand(), a.pageCommand(), a.hooksCommand(), a.statusCommand(),
			a.doctorCommand(), a.ifacesCommand(), a.lossCommand(), a.recvfromCommand(), a.sendtoCommand(),
			a.benchCommand(), a.idCommand(), a.configCommand(), a.completionCommand(), a.manCommand(), a.versionCommand(),
			a.helpCommand(),
		}, a.filesVerbs()...),
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return a.version(c)
			}
			return a.helpOf(c, "")
		},
	}
	for _, command := range parser.Commands {
		command.HideHelp = true // `leave help` leaves a room
		command.OnUsageError = refuseUsage
		command.Flags = append(command.Flags, helpFlag())
	}
	return parser
}

func refuseUsage(_ *cli.Context, err error, _ bool) error {
	return control.NewError(control.CodeUsage, err, strings.Replace(err.Error(), "flag -", "flag --", 1), "")
}

// exit ends a run with a code of its own, after everything has been said.
type exit int

func (e exit) Error() string { return "exit " + strconv.Itoa(int(e)) }

// report prints err for a person or a program and returns the exit code.
func (a *app) report(err error, asJSON bool) int {
	var code exit
	if errors.As(err, &code) {
		return int(code)
	}
	if err == nil {
		return exitDone
	}
	e := *control.AsError(err)
	e.Message, e.Hint = show.Redact(e.Message), show.Redact(e.Hint)
	if asJSON {
		line, _ := json.Marshal(map[string]control.Error{"error": e}) // strings only: it cannot fail
		fmt.Fprintf(a.err, "%s\n", line)
	} else {
		fmt.Fprintf(a.err, "bcast: %s\n", show.Clean(e.Message))
		if e.Hint != "" {
			fmt.Fprintf(a.err, "bcast: hint: %s\n", show.Clean(e.Hint))
		}
	}
	return exitCode(e.Code)
}

func exitCode(code control.Code) int {
	switch code {
	case control.CodeUsage, control.CodeInvalid, control.CodeTooLarge:
		return exitUsage
	case control.CodeNoDaemon:
		return exitNoDaemon
	default:
		return exitFailed
	}
}

// arguments checks that at least low and at most high words follow the flags; high < 0 is no limit.
func arguments(c *cli.Context, low, high int) ([]string, error) {
	args := c.Args().Slice()
	if len(args) >= low && (high < 0 || len(args) <= high) {
		return args, nil
	}
	message := fmt.Sprintf("%s: too many arguments", c.Command.Name)
	if len(args) < low {
		message = fmt.Sprintf("%s: an argument is missing", c.Command.Name)
	}
	usage := strings.TrimSpace(fmt.Sprintf("usage: bcast %s %s", c.Command.Name, c.Command.ArgsUsage))
	return nil, usageError(message, usage)
}

// positive checks the durations named: nothing waits for less than no time.
func positive(c *cli.Context, names ...string) error {
	for _, name := range names {
		if c.IsSet(name) && c.Duration(name) <= 0 {
			return usageError(fmt.Sprintf("--%s %v is not a time to wait", name, c.Duration(name)), "e.g. 3s")
		}
	}
	return nil
}

// example is a command's description: what it does in a sentence or two, then a command that works.
func example(text string, commands ...string) string {
	return text + "\n\nEXAMPLE:\n   " + strings.Join(commands, "\n   ")
}

// home is the chosen one, as an absolute path: what is below it is named to others, and they may be elsewhere.
func (a *app) home(c *cli.Context) (dir string, err error) {
	if dir = c.String("home"); dir == "" {
		dir, err = home.Default(a.getenv)
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", control.NewError(control.CodeHome, err, err.Error(), "choose one: --home DIR")
	}
	return dir, nil
}

func socketPath(dir string) (string, error) {
	path, err := home.SocketPath(dir)
	if err != nil {
		return "", control.NewError(control.CodeHome, err, err.Error(), "choose a shorter one: --home DIR")
	}
	return path, nil
}

// daemon returns a client of the home's daemon. Whether there is one shows at the first call.
func (a *app) daemon(c *cli.Context) (*control.Client, error) {
	dir, err := a.home(c)
	if err != nil {
		return nil, err
	}
	path, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	return control.NewClient(path), nil
}

// ask is the action of a command that asks the daemon: read takes what the command line says before anything is done
// for it, and do asks.
func ask[T any](
	a *app, read func(*cli.Context) (T, error), do func(*cli.Context, *control.Client, T) error,
) cli.ActionFunc {
	return func(c *cli.Context) error {
		asked, err := read(c)
		if err != nil {
			return err
		}
		daemon, err := a.daemon(c)
		if err != nil {
			return err
		}
		defer daemon.Close()
		return do(c, daemon, asked)
	}
}

// takes reads so many arguments; high is -1 if there may be any number.
func takes(low, high int) func(*cli.Context) ([]string, error) {
	return func(c *cli.Context) ([]string, error) { return arguments(c, low, high) }
}

func oneRoom(c *cli.Context) (string, error) { return one(c, parseRoom) }

func oneNick(c *cli.Context) (string, error) { return one(c, parseNick) }

// one reads the only argument.
func one(c *cli.Context, parse func(string) (string, error)) (string, error) {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return "", err
	}
	return parse(args[0])
}

// parseRoom checks a room name, or @PEER, before anything is started for it.
func parseRoom(word string) (string, error) {
	if peer, direct := strings.CutPrefix(word, "@"); direct {
		if peer == "" || len(peer) > maxPeerWord {
			return "", control.NewError(control.CodeInvalid, nil, "@ and the name of a device", "e.g. @alice or @alice-k7f2")
		}
		return word, nil
	}
	if strings.HasPrefix(word, invitePrefix) {
		return "", control.NewError(control.CodeInvalid, nil, "an invite is for bcast join", "then use the room's name")
	}
	name, err := identity.ParseRoomName(word)
	if err != nil {
		return "", control.NewError(control.CodeInvalid, err, err.Error(), "a room is called like lobby, build-3 or été")
	}
	return string(name), nil
}

// maxPeerWord is more than the longest nick and tag, in bytes.
const maxPeerWord = 64

func parseNick(word string) (string, error) {
	nick, err := identity.ParseNick(word)
	if err != nil {
		return "", control.NewError(control.CodeInvalid, err, err.Error(), "a nick is called like alice")
	}
	return string(nick), nil
}

// warnings is the log of a node that lives as long as its command: what a person must know, on standard error.
func (a *app) warnings() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if a.asJSON {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

// note tells on standard error what is neither asked for nor wrong.
func (a *app) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.asJSON {
		line, _ := json.Marshal(map[string]string{"note": text}) // strings only: it cannot fail
		fmt.Fprintf(a.err, "%s\n", line)
		return
	}
	fmt.Fprintf(a.err, "bcast: %s\n", text)
}

// pause waits for d or the end of ctx and reports whether d has passed.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
