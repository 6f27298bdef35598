package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// findLimit is how many posts a search shows.
const findLimit = 100

// find is a search that is shown: the posts that hold the words, and which of them is pointed at.
type find struct {
	words string
	list  *room // of what was found
}

// found answers a search.
type found struct {
	room, words string
	posts       []control.Post
	err         error
}

// search asks for the posts of the room that hold all of some words.
func (m *Model) search(words string) tea.Cmd {
	r := m.room()
	if r == nil || m.api == nil || strings.TrimSpace(words) == "" {
		return nil
	}
	api, ctx, name := m.api, m.ctx, r.name
	return func() tea.Msg {
		posts, err := api.Posts(ctx, name, control.PostQuery{Search: words, Limit: findLimit})
		return found{name, words, posts, err}
	}
}

// foundPosts shows what was found, the newest pointed at.
func (m *Model) foundPosts(f found) tea.Cmd {
	r := m.room()
	switch {
	case f.err != nil:
		return m.complain(f.err)
	case r == nil || r.name != f.room:
		return nil
	case len(f.posts) == 0:
		return m.note("nothing here holds "+show.Clean(f.words), false)
	}
	list := newRoom(r.name, r.direct)
	list.order(f.posts)
	list.oldest = true
	m.find = &find{f.words, list}
	m.pick(list, list.last())
	return nil
}

func (f *find) redraw() { f.list.redraw() }

// findLines is what was found, under what was searched for.
func (m *Model) findLines(width, height int) []string {
	lines, _ := m.window(m.find.list)
	heading := m.rule(show.Clean(m.find.words), width, m.colors.accent)
	return append([]string{heading}, lines[max(0, len(lines)-height+1):]...)
}

// pressFound takes a key while a search is shown. It reports whether it was one for it.
func (m *Model) pressFound(key string) (tea.Cmd, bool) {
	switch key {
	case "up", "alt+up":
		m.pickNext(m.find.list, -1)
	case "down", "alt+down":
		if list := m.find.list; list.picked != list.last() {
			m.pickNext(list, 1)
		}
	case "pgup":
		m.scroll(m.find.list, m.height/2)
	case "pgdown":
		m.scroll(m.find.list, -m.height/2)
	case "enter":
		return m.goTo(m.find.list.picked), true
	case "esc", "ctrl+c":
		m.find = nil
	default:
		return nil, false
	}
	return nil, true
}

// goTo shows a post that was found in its room, with what was said around it.
func (m *Model) goTo(it *item) tea.Cmd {
	m.find = nil
	r := m.room()
	if r == nil || it == nil {
		return nil
	}
	if here := r.byID[it.post.ID]; here != nil {
		m.pick(r, here)
		return m.fill()
	}
	r.seek, r.sought = it.post.ID, 0
	return tea.Batch(m.note("going there …", false), m.older(r))
}
