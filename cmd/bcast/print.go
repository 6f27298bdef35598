package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// printer writes the nouns of the program, each in one place: for people or, one object a line, for programs.
type printer struct {
	out    io.Writer
	json   bool
	color  bool
	now    func() time.Time
	holder map[string]string // device id that first came with a nick
	clash  map[string]bool   // nicks that more than one device came with
}

func (a *app) printer(c *cli.Context) *printer {
	return a.printerOn(a.out, c.Bool("json"))
}

func (a *app) printerOn(out io.Writer, asJSON bool) *printer {
	return &printer{
		out: out, json: asJSON, now: time.Now, holder: map[string]string{}, clash: map[string]bool{},
		color: isTerminal(a.out) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb",
	}
}

// isTerminal reports whether w (or r) is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// object writes v as one line of JSON.
func (p *printer) object(v any) error {
	line, err := appendJSON(nil, v)
	if err != nil {
		return err
	}
	_, err = p.out.Write(line)
	return err
}

// objects writes each of a list on its own line.
func objects[T any](p *printer, list []T) error {
	for _, v := range list {
		if err := p.object(v); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) line(format string, args ...any) error {
	_, err := fmt.Fprintf(p.out, format+"\n", args...)
	return err
}

// columns writes rows under a heading, each column as wide as its widest cell. Cells may be coloured.
func (p *printer) columns(heading []string, rows [][]string) error {
	rows = append([][]string{heading}, rows...)
	widths := make([]int, len(heading))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(uncolored(cell)))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-cells(uncolored(cell))+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(p.out, text.String())
	return err
}

const (
	colorReset = "\x1b[0m"
	colorDim   = "\x1b[2m"
	colorAlert = "\x1b[31m"
)

// nickColors are those that can be read on a dark and on a light ground; red is kept for what is wrong.
var nickColors = []string{
	"\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m", "\x1b[92m", "\x1b[95m", "\x1b[96m",
}

func (p *printer) paint(color, text string) string {
	if !p.color || text == "" {
		return text
	}
	return color + text + colorReset
}

func (p *printer) dim(text string) string { return p.paint(colorDim, text) }

// uncolored removes what paint added.
func uncolored(text string) string {
	for {
		start := strings.IndexByte(text, '\x1b')
		if start < 0 {
			return text
		}
		end := strings.IndexByte(text[start:], 'm')
		text = text[:start] + text[start+end+1:]
	}
}

// meet makes names known before they are printed: two devices with one nick are then both shown with their tags.
func (p *printer) meet(id, nick string) {
	if first, known := p.holder[nick]; !known {
		p.holder[nick] = id
	} else if first != id {
		p.clash[nick] = true
	}
}

// name is how a device is shown: its nick, in a colour that follows from its key, with the tag where nicks clash.
func (p *printer) name(id, nick, tag string) string {
	p.meet(id, nick)
	shown := clean(nick)
	switch {
	case shown == "":
		shown = clean(id[:min(8, len(id))])
	case p.clash[nick]:
		shown += "-" + clean(tag)
	}
	hash := fnv.New32a()
	io.WriteString(hash, id)
	return p.paint(nickColors[hash.Sum32()%uint32(len(nickColors))], shown)
}

// ago is a moment as people say it.
func (p *printer) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(p.now().Sub(t)) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}
