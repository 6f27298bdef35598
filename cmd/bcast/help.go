package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

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
		&cli.BoolFlag{Name: "help", Usage: "print this"},
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
