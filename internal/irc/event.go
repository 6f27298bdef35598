package irc

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bcast/internal/control"
	"bcast/internal/show"
)

// event tells the client of one fact.
func (c *conn) event(ctx context.Context, event control.Event) {
	switch {
	case event.Type == control.EventGap:
		c.catchUp(ctx)
	case event.Post != nil:
		c.post(ctx, event)
	case event.Member != nil:
		c.member(ctx, *event.Member)
	case event.Peer != nil:
		c.presence(ctx, *event.Peer)
	case event.Signal != nil:
		c.signal(ctx, *event.Signal)
	case event.Fork != nil:
		f := event.Fork
		if r := c.rooms[f.Room]; r != nil {
			c.remark(channel(r.name), show.Fork(show.Name(f.ID, f.Nick, show.Tag(f.ID), true, false)))
		}
	case event.Type == control.EventProblem && event.Problem != "":
		c.remark(c.called(), "problem: "+event.Problem)
	}
}

// remark says something in nobody's name.
func (c *conn) remark(target, text string) {
	for _, text := range wrap(text, budget("", "NOTICE", target)) {
		c.emit(outgoing{command: "NOTICE", params: []string{target, text}, said: true})
	}
}

// budget is how many bytes of text a line holds.
func budget(mask, command, target string) int {
	return maxLine - len(":  "+" :\r\n") - len(cmp.Or(mask, serverName)) - len(command) - len(target)
}

// catchUp shows what was missed.
func (c *conn) catchUp(ctx context.Context) {
	c.syncRooms(ctx)
	for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
		c.refresh(ctx, c.rooms[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
		c.missed(ctx, name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.talks)) {
		c.missed(ctx, name)
	}
}

// post shows what was said, or what became of something said.
func (c *conn) post(ctx context.Context, event control.Event) {
	post := *event.Post
	if post.Direct == "" && c.rooms[post.Room] == nil {
		return // the room was left
	}
	switch {
	case event.Type == control.EventTopic || post.Kind == "topic":
		c.topicSet(ctx, event)
	case event.Type == control.EventPost:
		label, ours := c.said[post.ID]
		delete(c.said, post.ID)
		if ours && !c.caps[capEcho] {
			c.seen.add(post)
			return
		}
		if post.Own && post.Direct != "" && !c.caps[capEcho] {
			return // of another face: this client would take it for the other's words to us
		}
		c.answer(label, func() bool {
			if ours || !c.seen.has(post.ID) {
				c.show(post, event.Time)
			}
			return false
		})
	case event.Type == control.EventReaction:
		c.reactions(post)
	case event.Type == control.EventEdited && c.seen.has(post.ID):
		c.remark(c.shownFor(post), c.author(post).name+" changed a post: "+post.Text)
	case event.Type == control.EventDeleted && c.seen.has(post.ID):
		c.remark(c.shownFor(post), c.author(post).name+" took back: "+c.seen.of(post.ID).quote)
	}
}

// topicSet tells what a room is about since a topic was said, changed or taken back. One that came late may not be the
// last.
func (c *conn) topicSet(ctx context.Context, event control.Event) {
	post := *event.Post
	r := c.rooms[post.Room]
	label := c.said[post.ID]
	if delete(c.said, post.ID); r == nil {
		return
	}
	rooms, err := c.api.Rooms(ctx)
	at := slices.IndexFunc(rooms, func(noun control.Room) bool { return noun.Name == r.name })
	if err != nil || at < 0 {
		return // the room is being left, or the device ends
	}
	was, said := r.topic, event.Type == control.EventTopic || event.Type == control.EventPost
	if r.topic = rooms[at].Topic; !said {
		post.Time = event.Time
	}
	c.answer(label, func() bool {
		if r.topic != was || said && r.topic == post.Text {
			topic := head(show.Clean(r.topic), maxTopic)
			c.emit(outgoing{source: c.author(post), command: "TOPIC", params: []string{channel(r.name), topic}, at: post.Time,
				said: true})
		}
		return false
	})
}

// show sends a post that came.
func (c *conn) show(post control.Post, came time.Time) {
	if post.ClockOff != "" {
		post.Time = came // its author's clock would put it where it does not belong
	}
	for _, o := range c.lines(post, post.Late && !c.caps[capServerTime]) {
		c.emit(o)
	}
	c.seen.add(post)
}

// author is who said a post, whether the client sees it in a room or not.
func (c *conn) author(post control.Post) *person {
	if post.Own || post.From == c.people.self.id {
		return c.people.self
	}
	if post.Direct != "" {
		return c.with(post)
	}
	if who := c.people.byID[post.From]; who != nil {
		return who
	}
	return c.people.stranger(post.From, post.Nick, post.Tag, post.Tagged, post.Verified)
}

// with is whom a direct post is exchanged with.
func (c *conn) with(post control.Post) *person { return c.titled(post.Room, post.Direct) }

// shownFor is where a post is shown: its room, or the query with who exchanged it with us.
func (c *conn) shownFor(post control.Post) string {
	switch {
	case post.Direct == "":
		return channel(post.Room)
	case post.Own:
		return c.with(post).name
	}
	return c.people.self.name
}

// lines are the messages that show a post. dated puts its time in front, for a client that gets it in no other way.
func (c *conn) lines(post control.Post, dated bool) []outgoing {
	if post.Deleted || !slices.Contains([]string{"text", "action", "reply", "offer"}, post.Kind) {
		return nil
	}
	who, target := c.author(post), c.shownFor(post)
	front := ""
	if dated {
		front = post.Time.Local().Format("[2006-01-02 15:04:05] ")
	}
	if post.Forked {
		front += "(" + show.Forked + ") "
	}
	if post.Kind == "reply" && post.Quote != nil && !c.caps[capMessageTags] {
		front += "↪ " + show.Clean(post.Quote.Nick) + ": "
	}
	limit := budget(who.mask(), "PRIVMSG", target)
	var said []string
	if post.Text != "" && post.Kind != "action" {
		said = wrap(front+post.Text, limit)
	}
	if action := actionIn(post); action != "" {
		if said == nil {
			action = front + action
		}
		for _, text := range wrap(action, limit-len(actionOf(""))) {
			said = append(said, actionOf(text))
		}
	}
	var all []outgoing
	for i, text := range said {
		o := outgoing{source: who, command: "PRIVMSG", params: []string{target, text}, at: post.Time, id: post.ID, said: true}
		if i > 0 {
			o.id += "/" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		}
		if post.ReplyTo != "" {
			o.tags = map[string]string{tagReply[0]: post.ReplyTo}
		}
		all = append(all, o)
	}
	return all
}

// actionIn is what a post does, to be said after its author's name: an action, or the offer of a file.
func actionIn(post control.Post) string {
	switch {
	case post.Kind == "action":
		return post.Text
	case post.File != nil:
		f := post.File
		return fmt.Sprintf("offers %s, %s: bcast files get %s", show.Clean(f.Name), show.Bytes(f.Size), post.ID)
	}
	return ""
}

// reactions tells of those that are new to the client. Of posts that it has not seen it is told nothing.
func (c *conn) reactions(post control.Post) {
	for _, r := range c.seen.react(post) {
		if r.from == c.people.self.id && !c.caps[capEcho] {
			continue
		}
		who := c.people.byID[r.from]
		if who == nil {
			who = c.people.stranger(r.from, r.nick, show.Tag(r.from), false, false)
		}
		target := c.shownFor(post)
		if post.Direct != "" {
			target = c.people.self.name
			if who == c.people.self {
				target = c.with(post).name
			}
		}
		if c.caps[capMessageTags] {
			c.emit(outgoing{source: who, command: "TAGMSG", params: []string{target},
				tags: map[string]string{tagReact[0]: r.text, tagReply[0]: post.ID}})
		} else {
			c.remark(target, who.name+": "+r.text+" to "+c.author(post).name+": "+c.seen.of(post.ID).quote)
		}
	}
}

// signal tells who is typing, goes away and comes back.
func (c *conn) signal(ctx context.Context, s control.Signal) {
	who := c.people.byID[s.ID]
	if who == nil || who == c.people.self {
		return
	}
	switch s.Kind {
	case "typing":
		target := c.people.self.name
		if r := c.rooms[s.Room]; r != nil {
			target = channel(r.name)
		}
		if c.caps[capMessageTags] {
			c.emit(outgoing{source: who, command: "TAGMSG", params: []string{target},
				tags: map[string]string{tagTyping[0]: "active"}})
		}
	case "away", "here":
		away := ""
		if s.Kind == "away" {
			away = cmp.Or(show.Clean(s.Text), "away")
		}
		if away != who.away { // it tells each room of ours
			who.away = away
			c.tellAway(who)
		}
	}
}
