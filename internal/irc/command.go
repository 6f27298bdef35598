package irc

import (
	"cmp"
	"context"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/show"
)

// command is what a client can ask for. It reports whether its answer comes later, with an event.
type command struct {
	do    func(c *conn, ctx context.Context, m ircmsg.Message) (later bool)
	least int  // parameters
	cost  int  // in lines, of those that a client may send at once; 0 is 1
	early bool // before registration, too
}

var commands map[string]command

func init() { // the table and what it names know each other
	commands = map[string]command{
		"CAP":  {do: early((*conn).capability), least: 1, early: true},
		"PASS": {do: early((*conn).password), least: 1, early: true},
		"NICK": {do: early((*conn).nickCommand), early: true},
		"USER": {do: early((*conn).userCommand), least: 4, early: true},
		"PING": {do: (*conn).ping, least: 1, early: true},
		"PONG": {do: func(*conn, context.Context, ircmsg.Message) bool { return false }, early: true},
		"QUIT": {do: (*conn).quitCommand, early: true},

		"PRIVMSG": {do: (*conn).message, least: 1},
		"NOTICE":  {do: (*conn).message, least: 1},
		"TAGMSG":  {do: (*conn).tagmsg, least: 1},
		"JOIN":    {do: (*conn).join, least: 1, cost: 2},
		"PART":    {do: (*conn).part, least: 1},
		"TOPIC":   {do: (*conn).topicCommand, least: 1},
		"NAMES":   {do: (*conn).namesCommand, cost: 2},
		"LIST":    {do: (*conn).list, cost: 5},
		"MODE":    {do: (*conn).mode, least: 1},
		"WHO":     {do: (*conn).who, least: 1, cost: 2},
		"WHOIS":   {do: (*conn).whois, least: 1, cost: 2},
		"ISON":    {do: (*conn).ison, least: 1},

		"USERHOST":    {do: (*conn).userhost, least: 1},
		"AWAY":        {do: (*conn).awayCommand},
		"SETNAME":     {do: (*conn).setname, least: 1},
		"CHATHISTORY": {do: (*conn).chathistory, least: 3, cost: 5},
		"LUSERS":      {do: (*conn).lusersCommand},
		"MOTD":        {do: func(c *conn, _ context.Context, _ ircmsg.Message) bool { c.motd(); return false }},
		"VERSION":     {do: (*conn).version},
	}
}

func (c *conn) ping(_ context.Context, m ircmsg.Message) bool {
	c.emit(outgoing{command: "PONG", params: []string{serverName, m.Params[0]}, said: true})
	return false
}

func (c *conn) quitCommand(_ context.Context, m ircmsg.Message) bool {
	reason := ""
	if len(m.Params) > 0 {
		reason = show.Clean(m.Params[0])
	}
	c.quit = cmp.Or(reason, "quit")
	return false
}

func (c *conn) version(context.Context, ircmsg.Message) bool {
	c.numeric("351", "bcast-"+word(c.s.Version), serverName, "group chat without a server")
	c.support()
	return false
}

func (c *conn) lusersCommand(ctx context.Context, _ ircmsg.Message) bool {
	status, err := c.api.Status(ctx)
	if err != nil {
		c.refuse("LUSERS", err)
		return false
	}
	c.lusers(status)
	return false
}
