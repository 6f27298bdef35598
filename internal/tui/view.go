package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	// wide is from what width on the rooms have a column of their own; below it they stand in a line at the top.
	wide = 100
	// membersFrom is from what width on members have a column.
	membersFrom = 72
	// roomsWidth and membersWidth are of those columns, without the line beside them.
	roomsWidth, membersWidth = 18, 16
	prompt, searchPrompt     = "› ", "search › "
)

// leftColumn is the width of the rooms' column with the line beside it, or 0.
func (m *Model) leftColumn() int {
	if m.width < wide {
		return 0
	}
	return roomsWidth + 1
}

// rightColumn is that of the members.
func (m *Model) rightColumn() int {
	if m.width < membersFrom || !m.members {
		return 0
	}
	return membersWidth + 1
}

// space is what there is for posts. Above are the room and, if they have no column, the rooms; below are the status and
// the input.
func (m *Model) space() (width, height int) {
	height = m.height - m.input.Height() - 2
	if m.leftColumn() == 0 {
		height--
	}
	return max(1, m.width-m.leftColumn()-m.rightColumn()), max(1, height)
}

// resize fits what is there into the terminal.
func (m *Model) resize() {
	m.input.MaxHeight = min(inputLines, max(1, m.height-4))
	m.input.SetWidth(max(1, m.width-lipgloss.Width(m.prompt())))
	m.redraw()
}

func (m *Model) prompt() string {
	if m.querying {
		return searchPrompt
	}
	return prompt
}

// View shows all.
func (m *Model) View() tea.View {
	view := tea.NewView("")
	view.AltScreen, view.ReportFocus = true, true
	if m.cfg.Mouse {
		view.MouseMode = tea.MouseModeCellMotion
	}
	if m.height < 5 || m.width < 10 {
		view.SetContent("too small")
		return view
	}
	view.WindowTitle = m.title()
	lines := m.screen()
	view.SetContent(strings.Join(lines, "\n"))
	if cursor := m.input.Cursor(); cursor != nil {
		cursor.X += lipgloss.Width(m.prompt())
		cursor.Y += m.height - m.input.Height()
		view.Cursor = cursor
	}
	return view
}

// title is that of the terminal's window.
func (m *Model) title() string {
	r := m.room()
	if r == nil {
		return "bcast"
	}
	unread := 0
	for _, r := range m.rooms {
		unread += r.unread
	}
	if unread == 0 {
		return "bcast: " + show.Room(r.name, r.direct)
	}
	return fmt.Sprintf("bcast: %s (%d)", show.Room(r.name, r.direct), unread)
}

// screen is the lines of the screen, each as wide as it.
func (m *Model) screen() []string {
	var lines []string
	if m.leftColumn() == 0 {
		lines = append(lines, m.tabs())
	}
	lines = append(lines, m.header())
	width, height := m.space()
	posts := m.posts(width, height)
	left, leftWidth := m.roomColumn(height), m.leftColumn()
	right, rightWidth := m.memberColumn(height), m.rightColumn()
	side := m.colors.dim.Render("│")
	for i, line := range posts {
		line = fit(line, width)
		if leftWidth > 0 {
			line = fit(left[i], leftWidth-1) + side + line
		}
		if rightWidth > 0 {
			line += side + fit(right[i], rightWidth-1)
		}
		lines = append(lines, line)
	}
	lines = append(lines, m.status())
	for i, line := range strings.Split(m.input.View(), "\n") {
		front := m.prompt()
		if i > 0 {
			front = strings.Repeat(" ", lipgloss.Width(front))
		}
		lines = append(lines, fit(m.colors.accent.Render(front)+line, m.width))
	}
	return lines
}

// posts is what is said, or found, from the bottom up.
func (m *Model) posts(width, height int) []string {
	var lines []string
	r := m.room()
	switch {
	case m.find != nil:
		lines = m.findLines(width, height)
	case r != nil:
		lines, _ = m.window(r)
		if len(r.items) == 0 && r.oldest {
			lines = []string{m.colors.dim.Render("Nothing was said here yet. /help tells what you can do.")}
		}
	}
	return append(make([]string, max(0, height-len(lines))), lines...)
}

// header is the room that is shown: its name, what it is about, who is there.
func (m *Model) header() string {
	r := m.room()
	if r == nil {
		return m.colors.bar.Render(fit(" bcast", m.width))
	}
	here := 0
	for _, member := range r.members {
		if member.Status == "self" || control.Here(member.Status) {
			here++
		}
	}
	left := " " + show.Room(r.name, r.direct)
	if r.topic != "" {
		left += " · " + r.topic
	}
	end := ""
	if len(r.members) > 0 {
		end = fmt.Sprintf("%d of %d here ", here, len(r.members))
	}
	return m.colors.bar.Render(ends(fit(left, min(lipgloss.Width(left), m.width-lipgloss.Width(end)-1)), end, m.width))
}

// tabs are the rooms in a line. The one that is shown is always in it.
func (m *Model) tabs() string {
	line := ""
	for i, r := range m.rooms {
		line += " " + m.tab(i, r)
	}
	if at := m.at; lipgloss.Width(line) > m.width && at > 0 {
		line = "…"
		for i := at; i < len(m.rooms); i++ {
			line += " " + m.tab(i, m.rooms[i])
		}
	}
	return fit(line, m.width)
}

// tab is a room with its number and what is unread there.
func (m *Model) tab(i int, r *room) string {
	text := fmt.Sprintf("%d %s", i+1, show.Room(r.name, r.direct))
	switch {
	case i == m.at:
		return m.colors.current.Render(" " + text + " ")
	case r.mentions > 0:
		return m.colors.mention.Render(fmt.Sprintf("%s %d!", text, r.unread))
	case r.unread > 0:
		return m.colors.accent.Render(fmt.Sprintf("%s %d", text, r.unread))
	}
	return m.colors.dim.Render(text)
}

// roomColumn is the rooms under each other. If there are more than lines, the one that is shown is among them.
func (m *Model) roomColumn(height int) []string {
	lines := make([]string, max(height, len(m.rooms)))
	for i, r := range m.rooms {
		name := fmt.Sprintf(" %d %s", i+1, show.Room(r.name, r.direct))
		unread := ""
		switch {
		case r.mentions > 0:
			unread = m.colors.mention.Render(fmt.Sprintf("%d! ", r.unread))
		case r.unread > 0:
			unread = m.colors.accent.Render(fmt.Sprintf("%d ", r.unread))
		}
		name = fit(name, roomsWidth-lipgloss.Width(unread)) + unread
		if i == m.at {
			name = m.colors.current.Render(name)
		}
		lines[i] = name
	}
	from := min(max(0, m.at-height+1), len(lines)-height)
	return lines[from : from+height]
}

// memberColumn is who is in the room: those who are here, those who are away, those who are gone.
func (m *Model) memberColumn(height int) []string {
	r := m.room()
	lines := make([]string, 0, height)
	if r != nil {
		members := slices.Clone(r.members)
		slices.SortStableFunc(members, func(a, b control.Member) int {
			if d := standing(a) - standing(b); d != 0 {
				return d
			}
			return strings.Compare(strings.ToLower(a.Nick), strings.ToLower(b.Nick))
		})
		for _, member := range members {
			lines = append(lines, m.memberLine(member))
		}
	}
	if len(lines) > height {
		more := fmt.Sprintf(" and %d more", len(lines)-height+1)
		lines = append(lines[:height-1], m.colors.dim.Render(more))
	}
	return append(lines, make([]string, height-len(lines))...)
}

// standing is the order in which members are listed.
func standing(m control.Member) int {
	switch {
	case m.Status != "self" && !control.Here(m.Status):
		return 2
	case m.Away != "":
		return 1
	}
	return 0
}

// memberLine is a line of that column.
func (m *Model) memberLine(member control.Member) string {
	c := m.colors
	name := show.Name(member.ID, member.Nick, member.Tag, member.Tagged, member.Verified)
	switch {
	case member.Blocked:
		return c.dim.Render(" × " + name)
	case standing(member) == 2:
		since := show.Span(m.cfg.Now().Sub(member.LastSeen))
		name = fit(name, min(lipgloss.Width(name), membersWidth-len(" o  ")-len(since)))
		return c.dim.Render(ends(" ○ "+name, since, membersWidth))
	case standing(member) == 1:
		return c.dim.Render(" ◐ ") + c.name(member.ID, name)
	}
	return c.own.Render(" ● ") + c.name(member.ID, name)
}

// status is the line above the input: what is wrong, else what was told last, else who types.
func (m *Model) status() string {
	c, r := m.colors, m.room()
	left := ""
	switch {
	case m.lost != "":
		left = c.alert.Render("! " + m.lost)
	case m.notice != "" && m.alert:
		left = c.alert.Render("! " + m.notice)
	case m.notice != "":
		left = m.notice
	case len(m.asked) > 0:
		left = "…" // on its way
	case m.find != nil:
		left = "↑↓ choose, Enter goes there, Esc closes"
	case r != nil && r.picked != nil:
		left = c.accent.Render("answering "+show.Clean(r.picked.post.Nick)) + "; or /react /who; Esc ends it"
		if r.picked.post.Own {
			left = c.accent.Render("your post") + ": Tab to change it; or /delete /who; Esc ends it"
		}
	case m.problem != "":
		left = c.alert.Render("! " + m.problem)
	case r != nil && len(r.typing) > 0:
		left = r.typists()
	case m.input.LineCount() > 1:
		left = fmt.Sprintf("%d lines; Enter says them as one post", m.input.LineCount())
	default:
		left = "you are " + show.Clean(m.nick)
	}
	end := ""
	if r != nil && r.held != nil && m.find == nil {
		end = c.accent.Render(fmt.Sprintf("%d below, End goes there ", len(r.items)-r.index(r.held)-1))
	}
	return m.colors.bar.Render(ends(" "+left, end, m.width))
}
