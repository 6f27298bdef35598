package irc

import (
	"context"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// step is something that happens, or that the client says, and what it gets for that.
type step struct {
	do   func(d *controltest.Device)
	send string
	want []string
}

const modern = "account-tag away-notify batch draft/chathistory echo-message extended-join labeled-response message-tags " +
	"multi-prefix server-time setname standard-replies"

// dialogues are with the client of alice, whose device is in #lobby with bob, and who knows carol of #dev.
var dialogues = map[string]struct {
	caps  string
	steps []step
}{
	"a post each way": {"", []step{
		{send: "PRIVMSG #lobby :hello", want: nil},
		{do: hear("lobby", "bob", "hi"), want: []string{":bob!626f@bcast PRIVMSG #lobby :hi"}},
		{do: said("lobby", "hello")},
	}},
	"an echo": {"echo-message message-tags server-time account-tag", []step{
		{send: "PRIVMSG #lobby :hello", want: []string{
			"@account=616c…;msgid=r…;time=2026-01-02T03:04:… :alice!aaaa@bcast PRIVMSG #lobby :hello"}},
	}},
	"what another face says": {"", []step{
		{do: func(d *controltest.Device) { d.Say(background, control.Say{Room: "lobby", Text: "from the terminal"}) },
			want: []string{":alice!aaaa@bcast PRIVMSG #lobby :from the terminal"}},
	}},
	"an action": {"", []step{
		{send: "PRIVMSG #lobby :\x01ACTION waves\x01"},
		{do: said("lobby", "waves")},
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "action", Text: "waves back"}),
			want: []string{":bob!626f@bcast PRIVMSG #lobby :\x01ACTION waves back\x01"}},
	}},
	"other CTCP": {"", []step{
		{send: "PRIVMSG bob :\x01VERSION\x01", want: []string{":irc.bcast NOTICE alice :PRIVMSG: nothing of CTCP but ACTION…"}},
		{send: "NOTICE bob :\x01VERSION x\x01"},
	}},
	"colours and bold": {"", []step{
		{send: "PRIVMSG #lobby :\x02bold\x02 \x0304,01red\x03 \x1fplain\x0f"}, {do: said("lobby", "bold red plain")},
	}},
	"lines of a post": {"message-tags", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Text: "one\n\n  two\n"}), want: []string{
			"@msgid=r….0 :bob!626f@bcast PRIVMSG #lobby :one", "@msgid=r….0/01 :bob!626f@bcast PRIVMSG #lobby :  two"}},
	}},
	"alone with bob": {"", []step{
		{send: "PRIVMSG bob :psst"},
		{do: said("@"+bobID, "psst")},
		{do: hear("@"+bobID, "bob", "what?"), want: []string{":bob!626f@bcast PRIVMSG alice :what?"}},
		{do: func(d *controltest.Device) {
			d.Say(background, control.Say{Room: "@" + bobID, Text: "from the terminal"})
		}},
	}},
	"alone with bob, echoed": {"echo-message", []step{
		{send: "PRIVMSG bob,#lobby :psst", want: []string{":alice!aaaa@bcast PRIVMSG bob :psst",
			":alice!aaaa@bcast PRIVMSG #lobby :psst"}},
		{do: func(d *controltest.Device) {
			d.Say(background, control.Say{Room: "@" + bobID, Text: "from the terminal"})
		},
			want: []string{":alice!aaaa@bcast PRIVMSG bob :from the terminal"}},
	}},
	"who is not there": {"", []step{
		{send: "PRIVMSG nobody :hi", want: []string{":irc.bcast 401 alice nobody :no device here is called…"}},
		{send: "PRIVMSG #nowhere :hi", want: []string{":irc.bcast 404 alice #nowhere :You're not on that channel…"}},
		{send: "PRIVMSG alice :hi", want: []string{":irc.bcast 401 alice alice :that is this device itself"}},
		{send: "PRIVMSG #lobby", want: []string{":irc.bcast 412 alice :No text to send"}},
		{send: "NOTICE nobody :hi"},
		{send: "PRIVMSG #lobby :   ", want: []string{":irc.bcast NOTICE alice :PRIVMSG: the text is empty"}},
		{send: "FROB x", want: []string{":irc.bcast 421 alice FROB :Unknown command"}},
		{send: "WHOIS", want: []string{":irc.bcast 461 alice WHOIS :Not enough parameters"}},
	}},
	"a nick of two is nobody": {"", []step{
		{do: func(d *controltest.Device) { d.Meet("eve", "lobby") }, want: []string{":eve!6576@bcast JOIN #lobby"}},
		{do: alter("eve", func(p *control.Peer) { p.Nick, p.Tagged = "bob", true }),
			want: []string{":eve!6576@bcast NICK bob-6576"}},
		{send: "PRIVMSG bob :which?", want: []string{":irc.bcast 401 alice bob :\"bob\" is more than one (use nick-tag)"}},
		{send: "@+typing=active TAGMSG bob-6576"}, {send: "@+typing=active TAGMSG nobody"},
		{do: rooms("lobby")},
		{send: "PRIVMSG bob-6576 :you"},
		{do: said("@65766500000000000000000000000000", "you")},
	}},
	"a new nick that the client has not heard of": {"", []step{
		{do: alter("bob", func(p *control.Peer) { p.Rooms, p.Nick = nil, "robert" })}, // in no room: nobody is told
		{send: "PRIVMSG bob :you"},
		{do: said("@"+bobID, "you")},
	}},
	"joining and leaving": {"", []step{
		{send: "JOIN #dev,nope,#a/b", want: []string{":alice!aaaa@bcast JOIN #dev", ":irc.bcast 353 alice = #dev :alice carol",
			":irc.bcast 366 alice #dev :End of /NAMES list", ":irc.bcast 403 alice nope :No such channel…",
			":irc.bcast 403 alice #a/b :\"a/b\" is not a room name…"}},
		{send: "JOIN #dev"},
		{send: "JOIN #crew,#@bob secret", want: []string{":irc.bcast 475 alice #crew …", ":irc.bcast 403 alice #.bob …"}},
		{send: "PART #dev,#dev", want: []string{":alice!aaaa@bcast PART #dev", ":irc.bcast 442 alice #dev …"}},
		{do: func(d *controltest.Device) {
			if rooms, _ := d.Rooms(background); len(rooms) != 1 {
				panic("the device did not leave")
			}
		}},
	}},
	"others come and go": {"extended-join account-tag", []step{
		{do: func(d *controltest.Device) { d.Meet("dave", "lobby") },
			want: []string{"@account=6461… :dave!6461@bcast JOIN #lobby 6461… dave"}},
		{do: func(d *controltest.Device) { d.Lose("dave") }, want: []string{"@account=6461… :dave!6461@bcast QUIT :is lost"}},
		{do: func(d *controltest.Device) { d.Regain("dave") },
			want: []string{"@account=6461… :dave!6461@bcast JOIN #lobby 6461… dave"}},
		{do: alter("dave", func(p *control.Peer) { p.Nick = "david" }),
			want: []string{"@account=6461… :dave!6461@bcast NICK david"}},
		{do: alter("david", func(p *control.Peer) { p.Verified = true }), want: []string{":irc.bcast MODE #lobby +v david"}},
		{do: alter("david", func(p *control.Peer) { p.Rooms = nil })},
		{do: tell(control.Event{Type: control.EventMember, Member: &control.MemberChange{Room: "lobby", ID: "x", Change: "leave"}}),
			want: []string{"@account=6461… :david!6461@bcast PART #lobby"}},
	}},
	"a file is offered": {"", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer", File: &control.OfferedFile{Name: "photo.jpg", Size: 2_100_000}}),
			want: []string{":bob!626f@bcast PRIVMSG #lobby :\x01ACTION offers photo.jpg, 2.1 MB: bcast files get r6.0\x01"}},
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer", Text: "from\nthe roof", File: &control.OfferedFile{Name: "a"}}),
			want: []string{":bob!626f@bcast PRIVMSG #lobby :from", ":bob!626f@bcast PRIVMSG #lobby :the roof",
				":bob!626f@bcast PRIVMSG #lobby :\x01ACTION offers a, 0 B: bcast files get r8.0\x01"}},
	}},
	"what another face joins and leaves": {"", []step{
		{do: func(d *controltest.Device) { d.Join(background, "ops", control.JoinOptions{}); own(d, "join", "ops") },
			want: []string{":alice!aaaa@bcast JOIN #ops", ":irc.bcast 353 alice = #ops alice", ":irc.bcast 366 alice #ops…"}},
		{do: func(d *controltest.Device) { d.Leave(background, "ops", false); own(d, "leave", "ops") },
			want: []string{":alice!aaaa@bcast PART #ops"}},
		{do: func(d *controltest.Device) { own(d, "leave", "lobby") }}, // an old one: it is in there again
	}},
	"nicks": {"setname", []step{
		{send: "NICK al^2Cice", want: []string{":alice!aaaa@bcast NICK al^2Cice", ":al^2Cice!aaaa@bcast SETNAME :al,ice"}},
		{send: "NICK x^zz", want: []string{":irc.bcast 432 al^2Cice x^zz :x^zz: ^ takes…"}},
		{send: "SETNAME :has space", want: []string{":irc.bcast NOTICE al^2Cice :SETNAME: …"}},
		{send: "SETNAME :bob", want: []string{":bob!626f@bcast NICK bob-626f", ":al^2Cice!aaaa@bcast NICK bob",
			":bob!aaaa@bcast SETNAME :bob"}},
		{send: "NICK", want: []string{":irc.bcast 431 bob :No nickname given"}},
	}},
	"topics": {"labeled-response batch", []step{
		{send: "TOPIC #lobby", want: []string{":irc.bcast 331 alice #lobby :No topic is set"}},
		{send: "@label=t TOPIC #lobby :all things", want: []string{"@label=t :alice!aaaa@bcast TOPIC #lobby :all things"}},
		{send: "TOPIC #lobby", want: []string{":irc.bcast 332 alice #lobby :all things"}},
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "topic", Text: "one\ntwo"}),
			want: []string{":bob!626f@bcast TOPIC #lobby :one two"}},
		{do: topic(control.EventEdited, "three"), want: []string{":bob!626f@bcast TOPIC #lobby :three"}},
		{send: "TOPIC #lobby", want: []string{":irc.bcast 332 alice #lobby three"}},
		{do: topic(control.EventReaction, "three")},
		{do: topic(control.EventDeleted, ""), want: []string{":bob!626f@bcast TOPIC #lobby :all things"}},
		{send: "TOPIC #lobby", want: []string{":irc.bcast 332 alice #lobby :all things"}},
		{send: "TOPIC #x", want: []string{":irc.bcast 442 …"}},
	}},
	"labels": {"labeled-response batch echo-message message-tags", []step{
		{send: "@label=1 PING x", want: []string{"@label=1 :irc.bcast PONG irc.bcast :x"}},
		{send: "@label=2 PONG x", want: []string{"@label=2 :irc.bcast ACK"}},
		{send: "@label=3 PRIVMSG #lobby :hi", want: []string{"@label=3;msgid=r… :alice!aaaa@bcast PRIVMSG #lobby :hi"}},
		{send: "@label=4 NAMES #lobby", want: []string{"@label=4 :irc.bcast BATCH +1 labeled-response",
			"@batch=1 :irc.bcast 353 alice = #lobby :alice bob", "@batch=1 :irc.bcast 366 …", ":irc.bcast BATCH -1"}},
		{send: "@label=5 CHATHISTORY LATEST #lobby * 1", want: []string{"@label=5 :irc.bcast BATCH +2 chathistory #lobby",
			"@batch=2;msgid=r… :alice!aaaa@bcast PRIVMSG #lobby :[2026-…] hi", ":irc.bcast BATCH -2"}},
		{send: "@label=6 FROB", want: []string{"@label=6 :irc.bcast 421 …"}},
	}},
	"replies": {"message-tags", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "reply", Text: "yes", ReplyTo: "r1.0",
			Quote: &control.Quote{Nick: "alice", Text: "lunch?"}}),
			want: []string{"@+draft/reply=r1.0;msgid=… :bob!626f@bcast PRIVMSG #lobby :yes"}},
		{send: "@+draft/reply=r9.0/03 PRIVMSG #lobby :no"},
		{do: last("lobby", func(p control.Post) bool { return p.Kind == "reply" && p.ReplyTo == "r9.0" && p.Text == "no" })},
	}},
	"replies for old clients": {"", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Kind: "reply", Text: "yes", ReplyTo: "r1.0",
			Quote: &control.Quote{Nick: "alice", Text: "lunch?"}}), want: []string{":bob!626f@bcast PRIVMSG #lobby :↪ alice: yes"}},
	}},
	"reactions": {"message-tags", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Text: "lunch?"}), want: []string{"@msgid=… :bob!…"}},
		{do: react("👍", bobID), want: []string{"@+draft/react=👍;+draft/reply=r…0 :bob!626f@bcast TAGMSG #lobby"}},
		{do: react("👍", bobID)},
		{do: react("👍", "616c6963650000000000000000000000")}, // our own, without echo-message
		{send: "@+draft/react=🎉;+draft/reply=r1.0 TAGMSG #lobby"},
		{do: last("lobby", func(p control.Post) bool { return p.Kind == "reaction" && p.ReplyTo == "r1.0" && p.Text == "🎉" })},
		{send: "@+draft/react=🎉 TAGMSG #lobby"},
	}},
	"reactions for old clients": {"", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Text: "lunch?"}), want: []string{":bob!…"}},
		{do: react("👍", bobID), want: []string{":irc.bcast NOTICE #lobby :bob: 👍 to bob: lunch?"}},
	}},
	"edits": {"", []step{
		{do: bring(control.Post{Room: "lobby", Nick: "bob", Text: "lunsh?"}), want: []string{":bob!…"}},
		{do: edit(control.EventEdited, "lunch?"), want: []string{":irc.bcast NOTICE #lobby :bob changed a post: lunch?"}},
		{do: edit(control.EventDeleted, ""), want: []string{":irc.bcast NOTICE #lobby :bob took back: lunsh?"}},
	}},
	"typing and away": {"message-tags away-notify", []step{
		{do: tell(control.Event{Type: control.EventSignal, Signal: &control.Signal{Room: "lobby", ID: bobID, Kind: "typing"}}),
			want: []string{"@+typing=active :bob!626f@bcast TAGMSG #lobby"}},
		{do: tell(control.Event{Type: control.EventSignal,
			Signal: &control.Signal{Room: "lobby", ID: bobID, Kind: "away", Text: "tea"}}),
			want: []string{":bob!626f@bcast AWAY :tea"}},
		{do: tell(control.Event{Type: control.EventSignal,
			Signal: &control.Signal{Room: "other", ID: bobID, Kind: "away", Text: "tea"}})},
		{send: "USERHOST bob", want: []string{":irc.bcast 302 alice :bob=-626f@bcast"}},
		{do: tell(control.Event{Type: control.EventSignal, Signal: &control.Signal{Room: "lobby", ID: bobID, Kind: "here"}}),
			want: []string{":bob!626f@bcast AWAY"}},
		{send: "AWAY :lunch", want: []string{":irc.bcast 306 alice :You have been marked as being away"}},
		{send: "AWAY", want: []string{":irc.bcast 305 alice :You are no longer marked as being away"}},
		{send: "@+typing=active TAGMSG #lobby"}, {send: "@+typing=done TAGMSG #lobby"}, {send: "TAGMSG #lobby"},
	}},
	"who is who": {"multi-prefix", []step{
		{do: alter("bob", func(p *control.Peer) { p.Verified = true }), want: []string{":irc.bcast MODE #lobby +v bob"}},
		{send: "NAMES", want: []string{":irc.bcast 353 alice = #lobby :alice +bob", ":irc.bcast 366 alice #lobby :End…"}},
		{send: "NAMES #x", want: []string{":irc.bcast 366 alice #x :End…"}},
		{send: "WHO #lobby", want: []string{":irc.bcast 352 alice #lobby aaaa bcast irc.bcast alice H :0 alice",
			":irc.bcast 352 alice #lobby 626f bcast irc.bcast bob H+ :0 bob", ":irc.bcast 315 alice #lobby :End…"}},
		{send: "WHO bob", want: []string{":irc.bcast 352 alice * 626f …", ":irc.bcast 315 alice bob :End…"}},
		{send: "WHOIS irc.bcast bob", want: []string{":irc.bcast 311 alice bob 626f bcast * bob", ":irc.bcast 319 alice bob +#lobby",
			":irc.bcast 312 alice bob irc.bcast bcast", ":irc.bcast 330 alice bob 626f… :has the key",
			":irc.bcast 338 alice bob 10.77.0.10 :was last heard from there: is here",
			":irc.bcast 320 alice bob :has a key that you compared", ":irc.bcast 318 alice bob :End…"}},
		{send: "WHOIS carol,x", want: []string{":irc.bcast 311 alice carol …", ":irc.bcast 312 …", ":irc.bcast 330 …",
			":irc.bcast 338 …", ":irc.bcast 318 …", ":irc.bcast 401 alice x …", ":irc.bcast 318 …"}},
		{send: "ISON bob carol :nobody ALICE", want: []string{":irc.bcast 303 alice :bob carol alice"}},
		{send: "MODE #lobby", want: []string{":irc.bcast 324 alice #lobby +n"}},
		{send: "MODE #lobby b", want: []string{":irc.bcast 368 alice #lobby …"}},
		{send: "MODE #lobby +o bob", want: []string{":irc.bcast 482 alice #lobby …"}},
		{send: "MODE alice +i", want: []string{":irc.bcast 221 alice +i"}},
		{send: "MODE bob +i", want: []string{":irc.bcast 502 …"}},
		{send: "MODE #x", want: []string{":irc.bcast 403 …"}},
		{send: "LIST", want: []string{":irc.bcast 321 …", ":irc.bcast 322 alice #dev 1 :", ":irc.bcast 322 alice #lobby 2 :",
			":irc.bcast 323 …"}},
		{send: "VERSION", want: []string{":irc.bcast 351 alice bcast-v1 irc.bcast :group chat without a server",
			":irc.bcast 005 …", ":irc.bcast 005 …"}},
		{send: "LUSERS", want: []string{":irc.bcast 251 alice :There are 3 devices here", ":irc.bcast 254 alice 1 …",
			":irc.bcast 255 …"}},
		{send: "PING :a b", want: []string{":irc.bcast PONG irc.bcast :a b"}},
	}},
	"a gap": {"", []step{
		{do: tell(control.Event{Type: control.EventGap})},
		{do: tell(control.Event{Type: control.EventProblem, Problem: "the disk is full"}),
			want: []string{":irc.bcast NOTICE alice :problem: the disk is full"}},
		{do: tell(control.Event{Type: control.EventFork, Fork: &control.Fork{Room: "lobby", ID: bobID, Nick: "bob"}}),
			want: []string{":irc.bcast NOTICE #lobby :the key of bob-626f signed two histories…"}},
	}},
}

// background is the context of what the device itself does.
var background = context.Background()

const bobID = "626f6200000000000000000000000000"

func hear(room, nick, text string) func(*controltest.Device) {
	return func(d *controltest.Device) { d.Hear(room, nick, text) }
}

func bring(post control.Post) func(*controltest.Device) {
	return func(d *controltest.Device) { d.Bring(post) }
}

func tell(event control.Event) func(*controltest.Device) {
	return func(d *controltest.Device) { d.Tell(event) }
}

func alter(nick string, change func(*control.Peer)) func(*controltest.Device) {
	return func(d *controltest.Device) { d.Alter(nick, change) }
}

func own(d *controltest.Device, change, room string) {
	status, _ := d.Status(background)
	d.Tell(control.Event{Type: control.EventMember, Member: &control.MemberChange{Room: room, ID: status.ID, Change: change}})
}

// last fails unless the newest post of a room is as expected.
func last(room string, is func(control.Post) bool) func(*controltest.Device) {
	return func(d *controltest.Device) {
		posts, err := d.Posts(background, room, control.PostQuery{Limit: 1})
		if err != nil || len(posts) != 1 || !is(posts[0]) {
			panic("the newest post is not as expected")
		}
	}
}

// rooms fails unless these are all that the device has joined.
func rooms(want ...string) func(*controltest.Device) {
	return func(d *controltest.Device) {
		rooms, _ := d.Rooms(background)
		for i, r := range rooms {
			if len(rooms) != len(want) || r.Name != want[i] {
				panic("the device is in " + r.Name)
			}
		}
	}
}

func said(room, text string) func(*controltest.Device) {
	return func(d *controltest.Device) {
		posts, _ := d.Posts(background, room, control.PostQuery{})
		for _, p := range posts {
			if p.Own && p.Text == text {
				return
			}
		}
		panic("it was not said: " + text)
	}
}

// react tells of the reactions to the newest post of the lobby.
func react(text string, from ...string) func(*controltest.Device) {
	return func(d *controltest.Device) {
		posts, _ := d.Posts(background, "lobby", control.PostQuery{Limit: 1})
		posts[0].Reactions = []control.Reaction{{Text: text, From: from, Nicks: []string{"who"}}}
		d.Tell(control.Event{Type: control.EventReaction, Post: &posts[0]})
	}
}

// edit tells of another text of the newest post of the lobby.
func edit(kind, text string) func(*controltest.Device) {
	return func(d *controltest.Device) {
		posts, _ := d.Posts(background, "lobby", control.PostQuery{Limit: 1})
		posts[0].Text, posts[0].Deleted = text, text == ""
		d.Tell(control.Event{Type: kind, Post: &posts[0]})
	}
}

// topic makes something else of the newest post of the lobby, which is one.
func topic(kind, text string) func(*controltest.Device) {
	return func(d *controltest.Device) {
		posts, _ := d.Posts(background, "lobby", control.PostQuery{Limit: 1})
		posts[0].Text, posts[0].Deleted = text, text == ""
		d.Change(kind, posts[0])
	}
}

func TestDialogues(t *testing.T) {
	for name, test := range dialogues {
		t.Run(name, func(t *testing.T) {
			serving(t, Config{}, func(g *gateway) {
				g.device.Join(t.Context(), "lobby", control.JoinOptions{})
				g.device.Meet("bob", "lobby")
				g.device.Meet("carol", "dev")
				c := g.enter(test.caps)
				for _, s := range test.steps {
					if s.do != nil {
						s.do(g.device)
					} else {
						c.send(s.send)
					}
					c.want(s.want...)
				}
			})
		})
	}
}

// Every command that a modern client sends is answered with the capabilities it has, all of them.
func TestAllCapabilitiesTogether(t *testing.T) {
	serving(t, Config{}, func(g *gateway) {
		g.device.Join(t.Context(), "lobby", control.JoinOptions{})
		g.device.Meet("bob", "lobby")
		c := g.enter(modern)
		c.send("@label=a;+draft/reply=r0.0 PRIVMSG #lobby :hi")
		c.want("@+draft/reply=r0.0;account=616c…;label=a;msgid=r…;time=… :alice!aaaa@bcast PRIVMSG #lobby :hi")
		c.send("PRIVMSG nobody :hi", "@label=b PRIVMSG #lobby : ")
		c.want(":irc.bcast 401 alice nobody …", "@label=b :irc.bcast FAIL PRIVMSG INVALID_PARAMS #lobby :the text is empty")
		time.Sleep(pingAfter)
		c.want("PING irc.bcast")
	})
}
