package tui

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	clockWidth = len("15:04")
	// maxNick bounds the column of names; longer ones are cut there, and whole among the members.
	maxNick = 12
	// textLeast is the narrowest that text is wrapped to, however narrow the terminal.
	textLeast = 8
)

// indent is how much stands in front of each line of a post.
func (r *room) indent() int { return clockWidth + 1 + r.nickWidth + len(" | ") }

// draw is the lines of an item at a width. They are kept until something changes.
func (m *Model) draw(r *room, it *item, width int) []string {
	if it.lines != nil {
		return it.lines
	}
	body, name := m.body(r, it)
	if it.post.ID == "" && len(body) > 1 {
		it.lines = m.answer(it, body, width)
		return it.lines
	}
	space := max(textLeast, width-r.indent())
	for _, line := range body {
		it.lines = append(it.lines, strings.Split(lipgloss.Wrap(line, space, ""), "\n")...)
	}
	bar, clock := m.colors.dim.Render("│"), m.colors.dim.Render(it.at.Local().Format("15:04"))
	if r.picked == it {
		bar, clock = m.colors.accent.Render("┃"), m.colors.accent.Render(it.at.Local().Format("15:04"))
	}
	blank := strings.Repeat(" ", clockWidth+1+r.nickWidth)
	for i, line := range it.lines {
		front := blank
		if i == 0 {
			front = clock + " " + right(name, r.nickWidth)
		}
		it.lines[i] = front + " " + bar + " " + line
	}
	return it.lines
}

// answer is the lines of what a command told: a table needs the width.
func (m *Model) answer(it *item, body []string, width int) []string {
	lines := []string{m.colors.dim.Render(it.at.Local().Format("15:04"))}
	for _, line := range body {
		lines = append(lines, strings.Split(lipgloss.Wrap("  "+line, width, ""), "\n")...)
	}
	return lines
}

// body is what an item says, in lines that are not wrapped yet, and whose name stands beside it.
func (m *Model) body(r *room, it *item) (lines []string, name string) {
	c := m.colors
	if it.post.ID == "" {
		for _, line := range strings.Split(it.note, "\n") {
			if it.alert {
				line = c.alert.Render(line)
			} else if !strings.Contains(line, "\x1b") { // what a command answers has its own colours
				line = c.dim.Render(line)
			}
			lines = append(lines, line)
		}
		return lines, map[bool]string{true: c.alert.Render("!"), false: c.dim.Render("-")}[it.alert]
	}
	post := it.post
	who := c.name(post.From, show.Name(post.From, post.Nick, post.Tag, post.Tagged, post.Verified))
	lines, name = show.Said(post), who
	switch {
	case post.Deleted:
		lines = []string{c.dim.Render("(deleted)")}
	case post.Mention:
		for i := range lines {
			lines[i] = c.mention.Render(lines[i])
		}
	}
	switch post.Kind {
	case "action":
		lines[0], name = who+" "+lines[0], "*"
	case "topic":
		lines[0], name = who+c.dim.Render(" sets the topic: ")+lines[0], c.dim.Render("-")
	case "reply":
		lines = append([]string{c.dim.Render("↪ " + quoted(post))}, lines...)
	}
	lines[len(lines)-1] += m.marks(it)
	if reactions := show.Reactions(post); len(reactions) > 0 && !post.Deleted {
		lines = append(lines, c.dim.Render(strings.Join(reactions, "  ")))
	}
	return lines, name
}

// quoted is what a reply answers.
func quoted(post control.Post) string {
	if q := post.Quote; q != nil {
		return show.Clean(q.Nick) + ": " + show.Clean(q.Text)
	}
	return "a post that is not kept here"
}

// marks are what there is to know of a post: how it came, and who has it.
func (m *Model) marks(it *item) string {
	post := it.post
	post.Late = it.late
	text := ""
	if marks := show.Marks(post); len(marks) > 0 {
		text = m.colors.dim.Render(" (" + strings.Join(marks, ", ") + ")")
	}
	if post.Forked {
		text += m.colors.alert.Render(" [" + show.Forked + "]")
	}
	if it.coming != "" && !post.Deleted {
		text += m.colors.accent.Render(" " + it.coming)
	}
	if !post.Own || !it.told || it.members == 0 {
		return text
	}
	have := fmt.Sprintf(" ✓ %d/%d", it.have, it.members)
	if it.have >= it.members {
		return text + m.colors.own.Render(have)
	}
	return text + m.colors.dim.Render(have)
}

// beginning is said above the first post.
const beginning = "This is where what is kept of the room begins."

// block is an item with what stands above it: the day, where it changes, and the mark above what is new.
func (m *Model) block(r *room, at, width int) []string {
	it := r.items[at]
	lines := m.draw(r, it, width)
	var above []string
	if at == 0 && r.oldest {
		above = append(above, m.colors.dim.Render(beginning))
	}
	if day := dayOf(it.at); at == 0 && r.oldest || at > 0 && dayOf(r.items[at-1].at) != day {
		above = append(above, m.rule(day, width, m.colors.dim))
	}
	if it == r.fresh {
		above = append(above, m.rule("new", width, m.colors.alert))
	}
	if above == nil {
		return lines
	}
	return append(above, lines...)
}

func dayOf(t time.Time) string { return t.Local().Format("Monday, 2 January 2006") }

// rule is a line across with a word in it.
func (m *Model) rule(word string, width int, style lipgloss.Style) string {
	line := "── " + word + " "
	return style.Render(fit(line+strings.Repeat("─", max(0, width-lipgloss.Width(line))), width))
}

// redraw forgets what was drawn: at another width, or in other colours.
func (m *Model) redraw() {
	for _, r := range m.rooms {
		r.redraw()
	}
	if m.find != nil {
		m.find.redraw()
	}
}

func (r *room) redraw() {
	for _, it := range r.items {
		it.lines = nil
	}
}

// widen makes the column of names as wide as the widest that came.
func (r *room) widen(it *item) {
	p := it.post
	if p.ID == "" || p.Kind == "action" || p.Kind == "topic" {
		return
	}
	name := show.Name(p.From, p.Nick, p.Tag, p.Tagged, p.Verified)
	if width := min(lipgloss.Width(name), maxNick); width > r.nickWidth {
		r.nickWidth = width
		r.redraw()
	}
}
