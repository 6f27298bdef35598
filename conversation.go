package bcast

import (
	"slices"
	"strings"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// clockSlack is how wrong a clock may be without a word about it.
const clockSlack = 2 * time.Minute

// effects are what later posts made of earlier ones. They are a function of the records alone, applied in the room's
// order, so that all members who have the same records see the same.
type effects struct {
	byTarget map[record.Ref][]effect
	nick     func(identity.DeviceID) string
}

// effect is an edit, a delete or a reaction.
type effect struct {
	author identity.DeviceID
	ref    record.Ref
	post   record.Post
}

// isSign tells whether a text is one to react with: a sign or a word. Others are kept and passed on like any post, and
// show nothing.
func isSign(text string) bool {
	return len(text) <= record.MaxReaction && strings.TrimSpace(text) != ""
}

// effectsOf collects them from entries, which are in the room's order.
func effectsOf(entries []record.Entry, nick func(identity.DeviceID) string) effects {
	all := effects{byTarget: map[record.Ref][]effect{}, nick: nick}
	for _, e := range entries {
		posts, err := e.Posts()
		if err != nil {
			continue
		}
		for i, p := range posts {
			if changes(&p) != "" {
				ref := record.Ref{Record: e.ID, Index: uint16(i)}
				all.byTarget[p.Target] = append(all.byTarget[p.Target], effect{e.Header.Feed.Author.ID(), ref, p})
			}
		}
	}
	return all
}

// apply makes of a post what its author and the others made of it: only its author edits and deletes it.
func (f effects) apply(noun *Post, author identity.DeviceID, ref record.Ref) {
	for _, e := range f.byTarget[ref] {
		switch {
		case e.post.Kind == record.KindReaction:
			if !f.takenBack(e) {
				f.react(noun, e)
			}
		case e.author != author:
		case e.post.Kind == record.KindDelete:
			noun.Deleted = true
		case e.post.Kind == record.KindEdit:
			noun.Edited, noun.Text = true, e.post.Text
		}
	}
	if noun.Deleted {
		noun.Text, noun.Reactions, noun.File = "", nil, nil
	}
}

// takenBack tells whether who reacted deleted the reaction.
func (f effects) takenBack(e effect) bool {
	return slices.ContainsFunc(f.byTarget[e.ref], func(d effect) bool {
		return d.post.Kind == record.KindDelete && d.author == e.author
	})
}

func (f effects) react(noun *Post, e effect) {
	i := slices.IndexFunc(noun.Reactions, func(r Reaction) bool { return r.Text == e.post.Text })
	if i < 0 {
		i = len(noun.Reactions)
		noun.Reactions = append(noun.Reactions, Reaction{Text: e.post.Text})
	}
	r := &noun.Reactions[i]
	if id := e.author.String(); !slices.Contains(r.From, id) {
		r.From, r.Nicks = append(r.From, id), append(r.Nicks, f.nick(e.author))
	}
}

// clockOff tells whether an author's clock was wrong, as far as it shows: ahead, if the record came before its time;
// behind, if it came at once by the room's order, which follows all clocks, and late by its own.
func clockOff(h *record.Header, kept time.Time) string {
	if kept.IsZero() {
		return ""
	}
	wall, order := h.Time(), time.UnixMilli(int64(h.Order))
	switch {
	case wall.After(kept.Add(clockSlack)):
		return "ahead"
	case wall.Before(kept.Add(-clockSlack)) && order.After(kept.Add(-clockSlack)):
		return "behind"
	}
	return ""
}

// mentions tells whether text names a device as @nick or @nick-tag, or begins with "nick:" or "nick,", as those address
// each other who come by IRC.
func mentions(text string, nick identity.Nick, id identity.DeviceID) bool {
	if nick == "" {
		return false
	}
	first := true
	for word := range strings.FieldsSeq(text) {
		name, found := strings.CutPrefix(word, "@")
		found = found || first && (strings.HasSuffix(name, ":") || strings.HasSuffix(name, ","))
		if first = false; !found {
			continue
		}
		name = strings.ToLower(strings.TrimRight(name, ".,:;!?…)]}\"'"))
		own := strings.ToLower(string(nick))
		if name == own || name == own+"-"+id.Tag() || name == own+"-"+id.LongTag() {
			return true
		}
	}
	return false
}
