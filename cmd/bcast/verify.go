package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "make sure that a device is whose you think",
		ArgsUsage: "PEER [WORDS…|CODE]",
		Description: example("Prints ten words, and your own code. The other side runs the same with your name: if both\n"+
			"show the same words, nobody stands in between. Read them to each other, then give them here, or the code\n"+
			"that the other shows. Its name then has a ✓, here and for good. Needs a daemon.",
			"bcast verify bob", "bcast verify bob --qr",
			"bcast verify bob above acid legend rival toast used pill gun ocean zoo"),
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "qr", Usage: "your own code as a QR code, too"}},
		Action: ask(a, takes(1, -1), a.verify),
	}
}

func (a *app) verify(c *cli.Context, daemon *control.Client, args []string) (err error) {
	var v control.Verification
	if len(args) > 1 {
		v, err = daemon.Pin(c.Context, args[0], strings.Join(args[1:], " "))
	} else {
		v, err = daemon.Verification(c.Context, args[0])
	}
	if err != nil {
		return err
	}
	return a.printer(c).verification(v, c.Bool("qr"))
}

func (p *printer) verification(v control.Verification, asQR bool) error {
	if p.json {
		return p.object(v)
	}
	p.know(v.ID, v.Nick, false, v.Verified)
	if v.Verified {
		return p.line("%s is verified: the key of %s was compared", p.name(v.ID, v.Nick, v.Tag), show.Clean(v.ID))
	}
	name := p.name(v.ID, v.Nick, v.Tag) + "-" + show.Clean(v.Tag)
	if asQR {
		if err := p.code(v.Code); err != nil {
			return err
		}
	}
	return p.line("words shared with %s:\n  %s\nyour code:\n  %s", name, strings.Join(v.Words, " "), v.Code)
}

func (a *app) blockCommand() *cli.Command {
	return &cli.Command{
		Name:      "block",
		Usage:     "hide what a device posts",
		ArgsUsage: "PEER",
		Description: example("Here only: the others go on seeing it, and what it said is kept and passed on. Needs a daemon.",
			"bcast block mallory", "bcast block mallory --undo"),
		Flags: []cli.Flag{&cli.BoolFlag{Name: "undo", Usage: "show it again"}},
		Action: ask(a, takes(1, 1), func(c *cli.Context, daemon *control.Client, args []string) error {
			if err := daemon.Block(c.Context, args[0], !c.Bool("undo")); err != nil {
				return err
			}
			return a.done(c, map[string]any{"peer": args[0], "blocked": !c.Bool("undo")})
		}),
	}
}
