package tui

import (
	"slices"
	"strings"

	"bcast/internal/show"
)

// completion is what Tab goes through: all that the word before the cursor can become.
type completion struct {
	before string // the text in front of the word
	words  []string
	at     int
}

// complete finishes the word at the end of the input, or shows what else it can be. An own post that is pointed at it
// takes into an empty input, to be changed.
func (m *Model) complete() {
	if c := m.finish; c != nil {
		c.at = (c.at + 1) % len(c.words)
		m.setFinished(c)
		return
	}
	text := m.input.Value()
	if r := m.room(); text == "" && r != nil && r.picked != nil && r.picked.post.Own {
		m.setInput("/edit " + r.picked.post.Text)
		return
	}
	start := wordAt(text)
	words := m.finishes(text[:start], text[start:])
	if len(words) == 0 {
		return
	}
	m.setFinished(&completion{before: text[:start], words: words})
}

// wordAt is where the last word of a text begins. A space behind a backslash is a part of one: of a path.
func wordAt(text string) int {
	for at := len(text) - 1; at >= 0; at-- {
		if text[at] == '\n' || text[at] == ' ' && (at == 0 || text[at-1] != '\\') {
			return at + 1
		}
	}
	return 0
}

func (m *Model) setFinished(c *completion) {
	m.setInput(c.before + c.words[c.at])
	m.finish = c
	if len(c.words) == 1 {
		m.finish = nil
	}
}

// finishes is what a word can become after some text: a command, a room, or somebody's name.
func (m *Model) finishes(before, word string) []string {
	if before == "" && strings.HasPrefix(word, "/") {
		var all []string
		for _, name := range m.cfg.Commands {
			all = append(all, "/"+name+" ")
		}
		return beginWith(all, word)
	}
	if before == "/send " && m.cfg.Paths != nil {
		return m.cfg.Paths(word)
	}
	command, _, _ := strings.Cut(before, " ")
	if command == "/join" || command == "/j" || strings.HasPrefix(word, "#") {
		return beginWith(m.roomNames(strings.HasPrefix(word, "#")), word)
	}
	end := " "
	if before == "" {
		end = ": "
	}
	var all []string
	for _, name := range m.nicks() {
		all = append(all, name+end, "@"+name+end)
	}
	if word == "" {
		return nil
	}
	return beginWith(all, word)
}

// roomNames are those of the rooms that are listed.
func (m *Model) roomNames(hash bool) []string {
	var all []string
	for _, r := range m.rooms {
		if r.direct == "" && hash {
			all = append(all, "#"+r.name+" ")
		} else if r.direct == "" {
			all = append(all, r.name+" ")
		}
	}
	return all
}

// nicks are those of the room's members, who spoke last first.
func (m *Model) nicks() []string {
	r := m.room()
	if r == nil {
		return nil
	}
	var all []string
	add := func(nick string) {
		if nick = show.Clean(nick); nick != "" && !slices.Contains(all, nick) {
			all = append(all, nick)
		}
	}
	for _, it := range slices.Backward(r.items) {
		if it.post.ID != "" && !it.post.Own {
			add(it.post.Nick)
		}
	}
	for _, member := range r.members {
		if member.ID != m.self {
			add(member.Nick)
		}
	}
	return all
}

// beginWith are those of some words that begin so, whatever the case.
func beginWith(all []string, word string) []string {
	var fit []string
	for _, w := range all {
		if strings.HasPrefix(strings.ToLower(w), strings.ToLower(word)) {
			fit = append(fit, w)
		}
	}
	return fit
}
