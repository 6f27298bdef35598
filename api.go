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

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/node"
	"bcast/internal/record"
)

// Status tells what this node is, hears, sends and refuses.
func (n *Node) Status(ctx context.Context) (Status, error) {
	var s Status
	var talks []talk
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, c node.Counters) {
		id, nick, instance := e.Own()
		pace := c.Pace(now.Mono)
		var rooms []Room
		rooms, talks = n.roomNouns(now, e)
		s = Status{
			ID: id.String(), Nick: string(nick), Tag: id.Tag(), Instance: instance.String(),
			UptimeS: n.node.Uptime().Seconds(), Home: n.cfg.Home, Port: n.cfg.Port, Unicast: n.lan.UnicastPort(),
			RecvBuffer: n.cfg.RecvBuffer, RecvQueue: n.lan.QueueBytes(), Watch: e.Watching(), Peers: e.Present(),
			Rooms: rooms, Cuts: c.Cuts, CutFrom: cutSources(e, c.CutFrom), Drops: counts(c.Drops),
			Sent: byType(c.Sent), Received: byType(c.Received), SentBytes: c.SentBytes,
			Rates: byType(pace.Sent), BytesPerSecond: pace.Bytes, Interfaces: n.interfaceNouns(n.clock(now), e),
			EventID: n.events.newest(),
		}
		if err := e.StoreFailure(); err != nil {
			s.Problems = append(s.Problems, readOnlyProblem(err))
		}
		for reason, count := range n.lan.Drops() {
			if count > 0 {
				s.Drops[reason] = count
			}
		}
	})
	if err == nil {
		n.addTopics(s.Rooms, talks)
		n.bulk.addDrops(s.Drops)
	}
	s.Files = n.fileCounts()
	s.Problems = append(s.Problems, problems(s, n.askedRooms())...)
	return s, err
}

func (n *Node) interfaceNouns(c clock, e *engine.Engine) []Interface {
	nouns := []Interface{}
	for _, i := range n.interfaces() {
		noun := interfaceNoun(i)
		index := i.Index
		if !i.Four {
			index |= six
		}
		if at, heard := e.OwnHeard(index); heard {
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
func problems(s Status, asked int) []string {
	var all []string
	if s.Watch {
		all = append(all, fmt.Sprintf("the receive buffer of %d bytes is too small to take part: this node only watches",
			s.RecvBuffer))
	}
	if !slices.ContainsFunc(s.Interfaces, func(i Interface) bool { return i.Used }) {
		all = append(all, "no network interface can be used now")
	}
	for _, r := range s.Rooms {
		if r.ShutOut {
			all = append(all, fmt.Sprintf("a member shut this device out of %s", r.Name))
		}
	}
	if asked >= maxAsked {
		all = append(all, fmt.Sprintf(
			"%d direct rooms that others opened wait for an answer: no more are taken; leave some", maxAsked))
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
		{"link", n.cfg.Link}, {"mdns", n.cfg.MDNS}, {"ssdp", n.cfg.SSDP},
		{"broadcast-budget", budget}, {"durability", n.cfg.Durability},
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
		names, sight := n.ifaceNames(), n.sight(e)
		for _, p := range e.Peers() {
			peers = append(peers, peerNoun(n.clock(now), names, sight, p))
		}
	})
	return peers, err
}

func (n *Node) ifaceNames() map[int]string {
	names := map[int]string{}
	for _, i := range n.interfaces() {
		names[i.Index], names[i.Index|six] = i.Name, i.Name
	}
	return names
}

// Rooms lists the joined rooms.
func (n *Node) Rooms(ctx context.Context) ([]Room, error) {
	var rooms []Room
	var talks []talk
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) { rooms, talks = n.roomNouns(now, e) })
	n.addTopics(rooms, talks)
	return rooms, err
}

// roomNouns are the rooms, and of each where its topic is read: in the scope that own posts are shown from.
func (n *Node) roomNouns(now engine.Now, e *engine.Engine) (nouns []Room, talks []talk) {
	nouns = []Room{}
	sight := n.sight(e)
	for _, r := range e.Rooms(now) {
		noun := Room{
			Name: string(r.Name), Public: !r.Private, Members: len(r.Members), Posts: r.Stored, Missing: r.Missing,
			DatagramLimit: r.Limit, Ephemeral: r.Ephemeral, ShutOut: r.Out,
			Direct: sight.title(e, r.Name, r.Direct),
		}
		if keep := r.Retention; !r.Ephemeral && keep != (record.Retention{}) {
			noun.Retention = &Retention{Count: keep.Count, Bytes: keep.Bytes}
			if keep.Age > 0 {
				noun.Retention.Age = keep.Age.String()
			}
		}
		for _, m := range r.Members {
			if here(presenceOf(e, m.ID)) {
				noun.Present++
			}
		}
		if !r.LimitedBy.IsZero() {
			noun.LimitedBy = string(e.Nick(r.Name, r.LimitedBy)) + "-" + r.LimitedBy.Tag()
		}
		nouns, talks = append(nouns, noun), append(talks, talk{uint64(r.Scopes[0]), r.Order})
	}
	return nouns, talks
}

func here(presence string) bool { return presence == "self" || control.Here(presence) }

// Members lists who is a member of a joined room, this device first.
func (n *Node) Members(ctx context.Context, room string) ([]Member, error) {
	members := []Member{}
	err := n.viewRoom(ctx, room, func(now engine.Now, e *engine.Engine, r engine.RoomState) error {
		sight := n.sight(e)
		for _, m := range r.Members {
			nick := e.Nick(r.Name, m.ID)
			noun := Member{
				Tagged: sight.tagged(m.ID, nick), Verified: sight.trust.pinned(m.ID), Blocked: sight.trust.blocks(m.ID),
				Away: m.Away,
				ID:   m.ID.String(), Nick: string(nick), Tag: m.ID.Tag(), Status: presenceOf(e, m.ID),
				LastSeen: m.Heard.UTC(),
			}
			if p, known := e.Peer(m.ID); known {
				noun.LastSeen = n.clock(now).at(p.LastSeen)
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
	if err := n.rememberNick(name); err != nil { // first: what is not remembered is not changed either
		return err
	}
	if _, err = n.node.Do(ctx, engine.SetNick{Nick: name}); err == nil {
		n.announceSelf(string(name))
	}
	return failure(err)
}

func (n *Node) rememberNick(name identity.Nick) error {
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

// Events yields what happens after the event with id after, "" meaning from now on.
func (n *Node) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return n.events.after(ctx, after)
}

// onInterfaces tells of the interfaces that came, changed or went. It runs with the node's turn.
func (n *Node) onInterfaces() {
	n.offering.look()
	was := n.links
	n.links = n.interfaces()
	n.watch.renew()
	for _, noun := range changed(was, n.links) {
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
	name, err := n.roomName(ctx, room)
	if err != nil {
		return err
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

// roomState is what is known of a joined room.
func (n *Node) roomState(ctx context.Context, room string) (state engine.RoomState, err error) {
	err = n.viewRoom(ctx, room, func(_ engine.Now, _ *engine.Engine, r engine.RoomState) error {
		state = r
		return nil
	})
	return state, err
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
	case errors.Is(err, context.DeadlineExceeded):
		return control.NewError(control.CodeTimeout, err, "no answer in time", "")
	case errors.Is(err, context.Canceled):
		return control.NewError(control.CodeTimeout, err, "interrupted", "")
	case errors.Is(err, engine.ErrRooms), errors.Is(err, engine.ErrPublic), errors.Is(err, engine.ErrShutOut),
		errors.Is(err, engine.ErrOnlySelf), errors.Is(err, engine.ErrDirect):
		code = control.CodeInvalid
	case errors.Is(err, engine.ErrOut):
		return control.NewError(control.CodeNotJoined, err, err.Error(), outHint)
	case errors.Is(err, engine.ErrReadOnly):
		return storeError(err)
	}
	return control.NewError(code, err, err.Error(), "")
}

// outHint is what to do about a rekey that shut us out.
const outHint = "what you say is read by nobody there; join with a new invite, or leave: bcast leave ROOM"

// storeError is what a failure of the history means to a person.
func storeError(err error) error {
	var failed *history.FailedError
	if !errors.As(err, &failed) && !errors.Is(err, engine.ErrReadOnly) {
		return control.NewError(control.CodeCorrupt, err, err.Error(), "")
	}
	return control.NewError(control.CodeReadOnly, err, err.Error(),
		"make space on the disk and see that the home can be written; what is kept can still be read")
}
