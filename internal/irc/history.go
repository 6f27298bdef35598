package irc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

const (
	// maxHistory is how many posts one CHATHISTORY gets.
	maxHistory = 1000
	// pageSize and maxWalk are how many posts are asked for at once, and looked at in all for one that is far back.
	pageSize, maxWalk = 500, 50000
	// maxEarly is how many posts in a row have to be before a moment for it to be passed.
	maxEarly = 50
	// roomPlayback and directPlayback are how many posts a client without chathistory is shown when it comes,
	// missedPlayback how many any client when it fell behind.
	roomPlayback, directPlayback, missedPlayback = 50, 10, 200
)

// missed shows what was said while events were lost, and tells if there was more.
func (c *conn) missed(ctx context.Context, room string) {
	if all := c.replay(ctx, room, missedPlayback); all {
		c.remark(c.shownRoom(room), "more was said than is shown here: bcast history")
	}
}

// replay shows the newest posts of a room that the client has not seen. It reports whether there may be more of them:
// it has seen none, and there were as many as it asked for.
func (c *conn) replay(ctx context.Context, room string, count int) (more bool) {
	posts, err := c.api.Posts(ctx, room, control.PostQuery{Limit: count})
	if err != nil {
		c.refuse("JOIN", err, c.shownRoom(room))
		return false
	}
	var all []outgoing
	about := c.shownRoom(room)
	more = len(posts) == count
	for _, post := range posts {
		if c.seen.has(post.ID) {
			more = false
			continue
		}
		if post.Own && post.Direct != "" && !c.caps[capEcho] {
			continue
		}
		all = append(all, c.lines(post, !c.caps[capServerTime])...)
		c.seen.add(post)
	}
	if len(all) > 0 {
		c.batch("chathistory", about, all)
	}
	return more
}

// mark is a place in a history: a post, or a moment. The zero mark is at its beginning, or its end.
type mark struct {
	id string
	at time.Time
}

var errMark = errors.New("neither msgid=… nor timestamp=…")

func parseMark(text string) (mark, error) {
	kind, value, _ := strings.Cut(text, "=")
	switch {
	case kind == "msgid" && value != "":
		return mark{id: postOf(value)}, nil
	case kind == "timestamp":
		at, err := time.Parse(time.RFC3339Nano, value)
		return mark{at: at}, err
	}
	return mark{}, errMark
}

// met tells whether a post is at the mark or before it, for who walks back from the newest.
func (m mark) met(post control.Post) bool {
	if m.id != "" {
		return post.ID == m.id
	}
	return !m.at.IsZero() && !post.Time.After(m.at)
}

// chathistory answers with a part of what is kept of a room.
func (c *conn) chathistory(ctx context.Context, m ircmsg.Message) bool {
	sub := strings.ToUpper(m.Params[0])
	if sub == "TARGETS" {
		c.histories(ctx, m)
		return false
	}
	target := m.Params[1]
	room, about, err := c.historyOf(target)
	if err != nil {
		c.fail("CHATHISTORY", "INVALID_TARGET", show.Failure(err), sub, word(head(target, maxTopic)))
		return false
	}
	posts, err := c.excerpt(ctx, room, sub, m.Params[2:])
	if err != nil {
		c.fail("CHATHISTORY", "INVALID_PARAMS", show.Failure(err), sub, word(head(target, maxTopic)))
		return false
	}
	var all []outgoing
	for _, post := range posts {
		all = append(all, c.lines(post, !c.caps[capServerTime])...)
		c.seen.add(post)
	}
	c.batch("chathistory", about, all)
	return false
}

// historyOf is the room whose history a client asks for, and what it calls it.
func (c *conn) historyOf(target string) (room, about string, err error) {
	if r := c.roomNamed(target); r != nil {
		return r.name, channel(r.name), nil
	}
	if who := c.people.byName[fold(target)]; who != nil && who != c.people.self {
		return "@" + who.id, who.name, nil
	}
	return "", "", control.NewError(control.CodeNotFound, nil, "no such room, and nobody here is called so", "")
}

// excerpt is the part of a room's history that the words of a CHATHISTORY behind its target ask for.
func (c *conn) excerpt(ctx context.Context, room, sub string, words []string) ([]control.Post, error) {
	marks := make([]mark, len(words)-1)
	for i, text := range words[:len(marks)] {
		var err error
		if sub == "LATEST" && text == "*" {
			continue
		}
		if marks[i], err = parseMark(text); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
	}
	limit, err := parseLimit(words[len(marks)])
	if err != nil {
		return nil, err
	}
	kind := sub
	if count := map[string]int{"LATEST": 1, "BEFORE": 1, "AFTER": 1, "AROUND": 1, "BETWEEN": 2}[sub]; count != len(marks) {
		kind = ""
	}
	switch kind {
	case "LATEST":
		return c.between(ctx, room, marks[0], mark{}, limit, false)
	case "BEFORE":
		return c.between(ctx, room, mark{}, marks[0], limit, false)
	case "AFTER":
		return c.between(ctx, room, marks[0], mark{}, limit, true)
	case "AROUND":
		return c.around(ctx, room, marks[0], limit)
	case "BETWEEN":
		first, err := c.isLater(ctx, room, marks[0], marks[1])
		if first {
			marks[0], marks[1] = marks[1], marks[0]
		}
		if err != nil {
			return nil, err
		}
		return c.between(ctx, room, marks[0], marks[1], limit, !first)
	}
	return nil, errors.New("LATEST, BEFORE, AFTER, AROUND, BETWEEN or TARGETS, with its marks and a limit")
}

func parseLimit(text string) (int, error) {
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, fmt.Errorf("%s: not a limit", text)
	}
	return min(limit, maxHistory), nil
}

// back yields the posts of a room from the newest on, or from the one before that with an id.
func (c *conn) back(ctx context.Context, room, before string) iter.Seq2[control.Post, error] {
	return func(yield func(control.Post, error) bool) {
		for looked := 0; looked < maxWalk; looked += pageSize {
			posts, err := c.api.Posts(ctx, room, control.PostQuery{Limit: pageSize, Before: before})
			if err != nil {
				yield(control.Post{}, err)
				return
			}
			for _, post := range slices.Backward(posts) {
				if !yield(post, nil) {
					return
				}
			}
			if len(posts) < pageSize {
				return
			}
			before = posts[0].ID
		}
	}
}

// between is posts after from and before to, without those at the marks: of more than limit the oldest or the newest.
// Times do not follow the room's order strictly, so that a moment is passed only when many in a row are before it.
func (c *conn) between(
	ctx context.Context, room string, from, to mark, limit int, oldest bool,
) (all []control.Post, err error) {
	early, found := 0, false
	for post, err := range c.back(ctx, room, to.id) {
		if err != nil {
			return nil, err
		}
		if from.met(post) {
			if early++; from.id != "" || early == maxEarly {
				found = true
				break
			}
			continue
		}
		if early = 0; !to.at.IsZero() && !post.Time.Before(to.at) {
			continue
		}
		all = append(all, post)
		if found = !oldest && len(all) == limit; found {
			break
		}
		if len(all) == 2*limit { // those before it are the ones that count
			all = append(all[:0], all[limit:]...)
		}
	}
	if from.id != "" && !found {
		return nil, fmt.Errorf("msgid %s: not known here, or too far back", from.id)
	}
	if len(all) > limit {
		all = all[len(all)-limit:]
	}
	slices.Reverse(all)
	return all, nil
}

// around is posts before and after a mark, and what is at it.
func (c *conn) around(ctx context.Context, room string, at mark, limit int) ([]control.Post, error) {
	after, err := c.between(ctx, room, at, mark{}, max(limit/2, 1), true)
	if err != nil {
		return nil, err
	}
	query := control.PostQuery{}
	if len(after) > 0 {
		query.Before = after[0].ID
	}
	after = after[:min(len(after), limit/2)]
	query.Limit = limit - len(after)
	before, err := c.api.Posts(ctx, room, query)
	return append(before, after...), err
}

// isLater tells whether of two marks the first is the later one.
func (c *conn) isLater(ctx context.Context, room string, a, b mark) (bool, error) {
	if a.id == "" && b.id == "" {
		return a.at.After(b.at), nil
	}
	for post, err := range c.back(ctx, room, "") {
		if err != nil || a.met(post) || b.met(post) {
			return err == nil && a.met(post), err
		}
	}
	return false, errors.New("neither mark is known here")
}

// histories lists the rooms whose last post is between two moments.
func (c *conn) histories(ctx context.Context, m ircmsg.Message) {
	var marks [2]mark
	var err error
	limit := 0
	if len(m.Params) < 4 {
		err = errors.New("TARGETS takes two moments and a limit")
	}
	for i := range marks {
		if err == nil {
			marks[i], err = parseMark(m.Params[i+1])
		}
		if err == nil && marks[i].at.IsZero() {
			err = errMark
		}
	}
	if err == nil {
		limit, err = parseLimit(m.Params[3])
	}
	if err != nil {
		c.fail("CHATHISTORY", "INVALID_PARAMS", show.Failure(err), "TARGETS")
		return
	}
	if marks[0].at.After(marks[1].at) {
		marks[0], marks[1] = marks[1], marks[0]
	}
	last := map[string]time.Time{} // by what the client calls the room
	for _, room := range slices.Concat(slices.Collect(maps.Keys(c.rooms)), slices.Collect(maps.Keys(c.talks))) {
		posts, err := c.api.Posts(ctx, room, control.PostQuery{Limit: 1})
		if err != nil || len(posts) == 0 {
			continue
		}
		if at := posts[0].Time; at.After(marks[0].at) && at.Before(marks[1].at) {
			last[c.shownRoom(room)] = at
		}
	}
	var all []outgoing
	for _, name := range slices.SortedFunc(maps.Keys(last), func(a, b string) int {
		return cmp.Or(last[a].Compare(last[b]), strings.Compare(a, b))
	}) {
		all = append(all, outgoing{command: "CHATHISTORY", params: []string{"TARGETS", name, stamp(last[name])}})
	}
	c.batch("draft/chathistory-targets", "", all[:min(len(all), limit)])
}
