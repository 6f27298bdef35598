package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"bcast/internal/control"
	"bcast/internal/files"
	"bcast/internal/show"
)

func (a *app) filesOpenCommand() *cli.Command {
	return &cli.Command{
		Name:      "files open",
		Usage:     "walk about in what a device shares, as with ftp or sftp",
		ArgsUsage: "PEER[:SHARE[/PATH]]",
		Description: example("The shares are the directories at the top. Commands:\n\n"+browseHelp()+"\n"+
			"On a terminal Tab completes names; a pipe may bring the lines as well. Names with spaces stand in quotes.\n"+
			"What is there or here already is not replaced.",
			"bcast files open bob", "echo 'get docs/report.pdf' | bcast files open bob"),
		Flags:  []cli.Flag{patienceFlag()},
		Action: a.filesOpen,
	}
}

// browser is somebody who walks about in what a device shares.
type browser struct {
	app  *app
	cli  *cli.Context
	p    *printer
	l    *library
	name string // of the device
	at   string // "/" and a share and a path below it
	here string // the directory of this host
}

// step is a command of a browser.
type step struct {
	name, args, help string
	do               func(b *browser, ctx context.Context, args []string) error
	local            bool // what it takes is of this host
}

func steps() []step {
	return []step{
		{"ls", "[PATH]", "list what is there", (*browser).ls, false},
		{"cd", "[PATH]", "go there", (*browser).cd, false},
		{"pwd", "", "say where that is", (*browser).pwd, false},
		{"get", "PATH…", "bring files or directories here", (*browser).get, false},
		{"put", "FILE…", "put files or directories there", (*browser).put, true},
		{"lls", "[DIR]", "list what is here", (*browser).lls, true},
		{"lcd", "[DIR]", "go to another directory here", (*browser).lcd, true},
		{"help", "", "this", (*browser).help, false},
		{"quit", "", "end; so does Ctrl-D", nil, false},
	}
}

func browseHelp() string {
	var text strings.Builder
	for _, s := range steps() {
		fmt.Fprintf(&text, "   %-12s %s\n", strings.TrimSpace(s.name+" "+s.args), s.help)
	}
	return text.String()
}

func (a *app) filesOpen(c *cli.Context) error {
	args, err := arguments(c, 1, 1)
	if err != nil {
		return err
	}
	to, err := parseRemote(args[0])
	if err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	return a.withLibrary(c, to.peer, func(ctx context.Context, l *library) error {
		b := &browser{app: a, cli: c, p: a.printer(c), l: l, name: to.peer, at: "/", here: here}
		if _, err := l.Shares(ctx); err != nil {
			return err
		}
		if err := b.cd(ctx, []string{"/" + path.Join(to.share, to.path)}); err != nil {
			return err
		}
		if isTerminal(a.in) && isTerminal(a.out) && !a.asJSON {
			return b.onTerminal(ctx)
		}
		return b.onPipe(ctx)
	})
}

// onPipe does what lines say, and fails at the end if one of them did.
func (b *browser) onPipe(ctx context.Context) error {
	lines := bufio.NewScanner(b.app.in)
	code := exitDone
	for ctx.Err() == nil && lines.Scan() {
		over, err := b.obey(ctx, lines.Text())
		if err != nil {
			code = b.app.report(control.FileError(err), b.p.json)
		}
		if over {
			break
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	if code != exitDone {
		return exit(code)
	}
	return ctx.Err()
}

// onTerminal does the same with an editor. The terminal is the editor's only while a line is typed, so that a command
// prints, and is interrupted, like any other.
func (b *browser) onTerminal(ctx context.Context) error {
	in := b.app.in.(*os.File)
	for ctx.Err() == nil {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("prepare the terminal: %w", err)
		}
		s := newScreen(in, b.app.out, func() (int, int) { return 80, 24 })
		s.editor.SetPrompt(show.Clean(b.name) + ":" + show.Clean(b.at) + "> ")
		s.editor.AutoCompleteCallback = func(line string, at int, key rune) (string, int, bool) {
			if key != '\t' {
				return "", 0, false
			}
			return b.complete(ctx, s, line, at)
		}
		line, err := s.editor.ReadLine()
		term.Restore(int(in.Fd()), before)
		if err != nil {
			b.p.line("")
			return nil // Ctrl-D, or the terminal has gone
		}
		over, err := b.obey(ctx, line)
		if err != nil && ctx.Err() == nil {
			b.app.report(control.FileError(err), false)
		}
		if over {
			return nil
		}
	}
	return ctx.Err()
}

// obey does what a line says and tells whether it was the last.
func (b *browser) obey(ctx context.Context, line string) (over bool, err error) {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return false, err
	}
	if words[0] == "quit" || words[0] == "exit" || words[0] == "bye" {
		return true, nil
	}
	for _, s := range steps() {
		if s.name == words[0] {
			return false, s.do(b, ctx, words[1:])
		}
	}
	return false, usageError(fmt.Sprintf("nothing is called %q here", words[0]), "help")
}

// splitWords takes a line apart at spaces; quotes and backslashes keep what belongs together.
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	quote, escaped, begun := rune(0), false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, begun = true, true
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case r == ' ' || r == '\t':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 || escaped {
		return nil, usageError("a quote is not closed", "")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// to is a place that a word names, from where we are.
func (b *browser) to(word string) remotePath {
	if !strings.HasPrefix(word, "/") {
		word = path.Join(b.at, word)
	}
	r := remotePath{peer: b.name}
	r.share, r.path, _ = strings.Cut(strings.TrimPrefix(path.Clean("/"+word), "/"), "/")
	return r
}

// most is a word of at most so many, empty without one.
func most(args []string) (string, error) {
	if len(args) > 1 {
		return "", usageError("that is too much", "names with spaces stand in quotes; help")
	}
	return strings.Join(args, ""), nil
}

func (b *browser) ls(ctx context.Context, args []string) error {
	word, err := most(args)
	if err != nil {
		return err
	}
	at := b.to(word)
	if at.share != "" {
		return b.p.entries(at.name(), b.l.List(ctx, at.share, at.path, false))
	}
	shares, err := b.l.Shares(ctx)
	if err != nil {
		return err
	}
	var all []files.Entry
	for _, s := range shares {
		all = append(all, files.Entry{Path: s.Name, Dir: true})
	}
	return b.p.entries("", contents(all))
}

// contents are entries as a list tells them: behind the directory that they are in.
func contents(all []files.Entry) iter.Seq2[files.Entry, error] {
	return func(yield func(files.Entry, error) bool) {
		for _, e := range slices.Insert(all, 0, files.Entry{Dir: true}) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (b *browser) cd(ctx context.Context, args []string) error {
	word, err := most(args)
	if err != nil {
		return err
	}
	if word == "" {
		word = "/"
	}
	to := b.to(word)
	if to.share != "" {
		e, err := b.l.Stat(ctx, to.share, to.path)
		if err != nil {
			return err
		}
		if !e.Dir {
			return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%s is no directory", word), "")
		}
	}
	b.at = "/" + path.Join(to.share, to.path)
	return nil
}

func (b *browser) pwd(context.Context, []string) error {
	if b.p.json {
		return b.p.object(map[string]string{"there": b.at, "here": b.here})
	}
	return b.p.line("%s, here %s", show.Clean(b.at), show.Clean(b.here))
}

func (b *browser) get(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError("get what?", "get PATH…")
	}
	for _, word := range args {
		found, err := b.match(ctx, word)
		if err != nil {
			return err
		}
		for _, at := range found {
			if err := needShare(at, word); err != nil {
				return err
			}
			if err := b.app.fetch(ctx, b.cli, b.l, at, b.here, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// match are the places that a word with * ? or [ in its last element names; without, the one.
func (b *browser) match(ctx context.Context, word string) ([]remotePath, error) {
	at := b.to(word)
	pattern := path.Base(at.path)
	if !strings.ContainsAny(pattern, "*?[") {
		return []remotePath{at}, nil
	}
	dir := strings.TrimPrefix(path.Dir("/"+at.path), "/")
	var found []remotePath
	for e, err := range b.l.List(ctx, at.share, dir, false) {
		if err != nil {
			return nil, err
		}
		if fits, err := path.Match(pattern, e.Path); err == nil && fits && e.Path != "" && e.Skip == "" {
			found = append(found, remotePath{at.peer, at.share, path.Join(dir, e.Path)})
		}
	}
	if len(found) == 0 {
		return nil, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("nothing fits %s", word), "")
	}
	return found, nil
}

func (b *browser) put(ctx context.Context, args []string) error {
	to := b.to("")
	if len(args) == 0 || to.share == "" {
		return usageError("put what where?", "cd to a share, then put FILE…")
	}
	for _, word := range args {
		found, err := filepath.Glob(b.local(word))
		if err != nil || len(found) == 0 {
			return control.NewError(control.CodeInvalid, err, fmt.Sprintf("there is no %s here", word), "lls")
		}
		for _, source := range found {
			meter := b.app.carriage(b.cli)
			err := send(ctx, b.l, source, to, true, meter.options(carrying(b.cli)))
			if meter.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

// local is a path of this host that a word names.
func (b *browser) local(word string) string {
	if filepath.IsAbs(word) {
		return filepath.Clean(word)
	}
	return filepath.Join(b.here, word)
}

func (b *browser) lls(_ context.Context, args []string) error {
	word, err := most(args)
	if err != nil {
		return err
	}
	found, err := os.ReadDir(b.local(word))
	if err != nil {
		return control.NewError(control.CodeInvalid, err, err.Error(), "")
	}
	var all []files.Entry
	for _, d := range found {
		e := files.Entry{Path: d.Name(), Dir: d.IsDir()}
		if info, err := d.Info(); err == nil && !e.Dir {
			e.Size, e.Modified = info.Size(), info.ModTime()
		}
		all = append(all, e)
	}
	return b.p.entries("", contents(all))
}

func (b *browser) lcd(_ context.Context, args []string) error {
	word, err := most(args)
	if err != nil {
		return err
	}
	if word == "" {
		if word, err = os.UserHomeDir(); err != nil {
			return err
		}
	}
	to := b.local(word)
	if info, err := os.Stat(to); err != nil || !info.IsDir() {
		return control.NewError(control.CodeInvalid, err, fmt.Sprintf("%s is no directory", to), "")
	}
	b.here = to
	return nil
}

func (b *browser) help(context.Context, []string) error {
	if b.p.json {
		return b.p.object(map[string]string{"help": browseHelp()})
	}
	return b.p.line("%s", strings.TrimSuffix(browseHelp(), "\n"))
}

// completeFor is how long names may be looked for when Tab is pressed.
const completeFor = 3 * time.Second

// complete finishes the word at the end of a line as far as it is clear, and lists how it may go on where it is not.
func (b *browser) complete(ctx context.Context, s *screen, line string, at int) (string, int, bool) {
	if at != len(line) {
		return "", 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, completeFor)
	defer cancel()
	begun := line[strings.LastIndexByte(line, ' ')+1:]
	found := b.endings(ctx, line, begun)
	if len(found) == 0 {
		return "", 0, false
	}
	common := found[0]
	for _, f := range found[1:] {
		for !strings.HasPrefix(f, common) {
			common = common[:len(common)-1]
		}
	}
	if len(found) == 1 && !strings.HasSuffix(common, "/") {
		common += " "
	} else if common == begun {
		s.Write([]byte(strings.Join(found, "  ") + "\n"))
	}
	line = strings.TrimSuffix(line, begun) + common
	return line, len(line), true
}

// endings are how a word may go on: a command, a name there, or a name here. Names that would have to be quoted, or
// that a terminal would not show as they are, are left to be typed.
func (b *browser) endings(ctx context.Context, line, begun string) (found []string) {
	first, _, more := strings.Cut(strings.TrimLeft(line, " "), " ")
	dir := begun[:strings.LastIndexByte(begun, '/')+1]
	add := func(name string, isDir bool) {
		if isDir {
			name += "/"
		}
		plain := show.Clean(name) == name && !strings.ContainsAny(name, ` '"\`)
		if name = dir + name; plain && strings.HasPrefix(name, begun) {
			found = append(found, name)
		}
	}
	for _, s := range steps() {
		switch {
		case !more:
			if strings.HasPrefix(s.name, begun) {
				found = append(found, s.name)
			}
		case s.name == first && s.local:
			names, _ := os.ReadDir(b.local(dir))
			for _, d := range names {
				add(d.Name(), d.IsDir())
			}
		case s.name == first && s.args != "":
			b.remoteNames(ctx, dir, add)
		}
	}
	return found
}

func (b *browser) remoteNames(ctx context.Context, dir string, add func(string, bool)) {
	at := b.to(dir)
	if at.share == "" {
		shares, _ := b.l.Shares(ctx)
		for _, s := range shares {
			add(s.Name, true)
		}
		return
	}
	for e, err := range b.l.List(ctx, at.share, at.path, false) {
		if err != nil {
			return
		}
		if e.Path != "" && e.Skip == "" {
			add(e.Path, e.Dir)
		}
	}
}
