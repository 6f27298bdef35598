package irc

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ergochat/irc-go/ircmsg"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/fuzztest"
)

// injected is the command that hostile text tries to have sent.
const injected = "INJECTED"

// hostile are texts that would be more than text in a line that takes them as they are.
func hostile() []string {
	var all []string
	for _, front := range []string{"", "a", "a b", " :", "#room", "@label=x;y=\\r\\n", "\x01ACTION ", strings.Repeat("x", 600),
		strings.Repeat("日", 300), "a,b", "bob!x@y"} {
		for _, middle := range []string{"\r\n", "\n", "\r", "\x00", "\r\n:irc.bcast ", "\u2028", "\u0085", "\u202e", "\x01", "\x1b[2J",
			"\xff\r\n", " :", ":"} {
			all = append(all, front+middle+injected+" #lobby :x")
		}
	}
	return append(all, "", " ", ":", "#", "@", "\r\n", "\x00", strings.Repeat("\r\n", 100), strings.Repeat("z", 3000))
}

// checkLine fails if a line is more or other than one line of IRC may be.
func checkLine(t *testing.T, line string) {
	t.Helper()
	body, ended := strings.CutSuffix(line, "\r\n")
	if !ended || strings.ContainsAny(body, "\r\n\x00") || !utf8.ValidString(body) {
		t.Fatalf("not one line: %q", line)
	}
	rest := body
	if tags, after, found := strings.Cut(body, " "); found && tags[0] == '@' {
		if rest = after; len(tags) > maxTags*2 {
			t.Errorf("%d bytes of tags", len(tags))
		}
	}
	if len(rest) > maxLine-2 {
		t.Errorf("%d bytes: %q", len(rest)+2, line)
	}
	m, err := ircmsg.ParseLineStrict(body, false, maxLine)
	if err != nil || strings.Contains(m.Command, injected) {
		t.Errorf("%v: %q", err, line)
	}
	if text := m.Params[max(0, len(m.Params)-1):]; len(text) > 0 {
		text[0] = strings.TrimSuffix(strings.TrimPrefix(text[0], actionBegin), ctcpEnd)
	}
	for _, param := range m.Params {
		if strings.ContainsFunc(param, unicode.IsControl) {
			t.Errorf("control characters: %q", line)
		}
	}
	if m.Source != "" && m.Source != serverName {
		if nuh, err := m.NUH(); err != nil || nuh.Host != userHost || nuh.User == "" {
			t.Errorf("from %q: %q", m.Source, line)
		}
	}
}

// liar is a participant whose every word is one text.
type liar struct {
	*controltest.Device
	text string
}

func (l liar) Status(ctx context.Context) (control.Status, error) {
	s, err := l.Device.Status(ctx)
	s.Nick, s.Tag, s.Version = l.text, l.text, l.text
	s.Rooms, _ = l.Rooms(ctx)
	return s, err
}

func (l liar) Rooms(context.Context) ([]control.Room, error) {
	return []control.Room{{Name: l.text, Topic: l.text, Public: true}, {Name: "@" + l.text, Direct: l.text},
		{Name: "lobby", Topic: l.text}}, nil
}

func (l liar) Members(context.Context, string) ([]control.Member, error) {
	return []control.Member{
		{ID: l.text, Nick: l.text, Tag: l.text, Status: "here", Away: l.text, Tagged: true},
		{ID: "second", Nick: l.text, Tag: l.text, Status: "here"}, {ID: "third", Nick: l.text, Status: "suspect", Verified: true},
	}, nil
}

func (l liar) Peers(context.Context) ([]control.Peer, error) {
	return []control.Peer{{ID: l.text, Nick: l.text, Tag: l.text, Addr: l.text, Status: "here", Rooms: []string{l.text}}}, nil
}

func (l liar) lie(room string) control.Post {
	return control.Post{
		Room: room, ID: l.text + fmt.Sprint(len(room)), From: l.text, Nick: l.text, Tag: l.text, Text: l.text, ReplyTo: l.text,
		Kind: "reply", Quote: &control.Quote{Nick: l.text, Text: l.text}, Time: controltest.Epoch,
		Reactions: []control.Reaction{{Text: l.text, From: []string{l.text}, Nicks: []string{l.text}}},
	}
}

func (l liar) Posts(_ context.Context, room string, _ control.PostQuery) ([]control.Post, error) {
	action, direct := l.lie(room), l.lie("@"+l.text)
	action.Kind, direct.Direct = "action", l.text
	action.ID += "a"
	return []control.Post{l.lie(room), action, direct}, nil
}

func (l liar) Join(context.Context, string, control.JoinOptions) (control.Joined, error) {
	return control.Joined{Room: l.text, Direct: l.text}, nil
}

func (l liar) Leave(context.Context, string, bool) error { return l.fail() }

func (l liar) Nick(context.Context, string) error { return l.fail() }

func (l liar) Say(context.Context, control.Say) (control.Said, error) {
	return control.Said{}, l.fail()
}

func (l liar) fail() error { return control.NewError(control.CodeInvalid, nil, l.text, l.text) }

// lies are events that say the same.
func (l liar) lies() []control.Event {
	edited := l.lie("lobby")
	edited.ID = l.text + fmt.Sprint(len(l.text)) // one that was shown
	edited.Reactions[0].From = []string{"new" + l.text}
	post := func(kind string, p control.Post) control.Event { return control.Event{Type: kind, Post: &p} }
	topic, action, direct := l.lie("lobby"), l.lie("lobby"), l.lie("@"+l.text)
	topic.Kind, action.Kind, direct.Kind = "topic", "action", "text"
	topic.ID, action.ID, direct.ID, direct.Direct = "t", "a", "d", l.text
	all := []control.Event{
		post(control.EventPost, l.lie("lobby")), post(control.EventTopic, topic), post(control.EventPost, action),
		post(control.EventPost, direct), post(control.EventEdited, edited), post(control.EventDeleted, edited),
		post(control.EventReaction, edited), {Type: control.EventProblem, Problem: l.text}, {Type: control.EventGap},
		{Type: control.EventFork, Fork: &control.Fork{Room: "lobby", ID: cmp.Or(l.text, "x"), Nick: l.text}},
		{Type: control.EventMember, Member: &control.MemberChange{Room: "lobby", ID: l.text, Nick: l.text, Change: l.text}},
	}
	for _, kind := range []string{"typing", "away", "here"} {
		s := &control.Signal{Room: l.text, ID: l.text, Nick: l.text, Kind: kind, Text: l.text}
		all = append(all, control.Event{Type: control.EventSignal, Signal: s})
	}
	for _, status := range []string{"here", l.text} {
		p := &control.Peer{ID: l.text, Nick: l.text, Tag: l.text, Addr: l.text, Status: status, Rooms: []string{l.text}}
		all = append(all, control.Event{Type: control.EventPeer, Peer: p})
	}
	return all
}

// everything is one of each command.
var everything = []string{"JOIN #x", "NAMES", "NAMES #lobby", "WHO #lobby", "WHO *", "WHOIS second", "WHOIS x", "LIST", "MODE #lobby",
	"TOPIC #lobby", "TOPIC #lobby :x", "ISON second", "USERHOST second third", "AWAY :x", "AWAY", "NICK other", "SETNAME x",
	"PRIVMSG second :x", "PRIVMSG #lobby :x", "CHATHISTORY LATEST #lobby * 5", "CHATHISTORY LATEST second * 5", "LUSERS", "VERSION", "MOTD",
	"CHATHISTORY TARGETS timestamp=2000-01-01T00:00:00Z timestamp=2100-01-01T00:00:00Z 5", "CHATHISTORY AFTER #lobby msgid=x 5", "PART #lobby",
	"PING x"}

// bareConn is a connection without a network, of a client that has registered, and what was written to it.
func bareConn(
	ctx context.Context, t *testing.T, api control.API, caps string,
) (*conn, *bytes.Buffer) {
	sent := &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(complaints{t}, nil))
	c := newConn(&server{Config: Config{Log: log, Version: "v1"}, api: api}, &admitted{})
	c.out = bufio.NewWriter(sent)
	for _, line := range []string{"CAP REQ :" + caps, "CAP END", "NICK alice", "USER alice 0 * :Alice"} {
		c.line(ctx, incoming{text: line})
	}
	c.tokens = 1e9
	return c, sent
}

// complaints fails a test of which a line is logged: one that was not sent.
type complaints struct{ t *testing.T }

func (c complaints) Write(line []byte) (int, error) {
	c.t.Errorf("%s", line)
	return len(line), nil
}

// checkSent fails if one of the lines sent is not as checkLine wants it; it returns how many there were.
func checkSent(t *testing.T, c *conn, sent *bytes.Buffer) int {
	t.Helper()
	c.out.Flush()
	count := 0
	for sent.Len() > 0 {
		line, _ := sent.ReadString('\n')
		checkLine(t, line)
		count++
	}
	return count
}

// CVE-2022-29166, CVE-2023-38690 (matrix-appservice-irc): a newline in what is bridged is a command of IRC.
// Nicks, rooms, posts, topics, ids: whatever the network says, a client gets one line for one line.
func TestADV_28_Nothing_from_the_network_is_a_line_of_its_own(t *testing.T) {
	for i, text := range hostile() {
		ctx, stop := context.WithCancel(t.Context())
		api := liar{controltest.New("alice"), text}
		c, sent := bareConn(ctx, t, api, []string{"", modern}[i%2])
		stop() // the events come from here
		count := checkSent(t, c, sent)
		for _, line := range everything {
			c.line(ctx, incoming{text: line})
			if c.rooms["lobby"] == nil {
				c.syncRooms(ctx)
			}
			count += checkSent(t, c, sent)
		}
		for _, event := range api.lies() {
			event.Time = time.Unix(1e9, 0)
			c.event(ctx, event)
			count += checkSent(t, c, sent)
		}
		if count < 60 {
			t.Errorf("%q: %d lines: most was not looked at", text, count)
		}
	}
}

// CVE-2022-29166, CVE-2023-38690 (matrix-appservice-irc), the other way.
// Whatever a client sends, in a line, a tag or a name, is one post of that text, without what no post may hold.
func TestADV_28_Nothing_from_a_client_is_more_than_text(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		watching, c := g.enter(""), g.enter(modern)
		fit := 0
		for _, text := range hostile() {
			text, _, _ = strings.Cut(text, "\n") // behind it is another line of the client's own
			text = head(strings.TrimSuffix(text, "\r"), 300)
			tag := ircmsg.EscapeTagValue(text + "\r\n" + injected)
			for _, line := range []string{"PRIVMSG #lobby :" + text, "NOTICE #lobby " + text, "TOPIC #lobby :" + text, "PRIVMSG " + text + " :x",
				"NICK :" + text, "JOIN :" + text, "@label=" + tag + " PING " + text, "@+draft/reply=" + tag + " PRIVMSG #lobby :x",
				"@+draft/react=" + tag + ";+draft/reply=x TAGMSG #lobby", "CHATHISTORY LATEST " + text + " * 1", text} {
				if c.isClosed() || strings.HasPrefix(strings.ToUpper(strings.TrimLeft(line, ": ")), "QUIT") {
					t.Fatalf("the connection ended before %q", line)
				}
				time.Sleep(time.Second)
				c.send(line)
			}
			if !strings.ContainsAny(text, "\r\x00") && utf8.ValidString(text) && text[:min(1, len(text))] != ctcpEnd {
				fit++
			}
			for _, line := range slices.Concat(c.raw(), watching.raw()) {
				checkLine(t, line)
			}
		}
		posts, _ := g.device.Posts(t.Context(), "lobby", control.PostQuery{})
		for _, p := range posts {
			if strings.ContainsFunc(p.Text+p.ReplyTo, unicode.IsControl) || !utf8.ValidString(p.Text) {
				t.Errorf("a post of a client: %+v", p)
			}
		}
		posts = slices.DeleteFunc(posts, func(p control.Post) bool { return p.Kind != "text" || p.Text == "x" })
		if len(posts) < 2*fit-20 || fit < 100 { // each as PRIVMSG and NOTICE, but for the few that show nothing
			t.Errorf("%d posts of %d texts", len(posts), fit)
		}
	})
}

// CVE-2022-29166 (matrix-appservice-irc): whoever makes a message, and of what, it is written down as one line.
func TestADV_28_A_message_is_one_line(t *testing.T) {
	for _, text := range hostile() {
		for _, params := range [][]string{{text}, {text, "x"}, {"#lobby", text, text}, {actionOf(text)}} {
			b, err := line(ircmsg.MakeMessage(nil, serverName, "X", params...))
			if err != nil {
				t.Fatalf("%q: %v", params, err)
			}
			checkLine(t, string(b))
		}
	}
}

func FuzzClient(f *testing.F) {
	f.Add([]byte(strings.Join(everything, "\r\n") + "\r\n"))
	for _, text := range hostile() {
		f.Add([]byte("PRIVMSG #lobby :" + text + "\r\nNICK " + text + "\r\n@label=" + text + ";+draft/reply=" + text + " PRIVMSG bob :x\r\n"))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		ended, stop := context.WithCancel(t.Context())
		stop()
		device := controltest.New("alice")
		device.Join(ended, "lobby", control.JoinOptions{})
		device.Meet("bob", "lobby")
		c, sent := bareConn(ended, t, device, modern)
		status, _ := device.Status(ended)
		last := status.EventID
		in := bufio.NewReaderSize(bytes.NewReader(input), maxTags+maxLine)
		fuzztest.Within(t, len(input), 20_000, 2<<20, func() {
			for c.quit == "" {
				text, err := readLine(in)
				if err != nil && text == "" && err != errLong {
					return
				}
				c.line(ended, incoming{text, err})
				for event := range device.Events(ended, last) {
					c.event(ended, event)
					last = event.ID
				}
			}
		})
		checkSent(t, c, sent)
		for room := range c.rooms {
			posts, _ := device.Posts(ended, room, control.PostQuery{})
			for _, p := range posts {
				if strings.ContainsAny(p.Text+p.ReplyTo, "\r\n\x00") || !utf8.ValidString(p.Text) {
					t.Errorf("a post: %+v", p)
				}
			}
		}
	})
}
