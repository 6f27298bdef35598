package bcast

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/node"
	"bcast/internal/record"
)

// Status tells what this node is, hears, sends and refuses.
func (n *Node) Status(ctx context.Context) (Status, error) {
	var s Status
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, c node.Counters) {
		id, nick, instance := e.Own()
		s = Status{
			ID: id.String(), Nick: string(nick), Tag: id.Tag(), Instance: instance.String(),
			UptimeS: n.node.Uptime().Seconds(), Home: n.cfg.Home, Port: n.cfg.Port, Unicast: n.lan.UnicastPort(),
			RecvBuffer: n.cfg.RecvBuffer, Watch: e.Watching(), Peers: e.Present(), Rooms: n.roomNouns(now, e),
			Cuts: c.Cuts, CutFrom: cutSources(e, c.CutFrom), Drops: counts(c.Drops), Sent: typeCounts(c.Sent),
			Received: typeCounts(c.Received), SentBytes: c.SentBytes, Interfaces: n.interfaceNouns(clock{now}, e),
			EventID: n.events.newest(),
		}
		for reason, count := range n.lan.Drops() {
			if count > 0 {
				s.Drops[reason] = count
			}
		}
	})
	s.Problems = problems(s)
	return s, err
}

func (n *Node) interfaceNouns(c clock, e *engine.Engine) []Interface {
	nouns := []Interface{}
	for _, i := range n.lan.Interfaces() {
		noun := interfaceNoun(i)
		if at, heard := e.OwnHeard(i.Index); heard {
			t := c.at(at)
			noun.OwnHeard = &t
		}
		nouns = append(nouns, noun)
	}
	return nouns
}

// cutSources lists where cut datagrams came from, the most frequent first.
func cutSources(e *engine.Engine, by map[netip.AddrPort]uint64) []control.CutSource {
	var sources []control.CutSource
	for addr, count := range by {
		source := control.CutSource{Addr: addr.String(), Count: count}
		if p, proven := e.PeerAt(addr); proven {
			source.Nick = string(p.Nick)
		}
		sources = append(sources, source)
	}
	slices.SortFunc(sources, func(a, b control.CutSource) int {
		if a.Count != b.Count {
			return int(b.Count) - int(a.Count)
		}
		return strings.Compare(a.Addr, b.Addr)
	})
	return sources
}

// problems says what a person should know of s.
func problems(s Status) []string {
	var all []string
	if s.Watch {
		all = append(all, fmt.Sprintf("the receive buffer of %d bytes is too small to take part: this node only watches",
			s.RecvBuffer))
	}
	if !slices.ContainsFunc(s.Interfaces, func(i Interface) bool { return i.Used }) {
		all = append(all, "no network interface can be used now")
	}
	return all
}

// Config lists the settings in force. Where each came from only the command line knows: here all are "default".
func (n *Node) Config(ctx context.Context) ([]Setting, error) {
	nick := ""
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		_, now, _ := e.Own()
		nick = string(now)
	})
	budget := "by link"
	if n.cfg.BroadcastBudget > 0 {
		budget = strconv.Itoa(n.cfg.BroadcastBudget)
	}
	values := [][2]string{
		{"nick", nick}, {"iface", strings.Join(n.cfg.Ifaces, ",")}, {"port", strconv.Itoa(n.cfg.Port)},
		{"recv-buffer", strconv.Itoa(n.cfg.RecvBuffer)}, {"room", strings.Join(n.cfg.Rooms, ",")},
		{"broadcast-budget", budget},
	}
	settings := make([]Setting, len(values))
	for i, v := range values {
		settings[i] = Setting{Name: v[0], Value: v[1], From: "default"}
	}
	return settings, err
}

// Peers lists the other bcast devices of this network, those that are gone included.
func (n *Node) Peers(ctx context.Context) ([]Peer, error) {
	peers := []Peer{}
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		names := n.ifaceNames()
		for _, p := range e.Peers() {
			peers = append(peers, peerNoun(clock{now}, names, p))
		}
	})
	return peers, err
}

func (n *Node) ifaceNames() map[int]string {
	names := map[int]string{}
	for _, i := range n.lan.Interfaces() {
		names[i.Index] = i.Name
	}
	return names
}

// Rooms lists the joined rooms.
func (n *Node) Rooms(ctx context.Context) ([]Room, error) {
	var rooms []Room
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) { rooms = n.roomNouns(now, e) })
	return rooms, err
}

func (n *Node) roomNouns(now engine.Now, e *engine.Engine) []Room {
	nouns := []Room{}
	for _, r := range e.Rooms(now) {
		noun := Room{
			Name: string(r.Name), Public: true, Members: len(r.Members), Posts: r.Stored, Missing: r.Missing,
			DatagramLimit: r.Limit,
		}
		for _, m := range r.Members {
			if here(presenceOf(e, m.ID)) {
				noun.Present++
			}
		}
		if !r.LimitedBy.IsZero() {
			noun.LimitedBy = string(e.Nick(r.Name, r.LimitedBy)) + "-" + r.LimitedBy.Tag()
		}
		nouns = append(nouns, noun)
	}
	return nouns
}

func here(presence string) bool {
	return presence == "self" || presence == discovery.Here.String() || presence == discovery.Suspect.String()
}

// Join makes this device a member of a public room, named as people write it.
func (n *Node) Join(ctx context.Context, room string) (Joined, error) {
	name, err := identity.ParseRoomName(room)
	if err != nil {
		return Joined{}, invalid(err, "")
	}
	reply, err := n.node.Do(ctx, engine.Join{Room: name})
	if err != nil {
		return Joined{}, failure(err)
	}
	joined := Joined{Room: string(name), New: reply.New}
	return joined, n.rememberRooms(func(rooms []identity.RoomName) []identity.RoomName {
		if slices.Contains(rooms, name) {
			return rooms
		}
		return append(rooms, name)
	})
}

// Leave ends membership: the room's posts are forgotten here.
func (n *Node) Leave(ctx context.Context, room string) error {
	name, err := identity.ParseRoomName(room)
	if err != nil {
		return invalid(err, "")
	}
	if _, err := n.node.Do(ctx, engine.Leave{Room: name}); err != nil {
		return roomFailure(err, room)
	}
	return n.rememberRooms(func(rooms []identity.RoomName) []identity.RoomName {
		return slices.DeleteFunc(rooms, func(r identity.RoomName) bool { return r == name })
	})
}

// Members lists who is a member of a joined room, this device first.
func (n *Node) Members(ctx context.Context, room string) ([]Member, error) {
	members := []Member{}
	err := n.viewRoom(ctx, room, func(now engine.Now, e *engine.Engine, r engine.RoomState) error {
		for _, m := range r.Members {
			noun := Member{
				ID: m.ID.String(), Nick: string(e.Nick(r.Name, m.ID)), Tag: m.ID.Tag(), Status: presenceOf(e, m.ID),
				LastSeen: m.Heard.UTC(),
			}
			if p, known := e.Peer(m.ID); known {
				noun.LastSeen = clock{now}.at(p.LastSeen)
			}
			members = append(members, noun)
		}
		return nil
	})
	slices.SortStableFunc(members, func(a, b Member) int { return rank(a) - rank(b) })
	return members, err
}

func rank(m Member) int {
	if m.Status == "self" {
		return 0
	}
	return 1
}

// Nick changes the name shown to others, here and in every joined room.
func (n *Node) Nick(ctx context.Context, nick string) error {
	name, err := identity.ParseNick(nick)
	if err != nil {
		return invalid(err, "")
	}
	if _, err := n.node.Do(ctx, engine.SetNick{Nick: name}); err != nil {
		return failure(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.home == nil {
		return nil
	}
	if err := n.home.SetNick(name); err != nil {
		return homeError(n.cfg.Home, err)
	}
	return nil
}

// Say posts to a joined room.
func (n *Node) Say(ctx context.Context, say Say) (Said, error) {
	name, err := identity.ParseRoomName(say.Room)
	if err != nil {
		return Said{}, invalid(err, "")
	}
	if err := control.CheckText(say.Text); err != nil {
		return Said{}, err
	}
	kind, err := sayKind(say)
	if err != nil {
		return Said{}, err
	}
	if n.cfg.RecvBuffer < minTakingPart {
		return Said{}, control.NewError(control.CodeUnsupported, nil,
			"this node only watches: its receive buffer is too small",
			fmt.Sprintf("start it with --recv-buffer %d or more", minTakingPart))
	}
	before := n.events.after(ctx, "")
	wait := say.Wait == "all"
	reply, err := n.node.Do(ctx, engine.Say{Room: name, Posts: []record.Post{{Kind: kind, Text: say.Text}}, Ack: wait})
	if err != nil {
		return Said{}, roomFailure(err, say.Room)
	}
	said := Said{ID: record.Ref{Record: reply.Record}.String(), Members: reply.Members, Have: reply.Have}
	if wait {
		return n.awaitReceipts(ctx, said, before)
	}
	return said, nil
}

// minTakingPart is the smallest receive buffer in bytes that can take part in rooms.
const minTakingPart = 512

func sayKind(say Say) (record.Kind, error) {
	switch {
	case say.Wait != "" && say.Wait != "none" && say.Wait != "all":
		return 0, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("wait %q is neither all nor none", say.Wait), "")
	case say.Kind == "" || say.Kind == record.KindText.String():
		return record.KindText, nil
	case say.Kind == record.KindAction.String():
		return record.KindAction, nil
	}
	return 0, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("kind %q is neither text nor action", say.Kind), "")
}

// awaitReceipts waits until the members that were here have the post, or ctx ends.
func (n *Node) awaitReceipts(ctx context.Context, said Said, events iter.Seq2[Event, error]) (Said, error) {
	if said.Have >= said.Members {
		return said, nil
	}
	for e := range events {
		if e.Receipt != nil && e.Receipt.Post == said.ID {
			if said.Have = e.Receipt.Have; said.Have >= said.Members {
				return said, nil
			}
		}
	}
	return said, control.NewError(control.CodeTimeout, ctx.Err(),
		fmt.Sprintf("%d of %d members have the post", said.Have, said.Members), "they get it when they are reached")
}

// Posts returns posts of a joined room in the room's order, which is the same on every member.
func (n *Node) Posts(ctx context.Context, room string, query PostQuery) ([]Post, error) {
	if query.Limit < 0 {
		return nil, control.NewError(control.CodeInvalid, nil, "limit: below zero", "")
	}
	posts := []Post{}
	err := n.viewRoom(ctx, room, func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
		scopes := make([]uint64, len(r.Scopes))
		for i, s := range r.Scopes {
			scopes[i] = uint64(s)
		}
		records, err := n.store.All(scopes...)
		if err != nil {
			return err
		}
		said := map[int64]bool{} // our own posts, by their time: on two networks at once they are said in two scopes
		self, _, _ := e.Own()
		for _, rec := range records {
			if rec.Header.Feed.Author.ID() == self {
				if said[rec.Header.Wall] {
					continue
				}
				said[rec.Header.Wall] = true
			}
			posts = append(posts, recordPosts(e, r.Name, rec)...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if posts, err = since(posts, query.Since); err != nil {
		return nil, err
	}
	if query.Limit > 0 && len(posts) > query.Limit {
		posts = posts[len(posts)-query.Limit:]
	}
	return posts, nil
}

func recordPosts(e *engine.Engine, room identity.RoomName, rec *record.Record) []Post {
	said, err := record.DecodePosts(rec.Body)
	if err != nil {
		return nil // what its author garbled shows nothing
	}
	var posts []Post
	for i, p := range said {
		if noun, ok := postNoun(e, room, rec, i, p); ok {
			posts = append(posts, noun)
		}
	}
	return posts
}

// since is what follows a post, named by its id or a unique prefix of at least four characters, or what was said
// within a duration.
func since(posts []Post, mark string) ([]Post, error) {
	if mark == "" {
		return posts, nil
	}
	if d, err := time.ParseDuration(mark); err == nil {
		from := time.Now().Add(-d)
		return slices.DeleteFunc(posts, func(p Post) bool { return p.Time.Before(from) }), nil
	}
	found := -1
	for i, p := range posts {
		if p.ID != mark && (len(mark) < minPrefix || !strings.HasPrefix(p.ID, mark)) {
			continue
		}
		if found >= 0 && p.ID != mark {
			return nil, control.NewError(control.CodeAmbiguous, nil, fmt.Sprintf("post %q: more than one begins so", mark),
				"give more of the id")
		}
		found = i
	}
	if found < 0 {
		return nil, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: not known here", mark),
			"give a post's id or a duration such as 10m")
	}
	return posts[found+1:], nil
}

// minPrefix is how much of a post id is enough when it is unique.
const minPrefix = 4

// Events yields what happens after the event with id after, "" meaning from now on.
func (n *Node) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return n.events.after(ctx, after)
}

// onInterfaces runs on the node's loop.
func (n *Node) onInterfaces() {
	for _, i := range n.lan.Interfaces() {
		noun := interfaceNoun(i)
		n.events.add(Event{Type: control.EventInterface, Time: time.Now().UTC(), Interface: &noun})
	}
}

func (n *Node) view(ctx context.Context, look func(engine.Now, *engine.Engine, node.Counters)) error {
	return failure(n.node.View(ctx, look))
}

// viewRoom looks at a joined room.
func (n *Node) viewRoom(
	ctx context.Context, room string, look func(engine.Now, *engine.Engine, engine.RoomState) error,
) error {
	name, err := identity.ParseRoomName(room)
	if err != nil {
		return invalid(err, "")
	}
	err = engine.ErrNotJoined
	viewErr := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		for _, r := range e.Rooms(now) {
			if r.Name == name {
				err = look(now, e, r)
			}
		}
	})
	if viewErr != nil {
		return viewErr
	}
	return roomFailure(err, room)
}

// invalid is a malformed value; nil for nil.
func invalid(err error, hint string) error {
	if err == nil {
		return nil
	}
	return control.NewError(control.CodeInvalid, err, err.Error(), hint)
}

func roomFailure(err error, room string) error {
	if errors.Is(err, engine.ErrNotJoined) {
		return control.NewError(control.CodeNotJoined, err, fmt.Sprintf("room %q is not joined", room),
			"bcast join "+room)
	}
	return failure(err)
}

// failure gives an error of the node its code.
func failure(err error) error {
	code := control.CodeInternal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrBusy):
		code = control.CodeBusy
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		code = control.CodeTimeout
	case errors.Is(err, engine.ErrRooms):
		code = control.CodeInvalid
	}
	return control.NewError(code, err, err.Error(), "")
}
