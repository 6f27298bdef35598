package tui

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/show"
)

// apply takes one event.
func (m *Model) apply(event control.Event) tea.Cmd {
	switch {
	case event.Type == control.EventGap:
		return m.catchUp()
	case event.Post != nil:
		return m.post(event)
	case event.Receipt != nil:
		if r := m.named(event.Receipt.Room); r != nil {
			r.count(event.Receipt.Post, event.Receipt.Members, event.Receipt.Have)
		}
	case event.Member != nil:
		return m.member(event.Time, *event.Member)
	case event.Peer != nil:
		return m.peer(event.Time, *event.Peer)
	case event.Signal != nil:
		return m.signal(event.Time, *event.Signal)
	case event.Cut != nil:
		return m.note(show.Cut(*event.Cut), true)
	case event.Offer != nil:
		o := *event.Offer
		m.remark(m.room(), event.Time, show.Offer(show.Name(o.From, o.Nick, o.Tag, o.Tagged, o.Verified), o))
	case event.File != nil:
		m.file(event.Time, *event.File)
	case event.Sync != nil:
		if s := *event.Sync; s.Total >= show.SyncWorth {
			return m.note(show.Sync(s), false)
		}
	case event.Fork != nil:
		if r := m.named(event.Fork.Room); r != nil {
			f := event.Fork
			r.tell(event.Time, show.Fork(show.Name(f.ID, f.Nick, show.Tag(f.ID), true, false)), true)
		}
	case event.Type == control.EventProblem:
		m.problem = show.Clean(event.Problem)
	}
	return nil
}

// file shows how far a file has come, beside the post that offers it, and tells where it is when it is here.
func (m *Model) file(at time.Time, f control.File) {
	r := m.named(f.Room)
	if r != nil {
		if it := r.byID[f.Post]; it != nil && it.post.File != nil {
			it.come(f)
		}
	}
	if r == nil {
		r = m.room()
	}
	if text := show.File(f); text != "" {
		m.remark(r, at, text)
	}
}

// come shows how far the file of a post has come.
func (it *item) come(f control.File) {
	offered := *it.post.File // the post is not ours alone
	it.coming, it.lines, it.post.File = "", nil, &offered
	switch f.State {
	case control.FileFetching:
		it.coming = "0 %"
		if f.Size > 0 {
			it.coming = strconv.FormatInt(f.Bytes*100/f.Size, 10) + " %"
		}
	case control.FileWhole:
		offered.Held = true
	}
}

// remark tells something in a room, in nobody's name.
func (m *Model) remark(r *room, at time.Time, text string) {
	if r != nil {
		r.tell(at, text, false)
	}
}

// catchUp asks for what was missed.
func (m *Model) catchUp() tea.Cmd {
	var cmds []tea.Cmd
	for _, r := range m.rooms {
		if r.loaded {
			cmds = append(cmds, m.refresh(r))
		}
	}
	return tea.Batch(cmds...)
}

// post shows a post that came or changed.
func (m *Model) post(event control.Event) tea.Cmd {
	post := *event.Post
	r := m.named(post.Room)
	if r == nil {
		if post.Direct == "" {
			return nil // of a room that another face of this device is in
		}
		r = m.open(post.Room, post.Direct) // somebody speaks to us alone
	}
	var told tea.Cmd
	if post.Kind == "topic" { // which is the last that stands, the device knows
		told = m.askTopic(r.name)
	}
	if known := r.byID[post.ID]; known != nil || event.Type != control.EventPost && event.Type != control.EventTopic {
		if known != nil {
			known.change(post)
		}
		return told
	}
	delete(r.typing, post.From)
	if post.Late && r.loaded { // it belongs above what is shown: where, only the whole order tells
		r.late[post.ID] = true
		return tea.Batch(told, m.refresh(r), m.alarm(r, nil, post))
	}
	it, _ := r.add(post)
	return tea.Batch(told, m.alarm(r, it, post))
}

// alarm counts a post that is not looked at, and tells of one that is for us. It has no place yet if it came late.
func (m *Model) alarm(r *room, it *item, post control.Post) tea.Cmd {
	if post.Own {
		r.fresh = nil
		return m.ledgers([]control.Post{post})
	}
	looked := m.focused && r == m.room()
	forUs := post.Mention || r.direct != ""
	if looked {
		return nil
	}
	r.arrived(it, forUs)
	if !forUs {
		return nil
	}
	title := show.Name(post.From, post.Nick, post.Tag, post.Tagged, post.Verified) + " in " + show.Room(r.name, r.direct)
	return m.call(title, show.Clean(strings.Join(show.Said(post), " ")))
}

// call rings the bell and tells the desktop, if nobody is known to look.
func (m *Model) call(title, text string) tea.Cmd {
	if m.tells && m.focused {
		return nil
	}
	var cmds []tea.Cmd
	if !m.cfg.Quiet {
		cmds = append(cmds, tea.Raw("\a"))
	}
	if notify := m.cfg.Notify; notify != nil {
		cmds = append(cmds, func() tea.Msg { notify(title, text); return nil })
	}
	return tea.Batch(cmds...)
}

// member tells who came to or left a room.
func (m *Model) member(at time.Time, change control.MemberChange) tea.Cmd {
	r := m.named(change.Room)
	if change.ID == m.self {
		return m.ownChange(r, change)
	}
	if r == nil {
		return nil
	}
	name := show.Name(change.ID, change.Nick, change.Tag, change.Tagged, change.Verified)
	if change.Change == "nick" {
		r.tell(at, show.Clean(change.Was)+" is now "+name, false)
	} else {
		r.tell(at, name+" "+show.MemberChange(change.Change), false)
	}
	return m.refreshMembers(r)
}

// ownChange follows what another face of this device does.
func (m *Model) ownChange(r *room, change control.MemberChange) tea.Cmd {
	switch {
	case change.Change == "nick":
		m.nick = change.Nick
		return m.refreshMembers(m.room())
	case change.Change == "join" && r == nil && len(m.cfg.Rooms) == 0:
		return m.join(change.Room, false)
	case change.Change == "leave" && r != nil && len(m.cfg.Rooms) == 0:
		return m.drop(r)
	case change.Change == "leave" && r != nil: // this view is still there
		return m.join(change.Room, false)
	}
	return nil
}

// peer tells in the rooms of a device that it came back or went. That it is late is no news: most come in time again.
func (m *Model) peer(at time.Time, peer control.Peer) tea.Cmd {
	if peer.Status == "suspect" {
		return nil
	}
	var cmds []tea.Cmd
	for _, r := range m.rooms {
		i := slices.IndexFunc(r.members, func(known control.Member) bool { return known.ID == peer.ID })
		if i < 0 {
			continue
		}
		was := r.members[i].Status
		if r.members[i].Status = peer.Status; control.Here(was) != control.Here(peer.Status) {
			name := show.Name(peer.ID, peer.Nick, peer.Tag, peer.Tagged, peer.Verified)
			r.tell(at, name+" "+show.Presence(peer.Status), false)
		}
		cmds = append(cmds, m.refreshMembers(r))
	}
	return tea.Batch(cmds...)
}

// signal shows what a member does at this moment.
func (m *Model) signal(at time.Time, s control.Signal) tea.Cmd {
	r := m.named(s.Room)
	if r == nil || s.ID == m.self {
		return m.refreshMembers(r)
	}
	name := show.Name(s.ID, s.Nick, show.Tag(s.ID), s.Tagged, s.Verified)
	switch s.Kind {
	case "typing":
		until := m.cfg.Now().Add(control.TypingFor)
		r.typing[s.ID] = typist{name, until}
		return tea.Tick(control.TypingFor, func(time.Time) tea.Msg { return typingOver(until) })
	case "away":
		r.tell(at, name+" is "+show.Away(cmp.Or(s.Text, "away")), false)
	case "here":
		r.tell(at, name+" is back", false)
	}
	delete(r.typing, s.ID)
	return m.refreshMembers(r)
}

type typingOver time.Time

// stopTyping forgets those who said nothing more.
func (m *Model) stopTyping(now time.Time) {
	for _, r := range m.rooms {
		maps.DeleteFunc(r.typing, func(_ string, who typist) bool { return !who.until.After(now) })
	}
}

// who is typing in a room, in a few words.
func (r *room) typists() string {
	var names []string
	for _, who := range r.typing {
		names = append(names, who.name)
	}
	slices.Sort(names)
	return show.Typing(names)
}
