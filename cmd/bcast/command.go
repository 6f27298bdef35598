package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bcast/internal/tui"
)

// command is what a line does that begins with a slash and one of names.
type command struct {
	names []string // the first is the one that help shows
	args  string
	help  string
	do    func(t talk, ctx context.Context, rest string) (tui.Outcome, error)
}

// answer is a command that asks nothing of the view.
func answer(do func(t talk, ctx context.Context, rest string) error) func(
	talk, context.Context, string) (tui.Outcome, error) {
	return func(t talk, ctx context.Context, rest string) (tui.Outcome, error) {
		return tui.Outcome{}, do(t, ctx, rest)
	}
}

// want is a command that only asks the view.
func want(asked func(rest string) tui.Outcome) func(talk, context.Context, string) (tui.Outcome, error) {
	return func(_ talk, _ context.Context, rest string) (tui.Outcome, error) { return asked(rest), nil }
}

// commands are those of every view, in the order in which help shows them. Names are those of IRC where it has one.
func commands() []command {
	return []command{
		{[]string{"join", "j"}, "ROOM", "go to another room; an invite will do, too", talk.enter},
		{[]string{"part", "leave"}, "", "leave this room for good", want(func(string) tui.Outcome {
			return tui.Outcome{Part: true}
		})},
		{[]string{"rooms"}, "", "the rooms that this device has joined", answer(talk.rooms)},
		{[]string{"list"}, "", "the public rooms of the devices that are here", answer(talk.list)},
		{[]string{"msg", "m"}, "PEER TEXT", "say something to one of them alone", answer(talk.whisper)},
		{[]string{"query", "q"}, "PEER", "go to the room of the two of you", talk.query},
		{[]string{"me"}, "TEXT", "say what you do", answer(talk.action)},
		{[]string{"reply", "r"}, "[POST] TEXT", "answer a post: what others said last, or the one whose id begins so",
			answer(changes("reply"))},
		{[]string{"react"}, "[POST] SIGN", "react to one", answer(changes("reaction"))},
		{[]string{"edit"}, "[POST] TEXT", "change your own last post, or another of yours", answer(changes("edit"))},
		{[]string{"delete"}, "[POST]", "take it back", answer(changes("delete"))},
		{[]string{"send"}, "PATH [TEXT]", "offer a file to the room; Tab finishes its path", answer(talk.send)},
		{[]string{"get"}, "[POST|N]", "have a file that was offered: the last, the one of a post, or the last but so many",
			answer(talk.get)},
		{[]string{"members", "names"}, "", "who is in the room, here or gone", answer(talk.members)},
		{[]string{"who"}, "[POST]", "who is here and has your last post; who has a post", answer(talk.who)},
		{[]string{"whois"}, "PEER", "what is known of a device", answer(talk.whois)},
		{[]string{"topic", "t"}, "[TEXT]", "what the room is about", answer(talk.topic)},
		{[]string{"search"}, "WORDS", "the posts that hold all of them", want(func(rest string) tui.Outcome {
			return tui.Outcome{Search: rest}
		})},
		{[]string{"nick"}, "NICK", "change your name", answer(talk.nick)},
		{[]string{"away"}, "[TEXT]", "tell the others that you are", answer(signals("away"))},
		{[]string{"back"}, "", "tell them that you are back", answer(signals("here"))},
		{[]string{"invite"}, "[ROOM]", "what lets others into this private room", answer(talk.invite)},
		{[]string{"verify"}, "PEER [WORDS]", "make sure that a device is whose you think", answer(talk.verify)},
		{[]string{"block"}, "PEER", "hide what a device posts", answer(blocks(true))},
		{[]string{"unblock"}, "PEER", "show it again", answer(blocks(false))},
		{[]string{"clear"}, "", "empty the screen", want(func(string) tui.Outcome { return tui.Outcome{Clear: true} })},
		{[]string{"help"}, "[COMMAND]", "this", answer(talk.help)},
		{[]string{"quit", "exit"}, "", "end; so do Ctrl-C and Ctrl-D", want(func(string) tui.Outcome {
			return tui.Outcome{Quit: true}
		})},
	}
}

// obey does what a line says: a post, or a command that begins with a slash.
func (t talk) obey(ctx context.Context, line string) (tui.Outcome, error) {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return tui.Outcome{}, nil
	case !strings.HasPrefix(line, "/"):
		return tui.Outcome{}, t.say(ctx, line)
	case strings.HasPrefix(line, "//"):
		return tui.Outcome{}, t.say(ctx, line[1:])
	}
	word, rest, _ := strings.Cut(line, " ")
	known, err := commandNamed(word)
	if err != nil {
		return tui.Outcome{}, err
	}
	return known.do(t, ctx, strings.TrimSpace(rest))
}

func commandNamed(word string) (command, error) {
	name := strings.TrimPrefix(word, "/")
	for _, c := range commands() {
		if slices.Contains(c.names, name) {
			return c, nil
		}
	}
	return command{}, usageError(fmt.Sprintf("there is no %s", word), "/help lists what there is")
}

func (t talk) help(_ context.Context, word string) error {
	all := commands()
	if word != "" {
		known, err := commandNamed(word)
		if err != nil {
			return err
		}
		all = []command{known}
	}
	for _, c := range all {
		text := c.help
		if len(c.names) > 1 {
			text += " (also /" + strings.Join(c.names[1:], ", /") + ")"
		}
		if err := t.p.line("%-20s %s", strings.TrimSpace("/"+c.names[0]+" "+c.args), text); err != nil {
			return err
		}
	}
	if word != "" {
		return nil
	}
	return t.p.line("%-20s %s", "//TEXT", "a post that begins with /")
}
