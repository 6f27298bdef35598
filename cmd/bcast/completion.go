package main

import (
	"context"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/home"
	"bcast/internal/hook"
	"bcast/internal/show"
)

// shells are those that a script is here for.
var shells = []string{"bash", "zsh", "fish"}

//go:embed completion
var completionScripts embed.FS

// completionTime is how long a person who pressed Tab waits for names of the daemon: it takes milliseconds, on a busy
// host more.
const completionTime = 3 * time.Second

func (a *app) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print what completes commands, flags, rooms and peers in a shell",
		ArgsUsage: strings.Join(shells, "|"),
		Description: example("For bash and zsh: a line in your .bashrc or .zshrc, as below. For fish: a file.",
			"source <(bcast completion bash)", "bcast completion fish >~/.config/fish/completions/bcast.fish"),
		Action: a.completion,
	}
}

// completion prints a shell's script, or, for such a script, how the last of the words that follow may go on.
func (a *app) completion(c *cli.Context) error {
	args, err := arguments(c, 1, -1)
	if err != nil {
		return err
	}
	if args[0] == "words" {
		return a.printCandidates(c, args[1:])
	}
	if len(args) > 1 || !slices.Contains(shells, args[0]) {
		return usageError(fmt.Sprintf("completion: no script for %q", strings.Join(args, " ")),
			"there is one for "+strings.Join(shells, ", "))
	}
	script, err := completionScripts.ReadFile("completion/" + args[0])
	if err != nil {
		return fmt.Errorf("completion: %w", err)
	}
	if p := a.printer(c); p.json {
		return p.object(map[string]string{"shell": args[0], "script": string(script)})
	}
	_, err = a.out.Write(script)
	return err
}

// candidate is a word that may stand where the cursor is.
type candidate struct{ word, help string }

func (a *app) printCandidates(c *cli.Context, words []string) error {
	if len(words) == 0 {
		return nil
	}
	l := completer{parser: a.parser(), names: func(dir string) names { return a.names(c, dir) }}
	p := a.printer(c)
	for _, found := range l.complete(words) {
		err := error(nil)
		if p.json {
			err = p.object(map[string]string{"word": found.word, "help": found.help})
		} else {
			err = p.line("%s\t%s", found.word, show.Clean(found.help))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names are those that only the home and its daemon know.
type names struct{ rooms, peers []candidate }

// names asks the daemon; without one the home knows rooms.
func (a *app) names(c *cli.Context, dir string) (n names) {
	var err error
	if dir == "" {
		if dir, err = a.home(c); err != nil {
			return n
		}
	}
	path, err := socketPath(dir)
	if err != nil {
		return n
	}
	ctx, cancel := context.WithTimeout(c.Context, completionTime)
	defer cancel()
	daemon := control.NewClient(path)
	defer daemon.Close()
	rooms, err := daemon.Rooms(ctx)
	if err != nil {
		_, _, kept, _ := home.Look(dir) // what is not there completes nothing
		for _, r := range kept {
			if len(r.Peer) == 0 {
				n.rooms = append(n.rooms, candidate{string(r.Name), ""})
			}
		}
		return n
	}
	for _, r := range rooms {
		if r.Direct == "" {
			n.rooms = append(n.rooms, candidate{r.Name, fmt.Sprintf("%d of %d here", r.Present, r.Members)})
		}
	}
	peers, _ := daemon.Peers(ctx)
	for _, p := range peers {
		nick := p.Nick
		if p.Tagged {
			nick += "-" + p.Tag
		}
		n.peers = append(n.peers, candidate{nick, show.Presence(p.Status)})
	}
	return n
}

// completer knows how command lines go on: by the command table, and by names that it is told.
type completer struct {
	parser *cli.App
	names  func(home string) names
}

// complete is what the last of the words may become.
func (l completer) complete(words []string) []candidate {
	last, before := words[len(words)-1], words[:len(words)-1]
	at := l.walk(before)
	var found []candidate
	front := ""
	name, _, joined := strings.Cut(last, "=")
	switch {
	case at.ended:
		found = l.argument(at)
	case at.value != nil:
		found = l.value(at, at.value)
	case strings.HasPrefix(last, "-") && joined:
		front = name + "="
		found = l.value(at, flagNamed(at.flags, name))
	case strings.HasPrefix(last, "-"):
		found = flagCandidates(at.flags)
	default:
		found = l.argument(at)
	}
	return fitting(found, front, last)
}

// fitting are the candidates that begin as a word does, each once. Names are others' choice: one that a shell would
// take for more than a word is not offered.
func fitting(all []candidate, front, begin string) (found []candidate) {
	for _, c := range all {
		c.word = front + c.word
		same := func(f candidate) bool { return f.word == c.word }
		if strings.HasPrefix(c.word, begin) && isPlainWord(c.word) && !slices.ContainsFunc(found, same) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(a.word, b.word) })
	return found
}

// isPlainWord tells of a word that means itself in every shell.
func isPlainWord(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@=", r)
	})
}

// place is where on a command line the cursor is.
type place struct {
	command *cli.Command // nil: it is still to come
	flags   []cli.Flag   // those that may stand here
	value   cli.Flag     // the flag whose value is next
	home    string       // as --home says
	args    int          // of the command, so far
	ended   bool         // by "--"
}

// walk follows the words in front of the cursor.
func (l completer) walk(words []string) place {
	at := place{flags: l.parser.Flags}
	for _, word := range words {
		name, value, joined := strings.Cut(word, "=")
		f := flagNamed(at.flags, name)
		switch {
		case at.value != nil:
			if at.value.Names()[0] == "home" {
				at.home = word
			}
			at.value = nil
		case word == "--":
			at.ended = true
		case strings.HasPrefix(word, "-") && !at.ended:
			if _, isBool := f.(*cli.BoolFlag); f == nil || isBool {
				continue
			}
			if !joined {
				at.value = f
			} else if f.Names()[0] == "home" {
				at.home = value
			}
		case at.command == nil:
			if at.command = l.parser.Command(word); at.command == nil {
				return place{ended: true} // nothing is known of it
			}
			at.flags = slices.Concat(at.command.Flags, l.parser.Flags)
		case at.args == 0 && l.parser.Command(at.command.Name+" "+word) != nil:
			at.command = l.parser.Command(at.command.Name + " " + word)
			at.flags = slices.Concat(at.command.Flags, l.parser.Flags)
		default:
			at.args++
		}
	}
	return at
}

func flagNamed(flags []cli.Flag, word string) cli.Flag {
	for _, f := range flags {
		if name := strings.TrimLeft(word, "-"); slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func flagCandidates(flags []cli.Flag) (found []candidate) {
	for _, f := range flags {
		_, usage := placeholder(f)
		found = append(found, candidate{"--" + f.Names()[0], usage})
	}
	return found
}

// value is what may follow a flag, by the word that stands for it in the help.
func (l completer) value(at place, f cli.Flag) []candidate {
	if f == nil {
		return nil
	}
	if f.Names()[0] == "iface" {
		return interfaceCandidates()
	}
	kind, _ := placeholder(f)
	return l.kind(at, kind)
}

func interfaceCandidates() (found []candidate) {
	all, _ := bcast.Interfaces(nil)
	for _, i := range all {
		found = append(found, candidate{i.Name, strings.Join(i.Addrs, " ")})
	}
	return found
}

// literal is an argument that stands for itself.
var literal = regexp.MustCompile(`^[a-z]+$`)

// argument is what the next argument may be, by the command's usage; the last of it may repeat.
func (l completer) argument(at place) (found []candidate) {
	if at.command == nil {
		if at.ended {
			return nil
		}
		return commandCandidates(l.parser)
	}
	usage := strings.Fields(at.command.ArgsUsage)
	if len(usage) == 0 || at.args >= len(usage) && !strings.Contains(usage[len(usage)-1], "…") {
		return nil
	}
	for kind := range strings.SplitSeq(usage[min(at.args, len(usage)-1)], "|") {
		if kind = strings.Trim(kind, "[]…"); literal.MatchString(kind) {
			found = append(found, candidate{kind, ""})
		}
		found = append(found, l.kind(at, kind)...)
	}
	return found
}

func commandCandidates(parser *cli.App) (found []candidate) {
	for _, c := range parser.Commands {
		if strings.Contains(c.Name, " ") {
			continue // comes after its first word
		}
		found = append(found, candidate{c.Name, c.Usage})
	}
	return found
}

// kind are the words that a placeholder stands for.
func (l completer) kind(at place, kind string) []candidate {
	switch kind {
	case "ROOM":
		known := l.names(at.home)
		for _, p := range known.peers {
			known.rooms = append(known.rooms, candidate{"@" + p.word, p.help})
		}
		return known.rooms
	case "PEER":
		return l.names(at.home).peers
	case "COMMAND":
		return commandCandidates(l.parser)
	case "EVENT":
		return candidates(hook.Events()...)
	case "WHOM":
		return candidates("all", "here", "none")
	case "HOW":
		return candidates("normal", "full")
	case "FORMAT":
		return candidates("text", "json")
	}
	return nil
}

func candidates(words ...string) (found []candidate) {
	for _, word := range words {
		found = append(found, candidate{word, ""})
	}
	return found
}
