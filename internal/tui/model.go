package tui

import (
	"cmp"
	"context"
	"slices"
	"time"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// Model is all there is to a view. Update changes it, View shows it.
type Model struct {
	cfg Config
	ctx context.Context

	api      control.API // nil until there is a seat
	self     string      // device id
	nick     string
	rooms    []*room
	at       int    // which room is shown
	lost     string // why there is no seat; empty if there is one
	problem  string // what a person should know
	notice   string // the last thing to tell; it passes
	alert    bool   // it is bad news
	notices  int    // how many there were, to know whether one is the last
	focused  bool   // the terminal's window is looked at
	tells    bool   // the terminal tells whether it is
	members  bool   // the members' column is wanted
	colors   *theme
	width    int
	height   int
	quitting bool  // the next Ctrl-C ends
	failed   error // why it ended by itself

	input    textarea.Model
	said     []string // lines typed before, the last one last
	saidAt   int      // which of them is in the input; len(said): none
	written  string   // what was in the input before
	typedAt  time.Time
	finish   *completion
	asked    []line // lines that were typed and not acted upon yet: in order, one at a time
	find     *find  // a search that is shown instead of the room
	querying bool   // the input takes what to search for
}

// line is what was typed, and where.
type line struct {
	room *room
	text string
	pick string
}

// New is a view before anything happened.
func New(ctx context.Context, cfg Config) *Model {
	m := &Model{cfg: cfg, ctx: ctx, focused: true, members: true, colors: newTheme(true), width: 80, height: 24}
	m.input = newInput()
	m.resize()
	return m
}

// Init asks the terminal for what it is.
func (m *Model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, everyMinute(), m.input.Focus())
}

type minute time.Time

// everyMinute makes what is told of time true again.
func everyMinute() tea.Cmd {
	return tea.Tick(time.Minute, func(now time.Time) tea.Msg { return minute(now) })
}

// Update takes a message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.resize()
		return m, m.fill()
	case tea.BackgroundColorMsg:
		m.colors = newTheme(msg.IsDark())
		m.redraw()
		return m, nil
	case tea.FocusMsg, tea.BlurMsg:
		_, m.focused = msg.(tea.FocusMsg)
		m.tells = true
		if r := m.room(); r != nil && m.focused {
			r.seen()
		}
		return m, nil
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		return m, m.paste(msg)
	case tea.MouseWheelMsg:
		return m, m.wheel(msg)
	case minute:
		return m, tea.Batch(everyMinute(), m.refreshMembers(m.room()))
	}
	return m, m.hear(msg)
}

// hear takes what came from the participant, or of what it was asked.
func (m *Model) hear(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case seated:
		return m.sit(msg)
	case unseated:
		m.lost = "no connection: " + show.Failure(msg.err)
		if !msg.final {
			m.lost += "; trying again"
		}
		return nil
	case happened:
		var cmds []tea.Cmd
		for i := range msg {
			cmds = append(cmds, m.apply(msg[i]))
		}
		return tea.Batch(cmds...)
	case entered:
		return m.enter(msg)
	case about:
		if r := m.named(msg.room); r != nil {
			r.topic = show.Clean(msg.topic)
		}
		return nil
	case page:
		return m.turn(msg)
	case ordered:
		return m.reorder(msg)
	case memberList:
		return m.meet(msg)
	case ledgers:
		m.count(msg)
		return nil
	case obeyed:
		return m.done(msg)
	case found:
		return m.foundPosts(msg)
	case noticeOver:
		if int(msg) == m.notices {
			m.notice = ""
		}
		return nil
	case typingOver:
		m.stopTyping(time.Time(msg))
		return nil
	}
	return nil
}

// sit begins at a seat: the first one, or another after the first has ended.
func (m *Model) sit(s seated) tea.Cmd {
	m.api, m.self, m.nick, m.lost, m.problem = s.api, s.status.ID, s.status.Nick, "", ""
	if len(s.status.Problems) > 0 {
		m.problem = show.Clean(s.status.Problems[0])
	}
	var cmds []tea.Cmd
	if s.told != "" {
		cmds = append(cmds, m.note(show.Clean(s.told), false))
	}
	names := m.cfg.Rooms
	switch {
	case len(m.rooms) > 0: // what there is is shown again, with what was missed
		names = nil
		for _, r := range m.rooms {
			names = append(names, r.name)
		}
	case len(names) == 0:
		for _, direct := range []bool{false, true} { // rooms of many first
			for _, r := range s.status.Rooms {
				if (r.Direct != "") == direct {
					m.open(r.Name, r.Direct).topic = show.Clean(r.Topic)
				}
			}
		}
		cmds = append(cmds, m.look(0))
		if len(m.rooms) == 0 {
			names = []string{lobby}
		}
	}
	var joins []tea.Cmd // one after the other: they are listed in this order
	for i, name := range names {
		joins = append(joins, m.join(name, i == 0 && len(m.rooms) == 0))
	}
	return tea.Batch(append(cmds, tea.Sequence(joins...))...)
}

// lobby is the room of those who have none.
const lobby = "lobby"

// entered answers a join.
type entered struct {
	joined control.Joined
	look   bool // show it
	err    error
}

// about is what a room is about now.
type about struct{ room, topic string }

// join makes this device a member of a room, to look at it or not.
func (m *Model) join(name string, look bool) tea.Cmd {
	if m.api == nil {
		return m.note("no connection", true)
	}
	api, ctx, options := m.api, m.ctx, m.cfg.Options
	if len(m.rooms) > 0 {
		options.Private = false // that was for the first one
	}
	return func() tea.Msg {
		joined, err := api.Join(ctx, name, options)
		if err != nil {
			return entered{err: err}
		}
		return entered{joined: joined, look: look}
	}
}

// askTopic asks what a room is about.
func (m *Model) askTopic(name string) tea.Cmd {
	if m.api == nil {
		return nil
	}
	api, ctx := m.api, m.ctx
	return func() tea.Msg {
		rooms, err := api.Rooms(ctx)
		at := slices.IndexFunc(rooms, func(r control.Room) bool { return r.Name == name })
		if err != nil || at < 0 {
			return nil
		}
		return about{name, rooms[at].Topic}
	}
}

// enter shows a room that was joined. One that was shown before is asked for what was missed.
func (m *Model) enter(e entered) tea.Cmd {
	if e.err != nil && len(m.rooms) == 0 {
		m.failed = e.err
		return tea.Quit
	}
	if e.err != nil {
		return m.complain(e.err)
	}
	r := m.open(e.joined.Room, e.joined.Direct)
	r.ours = r.ours || e.joined.New && e.joined.Direct == ""
	told := m.askTopic(r.name)
	if !e.joined.New && m.cfg.Options != (control.JoinOptions{}) && !r.loaded {
		told = tea.Batch(told, m.note(show.Room(r.name, r.direct)+" was joined before and is kept as it was", false))
	}
	if e.look {
		return tea.Batch(told, m.look(slices.Index(m.rooms, r)))
	}
	if r.loaded {
		return tea.Batch(m.refresh(r), m.refreshMembers(r))
	}
	return nil
}

// open is the room of that name, which is listed from now on.
func (m *Model) open(name, direct string) *room {
	if r := m.named(name); r != nil {
		r.direct = cmp.Or(direct, r.direct)
		return r
	}
	r := newRoom(name, direct)
	m.rooms = append(m.rooms, r)
	return r
}

// named is a room that is listed, or nil.
func (m *Model) named(name string) *room {
	for _, r := range m.rooms {
		if r.name == name {
			return r
		}
	}
	return nil
}

// room is the one that is shown, or nil.
func (m *Model) room() *room {
	if m.at < len(m.rooms) {
		return m.rooms[m.at]
	}
	return nil
}

// look shows a room.
func (m *Model) look(at int) tea.Cmd {
	if at < 0 || at >= len(m.rooms) {
		return nil
	}
	if was := m.room(); was != nil && at != m.at {
		was.draft, was.fresh, was.picked = m.input.Value(), nil, nil
		was.trim()
	}
	m.at, m.find, m.querying, m.finish = at, nil, false, nil
	r := m.rooms[at]
	m.setInput(r.draft)
	if m.focused {
		r.seen()
	}
	var cmds []tea.Cmd
	if !r.loaded && !r.loading {
		cmds = append(cmds, m.load(r, ""))
	}
	return tea.Batch(append(cmds, m.refreshMembers(r))...)
}

// drop takes a room off the list.
func (m *Model) drop(r *room) tea.Cmd {
	at := slices.Index(m.rooms, r)
	if at < 0 {
		return nil
	}
	shown := m.room()
	m.rooms = slices.Delete(m.rooms, at, at+1)
	if shown != r {
		m.at = slices.Index(m.rooms, shown)
		return nil
	}
	m.at = 0
	m.setInput("")
	return m.look(min(at, len(m.rooms)-1))
}

type noticeOver int

// noticeFor is how long a notice stands.
const noticeFor = 8 * time.Second

// note tells something in the status line, for a while.
func (m *Model) note(text string, alert bool) tea.Cmd {
	m.notices++
	m.notice, m.alert = text, alert
	n := m.notices
	return tea.Tick(noticeFor, func(time.Time) tea.Msg { return noticeOver(n) })
}

// complain tells of an error.
func (m *Model) complain(err error) tea.Cmd {
	return m.note(show.Failure(err), true)
}
