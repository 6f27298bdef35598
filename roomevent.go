package bcast

import (
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/record"
)

// signalNames are the signals as scripts see them.
var signalNames = map[chat.SignalKind]string{chat.Typing: "typing", chat.Away: "away", chat.Back: "here"}

// changeNames are the kinds that change another post, and the events they make.
var changeNames = map[record.Kind]string{
	record.KindEdit: control.EventEdited, record.KindDelete: control.EventDeleted,
	record.KindReaction: control.EventReaction,
}

// changes is the event that a post makes by changing another one; empty: it changes none.
func changes(p *record.Post) string {
	if p.Kind == record.KindReaction && !isSign(p.Text) {
		return ""
	}
	return changeNames[p.Kind]
}

// roomEvent is what the faces are told of what happened in a room beside posts.
func (n *Node) roomEvent(
	noun Event, now engine.Now, e *engine.Engine, room identity.RoomName, ev chat.Event,
) (Event, bool) {
	switch ev.Kind {
	case chat.Received:
		noun.Type = control.EventReceipt
		noun.Receipt = &Receipt{
			Post: record.Ref{Record: ev.Record.ID}.String(), Room: string(room), Members: ev.Members, Have: ev.Have,
		}
		for _, id := range ev.Missing {
			noun.Receipt.Missing = append(noun.Receipt.Missing, n.missingNoun(now, e, n.sight(e), room, id))
		}
	case chat.Synced:
		noun.Type = control.EventSync
		noun.Sync = &Sync{
			Room: string(room), ID: ev.Device.String(), Nick: string(ev.Nick), Have: ev.Have, Total: ev.Total, Done: ev.Done,
		}
	case chat.Signalled:
		noun.Type = control.EventSignal
		noun.Signal = &Signal{
			Room: string(room), ID: ev.Device.String(), Nick: string(ev.Nick), Kind: signalNames[ev.Signal], Text: ev.Text,
		}
		s := n.sight(e)
		noun.Signal.Tagged, noun.Signal.Verified = s.judge(e, room, ev.Device)
	case chat.Forked:
		noun.Type = control.EventFork
		noun.Fork = &control.Fork{
			Room: string(room), ID: ev.Device.String(), Nick: string(ev.Nick), Seq: ev.Record.Header.Seq,
		}
	case chat.Joined, chat.Left, chat.Renamed:
		noun.Type = control.EventMember
		noun.Member = &MemberChange{
			Room: string(room), ID: ev.Device.String(), Nick: string(ev.Nick), Tag: ev.Device.Tag(),
			Change: map[chat.EventKind]string{chat.Joined: "join", chat.Left: "leave", chat.Renamed: "nick"}[ev.Kind],
		}
		if ev.Kind == chat.Renamed {
			noun.Member.Was = string(ev.Was)
		}
		s := n.sight(e)
		noun.Member.Tagged, noun.Member.Verified = s.judge(e, room, ev.Device)
	default:
		return noun, false
	}
	return noun, true
}

// posted tells the faces of posts that came, those to read that follow each other together.
func (n *Node) posted(now engine.Now, e *engine.Engine, room identity.RoomName, ev *chat.Event) {
	noun := Event{Time: now.Wall.UTC(), Type: control.EventPost}
	from, quotes := 0, map[int]*Quote(nil) // of replies
	tell := func(to int) {
		if from < to {
			n.events.addPosts(noun, ev.Index+from, to-from, n.postEvents(noun.Time, e, room, ev, quotes))
		}
		from, quotes = to+1, nil
	}
	for i := range ev.Posts {
		p := &ev.Posts[i]
		n.topics.change(room, p.Kind)
		switch {
		case p.Kind == record.KindReply:
			if quotes == nil {
				quotes = map[int]*Quote{}
			}
			quotes[ev.Index+i] = n.quoted(e, room, p.Target)
		case readable(p):
		default:
			tell(i)
			change := changes(p)
			if change == "" {
				continue
			}
			if post := n.changed(e, room, p.Target); post != nil {
				if post.Deleted {
					n.withdraw(post.ID)
				}
				n.events.add(Event{Time: noun.Time, Type: change, Post: post})
			}
		}
	}
	tell(len(ev.Posts))
	n.expectPushed(e, ev)
}

// postEvents makes the events of posts of one record. What depends on others is as it is now; the rest is made when it
// is read.
func (n *Node) postEvents(
	kept time.Time, e *engine.Engine, room identity.RoomName, ev *chat.Event, quotes map[int]*Quote,
) opening {
	self, own, _ := e.Own()
	entry := record.Entry{Record: ev.Record, Branch: ev.Branch, Kept: kept.UnixNano()}
	nick, sight, late := e.Nick(room, ev.Device), n.sight(e), ev.Late
	tagged, verified := sight.judge(e, room, ev.Device)
	direct := sight.title(e, room, e.Other(room))
	return func() func(*Event, int) {
		said, err := entry.Posts() // again: to keep the text as well is twice the memory
		if err != nil {
			panic("what was shown cannot be read: " + err.Error())
		}
		return func(noun *Event, index int) {
			post, _ := postNoun(room, entry, index, said[index], nick, self)
			post.Late, post.Mention = late, mentions(post.Text, own, self)
			post.Tagged, post.Verified, post.Direct, post.Quote = tagged, verified, direct, quotes[index]
			markHeld(n.files.holdings, &post)
			if noun.Post = &post; said[index].Kind == record.KindTopic {
				noun.Type = control.EventTopic
			}
		}
	}
}

// quoted is what a reply answers; nil if that is not here.
func (n *Node) quoted(e *engine.Engine, room identity.RoomName, ref record.Ref) *Quote {
	to, _ := n.lookUp(e, room, ref)
	if to == nil {
		return nil
	}
	return n.sight(e).trust.quote(*to)
}

// changed is a post of a room as faces are to show it now; nil if it is not kept here.
func (n *Node) changed(e *engine.Engine, room identity.RoomName, ref record.Ref) *Post {
	post, author := n.lookUp(e, room, ref)
	if post == nil {
		return nil
	}
	s := n.sight(e)
	post.Tagged, post.Verified = s.judge(e, room, author)
	post.Direct, post.Mention = s.title(e, room, e.Other(room)), mentions(post.Text, s.nick, s.self)
	if to, err := record.ParseRef(post.ReplyTo); err == nil {
		post.Quote = n.quoted(e, room, to)
	}
	return post
}

// lookUp is a post of a room as it is now, and its author; nil if it is not kept here. It has the node's turn: three
// look-ups by an index.
func (n *Node) lookUp(e *engine.Engine, room identity.RoomName, ref record.Ref) (*Post, identity.DeviceID) {
	a := &archive{room: room, store: n.store}
	a.self, _, _ = e.Own()
	for _, s := range e.Scopes(room) {
		a.scopes = append(a.scopes, uint64(s))
	}
	for _, scope := range a.scopes {
		found, err := n.store.Load(scope, nil, []record.ID{ref.Record})
		if err != nil || len(found) == 0 {
			continue
		}
		later, err := a.effects(found)
		if err != nil {
			break
		}
		made := effectsOf(later, func(id identity.DeviceID) string { return string(e.Nick(room, id)) })
		author := found[0].Header.Feed.Author.ID()
		for _, noun := range recordPosts(room, found[0], e.Nick(room, author), a.self) {
			if noun.Index == int(ref.Index) {
				made.apply(&noun, author, ref)
				markHeld(n.files.holdings, &noun)
				return &noun, author
			}
		}
	}
	return nil, identity.DeviceID{}
}
