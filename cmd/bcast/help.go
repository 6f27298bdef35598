package main

import (
	"fmt"
	"io"
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
			args, err := arguments(c, 0, 1)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return cli.ShowAppHelp(c)
			}
			command := c.App.Command(args[0])
			if command == nil {
				return usageError(fmt.Sprintf("unknown command %q", args[0]), "all commands: bcast --help")
			}
			_, err = io.WriteString(a.out, command.CustomHelpTemplate)
			return err
		},
	}
}

// commandHelp is what `bcast COMMAND --help` prints. The library's own layout knows neither the flags that stand at
// every level nor flags without a default.
func commandHelp(command *cli.Command) string {
	usage := "bcast " + command.Name
	if len(command.Flags) > 0 {
		usage += " [flags]"
	}
	if command.ArgsUsage != "" {
		usage += " " + command.ArgsUsage
	}
	help := fmt.Sprintf("bcast %s - %s\n\nUSAGE:\n   %s\n\n%s\n", command.Name, command.Usage, usage, command.Description)
	if len(command.Flags) > 0 {
		help += "\nFLAGS:\n" + flagLines(command.Flags)
	}
	return help + "\nALWAYS:\n" + flagLines([]cli.Flag{
		&cli.StringFlag{Name: "home", Usage: "`DIR` of key, rooms and control socket [$BCAST_HOME]"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, errors too"},
		helpFlag(),
	})
}

// flagLines lists flags with what they take and mean.
func flagLines(flags []cli.Flag) string {
	heads, usages, widest := make([]string, len(flags)), make([]string, len(flags)), 0
	for i, f := range flags {
		var value string
		value, usages[i] = placeholder(f)
		heads[i] = strings.TrimSpace("--" + f.Names()[0] + " " + value)
		widest = max(widest, cells(heads[i]))
	}
	var lines strings.Builder
	for i := range flags {
		fmt.Fprintf(&lines, "   %-*s  %s\n", widest, heads[i], usages[i])
	}
	return lines.String()
}

// placeholder is the word that stands for a flag's value: the one in backquotes in its usage, else by its kind. It
// returns the usage without the backquotes.
func placeholder(f cli.Flag) (value, usage string) {
	usage = f.(cli.DocGenerationFlag).GetUsage()
	if before, rest, quoted := strings.Cut(usage, "`"); quoted {
		value, after, _ := strings.Cut(rest, "`")
		return value, before + value + after
	}
	switch f.(type) {
	case *cli.BoolFlag:
		return "", usage
	case *cli.DurationFlag:
		return "DURATION", usage
	case *cli.IntFlag:
		return "N", usage
	default:
		return "TEXT", usage
	}
}
