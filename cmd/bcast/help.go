package main

import (
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/urfave/cli/v2"
)

func helpFlag() *cli.BoolFlag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "print this"}
}

func (a *app) helpCommand() *cli.Command {
	return &cli.Command{
		Name:        "help",
		Usage:       "print what a command does",
		ArgsUsage:   "[COMMAND]",
		Description: example("The same as COMMAND --help.", "bcast help say"),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 0, 2)
			if err != nil {
				return err
			}
			return a.helpOf(c, strings.Join(args, " "))
		},
	}
}

// helpOf prints what a command does, or, without a name, what there is.
func (a *app) helpOf(c *cli.Context, name string) error {
	command := c.App.Command(name)
	switch {
	case name != "" && command == nil:
		return unknownCommand(name, maps.Keys(tablesOf(c.App.Commands)))
	case a.asJSON && command != nil:
		return a.printer(c).object(commandNoun(command))
	case a.asJSON:
		for _, each := range c.App.Commands {
			if err := a.printer(c).object(commandNoun(each)); err != nil {
				return err
			}
		}
		return nil
	}
	help := appHelp(c.App)
	if command != nil {
		help = commandHelp(command)
	}
	_, err := io.WriteString(a.out, help)
	return err
}

// described is a command as programs see it.
type described struct {
	Command     string          `json:"command"`
	Usage       string          `json:"usage"`
	Arguments   string          `json:"arguments,omitempty"`
	Description string          `json:"description"`
	Flags       []describedFlag `json:"flags"`
}

type describedFlag struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	Usage string `json:"usage"`
}

func commandNoun(command *cli.Command) described {
	noun := described{command.Name, command.Usage, command.ArgsUsage, command.Description, []describedFlag{}}
	for _, f := range command.Flags {
		value, usage := placeholder(f)
		noun.Flags = append(noun.Flags, describedFlag{f.Names()[0], value, usage})
	}
	return noun
}

// appHelp is what `bcast --help` prints.
func appHelp(parser *cli.App) string {
	names, usages := make([]string, len(parser.Commands)), make([]string, len(parser.Commands))
	for i, command := range parser.Commands {
		names[i], usages[i] = command.Name, command.Usage
	}
	return fmt.Sprintf("NAME:\n   %s - %s\n\nUSAGE:\n   %s\n\nDESCRIPTION:\n   %s\n\nCOMMANDS:\n%s\nGLOBAL OPTIONS:\n%s",
		parser.Name, parser.Usage, parser.UsageText, parser.Description, columns(names, usages), flagLines(parser.Flags))
}

// commandHelp is what `bcast COMMAND --help` prints. The library's own layout knows neither the flags that stand at
// every level nor flags without a default.
func commandHelp(command *cli.Command) string {
	flags := command.Flags[:len(command.Flags)-1] // the last is --help, which stands at every level
	usage := "bcast " + command.Name
	if len(flags) > 0 {
		usage += " [flags]"
	}
	if command.ArgsUsage != "" {
		usage += " " + command.ArgsUsage
	}
	help := fmt.Sprintf("bcast %s - %s\n\nUSAGE:\n   %s\n\n%s\n", command.Name, command.Usage, usage, command.Description)
	if len(flags) > 0 {
		help += "\nFLAGS:\n" + flagLines(flags)
	}
	return help + "\nALWAYS:\n" + flagLines([]cli.Flag{
		&cli.StringFlag{Name: "home", Usage: "`DIR` of key, rooms and control socket [$BCAST_HOME]"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, errors too"},
		helpFlag(),
	})
}

// flagLines lists flags with what they take and mean.
func flagLines(flags []cli.Flag) string {
	heads, usages := make([]string, len(flags)), make([]string, len(flags))
	for i, f := range flags {
		var value string
		value, usages[i] = placeholder(f)
		heads[i] = strings.TrimSpace(spelled(f) + " " + value)
	}
	return columns(heads, usages)
}

// columns are lines of what is explained and its explanation.
func columns(heads, meanings []string) string {
	widest := 0
	for _, head := range heads {
		widest = max(widest, cells(head))
	}
	var lines strings.Builder
	for i, head := range heads {
		fmt.Fprintf(&lines, "   %-*s  %s\n", widest, head, meanings[i])
	}
	return lines.String()
}

// spelled is a flag's name with what it may be called for short.
func spelled(f cli.Flag) string {
	name := "--" + f.Names()[0]
	for _, short := range f.Names()[1:] {
		name += ", -" + short
	}
	return name
}

// placeholder is the word that stands for a flag's value: the one in backquotes in its usage, else by its kind. It
// returns the usage without the backquotes.
func placeholder(f cli.Flag) (value, usage string) {
	usage = f.(cli.DocGenerationFlag).GetUsage()
	if _, isBool := f.(*cli.BoolFlag); isBool {
		return "", usage
	}
	if before, rest, quoted := strings.Cut(usage, "`"); quoted {
		value, after, _ := strings.Cut(rest, "`")
		return value, before + value + after
	}
	switch f.(type) {
	case *cli.DurationFlag:
		return "DURATION", usage
	case *cli.IntFlag:
		return "N", usage
	default:
		return "TEXT", usage
	}
}
