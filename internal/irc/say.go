package irc

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

// The client-only tags that have a meaning here, each under all the names that clients use.
var (
	tagReply  = []string{"+draft/reply", "+reply"}
	tagReact  = []string{"+draft/react", "+react"}
	tagTyping = []string{"+typing", "+draft/typing"}
)

func tagOf(m ircmsg.Message, names []string) string {
	for _, name := range names {
		if there, value := m.GetTag(name); there {
			return value
		}
	}
	return ""
}

// message says something in rooms, or to devices alone. What a NOTICE runs into nobody is told but who asked for
// standard-replies: old clients may answer (RFC 2812, section 3.3.2).
func (c *conn) message(ctx context.Context, m ircmsg.Message) bool {
	silent := m.Command == "NOTICE" && !c.caps[capStandardReplies]
	if len(m.Params) < 2 || m.Params[1] == "" {
		if !silent {
			c.numeric("412", "No text to send")
		}
		return false
	}
	say, fit := parseSay(m)
	if !fit {
		if !silent {
			c.fail(m.Command, "CTCP", "nothing of CTCP but ACTION is carried")
		}
		return false
	}
	label, later := c.labelOf(m), false
	for _, target := range c.targets(m) {
		room, err := c.destination(ctx, target)
		switch {
		case err == nil:
			if err = c.say(ctx, room, say, label); err == nil {
				later, label = true, ""
			} else if !silent {
				c.refuse(m.Command, err, c.shownRoom(room))
			}
		case !silent:
			c.noTarget(target, err)
		}
	}
	return later && c.caps[capEcho]
}

// parseSay is the post that a message asks for, but for the room. CTCP is not carried, but for actions.
func parseSay(m ircmsg.Message) (say control.Say, fit bool) {
	text := m.Params[1]
	if rest, action := cutAction(text); action {
		say.Kind, text = "action", rest
	} else if strings.HasPrefix(text, ctcpEnd) {
		return say, false
	}
	if reply := show.Clean(tagOf(m, tagReply)); reply != "" && say.Kind == "" {
		say.Kind, say.Target = "reply", postOf(reply)
	}
	say.Text = written(text)
	return say, true
}

// say posts, and remembers that the post is this client's own. A reply to what is not kept here is said all the same.
func (c *conn) say(ctx context.Context, room string, say control.Say, label string) error {
	say.Room = room
	said, err := c.api.Say(ctx, say)
	if err != nil && say.Kind == "reply" && control.CheckText(say.Text) == nil {
		say.Kind, say.Target = "", ""
		said, err = c.api.Say(ctx, say)
	}
	if err != nil {
		return err
	}
	if len(c.said) > maxSeen { // events were lost
		clear(c.said)
	}
	c.said[said.ID] = label
	return nil
}

// targets are those that a message is for, as many as may be named at once.
func (c *conn) targets(m ircmsg.Message) []string {
	all := strings.Split(m.Params[0], ",")
	if len(all) > maxTargets {
		text := fmt.Sprintf("Too many recipients: the first %d get it", maxTargets)
		c.numeric("407", word(head(m.Params[0], maxTopic)), text)
	}
	return all[:min(len(all), maxTargets)]
}

func (c *conn) noTarget(target string, err error) {
	target = word(head(target, maxTopic))
	if strings.HasPrefix(target, "#") {
		c.numeric("404", target, show.Failure(err))
	} else {
		c.numeric("401", target, show.Failure(err))
	}
}

// destination is the room that a message for target is said in.
func (c *conn) destination(ctx context.Context, target string) (string, error) {
	if strings.HasPrefix(target, "#") {
		if r := c.roomNamed(target); r != nil {
			return r.name, nil
		}
		return "", control.NewError(control.CodeNotJoined, nil, "You're not on that channel", "JOIN it first")
	}
	return c.alone(ctx, target)
}

// alone opens the room of us and another. A name that the client has for somebody goes to that device or to nobody; the
// participant is asked by nick all the same, for it refuses one that could be another's.
func (c *conn) alone(ctx context.Context, name string) (string, error) {
	who := c.people.byName[fold(name)]
	if who == c.people.self {
		return "", control.NewError(control.CodeInvalid, nil, "that is this device itself", "")
	}
	wanted := ""
	switch {
	case who != nil && who.name != escape(who.nick):
		wanted = who.id
	case who != nil:
		wanted = who.nick
	default:
		nick, err := unescape(name)
		if err != nil {
			return "", control.NewError(control.CodeInvalid, err, err.Error(), "")
		}
		wanted = nick
	}
	joined, err := c.api.Join(ctx, "@"+wanted, control.JoinOptions{})
	if who != nil && err != nil && control.AsError(err).Code == control.CodeNotFound { // it has another nick by now
		joined, err = c.api.Join(ctx, "@"+who.id, control.JoinOptions{})
	}
	if err != nil {
		return "", err
	}
	id := strings.TrimPrefix(joined.Room, "@")
	if who != nil && id != who.id {
		return "", control.NewError(control.CodeAmbiguous, nil, show.Clean(name)+" may be somebody else",
			"name it by its tag")
	}
	c.titled(joined.Room, cmp.Or(joined.Direct, wanted))
	return joined.Room, nil
}

// titled is whom a direct room is with; direct is what people are shown it as.
func (c *conn) titled(room, direct string) *person {
	id := strings.TrimPrefix(room, "@")
	nick, tagged := strings.CutSuffix(direct, "-"+show.Tag(id))
	who := c.people.byID[id]
	switch {
	case who == nil:
		who = &person{id: id, nick: nick, tag: show.Tag(id), tagged: tagged}
		c.people.place(who)
	case who.rooms == 0 && nick != "": // else its rooms tell
		c.nameAs(who, nick, tagged)
	}
	who.direct = true
	c.talks[room] = who
	return who
}

// shownRoom is a room as the client calls it.
func (c *conn) shownRoom(room string) string {
	if who := c.talks[room]; who != nil {
		return who.name
	}
	return channel(room)
}

// postOf is the post that a message shows: those after the first of one post have a number behind its id.
func postOf(msgid string) string {
	id, _, _ := strings.Cut(msgid, "/")
	return id
}

// tagmsg reacts to a post, or tells that the person is typing. Other tags mean nothing here.
func (c *conn) tagmsg(ctx context.Context, m ircmsg.Message) bool {
	react, reply := strings.TrimSpace(written(show.Clean(tagOf(m, tagReact)))), show.Clean(tagOf(m, tagReply))
	typing := tagOf(m, tagTyping) == "active"
	if react == "" && !typing || react != "" && reply == "" {
		return false
	}
	for _, target := range c.targets(m) {
		who := c.people.byName[fold(target)]
		if react == "" && !strings.HasPrefix(target, "#") && (who == nil || !who.direct) {
			continue // that somebody begins to type opens no room
		}
		room, err := c.destination(ctx, target)
		switch {
		case err != nil:
			c.noTarget(target, err)
		case react != "":
			say := control.Say{Room: room, Kind: "reaction", Target: postOf(reply), Text: react}
			if _, err := c.api.Say(ctx, say); err != nil {
				c.refuse("TAGMSG", err, c.shownRoom(room))
			}
		default:
			c.api.Signal(ctx, control.Signal{Room: room, Kind: "typing"}) // nobody waits to hear that it was not
		}
	}
	return false
}
