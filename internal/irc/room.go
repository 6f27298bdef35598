package irc

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

// room is a room as the client sees it: those of its members who are here.
type room struct {
	name    string
	topic   string
	public  bool
	members map[string]*person // by id
}

// invitePrefix begins an invite, which is what a room has for a key.
const invitePrefix = "bcast:"

// isHere tells whether a member is to be seen in a channel. Who is away for good is a member all the same.
func isHere(status string) bool { return status == "self" || control.Here(status) }

// enter shows the client a room that its device is in: who is there, what it is about and what was said last.
func (c *conn) enter(ctx context.Context, noun control.Room) {
	if c.rooms[noun.Name] != nil {
		return
	}
	members, err := c.api.Members(ctx, noun.Name)
	if err != nil {
		c.refuse("JOIN", err, channel(noun.Name))
		return
	}
	r := &room{name: noun.Name, topic: noun.Topic, public: noun.Public, members: map[string]*person{}}
	c.rooms[noun.Name] = r
	c.tellJoin(r, c.people.self)
	for _, m := range members {
		if isHere(m.Status) {
			c.meet(r, m)
		}
	}
	if r.members[c.people.self.id] == nil {
		r.members[c.people.self.id] = c.people.self
		c.people.self.rooms++
	}
	if r.topic != "" {
		c.tellTopic(r)
	}
	c.tellNames(r)
	if !c.caps[capHistory] {
		c.replay(ctx, r.name, roomPlayback)
	}
}

// meet takes a member into the view of a room.
func (c *conn) meet(r *room, m control.Member) *person {
	who := c.people.byID[m.ID]
	if who == nil {
		who = &person{id: m.ID, nick: m.Nick, tag: m.Tag, tagged: m.Tagged}
		c.people.place(who)
	}
	if r.members[m.ID] == nil {
		r.members[m.ID] = who
		who.rooms++
	}
	who.away, who.verified = m.Away, m.Verified
	return who
}

func (c *conn) tellJoin(r *room, who *person) {
	params := []string{channel(r.name)}
	if c.caps[capExtendedJoin] {
		params = append(params, word(who.id), who.realname())
	}
	c.emit(outgoing{source: who, command: "JOIN", params: params})
	if who != c.people.self && who.away != "" {
		c.tellAway(who)
	}
}

func (c *conn) tellAway(who *person) {
	if !c.caps[capAway] {
		return
	}
	var params []string
	if who.away != "" {
		params = []string{who.away}
	}
	c.emit(outgoing{source: who, command: "AWAY", params: params, said: who.away != ""})
}

func (c *conn) tellVerified(r *room, who *person) {
	mode := map[bool]string{true: "+v", false: "-v"}[who.verified]
	c.emit(outgoing{command: "MODE", params: []string{channel(r.name), mode, who.name}})
}

func (c *conn) tellTopic(r *room) {
	c.numeric("332", channel(r.name), head(show.Clean(r.topic), maxTopic))
}

// tellNames lists those who are there, as many to a line as it holds.
func (c *conn) tellNames(r *room) {
	kind := "="
	if !r.public {
		kind = "@"
	}
	limit := maxLine - len(":"+serverName+" 353  =  :\r\n") - len(c.called()) - len(channel(r.name))
	text := ""
	for _, who := range sortedByName(r.members) {
		name := who.prefix() + who.name
		if len(text)+1+len(name) > limit {
			c.numeric("353", kind, channel(r.name), text)
			text = ""
		}
		text = strings.TrimLeft(text+" "+name, " ")
	}
	if text != "" {
		c.numeric("353", kind, channel(r.name), text)
	}
	c.numeric("366", channel(r.name), "End of /NAMES list")
}

// prefix is + for one whose key was compared.
func (p *person) prefix() string {
	if p.verified {
		return "+"
	}
	return ""
}

func sortedByName(people map[string]*person) []*person {
	return slices.SortedFunc(maps.Values(people), func(a, b *person) int { return strings.Compare(a.name, b.name) })
}

// roomNamed is a room that the client sees, by what it calls it.
func (c *conn) roomNamed(name string) *room {
	plain, isChannel := strings.CutPrefix(name, "#")
	if !isChannel {
		return nil
	}
	if r := c.rooms[strings.ToLower(plain)]; r != nil {
		return r
	}
	for _, r := range c.rooms { // one with a name that had to be made fit
		if fold(channel(r.name)) == fold(name) {
			return r
		}
	}
	return nil
}

// join makes the device a member of rooms. A key is an invite.
func (c *conn) join(ctx context.Context, m ircmsg.Message) bool {
	var keys []string
	if len(m.Params) > 1 {
		keys = strings.Split(m.Params[1], ",")
	}
	for i, name := range strings.Split(m.Params[0], ",") {
		asked := name
		if i < len(keys) && keys[i] != "" {
			asked = keys[i]
		}
		switch {
		case !strings.HasPrefix(name, "#") || strings.HasPrefix(name, "#@"):
			c.numeric("403", word(head(name, maxTopic)), "No such channel: a room's name begins with #")
			continue
		case asked != name && !strings.HasPrefix(asked, invitePrefix):
			c.numeric("475", word(head(name, maxTopic)), "Cannot join channel: its key is an invite, "+invitePrefix+"…")
			continue
		}
		joined, err := c.api.Join(ctx, asked, control.JoinOptions{})
		if err != nil {
			c.numeric("403", word(head(name, maxTopic)), show.Failure(err))
			continue
		}
		c.enterNamed(ctx, joined.Room)
	}
	return false
}

func (c *conn) enterNamed(ctx context.Context, name string) {
	rooms, err := c.api.Rooms(ctx)
	if err != nil {
		c.refuse("JOIN", err, channel(name))
		return
	}
	for _, noun := range rooms {
		if noun.Name == name && noun.Direct == "" {
			c.enter(ctx, noun)
		}
	}
}

// part ends the device's membership.
func (c *conn) part(ctx context.Context, m ircmsg.Message) bool {
	for name := range strings.SplitSeq(m.Params[0], ",") {
		r := c.roomNamed(name)
		if r == nil {
			c.numeric("442", word(head(name, maxTopic)), "You're not on that channel")
			continue
		}
		if err := c.api.Leave(ctx, r.name, false); err != nil && control.AsError(err).Code != control.CodeNotJoined {
			c.refuse("PART", err, channel(r.name))
			continue
		}
		c.leave(r)
	}
	return false
}

// leave takes a room out of the client's view.
func (c *conn) leave(r *room) {
	c.emit(outgoing{source: c.people.self, command: "PART", params: []string{channel(r.name)}})
	delete(c.rooms, r.name)
	for _, who := range r.members {
		who.rooms--
		c.people.release(who)
	}
}

func (c *conn) topicCommand(ctx context.Context, m ircmsg.Message) bool {
	r := c.roomNamed(m.Params[0])
	switch {
	case r == nil:
		c.numeric("442", word(head(m.Params[0], maxTopic)), "You're not on that channel")
	case len(m.Params) > 1:
		said, err := c.api.Say(ctx, control.Say{Room: r.name, Kind: "topic", Text: written(m.Params[1])})
		if err != nil {
			c.refuse("TOPIC", err, channel(r.name))
			return false
		}
		c.said[said.ID] = c.labelOf(m)
		return true
	case r.topic == "":
		c.numeric("331", channel(r.name), "No topic is set")
	default:
		c.tellTopic(r)
	}
	return false
}

func (c *conn) namesCommand(_ context.Context, m ircmsg.Message) bool {
	if len(m.Params) == 0 {
		for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
			c.tellNames(c.rooms[name])
		}
		return false
	}
	for name := range strings.SplitSeq(m.Params[0], ",") {
		if r := c.roomNamed(name); r != nil {
			c.tellNames(r)
		} else {
			c.numeric("366", word(head(name, maxTopic)), "End of /NAMES list")
		}
	}
	return false
}

// list tells which rooms there are, as far as devices here tell, and our own.
func (c *conn) list(ctx context.Context, _ ircmsg.Message) bool {
	rooms, err := c.api.Rooms(ctx)
	if err != nil {
		c.refuse("LIST", err)
		return false
	}
	peers, err := c.api.Peers(ctx)
	if err != nil {
		c.refuse("LIST", err)
		return false
	}
	c.numeric("321", "Channel", "Users Name")
	devices, topics := control.Devices(rooms, peers), map[string]string{}
	for _, r := range rooms {
		topics[r.Name] = r.Topic
		if !r.Public && r.Direct == "" {
			devices[r.Name] = r.Present
		}
	}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		topic := head(show.Clean(topics[name]), maxTopic)
		c.emit(outgoing{command: "322", params: []string{c.called(), channel(name), strconv.Itoa(devices[name]), topic},
			said: true})
	}
	c.numeric("323", "End of /LIST")
	return false
}

// mode tells what a room or we are like; nothing about that can be set.
func (c *conn) mode(_ context.Context, m ircmsg.Message) bool {
	target := m.Params[0]
	r := c.roomNamed(target)
	switch {
	case fold(target) == fold(c.called()):
		c.numeric("221", "+i")
	case !strings.HasPrefix(target, "#"):
		c.numeric("502", "Can't change mode for other users")
	case r == nil:
		c.numeric("403", word(head(target, maxTopic)), "No such channel")
	case len(m.Params) == 1 && r.public:
		c.numeric("324", channel(r.name), "+n")
	case len(m.Params) == 1:
		c.numeric("324", channel(r.name), "+in")
	case strings.Trim(m.Params[1], "+") == "b":
		c.numeric("368", channel(r.name), "End of channel ban list")
	default:
		c.numeric("482", channel(r.name), "Nobody rules a room: modes are told, not set")
	}
	return false
}
