package irc

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

// maxAsked is how many names one command may ask for.
const maxAsked = 10

// known is a device by the name that the client has for it, whether it sees it in a room or not; nil: nobody is called
// so. peers are all there are.
func (c *conn) known(name string, peers []control.Peer) *person {
	if who := c.people.byName[fold(name)]; who != nil {
		return who
	}
	for _, peer := range peers {
		if who := c.people.ofPeer(peer); control.Here(peer.Status) && fold(who.name) == fold(name) {
			return who
		}
	}
	return nil
}

// isOn tells whether somebody is here.
func (c *conn) isOn(who *person, peers []control.Peer) bool {
	return who == c.people.self || who.rooms > 0 || slices.ContainsFunc(peers, func(p control.Peer) bool {
		return p.ID == who.id && control.Here(p.Status)
	})
}

func (c *conn) who(_ context.Context, m ircmsg.Message) bool {
	mask := m.Params[0]
	switch r := c.roomNamed(mask); {
	case r != nil:
		for _, who := range sortedByName(r.members) {
			c.tellWho(channel(r.name), who)
		}
	case strings.HasPrefix(mask, "#"):
	default:
		for _, who := range sortedByName(c.people.byID) {
			if mask == "*" || fold(mask) == fold(who.name) {
				c.tellWho("*", who)
			}
		}
	}
	c.numeric("315", word(head(mask, maxTopic)), "End of /WHO list")
	return false
}

func (c *conn) tellWho(where string, who *person) {
	flags := "H"
	if who.away != "" {
		flags = "G"
	}
	c.emit(outgoing{command: "352", said: true, params: []string{
		c.called(), where, word(who.tag), userHost, serverName, who.name, flags + who.prefix(), "0 " + who.realname(),
	}})
}

func (c *conn) whois(ctx context.Context, m ircmsg.Message) bool {
	peers, err := c.api.Peers(ctx)
	if err != nil {
		c.refuse("WHOIS", err)
		return false
	}
	names := strings.Split(m.Params[len(m.Params)-1], ",")
	for _, name := range names[:min(len(names), maxTargets)] {
		if who := c.known(name, peers); who != nil {
			c.tellWhois(who, peers)
		} else {
			c.numeric("401", word(head(name, maxTopic)), "No such nick: no device here is called so")
		}
		c.numeric("318", word(head(name, maxTopic)), "End of /WHOIS list")
	}
	return false
}

func (c *conn) tellWhois(who *person, peers []control.Peer) {
	c.numeric("311", who.name, word(who.tag), userHost, "*", who.realname())
	var rooms []string
	for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
		if c.rooms[name].members[who.id] != nil {
			rooms = append(rooms, who.prefix()+channel(name))
		}
	}
	if rooms != nil {
		c.numeric("319", who.name, head(strings.Join(rooms, " "), maxTopic))
	}
	c.numeric("312", who.name, serverName, "bcast")
	if who.away != "" {
		c.numeric("301", who.name, who.away)
	}
	c.numeric("330", who.name, word(who.id), "has the key")
	for _, peer := range peers {
		if peer.ID == who.id {
			c.numeric("338", who.name, word(peer.Addr), "was last heard from there: "+show.Presence(peer.Status))
		}
	}
	if who.verified {
		c.numeric("320", who.name, "has a key that you compared")
	}
}

func (c *conn) ison(ctx context.Context, m ircmsg.Message) bool {
	peers, err := c.api.Peers(ctx)
	if err != nil {
		c.refuse("ISON", err)
		return false
	}
	var on []string
	for _, name := range asked(m) {
		if who := c.known(name, peers); who != nil && c.isOn(who, peers) {
			on = append(on, who.name)
		}
	}
	c.emit(outgoing{command: "303", params: []string{c.called(), strings.Join(on, " ")}, said: true})
	return false
}

func (c *conn) userhost(ctx context.Context, m ircmsg.Message) bool {
	peers, err := c.api.Peers(ctx)
	if err != nil {
		c.refuse("USERHOST", err)
		return false
	}
	var all []string
	for _, name := range asked(m) {
		if who := c.known(name, peers); who != nil && c.isOn(who, peers) {
			mark := "=+"
			if who.away != "" {
				mark = "=-"
			}
			all = append(all, who.name+mark+word(who.tag)+"@"+userHost)
		}
	}
	c.emit(outgoing{command: "302", params: []string{c.called(), strings.Join(all, " ")}, said: true})
	return false
}

// asked are the names that a command asks for, alone or in one parameter.
func asked(m ircmsg.Message) []string {
	names := strings.Fields(strings.Join(m.Params, " "))
	return names[:min(len(names), maxAsked)]
}

// awayCommand tells all rooms: who is away is away in each.
func (c *conn) awayCommand(ctx context.Context, m ircmsg.Message) bool {
	text := ""
	if len(m.Params) > 0 {
		text = head(strings.TrimSpace(show.Clean(written(m.Params[0]))), maxAway)
	}
	rooms, err := c.api.Rooms(ctx)
	kind := map[bool]string{true: "away", false: "here"}[text != ""]
	for _, r := range rooms {
		if err == nil {
			err = c.api.Signal(ctx, control.Signal{Room: r.Name, Kind: kind, Text: text})
		}
	}
	if err != nil {
		c.refuse("AWAY", err)
		return false
	}
	if c.people.self.away = text; text == "" {
		c.numeric("305", "You are no longer marked as being away")
	} else {
		c.numeric("306", "You have been marked as being away")
	}
	return false
}
