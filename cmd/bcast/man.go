package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func (a *app) manCommand() *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page",
		Description: example("In the language of man, made of the same table as --help.",
			"bcast man >/usr/local/share/man/man1/bcast.1", "bcast man | man -l -"),
		Action: a.man,
	}
}

func (a *app) man(c *cli.Context) error {
	if _, err := arguments(c, 0, 0); err != nil {
		return err
	}
	page := manual(c.App)
	if p := a.printer(c); p.json {
		return p.object(map[string]string{"name": "bcast.1", "page": page})
	}
	_, err := io.WriteString(a.out, page)
	return err
}

// exits are the exit codes as the manual tells them.
var exits = [][2]string{
	{"0", "done"}, {"1", "failed"}, {"2", "wrong usage, or a value that cannot be"},
	{"3", "some members do not have the post yet"}, {"4", "none has"}, {"5", "no daemon runs"},
}

// roff writes a manual page. What it is given is text: nothing in it is taken for a request.
type roff struct{ strings.Builder }

// escape makes text of what roff would take for more.
var escape = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// text writes lines as they are.
func (r *roff) text(lines ...string) {
	for _, line := range lines {
		line = escape.Replace(line)
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		r.WriteString(line + "\n")
	}
}

// request writes a request with its arguments, which are text.
func (r *roff) request(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		r.WriteString(` "` + strings.ReplaceAll(escape.Replace(arg), `"`, `\(dq`) + `"`)
	}
	r.WriteString("\n")
}

// entry writes an item of a list and what it means.
func (r *roff) entry(item, meaning string) {
	r.WriteString(".TP\n")
	r.request("B", item)
	r.text(meaning)
}

// manual is the manual page, made of the command table.
func manual(parser *cli.App) string {
	var r roff
	r.request("TH", "BCAST", "1", "", "bcast "+readBuild().Version, "bcast")
	r.request("SH", "NAME")
	r.text("bcast - " + parser.Usage)
	r.request("SH", "SYNOPSIS")
	r.request("B", parser.UsageText)
	r.request("SH", "DESCRIPTION")
	r.text("Start it on two machines of a subnet and they are talking: no server, no internet, no account.",
		parser.Description, "Flags may stand anywhere before --, also after arguments.")
	r.request("SH", "OPTIONS")
	r.flags(parser.Flags)
	r.request("SH", "COMMANDS")
	for _, command := range parser.Commands {
		r.command(command)
	}
	r.request("SH", "EXIT STATUS")
	for _, e := range exits {
		r.entry(e[0], e[1])
	}
	r.request("SH", "ENVIRONMENT")
	r.entry("BCAST_HOME", "the home, where --home does not say it")
	for _, s := range daemonSettings {
		if s.env != "" {
			r.entry(s.env, "of bcast daemon: --"+s.name)
		}
	}
	r.entry("NO_COLOR", "if set, nothing is coloured")
	r.request("SH", "FILES")
	r.entry("$XDG_STATE_HOME/bcast, else ~/.local/state/bcast", "the home: key, history, rooms, hooks.toml, control.sock")
	return r.String()
}

func (r *roff) command(command *cli.Command) {
	r.request("SS", strings.TrimSpace("bcast "+command.Name+" "+command.ArgsUsage))
	text, examples, _ := strings.Cut(command.Description, "\n\nEXAMPLE:\n")
	r.text(strings.ToUpper(command.Usage[:1]) + command.Usage[1:] + ".")
	r.literal(text)
	r.flags(command.Flags)
	if examples != "" {
		r.request("PP")
		r.text("Example:")
		r.literal(examples)
	}
}

// literal writes lines one by one: what is written by hand keeps its lines, and a file in it its shape.
func (r *roff) literal(text string) {
	r.WriteString(".PP\n.nf\n")
	for line := range strings.SplitSeq(text, "\n") {
		r.text(line)
	}
	r.WriteString(".fi\n")
}

func (r *roff) flags(flags []cli.Flag) {
	for _, f := range flags {
		value, usage := placeholder(f)
		r.entry(strings.TrimSpace(spelled(f)+" "+value), usage)
	}
}
