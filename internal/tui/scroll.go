package tui

import tea "charm.land/bubbletea/v2"

// spot is a line of a room: of the item at, the one before line end is the last one that is shown.
type spot struct{ at, end int }

// bottom is where the screen ends.
func (m *Model) bottom(r *room, width int) spot {
	if r.held != nil {
		if at := r.index(r.held); at >= 0 {
			return spot{at, min(r.end, len(m.block(r, at, width)))}
		}
		r.held = nil
	}
	if len(r.items) == 0 {
		return spot{-1, 0}
	}
	at := len(r.items) - 1
	return spot{at, len(m.block(r, at, width))}
}

// window is the lines of a room that are on the screen, the last one last, and whether the first that is here is among
// them.
func (m *Model) window(r *room) (lines []string, top bool) {
	width, height := m.space()
	parts, at := m.parts(r, width, height)
	for i := len(parts) - 1; i >= 0; i-- {
		lines = append(lines, parts[i]...)
	}
	if len(lines) > height {
		return lines[len(lines)-height:], false
	}
	return lines, at < 0
}

// parts are the blocks on the screen from the bottom up, and the item before the first of them.
func (m *Model) parts(r *room, width, height int) (parts [][]string, at int) {
	from := m.bottom(r, width)
	for at, height = from.at, height+1; at >= 0 && height > 0; at-- {
		block := m.block(r, at, width)
		if at == from.at {
			block = block[:from.end]
		}
		parts = append(parts, block)
		height -= len(block)
	}
	return parts, at
}

// scroll moves the screen over the lines: up if by is above zero. It asks for what comes before, where that is near.
func (m *Model) scroll(r *room, by int) tea.Cmd {
	width, height := m.space()
	for ; by > 0 && m.up(r, width, height); by-- {
	}
	for ; by < 0 && r.held != nil; by++ {
		m.down(r, width)
	}
	if _, top := m.window(r); top || m.near(r, width, height) {
		return m.older(r)
	}
	return nil
}

// near tells whether less than a screen lies above the one that is shown.
func (m *Model) near(r *room, width, height int) bool {
	_, at := m.parts(r, width, 2*height)
	return at < 0
}

// up moves the screen one line up, if there is one above it.
func (m *Model) up(r *room, width, height int) bool {
	lines := 0
	parts, at := m.parts(r, width, height)
	for _, part := range parts {
		lines += len(part)
	}
	if at < 0 && lines <= height {
		return false
	}
	from := m.bottom(r, width)
	if from.end--; from.end <= 0 {
		from.at--
		from.end = len(m.block(r, from.at, width))
	}
	r.held, r.end = r.items[from.at], from.end
	return true
}

// down moves it one line down; at the end it follows what comes.
func (m *Model) down(r *room, width int) {
	from := m.bottom(r, width)
	if from.end++; from.end > len(m.block(r, from.at, width)) {
		from.at, from.end = from.at+1, 1
	}
	last := len(r.items) - 1
	if from.at > last || from.at == last && from.end >= len(m.block(r, last, width)) {
		r.held = nil
		return
	}
	r.held, r.end = r.items[from.at], from.end
}

// toEnd shows the newest.
func (r *room) toEnd() { r.held, r.end = nil, 0 }

// pick points at an item and brings it onto the screen.
func (m *Model) pick(r *room, it *item) {
	if r.picked != nil {
		r.picked.lines = nil
	}
	if r.picked = it; it == nil {
		return
	}
	it.lines = nil
	width, height := m.space()
	at := r.index(it)
	if from := m.bottom(r, width); at > from.at || at == from.at {
		r.held, r.end = it, len(m.block(r, at, width))
		if at == len(r.items)-1 {
			r.toEnd()
		}
		return
	}
	if _, first := m.parts(r, width, height-len(m.block(r, at, width))); at <= first { // above: a third down from the top
		r.held, r.end = it, len(m.block(r, at, width))
		below := 2 * height / 3
		for i := 0; i < below && r.held != nil; i++ {
			m.down(r, width)
		}
	}
}

// pickNext points at the post before the one pointed at (by is -1) or after it.
func (m *Model) pickNext(r *room, by int) tea.Cmd {
	at := len(r.items)
	switch {
	case r.picked != nil:
		at = r.index(r.picked)
	case by > 0:
		return nil
	case r.held != nil:
		at = r.index(r.held) + 1
	}
	for at += by; at >= 0 && at < len(r.items); at += by {
		if r.items[at].post.ID != "" {
			m.pick(r, r.items[at])
			return m.fill()
		}
	}
	if by > 0 {
		m.pick(r, nil)
		return nil
	}
	return m.older(r)
}
