package bcast

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/node"
	"bcast/internal/record"
)

// minTakingPart is the smallest receive buffer in bytes that can take part in rooms.
const minTakingPart = 512

// Say posts to a joined room, and waits as say.Wait asks for, until ctx ends. Whoever says more than may be broadcast,
// or than the slowest member here takes, waits for that first: for one that does not keep up two seconds at most.
func (n *Node) Say(ctx context.Context, say Say) (Said, error) { return n.say(ctx, say, "") }

// say is Say; a file that it offers is called so, if that is not empty, whatever it is called here.
func (n *Node) say(ctx context.Context, say Say, called string) (Said, error) {
	name, err := n.roomName(ctx, say.Room)
	if err != nil {
		return Said{}, err
	}
	say.Room = string(name) // whoever may be called so next
	if err := control.CheckSay(say); err != nil {
		return Said{}, err
	}
	posts, offered, err := n.parsePosts(ctx, say, called)
	if err != nil {
		return Said{}, err
	}
	enough, err := parseWait(say.Wait)
	if err != nil {
		return Said{}, err
	}
	if n.cfg.RecvBuffer < minTakingPart {
		return Said{}, control.NewError(control.CodeUnsupported, nil,
			"this node only watches: its receive buffer is too small",
			fmt.Sprintf("start it with --recv-buffer %d or more", minTakingPart))
	}
	next, _ := n.events.cursor("")
	reply, err := n.speak(ctx, name, posts, enough != nil)
	if err != nil {
		return Said{}, roomFailure(err, say.Room)
	}
	if err := n.hold(ctx, say.Room, reply.Record, offered); err != nil {
		return Said{}, err
	}
	said := Said{ID: record.Ref{Record: reply.Record}.String(), Members: reply.Members, Have: reply.Have}
	if err := n.answered(ctx, name); err != nil {
		return said, err
	}
	if enough == nil {
		return said, nil
	}
	return n.awaitReceipts(ctx, said, enough, n.events.id(next-1))
}

// sayKinds are the kinds that users say, by name, and whether they are about another post.
var sayKinds = map[string]struct {
	kind   record.Kind
	target bool
}{
	"": {record.KindText, false}, "text": {record.KindText, false}, "action": {record.KindAction, false},
	"topic": {record.KindTopic, false}, "reply": {record.KindReply, true}, "edit": {record.KindEdit, true},
	"delete": {record.KindDelete, true}, "reaction": {record.KindReaction, true},
}

// parsePosts are the posts that a user asks for, and the files that they offer.
func (n *Node) parsePosts(ctx context.Context, say Say, called string) ([]record.Post, []files.Holding, error) {
	if len(say.Files) > 0 {
		return n.parseOffers(ctx, say, called)
	}
	post, err := n.parsePost(ctx, say)
	return []record.Post{post}, nil, err
}

// parsePost is the post that a user asks for. Only one's own posts are edited and deleted.
func (n *Node) parsePost(ctx context.Context, say Say) (record.Post, error) {
	kind, known := sayKinds[say.Kind]
	post := record.Post{Kind: kind.kind, Text: say.Text}
	switch {
	case !known:
		return post, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("kind %q: unknown", say.Kind),
			"text, action, reply, edit, delete, reaction or topic")
	case kind.target != (say.Target != ""):
		return post, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("kind %q with target %q", say.Kind, say.Target),
			"a reply, edit, delete or reaction names a post, nothing else does")
	case kind.kind == record.KindReaction && !isSign(say.Text):
		return post, control.NewError(control.CodeTooLarge, nil,
			fmt.Sprintf("a reaction of more than %d bytes", record.MaxReaction), "say it as a reply")
	case !kind.target:
		return post, nil
	}
	a, err := n.archive(ctx, say.Room)
	if err != nil {
		return post, err
	}
	entry, ref, err := a.find(say.Target)
	if err != nil {
		return post, err
	}
	post.Target = ref
	changes := kind.kind == record.KindEdit || kind.kind == record.KindDelete
	if changes && entry.Header.Feed.Author.ID() != a.self {
		return post, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("post %s is not yours", ref),
			"one can edit and delete one's own posts only")
	}
	return post, nil
}

// parseWait is when a post has been waited for long enough; nil: at once.
func parseWait(wait string) (func(Ledger) bool, error) {
	switch wait {
	case "", "none":
		return nil, nil
	case "all":
		return func(l Ledger) bool { return l.Have >= l.Members }, nil
	case "here":
		return func(l Ledger) bool {
			for _, m := range l.Missing {
				if here(m.Status) {
					return false
				}
			}
			return true
		}, nil
	}
	count, err := strconv.Atoi(wait)
	if err != nil || count < 1 {
		return nil, control.NewError(control.CodeInvalid, err, fmt.Sprintf("wait %q: unknown", wait),
			"wait for all, here, none, or a number of members")
	}
	return func(l Ledger) bool { return l.Have >= count }, nil
}

// awaitReceipts waits until enough members have a post of ours, or ctx ends. after is an event of before it was said.
func (n *Node) awaitReceipts(ctx context.Context, said Said, enough func(Ledger) bool, after string) (Said, error) {
	ledger, err := n.Ledger(context.WithoutCancel(ctx), said.ID)
	if err == nil && !enough(ledger) {
		for e := range n.events.after(ctx, after) {
			if e.Type != control.EventReceipt && e.Type != control.EventPeer && e.Type != control.EventGap ||
				e.Receipt != nil && e.Receipt.Post != said.ID {
				continue
			}
			if ledger, err = n.Ledger(context.WithoutCancel(ctx), said.ID); err != nil || enough(ledger) {
				break
			}
		}
	}
	if err == nil && !enough(ledger) { // what came while nobody looked
		ledger, err = n.Ledger(context.WithoutCancel(ctx), said.ID)
	}
	if err != nil {
		return said, err
	}
	said.Members, said.Have, said.Missing = ledger.Members, ledger.Have, ledger.Missing
	if enough(ledger) {
		return said, nil
	}
	return said, control.NewError(control.CodeTimeout, ctx.Err(),
		fmt.Sprintf("%d of %d members have the post", said.Have, said.Members), "they get it when they are reached")
}

// Ledger tells who has a post of a joined room.
func (n *Node) Ledger(ctx context.Context, post string) (Ledger, error) {
	a, entry, ref, err := n.findPost(ctx, post)
	if err != nil {
		return Ledger{}, err
	}
	return n.ledger(ctx, a, entry, ref)
}

// findPost is a post of a joined room, whichever that is.
func (n *Node) findPost(ctx context.Context, post string) (*archive, record.Entry, record.Ref, error) {
	rooms, err := n.Rooms(ctx)
	if err != nil {
		return nil, record.Entry{}, record.Ref{}, err
	}
	var missing error
	for _, room := range rooms {
		a, err := n.archive(ctx, room.Name)
		if err != nil {
			return nil, record.Entry{}, record.Ref{}, err
		}
		entry, ref, err := a.find(post)
		if err == nil {
			return a, entry, ref, nil
		}
		if missing == nil || control.AsError(err).Code != control.CodeNotFound {
			missing = err
		}
	}
	if missing == nil {
		missing = control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: no room is joined", post), "")
	}
	return nil, record.Entry{}, record.Ref{}, missing
}

// ledger asks the engine, which knows of receipts first; what it has forgotten the store knows.
func (n *Node) ledger(ctx context.Context, a *archive, entry record.Entry, ref record.Ref) (Ledger, error) {
	l := Ledger{Post: ref.String(), Room: string(a.room), Direct: a.direct, Missing: []Missing{}}
	roster, have, err := a.ledger(entry)
	if err != nil {
		return l, storeError(err)
	}
	l.Partial = entry.Header.Feed.Author.ID() != a.self
	err = n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		fresh, level, known := e.Ledger(a.room, entry)
		sight := n.sight(e)
		switch {
		case l.Partial:
			roster = membersBut(now, e, a.room, entry.Header.Feed.Author.ID())
			have[a.self] = true
		case known:
			roster = fresh
		}
		for _, id := range level {
			have[id] = true
		}
		count(&l, roster, have, func(id identity.DeviceID) Missing { return n.missingNoun(now, e, sight, a.room, id) })
	})
	return l, err
}

// count enters into a ledger who of a roster has the post and who lacks it.
func count(
	l *Ledger, roster []identity.DeviceID, have map[identity.DeviceID]bool, lacks func(identity.DeviceID) Missing,
) {
	l.Members += len(roster)
	for _, id := range roster {
		if have[id] {
			l.Have++
		} else {
			l.Missing = append(l.Missing, lacks(id))
		}
	}
}

// membersBut are the members of a room now, without the author of a post: against them another's post counts.
func membersBut(
	now engine.Now, e *engine.Engine, room identity.RoomName, author identity.DeviceID,
) []identity.DeviceID {
	var ids []identity.DeviceID
	for _, r := range e.Rooms(now) {
		for _, m := range r.Members {
			if r.Name == room && m.ID != author {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids
}

// lastHeard is when a member was last heard, as far as this process or its room knows.
func (n *Node) lastHeard(now engine.Now, e *engine.Engine, room identity.RoomName, id identity.DeviceID) time.Time {
	if p, known := e.Peer(id); known {
		return n.clock(now).at(p.LastSeen)
	}
	for _, r := range e.Rooms(now) {
		for _, m := range r.Members {
			if r.Name == room && m.ID == id {
				return m.Heard.UTC()
			}
		}
	}
	return time.Time{}
}

// missingNoun is a member that is not known to have a post.
func (n *Node) missingNoun(
	now engine.Now, e *engine.Engine, s sight, room identity.RoomName, id identity.DeviceID,
) Missing {
	m := Missing{
		ID: id.String(), Nick: string(e.Nick(room, id)), Tag: id.Tag(), Status: presenceOf(e, id),
		Since: n.lastHeard(now, e, room, id),
	}
	m.Tagged, m.Verified = s.judge(e, room, id)
	if m.Nick == "" {
		m.Nick = m.Tag
	}
	return m
}
