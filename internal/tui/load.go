package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
)

const (
	// ledgerLimit is of how many own posts of a page it is asked who has them: the newest, which one looks at.
	ledgerLimit = 20
	// seekPage and seekLimit are how many posts are asked for at once, and in all, to get to one that a search found.
	seekPage, seekLimit = 1000, 50000
)

type (
	// page is posts of a room: the newest, or those before the first that is here.
	page struct {
		room   string
		before string
		posts  []control.Post
		limit  int
		err    error
	}
	// ordered is all posts of a room from the first on that is here, that one left out.
	ordered struct {
		room  string
		since string
		posts []control.Post
		err   error
	}
	memberList struct {
		room    string
		members []control.Member
		err     error
	}
	// ledgers tell of own posts who has them.
	ledgers []control.Ledger
)

// load asks for a page of a room.
func (m *Model) load(r *room, before string) tea.Cmd {
	if m.api == nil {
		return nil
	}
	r.loading = true
	api, ctx, name, limit := m.api, m.ctx, r.name, pageSize
	if r.seek != "" {
		limit = seekPage
	}
	return func() tea.Msg {
		posts, err := api.Posts(ctx, name, control.PostQuery{Limit: limit, Before: before})
		return page{name, before, posts, limit, err}
	}
}

// turn shows a page.
func (m *Model) turn(p page) tea.Cmd {
	r := m.named(p.room)
	if r == nil {
		return nil
	}
	r.loading = false
	if p.err != nil {
		return m.complain(p.err)
	}
	r.oldest = len(p.posts) < p.limit
	if p.before == "" {
		r.loaded = true
		r.order(p.posts)
	} else {
		r.before(p.posts)
	}
	cmds := []tea.Cmd{m.ledgers(p.posts), m.soughtFor(r, len(p.posts)), m.fill()}
	if r.again {
		cmds = append(cmds, m.refresh(r))
	}
	return tea.Batch(cmds...)
}

// older asks for the page before what is here.
func (m *Model) older(r *room) tea.Cmd {
	first := r.first()
	if r.oldest || r.loading || !r.loaded || first == nil {
		return nil
	}
	return m.load(r, first.post.ID)
}

// soughtFor goes on to a post that a search found, or gives up.
func (m *Model) soughtFor(r *room, more int) tea.Cmd {
	r.sought += more
	switch it := r.byID[r.seek]; {
	case r.seek == "":
		return nil
	case it != nil:
		r.seek = ""
		m.pick(r, it)
		return nil
	case r.oldest || r.sought >= seekLimit:
		r.seek = ""
		return m.note("that post is too far back to scroll to", true)
	}
	return m.older(r)
}

// refresh asks for the order of what is here, and what was missed.
func (m *Model) refresh(r *room) tea.Cmd {
	if r.loading || m.api == nil {
		r.again = true
		return nil
	}
	first := r.first()
	if first == nil {
		return m.load(r, "")
	}
	r.loading, r.again = true, false
	api, ctx, name, since := m.api, m.ctx, r.name, first.post.ID
	return func() tea.Msg {
		posts, err := api.Posts(ctx, name, control.PostQuery{Since: since})
		return ordered{name, since, posts, err}
	}
}

// reorder shows the order that refresh asked for.
func (m *Model) reorder(o ordered) tea.Cmd {
	r := m.named(o.room)
	if r == nil {
		return nil
	}
	r.loading = false
	if o.err != nil { // what is here was given up meanwhile: from the newest on it is asked for again
		r.items, r.byID, r.held, r.picked = nil, map[string]*item{}, nil, nil
		return m.load(r, "")
	}
	known := len(r.byID)
	if first := r.byID[o.since]; first != nil {
		r.order(append([]control.Post{first.post}, o.posts...))
	}
	if r.again {
		return m.refresh(r)
	}
	if len(r.byID) > known {
		return m.ledgers(o.posts)
	}
	return nil
}

// fill asks for more if what is here does not fill the screen.
func (m *Model) fill() tea.Cmd {
	r := m.room()
	if r == nil || !r.loaded {
		return nil
	}
	if _, top := m.window(r); top {
		return m.older(r)
	}
	return nil
}

// refreshMembers asks who is in a room: once at a time, and again if something changed meanwhile.
func (m *Model) refreshMembers(r *room) tea.Cmd {
	if r == nil || m.api == nil {
		return nil
	}
	if r.asking {
		r.stale = true
		return nil
	}
	r.asking, r.stale = true, false
	api, ctx, name := m.api, m.ctx, r.name
	return func() tea.Msg {
		members, err := api.Members(ctx, name)
		return memberList{name, members, err}
	}
}

// meet shows who is in a room.
func (m *Model) meet(list memberList) tea.Cmd {
	r := m.named(list.room)
	if r == nil {
		return nil
	}
	r.asking = false
	if list.err == nil {
		r.members = list.members
	}
	if r.stale {
		return m.refreshMembers(r)
	}
	return nil
}

// ledgers asks who has the newest own posts of some.
func (m *Model) ledgers(posts []control.Post) tea.Cmd {
	var own []string
	for i := len(posts) - 1; i >= 0 && len(own) < ledgerLimit; i-- {
		if posts[i].Own && !posts[i].Deleted {
			own = append(own, posts[i].ID)
		}
	}
	if len(own) == 0 || m.api == nil {
		return nil
	}
	api, ctx := m.api, m.ctx
	return func() tea.Msg { return askLedgers(ctx, api, own) }
}

func askLedgers(ctx context.Context, api control.API, posts []string) tea.Msg {
	var all ledgers
	for _, id := range posts {
		if ledger, err := api.Ledger(ctx, id); err == nil {
			all = append(all, ledger)
		}
	}
	return all
}

// count shows how many have own posts.
func (m *Model) count(all ledgers) {
	for _, l := range all {
		if r := m.named(l.Room); r != nil {
			r.count(l.Post, l.Members, l.Have)
		}
	}
}

// count notes how many of how many have a post. It never shrinks: what is told later may have been asked for earlier.
func (r *room) count(post string, members, have int) {
	if it := r.byID[post]; it != nil && (!it.told || have >= it.have) {
		it.told, it.members, it.have, it.lines = true, members, have, nil
	}
}
