package tui

import (
	"bytes"
	"strings"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"bcast/internal/control"
)

const (
	// inputLines is how many lines of the input are shown at most; saidLimit, how many lines are remembered.
	inputLines, saidLimit = 6, 200
)

// newInput is an empty input with the terminal's own cursor: where that stands, an input method shows what it writes.
func newInput() textarea.Model {
	input := textarea.New()
	input.Prompt, input.ShowLineNumbers = "", false
	input.DynamicHeight, input.MinHeight, input.MaxHeight = true, 1, inputLines
	input.MaxContentHeight = control.MaxText // what is longer is refused when it is said, and not cut here
	input.CharLimit, input.MaxWidth = 0, 0
	input.SetVirtualCursor(false)
	plain := textarea.StyleState{Selection: lipgloss.NewStyle().Reverse(true)}
	input.SetStyles(textarea.Styles{Focused: plain, Blurred: plain})
	input.SetHeight(1)
	input.Focus()
	return input
}

func (m *Model) setInput(text string) {
	m.input.SetValue(text)
	m.input.MoveToEnd()
	m.saidAt = len(m.said)
}

// paste puts what was pasted into the input: several lines are one post.
func (m *Model) paste(msg tea.PasteMsg) tea.Cmd {
	msg.Content = strings.ReplaceAll(strings.ReplaceAll(msg.Content, "\r\n", "\n"), "\r", "\n")
	return m.edit(msg)
}

// edit hands a message to the input. That a person types is told to the room.
func (m *Model) edit(msg tea.Msg) tea.Cmd {
	before := m.input.Value()
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	text := m.input.Value()
	if text == before {
		return cmd
	}
	m.finish = nil
	return tea.Batch(cmd, m.tellTyping(text))
}

// tellTyping tells the room that its person types: at most every control.TypingEach, never of a command or a search.
func (m *Model) tellTyping(text string) tea.Cmd {
	r, now := m.room(), m.cfg.Now()
	if r == nil || m.api == nil || m.querying || text == "" || strings.HasPrefix(text, "/") ||
		now.Sub(m.typedAt) < control.TypingEach {
		return nil
	}
	m.typedAt = now
	api, ctx, name := m.api, m.ctx, r.name
	return func() tea.Msg {
		api.Signal(ctx, control.Signal{Room: name, Kind: "typing"}) // that it did not get there is no matter
		return nil
	}
}

// submit acts upon what is in the input.
func (m *Model) submit() tea.Cmd {
	text, r := m.input.Value(), m.room()
	if m.querying {
		m.endQuery()
		return m.search(text)
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if m.api == nil || m.lost != "" || r == nil && !strings.HasPrefix(text, "/") {
		return m.note("no connection: what you wrote stays here", true)
	}
	if len(m.said) == 0 || m.said[len(m.said)-1] != text {
		m.said = append(m.said, text)
		m.said = m.said[max(0, len(m.said)-saidLimit):]
	}
	m.setInput("")
	typed := line{room: r, text: text}
	if r != nil {
		r.toEnd()
		if r.picked != nil {
			typed.pick = r.picked.post.ID
			m.pick(r, nil)
		}
	}
	m.asked = append(m.asked, typed)
	if len(m.asked) > 1 {
		return nil // one after the other: they are said in the order in which they were typed
	}
	return m.obey()
}

// obeyed is what became of a line.
type obeyed struct {
	line line
	told string
	asks Outcome
	err  error
}

// obey acts upon the first line that waits.
func (m *Model) obey() tea.Cmd {
	next, obey, ctx := m.asked[0], m.cfg.Obey, m.ctx
	place := Place{API: m.api, Pick: next.pick}
	if next.room != nil {
		place.Room = next.room.name
	}
	return func() tea.Msg {
		var told bytes.Buffer
		asks, err := obey(ctx, place, next.text, &told)
		return obeyed{next, told.String(), asks, err}
	}
}

// done shows what a line came to, and goes on with the next.
func (m *Model) done(o obeyed) tea.Cmd {
	m.asked = m.asked[1:]
	var cmds []tea.Cmd
	if len(m.asked) > 0 {
		cmds = append(cmds, m.obey())
	}
	if strings.TrimSpace(o.line.text) == "/help" {
		o.told += "\n" + keysHelp
	}
	if text := strings.TrimRight(o.told, "\n"); text != "" && o.line.room != nil {
		o.line.room.tell(m.cfg.Now(), text, false)
	}
	if o.err != nil {
		if m.input.Value() == "" && o.line.room == m.room() && !strings.HasPrefix(o.line.text, "/") {
			m.setInput(o.line.text) // nothing that was written is lost
		}
		return tea.Batch(append(cmds, m.complain(o.err))...)
	}
	switch asks := o.asks; {
	case asks.Quit:
		return tea.Quit
	case asks.Enter != "":
		cmds = append(cmds, m.join(asks.Enter, true))
	case asks.Search != "":
		cmds = append(cmds, m.search(asks.Search))
	case asks.Clear && o.line.room != nil:
		_, height := m.space()
		o.line.room.tell(m.cfg.Now(), strings.Repeat("\n", height), false)
	case asks.Part && o.line.room != nil:
		cmds = append(cmds, m.part(o.line.room))
	}
	return tea.Batch(cmds...)
}

// part leaves a room for good.
func (m *Model) part(r *room) tea.Cmd {
	api, ctx, name := m.api, m.ctx, r.name
	left := func() tea.Msg {
		if err := api.Leave(ctx, name, false); err != nil {
			return entered{err: err}
		}
		return nil
	}
	last := len(m.rooms) == 1
	cmd := m.drop(r)
	if last {
		return tea.Sequence(left, tea.Quit)
	}
	return tea.Batch(left, cmd)
}

// recall puts a line into the input that was typed before (by is -1) or after that one.
func (m *Model) recall(by int) {
	at := m.saidAt + by
	if at < 0 || at > len(m.said) {
		return
	}
	if m.saidAt == len(m.said) {
		m.written = m.input.Value()
	}
	text := m.written
	if at < len(m.said) {
		text = m.said[at]
	}
	m.setInput(text)
	m.saidAt = at
}
