package bcast

import (
	"fmt"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/files"
	"bcast/internal/lan"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// What happens and what is said. Each type is the JSON object of the same name that scripts see; `go doc
// bcast/internal/control.Event`, and so on, lists the fields with what they mean.
type (
	// Event is one fact: its Type is one of the Event constants and says which of Post, Member, Peer, Receipt, Signal,
	// Cut, Sync, Fork, Interface, Device, File, Push and Problem is set. ID names it for Node.Events.
	Event = control.Event
	// Post is what somebody said: Room, ID, From (the device), Nick, Time, Kind, Text, ReplyTo, Own, Mention and more.
	Post = control.Post
	// PostQuery selects posts: the newest Limit, those Since or Before one, those that hold the words of Search.
	PostQuery = control.PostQuery
	// Say is what to say: Room and Text, and if need be Kind, Target and for whom to Wait.
	Say = control.Say
	// Said is what became of it: the ID, how many Members there were and how many of them Have it.
	Said = control.Said
	// Quote is the beginning of what a reply answers, Reaction one sign of several people's to a post.
	Quote    = control.Quote
	Reaction = control.Reaction
	// MemberChange tells who came to or left a room, or has another nick now.
	MemberChange = control.MemberChange
	// Receipt tells how many members have a post of this Node.
	Receipt = control.Receipt
	// Signal tells that a member is typing, away or back.
	Signal = control.Signal
	// Cut tells of datagrams that were longer than the receive buffer.
	Cut = control.Cut
	// Sync tells how far catching up has come.
	Sync = control.Sync
	// Fork tells that a member's key signed two histories.
	Fork = control.Fork
	// OfferedFile is a file that a post offers, File what becomes of one.
	OfferedFile = control.OfferedFile
	File        = control.File
	// PushOrder is a file to be sent once to all of a room, Pushed how far that has come, Taker one to whom it goes.
	PushOrder = control.PushOrder
	Pushed    = control.Pushed
	Taker     = control.Taker
)

// Who and what is there.
type (
	// Peer is another device: ID, Nick, Addr, Status (here, suspect, lost, left), RTTms, Rooms and more.
	Peer = control.Peer
	// Device is a device of the subnet, as all protocols together tell of it, and DeviceChange what became of one: new,
	// back, lost, changed, or in conflict. All of it is claimed by whoever is on the link.
	Device       = control.Device
	DeviceChange = control.DeviceChange
	// Room is a joined room: Name, Members, Present, Posts, Topic and how it is kept.
	Room = control.Room
	// Member is a device in a room, here or away.
	Member = control.Member
	// Joined answers Node.Join: the Room's name here, and whether it is New.
	Joined = control.Joined
	// JoinOptions say how a room that is new here is kept, and for how long.
	JoinOptions = control.JoinOptions
	Retention   = control.Retention
	// Share is a directory that a Node shares, and with whom; Inbox is where files go that others bring.
	Share = control.Share
	Inbox = control.Inbox
	// Ledger is who has a post, and who of the members is Missing.
	Ledger  = control.Ledger
	Missing = control.Missing
	// Status is what a Node is, hears, sends and refuses; Interface a network interface and why it is used or not.
	Status    = control.Status
	Interface = control.Interface
	// Setting is a setting in force.
	Setting = control.Setting
	// Record is what an author signed; Imported counts those that Node.Import took.
	Record   = control.Record
	Imported = control.Imported
)

// Trust and measurement.
type (
	// Invitation lets others into a private room, Rekeyed tells how often its keys were changed.
	Invitation = control.Invitation
	Rekeyed    = control.Rekeyed
	// Verification is what two people compare to know that a device is whose they think.
	Verification = control.Verification
	// Bench asks for a measurement, Benched is what it found.
	Bench   = control.Bench
	Benched = control.Benched
	// Probed is what a peer sent back when asked, Echo one size by one way of it.
	Probed = control.Probed
	Echo   = control.Echo
)

// Types of an [Event]. Others may come: ignore what you do not know.
const (
	EventPost      = control.EventPost
	EventEdited    = control.EventEdited
	EventDeleted   = control.EventDeleted
	EventReaction  = control.EventReaction
	EventTopic     = control.EventTopic
	EventSignal    = control.EventSignal
	EventMember    = control.EventMember
	EventPeer      = control.EventPeer
	EventReceipt   = control.EventReceipt
	EventCut       = control.EventCut
	EventSync      = control.EventSync
	EventFork      = control.EventFork
	EventInterface = control.EventInterface
	EventDevice    = control.EventDevice
	EventFile      = control.EventFile
	EventPush      = control.EventPush
	EventProblem   = control.EventProblem
	EventGap       = control.EventGap // events were lost for this reader: look at Node.Posts
)

// Error is what every method fails with, found by errors.As: a Code to branch on, a message, and a hint what to do.
type Error = control.Error

// Code names a kind of failure.
type Code = control.Code

// Codes of an [Error].
const (
	CodeInvalid     = control.CodeInvalid
	CodeTooLarge    = control.CodeTooLarge
	CodeNotFound    = control.CodeNotFound
	CodeAmbiguous   = control.CodeAmbiguous
	CodeNotJoined   = control.CodeNotJoined
	CodeRunning     = control.CodeRunning
	CodeNoNetwork   = control.CodeNoNetwork
	CodePortTaken   = control.CodePortTaken
	CodeHome        = control.CodeHome
	CodeCorrupt     = control.CodeCorrupt
	CodeBusy        = control.CodeBusy
	CodeTimeout     = control.CodeTimeout
	CodeReadOnly    = control.CodeReadOnly
	CodeUnsupported = control.CodeUnsupported
	CodeInternal    = control.CodeInternal
)

// Interfaces lists the network interfaces of this host and, for each that bcast would not use, why. patterns are as in
// Config.Ifaces. The error is CodeInvalid: a pattern that is none.
func Interfaces(patterns []string) ([]Interface, error) {
	all, err := lan.Interfaces(patterns)
	if err != nil {
		return nil, invalid(err, "a pattern is a name; * and ? may stand in it, and a ! before it leaves out what it matches")
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
		Kind: i.Kind, Reason: i.Reason, Addrs: []string{},
	}
	switch {
	case i.Loopback:
		noun.Link = "loopback"
	case i.Wifi:
		noun.Link = linkWifi
	}
	for _, a := range i.Addrs {
		noun.Addrs = append(noun.Addrs, a.String())
	}
	for _, a := range i.Addrs6 {
		noun.Addrs6 = append(noun.Addrs6, a.String())
	}
	if i.Four {
		noun.By = append(noun.By, "ipv4")
	}
	if i.Six {
		noun.By = append(noun.By, "ipv6")
	}
	for _, a := range i.Broadcast {
		noun.Broadcast = append(noun.Broadcast, a.String())
	}
	return noun
}

func peerNoun(c clock, ifaces map[int]string, s sight, p discovery.Peer) Peer {
	noun := Peer{
		ID: p.ID.String(), Nick: string(p.Nick), Tag: p.ID.Tag(), Addr: addrText(p.Addr), Iface: ifaces[p.Iface],
		Instance: p.Instance.String(), Status: p.Status.String(), FirstSeen: c.at(p.FirstSeen), LastSeen: c.at(p.LastSeen),
		LastBroadcast: c.maybe(p.LastBroadcast), LastUnicast: c.maybe(p.LastUnicast),
		RTTms: float64(p.RTT.Microseconds()) / 1000, RecvBuffer: p.RecvBuffer, Watch: p.Watch, Link: "wired",
		Version: int(p.Version), Rooms: []string{}, Unicast: "ok", Missed: share(p.Missed), Misses: share(p.Misses),
	}
	if p.Wifi {
		noun.Link = "wifi"
	}
	if p.UnicastBlocked {
		noun.Unicast = "blocked"
	}
	noun.Tagged, noun.Verified, noun.Blocked = s.tagged(p.ID, p.Nick), s.trust.pinned(p.ID), s.trust.blocks(p.ID)
	for _, s := range p.Services {
		noun.Services = append(noun.Services, Service{Name: s.Name, Type: s.Type, Port: int(s.Port), Text: s.Text})
	}
	for _, r := range p.Rooms {
		noun.Rooms = append(noun.Rooms, string(r))
	}
	return noun
}

// share is a part of a whole, nil if it is below 0, not known.
func share(part float64) *float64 {
	if part < 0 {
		return nil
	}
	return &part
}

// postNoun is one post of a record; false for what is no message: who came and went, and kinds not known here.
func postNoun(
	room identity.RoomName, rec record.Entry, index int, p record.Post, nick identity.Nick, self identity.DeviceID,
) (Post, bool) {
	if !readable(&p) {
		return Post{}, false
	}
	author := rec.Header.Feed.Author.ID()
	noun := Post{
		Room: string(room), ID: record.Ref{Record: rec.ID, Index: uint16(index)}.String(), Record: rec.ID.String(),
		Index: index, From: author.String(), Nick: string(nick), Tag: author.Tag(),
		Time: rec.Header.Time(), Kind: p.Kind.String(), Text: p.Text, Own: author == self, Forked: !rec.Branch.IsZero(),
	}
	if noun.Nick == "" {
		noun.Nick = noun.Tag
	}
	if rec.Kept != 0 {
		noun.ClockOff = clockOff(&rec.Header, time.Unix(0, rec.Kept))
	}
	if p.Target != (record.Ref{}) {
		noun.ReplyTo = p.Target.String()
	}
	if offer, is := offerIn(&p); is {
		noun.File = &control.OfferedFile{Name: offer.Name, Size: offer.Size, Hash: files.Hash(offer.Hash).String(),
			Pushed: offer.Flags&record.OfferPushed != 0}
	}
	return noun, true
}

// readable tells whether a post is one to read.
func readable(p *record.Post) bool {
	switch p.Kind {
	case record.KindText, record.KindAction, record.KindReply, record.KindTopic:
		return true
	case record.KindOffer:
		_, is := offerIn(p)
		return is
	}
	return false
}

// offerIn is the file that a post offers. What is no offer shows nothing, like a body that cannot be read.
func offerIn(p *record.Post) (record.Offer, bool) {
	if p.Kind != record.KindOffer {
		return record.Offer{}, false
	}
	offer, err := record.ParseOffer(p.Data)
	return offer, err == nil && files.CheckElement(offer.Name) == nil
}

// eventNoun is what the faces are told of an engine's event that is not of posts; false for what they are not.
func (n *Node) eventNoun(now engine.Now, e *engine.Engine, ev engine.Event) (Event, bool) {
	noun := Event{Time: now.Wall.UTC()}
	switch ev.Kind {
	case engine.PeerEvent:
		peer := peerNoun(n.clock(now), n.ifaceNames(), n.sight(e), *ev.Peer)
		noun.Type, noun.Peer = control.EventPeer, &peer
	case engine.CutEvent:
		noun.Type = control.EventCut
		noun.Cut = &Cut{
			From: addrText(ev.Cut.From), Nick: string(ev.Cut.Nick), Room: string(ev.Cut.Room),
			Received: ev.Cut.Received, Size: ev.Cut.Size, Count: ev.Cut.Count,
		}
	case engine.ShutOutEvent:
		noun.Type = control.EventProblem
		noun.Problem = fmt.Sprintf("%s shut this device out of %s", ev.Chat.Nick, ev.Room)
	case engine.RivalEvent:
		noun.Type = control.EventProblem
		noun.Problem = fmt.Sprintf("%s and another member rekeyed %s at once and shut out different devices: members have "+
			"the keys of the one or the other until one of them rekeys again: bcast rekey %s", ev.Chat.Nick, ev.Room, ev.Room)
	case engine.MissedEvent:
		noun.Type = control.EventProblem
		who := string(e.Nick(ev.Room, ev.Peer.ID)) + "-" + ev.Peer.ID.Tag()
		noun.Problem = fmt.Sprintf("%s has only keys of %s of before the last rekey, whose author did not know of it: let "+
			"it in with bcast rekey %s, or shut it out with bcast rekey %s --without %s", who, ev.Room, ev.Room, ev.Room, who)
	case engine.StoreEvent:
		noun.Type = control.EventProblem
		if ev.Err != nil {
			noun.Problem = readOnlyProblem(ev.Err)
		}
	case engine.RoomEvent:
		return n.roomEvent(noun, now, e, ev.Room, ev.Chat)
	default:
		return noun, false
	}
	return noun, true
}

// presenceOf is a member's or peer's presence in one word.
func presenceOf(e *engine.Engine, id identity.DeviceID) string {
	if self, _, _ := e.Own(); id == self {
		return "self"
	}
	if p, known := e.Peer(id); known {
		return p.Status.String()
	}
	return discovery.Lost.String()
}

// readOnlyProblem says that the store failed.
func readOnlyProblem(err error) string {
	return fmt.Sprintf("the history takes nothing now, this node only reads: %v", err)
}

func counts[K ~string](by map[K]uint64) map[string]uint64 {
	names := make(map[string]uint64, len(by))
	for k, v := range by {
		names[string(k)] = v
	}
	return names
}

// byType names what was counted of each type of datagram; those that are unknown share a name.
func byType[V uint64 | float64](by map[wire.Type]V) map[string]V {
	names := make(map[string]V, len(by))
	for t, v := range by {
		names[t.String()] += v
	}
	return names
}
