package bcast

import (
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/lan"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// The nouns of the API, as scripts see them in JSON. They are documented where they are declared.
type (
	Status       = control.Status
	Peer         = control.Peer
	Room         = control.Room
	Joined       = control.Joined
	Member       = control.Member
	Say          = control.Say
	Said         = control.Said
	Post         = control.Post
	PostQuery    = control.PostQuery
	Event        = control.Event
	Interface    = control.Interface
	MemberChange = control.MemberChange
	Receipt      = control.Receipt
	Cut          = control.Cut
	Setting      = control.Setting
	Error        = control.Error
)

// Interfaces lists the network interfaces of this host and, for each that bcast would not use, why. patterns are as in
// Config.Ifaces. The error is CodeInvalid: a pattern that is none.
func Interfaces(patterns []string) ([]Interface, error) {
	all, err := lan.Interfaces(patterns)
	if err != nil {
		return nil, invalid(err, "a pattern is a name; * and ? may stand in it")
	}
	nouns := make([]Interface, len(all))
	for i, f := range all {
		nouns[i] = interfaceNoun(f)
	}
	return nouns, nil
}

func interfaceNoun(i lan.Interface) Interface {
	noun := Interface{
		Name: i.Name, Index: i.Index, MTU: i.MTU, MAC: i.MAC.String(), Link: "wired", Up: i.Up, Used: i.Used,
		Reason: i.Reason, Addrs: []string{},
	}
	switch {
	case i.Loopback:
		noun.Link = "loopback"
	case i.Wifi:
		noun.Link = "wifi"
	}
	for _, a := range i.Addrs {
		noun.Addrs = append(noun.Addrs, a.String())
	}
	for _, a := range i.Broadcast {
		noun.Broadcast = append(noun.Broadcast, a.String())
	}
	return noun
}

// clock turns the engine's moments into times of day.
type clock struct{ now engine.Now }

func (c clock) at(mono time.Duration) time.Time { return c.now.Wall.Add(mono - c.now.Mono).UTC() }

// maybe is nil for what never happened, which discovery says with a negative moment.
func (c clock) maybe(mono time.Duration) *time.Time {
	if mono < 0 {
		return nil
	}
	t := c.at(mono)
	return &t
}

func peerNoun(c clock, ifaces map[int]string, p discovery.Peer) Peer {
	noun := Peer{
		ID: p.ID.String(), Nick: string(p.Nick), Tag: p.ID.Tag(), Addr: addrText(p.Addr), Iface: ifaces[p.Iface],
		Instance: p.Instance.String(), Status: p.Status.String(), FirstSeen: c.at(p.FirstSeen), LastSeen: c.at(p.LastSeen),
		LastBroadcast: c.maybe(p.LastBroadcast), LastUnicast: c.maybe(p.LastUnicast),
		RTTms: float64(p.RTT.Microseconds()) / 1000, RecvBuffer: p.RecvBuffer, Watch: p.Watch, Link: "wired",
		Version: int(p.Version), Rooms: []string{}, Unicast: "ok",
	}
	if p.Wifi {
		noun.Link = "wifi"
	}
	if p.UnicastBlocked {
		noun.Unicast = "blocked"
	}
	for _, r := range p.Rooms {
		noun.Rooms = append(noun.Rooms, string(r))
	}
	return noun
}

// postNoun is one post of a record; false for what is no message: who came and went, and kinds not known here.
func postNoun(e *engine.Engine, room identity.RoomName, rec *record.Record, index int, p record.Post) (Post, bool) {
	switch p.Kind {
	case record.KindText, record.KindAction, record.KindReply:
	default:
		return Post{}, false
	}
	author := rec.Header.Feed.Author.ID()
	self, _, _ := e.Own()
	noun := Post{
		Room: string(room), ID: record.Ref{Record: rec.ID, Index: uint16(index)}.String(), Record: rec.ID.String(),
		Index: index, From: author.String(), Nick: string(e.Nick(room, author)), Tag: author.Tag(),
		Time: rec.Header.Time(), Kind: p.Kind.String(), Text: p.Text, Own: author == self,
	}
	if noun.Nick == "" {
		noun.Nick = noun.Tag
	}
	if p.Target != (record.Ref{}) {
		noun.ReplyTo = p.Target.String()
	}
	return noun, true
}

// eventNoun is what the faces are told of an engine's event; false for what they are not.
func (n *Node) eventNoun(now engine.Now, e *engine.Engine, ev engine.Event) (Event, bool) {
	noun := Event{Time: now.Wall.UTC()}
	switch ev.Kind {
	case engine.PeerEvent:
		peer := peerNoun(clock{now}, n.ifaceNames(), ev.Peer)
		noun.Type, noun.Peer = control.EventPeer, &peer
	case engine.CutEvent:
		noun.Type = control.EventCut
		noun.Cut = &Cut{
			From: ev.Cut.From.String(), Nick: string(ev.Cut.Nick), Room: string(ev.Cut.Room),
			Received: ev.Cut.Received, Size: ev.Cut.Size,
		}
	case engine.RoomEvent:
		return n.roomEvent(noun, e, ev.Room, ev.Chat)
	default:
		return noun, false
	}
	return noun, true
}

func (n *Node) roomEvent(noun Event, e *engine.Engine, room identity.RoomName, ev chat.Event) (Event, bool) {
	switch ev.Kind {
	case chat.Posted:
		post, ok := postNoun(e, room, ev.Record, ev.Index, ev.Post)
		post.Late = ev.Late
		noun.Type, noun.Post = control.EventPost, &post
		return noun, ok
	case chat.Received:
		id := record.Ref{Record: ev.Record.ID}.String()
		noun.Type, noun.Receipt = control.EventReceipt, &Receipt{Post: id, Members: ev.Members, Have: ev.Have}
		return noun, true
	}
	noun.Type = control.EventMember
	noun.Member = &MemberChange{
		Room: string(room), ID: ev.Device.String(), Nick: string(ev.Nick), Tag: ev.Device.Tag(), Was: string(ev.Was),
		Change: map[chat.EventKind]string{chat.Joined: "join", chat.Left: "leave", chat.Renamed: "nick"}[ev.Kind],
	}
	if ev.Kind != chat.Renamed {
		noun.Member.Was = ""
	}
	return noun, true
}

// statusNoun is a member's or peer's presence in one word.
func presenceOf(e *engine.Engine, id identity.DeviceID) string {
	if self, _, _ := e.Own(); id == self {
		return "self"
	}
	if p, known := e.Peer(id); known {
		return p.Status.String()
	}
	return discovery.Lost.String()
}

func counts[K ~string](by map[K]uint64) map[string]uint64 {
	names := make(map[string]uint64, len(by))
	for k, v := range by {
		names[string(k)] = v
	}
	return names
}

func typeCounts(by map[wire.Type]uint64) map[string]uint64 {
	names := make(map[string]uint64, len(by))
	for t, v := range by {
		names[t.String()] += v
	}
	return names
}
