package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

func (a *app) inviteCommand() *cli.Command {
	return &cli.Command{
		Name:      "invite",
		Usage:     "print what lets others into a private room, or guests into a room",
		ArgsUsage: "ROOM",
		Description: example("Whoever has the invite reads the room and what its members keep of it: give it by a way that\n"+
			"others do not see. Make a private room with `bcast join ROOM --private`. With --guest it is a link for\n"+
			"people without bcast, who read what is said from then on and write, by a browser; see bcast guests.\n"+
			"Needs a daemon.",
			"bcast invite crew", "bcast invite crew --qr", "bcast invite lobby --guest --for 3h"),
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "qr", Usage: "as a QR code, too"},
			&cli.BoolFlag{Name: "guest", Usage: "a link for guests, whom the daemon takes in (--guests)"},
			&cli.StringFlag{Name: "for", Usage: "how `LONG` a guest link is good, 12h unless given"},
		},
		Action: ask(a, oneRoom, a.invite),
	}
}

func (a *app) invite(c *cli.Context, daemon *control.Client, room string) error {
	if c.IsSet("for") && !c.Bool("guest") {
		return usageError("--for is of a guest link", "bcast invite "+room+" --guest --for "+c.String("for"))
	}
	if c.Bool("guest") {
		return a.inviteGuest(c, daemon, room)
	}
	invitation, err := daemon.Invite(c.Context, room)
	if err != nil {
		return err
	}
	p := a.printer(c)
	if p.json {
		return p.object(invitation)
	}
	if c.Bool("qr") {
		if err := p.code(invitation.Invite); err != nil {
			return err
		}
	}
	return p.line("%s", show.Clean(invitation.Invite))
}

// code draws a QR code, dark on light whatever the terminal's colours are.
func (p *printer) code(text string) error {
	drawn, err := show.QR(text)
	if err != nil {
		return err
	}
	for line := range strings.Lines(drawn) {
		line = strings.TrimSuffix(line, "\n")
		if p.color {
			line = colorCode + line + colorReset
		}
		if err := p.line("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// colorCode is black on white, by number: a theme may have changed the names.
const colorCode = "\x1b[38;5;16;48;5;231m"

func (a *app) rekeyCommand() *cli.Command {
	return &cli.Command{
		Name:      "rekey",
		Usage:     "change the keys of a private room",
		ArgsUsage: "ROOM",
		Description: example("The members get the new keys by themselves; those shut out read nothing that is said from\n"+
			"then on, and keep what they have. Invites of before let nobody in any more. Needs a daemon.",
			"bcast rekey crew --without mallory"),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "without", Usage: "shut out `PEER`, repeatable"},
		},
		Action: ask(a, oneRoom, a.rekey),
	}
}

func (a *app) rekey(c *cli.Context, daemon *control.Client, room string) error {
	done, err := daemon.Rekey(c.Context, room, c.StringSlice("without"))
	if err != nil {
		return err
	}
	p := a.printer(c)
	if p.json {
		return p.object(done)
	}
	return p.line("%s has new keys, of epoch %d; members get them as they are heard", show.Clean(done.Room), done.Epoch)
}

// invitePrefix begins every invite.
const invitePrefix = "bcast:"

// roomOrInvite is the room that a word names, or an invite; "-" reads the invite from standard input, where it never
// was in the list of processes.
func (a *app) roomOrInvite(ctx context.Context, word string) (string, error) {
	if word == "-" {
		if isTerminal(a.in) {
			fmt.Fprint(a.err, "invite: ")
		}
		line, err := readIn(ctx, func() (string, error) { return readLine(a.in) })
		if ctx.Err() != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, invitePrefix) {
			return "", control.NewError(control.CodeInvalid, err, "standard input does not begin with an invite",
				fmt.Sprintf("one begins with %s1:", invitePrefix))
		}
		return line, nil
	}
	if invite := strings.TrimSpace(word); strings.HasPrefix(invite, invitePrefix) {
		return invite, nil
	}
	return parseRoom(word)
}

// maxInviteLine is more than the longest invite, in bytes.
const maxInviteLine = 512

// readLine reads a line, and nothing of what follows it.
func readLine(in io.Reader) (string, error) {
	line, b := []byte(nil), make([]byte, 1)
	for len(line) < maxInviteLine && !bytes.HasSuffix(line, []byte("\n")) {
		n, err := in.Read(b)
		if line = append(line, b[:n]...); err != nil {
			return string(line), err
		}
	}
	return string(line), nil
}

// readIn reads from standard input until ctx ends: the read itself goes on until the process does.
func readIn(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := read()
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		return "", control.NewError(control.CodeTimeout, ctx.Err(), "interrupted", "")
	}
}
