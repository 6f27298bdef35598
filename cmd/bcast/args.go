package main

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"bcast/internal/control"
)

// flagTable says of each flag's name, without dashes, whether a value follows it.
type flagTable map[string]bool

func tableOf(flags []cli.Flag) flagTable {
	table := flagTable{}
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			table[name] = !isBool
		}
	}
	return table
}

// arrange puts the words of a command line into the one order that the parser takes right: global flags, command, its
// flags, "--", arguments. Flags may then stand anywhere before a "--"; the parser alone would take `say lobby hi --wait
// all` for four words of text. Values are joined to their flags by "=", so that one may begin with a dash.
//
// A word with a dash that is no flag of the command is refused, never taken for text: it is more often a misspelt flag.
func arrange(words []string, global flagTable, commands map[string]flagTable) ([]string, error) {
	l := line{global: global, commands: commands}
	for len(words) > 0 {
		word, rest := words[0], words[1:]
		var err error
		switch {
		case word == "--":
			for _, word := range rest {
				if err == nil {
					err = l.argument(word)
				}
			}
			rest = nil
		case strings.HasPrefix(word, "-") && word != "-":
			rest, err = l.flag(word, rest)
		default:
			err = l.argument(word)
		}
		if err != nil {
			return nil, err
		}
		words = rest
	}
	switch {
	case slices.ContainsFunc(l.flags, asksForHelp): // the parser's own help knows nothing of JSON
		return append(l.globals, "help", "--", l.command), nil
	case l.command == "" && slices.ContainsFunc(l.globals, asksForHelp):
		return append(slices.DeleteFunc(l.globals, asksForHelp), "help", "--"), nil
	case l.command == "":
		return l.globals, nil
	}
	return slices.Concat(l.globals, []string{l.command}, l.flags, []string{"--"}, l.args), nil
}

func asksForHelp(flag string) bool { return flag == "--help" || flag == "--h" }

// line is a command line being sorted.
type line struct {
	global         flagTable
	commands       map[string]flagTable
	command        string
	globals, flags []string
	args           []string
}

// argument takes a word without a dash: the first is the command.
func (l *line) argument(word string) error {
	verb := l.command + " " + word // `files get` is one command, of two words
	switch {
	case len(l.args) == 0 && l.commands[verb] != nil:
		l.command = verb
	case l.command != "":
		l.args = append(l.args, word)
	case l.commands[word] == nil:
		return unknownCommand(word, maps.Keys(l.commands))
	default:
		l.command = word
	}
	return nil
}

// flag takes a word with a dash and, from rest, its value. It returns what is left of rest.
func (l *line) flag(word string, rest []string) ([]string, error) {
	name, value, joined := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	group := &l.flags
	takesValue, known := l.commands[l.command][name]
	if !known {
		takesValue, known = l.global[name]
		group = &l.globals
	}
	if !known && l.command == "" {
		return nil, usageError(fmt.Sprintf("unknown flag %s before the command", word),
			"a command's flags stand after its name; all commands: bcast --help")
	}
	if !known {
		return nil, usageError(fmt.Sprintf("unknown flag %s", word),
			meant("--", name, maps.Keys(l.commands[l.command]))+
				fmt.Sprintf("use -- before words that begin with a dash; flags: bcast %s --help", l.command))
	}
	if takesValue && !joined {
		if len(rest) == 0 || rest[0] == "--" {
			return nil, usageError(fmt.Sprintf("flag --%s needs a value", name), "")
		}
		value, rest, joined = rest[0], rest[1:], true
	}
	if word = "--" + name; joined {
		word += "=" + value
	}
	*group = append(*group, word)
	return rest, nil
}

func unknownCommand(word string, known iter.Seq[string]) error {
	return usageError(fmt.Sprintf("unknown command %q", word), meant("", word, known)+"all commands: bcast --help")
}

// meant asks whether a misspelt word was to be one of those known: the nearest, if one letter more, less or other makes
// it, or two behind the first, as for two that changed places.
func meant(dashes, word string, known iter.Seq[string]) string {
	var nearest string
	least := 3
	for _, name := range slices.Sorted(known) {
		changes := smetrics.WagnerFischer(word, name, 1, 1, 1)
		if len(name) > 2 && changes < least && (changes == 1 || strings.HasPrefix(word, name[:1])) {
			nearest, least = name, changes
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s%s? ", dashes, nearest)
}

func usageError(message, hint string) error {
	return control.NewError(control.CodeUsage, nil, message, hint)
}
