package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// keysHelp is what /help tells of keys.
const keysHelp = `Alt-1 … Alt-9        go to a room; Ctrl-N, Ctrl-P to the next
Alt-A                to one with something new for you
PgUp, PgDn, End      scroll; Shift-Up and -Down by a line
Alt-Up, Alt-Down     point at a post: what you write answers it, Tab changes your own
Ctrl-F               search; Enter goes to what was found
Tab                  finish a command, a room, a name
Up, Down             what you wrote before
Alt-Enter            another line of the same post
F2                   members, or not`

// press takes a key.
func (m *Model) press(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	if key != "ctrl+c" {
		m.quitting = false
	}
	if m.find != nil {
		if cmd, taken := m.pressFound(key); taken {
			return cmd
		}
	}
	if cmd, taken := m.pressRoom(key); taken {
		return cmd
	}
	if cmd, taken := m.pressInput(key); taken {
		return cmd
	}
	return m.edit(msg)
}

// pressRoom takes a key that goes to a room or moves in it.
func (m *Model) pressRoom(key string) (tea.Cmd, bool) {
	r := m.room()
	_, height := m.space()
	switch key {
	case "ctrl+n":
		return m.look(m.next(1)), true
	case "ctrl+p":
		return m.look(m.next(-1)), true
	case "alt+a":
		return m.look(m.busiest()), true
	case "f2":
		m.members = !m.members
		m.redraw()
		return m.fill(), true
	case "ctrl+l":
		return tea.ClearScreen, true
	case "ctrl+z":
		return tea.Suspend, true
	}
	if digit, found := strings.CutPrefix(key, "alt+"); found && len(digit) == 1 && digit >= "1" && digit <= "9" {
		return m.look(int(digit[0] - '1')), true
	}
	if r == nil {
		return nil, false
	}
	switch key {
	case "pgup":
		return m.scroll(r, max(1, height-2)), true
	case "pgdown":
		return m.scroll(r, -max(1, height-2)), true
	case "ctrl+up", "shift+up":
		return m.scroll(r, 1), true
	case "ctrl+down", "shift+down":
		return m.scroll(r, -1), true
	case "alt+up":
		return m.pickNext(r, -1), true
	case "alt+down":
		return m.pickNext(r, 1), true
	case "ctrl+end":
		r.toEnd()
		return nil, true
	}
	return nil, false
}

// pressInput takes a key that means something else than writing.
func (m *Model) pressInput(key string) (tea.Cmd, bool) {
	empty := m.input.Value() == ""
	switch key {
	case "enter":
		return m.submit(), true
	case "alt+enter", "shift+enter", "ctrl+j":
		m.input.InsertRune('\n')
		return nil, true
	case "tab":
		m.complete()
		return nil, true
	case "up":
		if m.input.Line() == 0 && !m.querying {
			m.recall(-1)
			return nil, true
		}
	case "down":
		if m.input.Line() == m.input.LineCount()-1 && !m.querying {
			m.recall(1)
			return nil, true
		}
	case "end":
		if r := m.room(); r != nil && empty {
			r.toEnd()
			return nil, true
		}
	case "ctrl+f":
		m.querying = !m.querying
		m.resize()
		return nil, true
	case "f1":
		m.setInput("/help")
		return m.submit(), true
	case "esc":
		m.escape()
		return nil, true
	case "ctrl+d":
		if empty {
			return tea.Quit, true
		}
	case "ctrl+c":
		return m.interrupt(), true
	}
	return nil, false
}

// escape ends what is in the way: a search, pointing at a post, having scrolled back.
func (m *Model) escape() {
	r := m.room()
	switch {
	case m.querying:
		m.endQuery()
	case r == nil:
	case r.picked != nil:
		m.pick(r, nil)
	default:
		r.toEnd()
	}
}

// interrupt empties the input; twice in a row ends.
func (m *Model) interrupt() tea.Cmd {
	if m.quitting || m.room() == nil {
		return tea.Quit
	}
	m.quitting = true
	m.endQuery()
	return m.note("Ctrl-C once more ends; so does /quit", false)
}

// endQuery empties the input and has it take posts.
func (m *Model) endQuery() {
	m.querying = false
	m.setInput("")
	m.resize()
}

// wheel scrolls.
func (m *Model) wheel(msg tea.MouseWheelMsg) tea.Cmd {
	r := m.room()
	if m.find != nil {
		r = m.find.list
	}
	switch {
	case r == nil:
		return nil
	case msg.Button == tea.MouseWheelUp:
		return m.scroll(r, 3)
	case msg.Button == tea.MouseWheelDown:
		return m.scroll(r, -3)
	}
	return nil
}

// next is the room after the one that is shown, or before it, around the ends.
func (m *Model) next(by int) int {
	if len(m.rooms) == 0 {
		return 0
	}
	return (m.at + by + len(m.rooms)) % len(m.rooms)
}

// busiest is a room with something for us, else one with something unread, else the one that is shown.
func (m *Model) busiest() int {
	if at := slices.IndexFunc(m.rooms, func(r *room) bool { return r.mentions > 0 }); at >= 0 {
		return at
	}
	if at := slices.IndexFunc(m.rooms, func(r *room) bool { return r.unread > 0 }); at >= 0 {
		return at
	}
	return m.at
}
