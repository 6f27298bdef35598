package irc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/show"
)

// The capabilities that a client may ask for (IRCv3).
const (
	capAccountTag      = "account-tag"
	capAway            = "away-notify"
	capBatch           = "batch"
	capHistory         = "draft/chathistory"
	capEcho            = "echo-message"
	capExtendedJoin    = "extended-join"
	capLabels          = "labeled-response"
	capMessageTags     = "message-tags"
	capMultiPrefix     = "multi-prefix"
	capServerTime      = "server-time"
	capSetname         = "setname"
	capStandardReplies = "standard-replies"
)

var capabilities = []string{
	capAccountTag, capAway, capBatch, capHistory, capEcho, capExtendedJoin, capLabels, capMessageTags, capMultiPrefix,
	capServerTime, capSetname, capStandardReplies,
}

const (
	// maxName is the longest name in bytes: a nick of 32, each of which may be escaped.
	maxName = 96
	// maxTopic and maxAway are how much of a topic and of a reason to be away is taken, in bytes.
	maxTopic, maxAway = 390, 200
	// maxTargets is to how many a message may be sent at once.
	maxTargets = 4
)

func (c *conn) capability(_ context.Context, m ircmsg.Message) bool {
	switch sub := strings.ToUpper(m.Params[0]); sub {
	case "LS":
		c.asking = !c.registered
		c.emit(outgoing{command: "CAP", params: []string{c.called(), "LS", strings.Join(capabilities, " ")}, said: true})
	case "LIST":
		have := strings.Join(slices.Sorted(maps.Keys(c.caps)), " ")
		c.emit(outgoing{command: "CAP", params: []string{c.called(), "LIST", have}, said: true})
	case "REQ":
		c.asking = !c.registered
		c.request(m.Params[1:])
	case "END":
		c.asking = false
	default:
		c.numeric("410", word(sub), "Invalid CAP command")
	}
	return false
}

// request turns capabilities on and off: all that are named, or none.
func (c *conn) request(params []string) {
	words := strings.Join(params, " ")
	next, answer := maps.Clone(c.caps), "ACK"
	for _, name := range strings.Fields(words) {
		name, off := strings.CutPrefix(name, "-")
		if !slices.Contains(capabilities, name) {
			next, answer = c.caps, "NAK"
			break
		}
		if next[name] = true; off {
			delete(next, name)
		}
	}
	c.caps = next
	c.emit(outgoing{command: "CAP", params: []string{c.called(), answer, words}, said: true})
}

func (c *conn) password(_ context.Context, m ircmsg.Message) bool {
	if c.registered {
		c.numeric("462", "You may not reregister")
		return false
	}
	c.passed = c.s.opens(m.Params[0])
	return false
}

func (c *conn) userCommand(_ context.Context, _ ircmsg.Message) bool {
	if c.registered {
		c.numeric("462", "You may not reregister")
	}
	c.user = true
	return false
}

// early does a command that may come before registration, and registers when all has been said.
func early(do func(*conn, context.Context, ircmsg.Message) bool) func(*conn, context.Context, ircmsg.Message) bool {
	return func(c *conn, ctx context.Context, m ircmsg.Message) bool {
		later := do(c, ctx, m)
		if !c.registered && c.nick != "" && c.user && !c.asking && c.quit == "" {
			c.register(ctx)
		}
		return later
	}
}

// register makes a client that has said who it is a view of the device.
func (c *conn) register(ctx context.Context) {
	if c.s.Password != "" && !c.passed {
		select { // also for who tries them one by one
		case <-time.After(passPause):
		case <-ctx.Done():
		}
		c.numeric("464", "Password incorrect")
		c.quit = "the password is missing or wrong: PASS"
		return
	}
	status, err := c.api.Status(ctx)
	if err != nil {
		c.quit = show.Failure(err)
		return
	}
	c.registered = true
	c.s.register(c.peer)
	c.events = control.Watch(ctx, c.api, status.EventID)
	self := &person{id: status.ID, nick: status.Nick, tag: status.Tag}
	c.welcome(self, status)
	asked := *self
	asked.name = c.nick
	c.people = newPeople(self)
	if self.name != c.nick { // as far as the client knows it is called what it asked for
		c.emit(outgoing{source: &asked, command: "NICK", params: []string{self.name}})
	}
	for _, r := range status.Rooms {
		if r.Direct == "" {
			c.enter(ctx, r)
		}
	}
	for _, r := range status.Rooms {
		if r.Direct != "" {
			c.titled(r.Name, r.Direct)
		}
		if r.Direct != "" && !c.caps[capHistory] {
			c.replay(ctx, r.Name, directPlayback)
		}
	}
}

func (c *conn) welcome(self *person, status control.Status) {
	asked := *self
	asked.name = c.nick
	c.numeric("001", "Welcome to bcast, the network you are on, "+asked.mask())
	c.numeric("002", fmt.Sprintf("Your host is %s, running bcast %s", serverName, c.s.Version))
	c.numeric("003", "This server has no beginning: the rooms are wherever their members are")
	c.numeric("004", serverName, "bcast-"+word(c.s.Version), "i", "iv", "v")
	c.support()
	c.lusers(status)
	c.motd()
}

// support tells what clients may count on.
func (c *conn) support() {
	c.numeric("005", "CHANTYPES=#", "PREFIX=(v)+", "CHANMODES=,,,in", "CASEMAPPING=ascii", "NETWORK=bcast", "UTF8ONLY",
		"NICKLEN="+strconv.Itoa(maxName), "CHANNELLEN=65", "TOPICLEN="+strconv.Itoa(maxTopic),
		"AWAYLEN="+strconv.Itoa(maxAway), "LINELEN="+strconv.Itoa(maxLine), "are supported by this server")
	c.numeric("005", "CHATHISTORY="+strconv.Itoa(maxHistory), "MSGREFTYPES=msgid,timestamp",
		"CLIENTTAGDENY=*,-draft/reply,-draft/react,-typing",
		fmt.Sprintf("TARGMAX=PRIVMSG:%d,NOTICE:%[1]d,TAGMSG:%[1]d,JOIN:,PART:", maxTargets), "SAFELIST",
		"are supported by this server")
}

// motto tells a newcomer what is different here.
var motto = []string{
	"This is your own device: rooms that it has joined are your channels, whatever face joined them.",
	"JOIN joins it to a room, PART leaves the room for good, QUIT leaves nothing.",
	"JOIN #room INVITE joins a private one. A query is the room of the two of you.",
	"+ in front of a nick: its key was compared. ^ and two digits stand for a character that IRC has no room for.",
}

func (c *conn) motd() {
	c.numeric("375", "- "+serverName+" Message of the day -")
	for _, text := range motto {
		c.numeric("372", "- "+text)
	}
	c.numeric("376", "End of /MOTD command")
}

func (c *conn) lusers(status control.Status) {
	channels := 0
	for _, r := range status.Rooms {
		if r.Direct == "" {
			channels++
		}
	}
	c.numeric("251", fmt.Sprintf("There are %d devices here", status.Peers+1))
	c.numeric("254", strconv.Itoa(channels), "rooms joined")
	c.numeric("255", fmt.Sprintf("I have %d device and %d others", 1, status.Peers))
}

// nickCommand says what the client wants to be called, and later what its device is called.
func (c *conn) nickCommand(ctx context.Context, m ircmsg.Message) bool {
	if len(m.Params) == 0 || m.Params[0] == "" {
		c.numeric("431", "No nickname given")
		return false
	}
	asked := m.Params[0]
	if !c.registered {
		if len(asked) > maxName || word(asked) != asked {
			c.numeric("432", word(head(asked, maxName)), "Erroneous nickname")
		} else {
			c.nick = asked
		}
		return false
	}
	nick, err := unescape(asked)
	if err == nil {
		err = c.api.Nick(ctx, nick)
	}
	if err != nil {
		c.numeric("432", word(head(asked, maxName)), show.Failure(err))
		return false
	}
	c.refreshNick(ctx)
	return false
}

// setname changes the nick as well: here a real name is the nick as its owner wrote it.
func (c *conn) setname(ctx context.Context, m ircmsg.Message) bool {
	if err := c.api.Nick(ctx, m.Params[0]); err != nil {
		c.fail("SETNAME", "INVALID_REALNAME", show.Failure(err))
		return false
	}
	c.refreshNick(ctx)
	return false
}

// refreshNick asks what the device made of a nick.
func (c *conn) refreshNick(ctx context.Context) {
	status, err := c.api.Status(ctx)
	if err != nil {
		c.refuse("NICK", err)
		return
	}
	c.renamed(status.Nick)
}

// renamed tells the client what its device is called, if that is news.
func (c *conn) renamed(nick string) {
	self := c.people.self
	if nick == self.nick {
		return
	}
	before, names := *self, map[*person]string{}
	for _, who := range c.people.byID {
		names[who] = who.name
	}
	evicted := c.people.rename(nick)
	if evicted != nil {
		old := *evicted
		old.name = names[evicted]
		c.emit(outgoing{source: &old, command: "NICK", params: []string{evicted.name}})
	}
	c.tellName(&before, self)
}

// tellName tells that somebody has another name, and another real name.
func (c *conn) tellName(before, now *person) {
	if before.name != now.name {
		c.emit(outgoing{source: before, command: "NICK", params: []string{now.name}})
	}
	if c.caps[capSetname] && before.realname() != now.realname() {
		c.emit(outgoing{source: now, command: "SETNAME", params: []string{now.realname()}, said: true})
	}
}

// head is the beginning of a text.
func head(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
