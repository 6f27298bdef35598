package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
	"golang.org/x/text/width"

	"bcast/internal/show"
)

// printer writes the nouns of the program, each in one place: for people or, one object a line, for programs.
type printer struct {
	out   io.Writer
	json  bool
	color bool
	now   func() time.Time

	mu       sync.Mutex           // what comes and what is asked for are written from two goroutines
	holder   map[string]string    // device id that first came with a nick
	clash    map[string]bool      // nicks that more than one device came with
	verified map[string]bool      // device ids whose keys the user compared
	tagged   map[string]bool      // device ids whose nicks do not say who they are, as the participant sees it
	syncs    map[string]time.Time // when catching up from a member was last told
}

func (a *app) printer(c *cli.Context) *printer {
	return a.printerOn(a.out, c.Bool("json"))
}

func (a *app) printerOn(out io.Writer, asJSON bool) *printer {
	return &printer{
		out: out, json: asJSON, now: time.Now, holder: map[string]string{}, clash: map[string]bool{},
		verified: map[string]bool{}, tagged: map[string]bool{},
		syncs: map[string]time.Time{},
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

// done tells a program that something was done that people are told nothing of: that it did not fail is enough.
func (a *app) done(c *cli.Context, what map[string]any) error {
	if p := a.printer(c); p.json {
		return p.object(what)
	}
	return nil
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
	text := strings.Join(aligned(append([][]string{heading}, rows...)), "\n") + "\n"
	_, err := io.WriteString(p.out, text)
	return err
}

// aligned makes a line of each row; the first has as many cells as any.
func aligned(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(uncolored(cell)))
		}
	}
	var lines []string
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-cells(uncolored(cell))+2))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

// note writes something that nobody said.
func (p *printer) note(format string, args ...any) error {
	return p.line("%s", p.dim("- "+fmt.Sprintf(format, args...)))
}

const (
	colorReset   = "\x1b[0m"
	colorDim     = "\x1b[2m"
	colorAlert   = "\x1b[31m"
	colorMention = "\x1b[1m"
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if first, known := p.holder[nick]; !known {
		p.holder[nick] = id
	} else if first != id {
		p.clash[nick] = true
	}
}

// know makes a name known as the participant sees it: one that others could be taken for, or that was verified.
func (p *printer) know(id, nick string, tagged, verified bool) {
	p.meet(id, nick)
	p.mu.Lock()
	defer p.mu.Unlock()
	if tagged {
		p.clash[nick] = true
	}
	p.tagged[id], p.verified[id] = tagged, verified
}

// name is how a device is shown: its nick, in a colour that follows from its key; with a mark if it was verified, else
// with the tag where nicks clash.
func (p *printer) name(id, nick, tag string) string {
	return p.paint(nickColors[show.Hue(id, len(nickColors))], p.plainName(id, nick, tag))
}

// plainNick is a name without a colour, of one whose tag is not told.
func (p *printer) plainNick(id, nick string) string { return p.plainName(id, nick, show.Tag(id)) }

// plainName is a name without a colour.
func (p *printer) plainName(id, nick, tag string) string {
	p.meet(id, nick)
	p.mu.Lock()
	defer p.mu.Unlock()
	tagged := p.tagged[id] || p.clash[nick] && !p.verified[id] // verifying speaks for the nick unless it is marked
	return show.Name(id, nick, tag, tagged, p.verified[id])
}

// ago is a moment as people say it.
func (p *printer) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return show.Span(p.now().Sub(t)) + " ago"
}

// appendJSON appends v as one line of JSON in which misleading characters are escaped: nothing is lost and a terminal
// is safe. In JSON such characters can stand only inside of strings.
func appendJSON(line []byte, v any) ([]byte, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	for data := bytes.TrimSuffix(plain.Bytes(), []byte("\n")); len(data) > 0; {
		r, size := utf8.DecodeRune(data)
		if show.Misleads(r) {
			line = fmt.Appendf(line, `\u%04x`, r)
		} else {
			line = append(line, data[:size]...)
		}
		data = data[size:]
	}
	return append(line, '\n'), nil
}

// cells is how many columns of a terminal s takes.
func cells(s string) int {
	total := 0
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			continue
		}
		total++
		if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
			total++
		}
	}
	return total
}
