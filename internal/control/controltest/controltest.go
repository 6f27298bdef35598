// Package controltest is a working participant without a network, for tests of the faces: rooms, posts, peers and an
// event log in memory, and methods that let the rest of the LAN act.
//
// Its invariant: the API behaves as control documents it, so a face that works here works on a node. It never waits for
// anything but its context.
package controltest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
	"bcast/internal/roster"
)

// Epoch is the device's first moment; each of its facts is a second later than the one before.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Device implements control.API.
type Device struct {
	mu       sync.Mutex
	status   control.Status
	settings []control.Setting
	peers    []control.Peer
	deaf     map[string]bool // peers' nicks that never confirm a post
	rooms    map[string]*room
	events   []control.Event
	links    []control.GuestLink
	changed  chan struct{} // closed and replaced at every event
	facts    int
	shares   []control.Share
	inbox    control.Inbox
	files    map[string]http.Handler // by peers' nicks
	pushed   control.Pushed
	offers   []control.Service // empty: withdrawn
}

type room struct {
	posts   []control.Post
	roster  map[string][]string        // by post: the nicks of the others who were members
	have    map[string]map[string]bool // by post: the nicks of those known to have it
	options control.JoinOptions
	left    bool // kept, but not joined
}

var _ control.API = (*Device)(nil)

// New returns a device alone on its LAN.
func New(nick string) *Device {
	return &Device{
		status: control.Status{
			Version: "v0.0.0-test", ID: deviceID(nick), Nick: nick, Tag: deviceID(nick)[:4], Instance: "1.00",
			Port: 27474, Unicast: 27475, RecvBuffer: 65535,
			Interfaces: []control.Interface{{Name: "eth0", Index: 2, Addrs: []string{"10.77.0.1/24"},
				Broadcast: []string{"10.77.0.255"}, MTU: 1500, Link: "wired", Up: true, Used: true}},
			Drops: map[string]uint64{}, Sent: map[string]uint64{},
			Rates: map[string]float64{"beat": 0.25}, Received: map[string]uint64{},
		},
		deaf: map[string]bool{}, rooms: map[string]*room{}, changed: make(chan struct{}),
	}
}

func deviceID(nick string) string { return (fmt.Sprintf("%x", nick) + strings.Repeat("0", 32))[:32] }

// Adjust changes what Status says.
func (d *Device) Adjust(change func(*control.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.status)
}

// Set makes Config say so.
func (d *Device) Set(settings ...control.Setting) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = settings
}

// Meet brings a peer that is in the rooms and confirms what it gets.
func (d *Device) Meet(nick string, rooms ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, quarter := d.tick(), 0.25
	peer := control.Peer{
		ID: deviceID(nick), Nick: nick, Tag: deviceID(nick)[:4], Addr: fmt.Sprintf("10.77.0.%d", 10+len(d.peers)),
		Iface: "eth0", Status: "here", FirstSeen: now, LastSeen: now, RecvBuffer: 65535, Link: "wired", Version: 1,
		Rooms: rooms, Unicast: "ok", Misses: &quarter,
	}
	d.peers = append(d.peers, peer)
	d.record(control.Event{Type: control.EventPeer, Peer: &peer})
	for _, name := range rooms {
		change := &control.MemberChange{Room: name, ID: peer.ID, Nick: nick, Tag: peer.Tag, Change: "join"}
		d.record(control.Event{Type: control.EventMember, Member: change})
	}
}

// Alter changes what is known of a peer, and tells its rooms as if it had a new nick.
func (d *Device) Alter(nick string, change func(*control.Peer)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.peer(nick)
	if err != nil {
		return
	}
	change(p)
	for _, name := range p.Rooms {
		d.record(control.Event{Type: control.EventMember, Member: &control.MemberChange{
			Room: name, ID: p.ID, Nick: p.Nick, Tag: p.Tag, Change: "nick", Was: nick, Tagged: p.Tagged,
		}})
	}
}

// Deafen keeps a peer from ever confirming a post.
func (d *Device) Deafen(nick string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deaf[nick] = true
}

// Lose takes a peer away; it stays a member of its rooms.
func (d *Device) Lose(nick string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn(nick, "lost")
}

// Regain brings a peer back that was deaf or lost: it gets and confirms all that it missed.
func (d *Device) Regain(nick string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.deaf, nick)
	d.turn(nick, "here")
	for _, r := range d.rooms {
		for _, p := range r.posts {
			if r.have[p.ID][nick] || !slices.Contains(r.roster[p.ID], nick) {
				continue
			}
			r.have[p.ID][nick] = true
			if l := d.ledger(p); p.Own {
				receipt := &control.Receipt{Post: p.ID, Room: p.Room, Members: l.Members, Have: l.Have, Missing: l.Missing}
				d.record(control.Event{Type: control.EventReceipt, Receipt: receipt})
			}
		}
	}
}

// turn gives a peer another status; it wants d.mu held.
func (d *Device) turn(nick, status string) {
	for i := range d.peers {
		if p := &d.peers[i]; p.Nick == nick && p.Status != status {
			p.Status, p.LastSeen = status, d.tick()
			peer := *p
			d.record(control.Event{Type: control.EventPeer, Peer: &peer})
		}
	}
}

// Tell makes an event of whatever kind happen.
func (d *Device) Tell(event control.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record(event)
}

// Bring brings a post of another device as it is, but for its id, author and time.
func (d *Device) Bring(post control.Post) control.Post {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.post(post)
}

// Hear brings a post of another device to a joined room.
func (d *Device) Hear(name, nick, text string) control.Post {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.post(control.Post{Room: name, Nick: nick, Text: text})
}

// Cut brings a datagram that was longer than the receive buffer.
func (d *Device) Cut(cut control.Cut) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Cuts++
	d.record(control.Event{Type: control.EventCut, Cut: &cut})
}

// Status implements control.API.
func (d *Device) Status(ctx context.Context) (control.Status, error) {
	rooms, err := d.Rooms(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	status := d.status
	status.Rooms, status.Peers = rooms, len(d.peers)
	status.EventID = fmt.Sprint(len(d.events))
	return status, err
}

// Config implements control.API.
func (d *Device) Config(context.Context) ([]control.Setting, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.settings), nil
}

// Probe is answered by everyone here, to everything.
func (d *Device) Probe(context.Context) ([]control.Probed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []control.Probed{}
	for _, p := range d.peers {
		if control.Here(p.Status) {
			all = append(all, control.Probed{ID: p.ID, Nick: p.Nick, Tag: p.Tag, Addr: p.Addr, Iface: p.Iface, Answers: true,
				Echoes: []control.Echo{{Way: "unicast", Size: 512, Asked: 1, Heard: true}}, Heard: []string{}})
		}
	}
	return all, nil
}

// Offers are the services that are announced now.
func (d *Device) Offers() []control.Service {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.offers), func(s control.Service) bool { return s.Port == 0 })
}

// Announce implements control.API: everything is announced at once, under its own name.
func (d *Device) Announce(ctx context.Context, s control.Service) iter.Seq2[control.Announced, error] {
	return func(yield func(control.Announced, error) bool) {
		if s.Port == 0 {
			yield(control.Announced{}, control.NewError(control.CodeInvalid, nil, "port 0 is not within 1 to 65535", ""))
			return
		}
		d.mu.Lock()
		d.offers = append(d.offers, s)
		at := len(d.offers) - 1
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.offers[at] = control.Service{}
		}()
		told := control.Announced{By: "bcast", Name: s.Name, Type: s.Type, Port: s.Port}
		if !yield(told, nil) {
			return
		}
		told.By, told.Iface, told.Host = "mdns", "eth0", d.status.Nick+".local"
		if yield(told, nil) {
			<-ctx.Done()
		}
	}
}

// Peers implements control.API.
func (d *Device) Peers(context.Context) ([]control.Peer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.peers), nil
}

// Devices are the peers, as a subnet would tell of them on which nobody else is.
func (d *Device) Devices(context.Context) ([]control.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []control.Device{}
	for _, p := range d.peers {
		all = append(all, control.Device{
			ID: p.ID, Nick: p.Nick, Name: p.Nick, Kind: "bcast", Status: p.Status, Addrs: []string{p.Addr},
			FirstSeen: p.FirstSeen, LastSeen: p.LastSeen, FoundBy: []roster.Source{roster.Bcast},
			Services: []roster.Service{}, Evidence: []roster.Evidence{},
		})
	}
	return all, nil
}

// Note brings a change of a device of the subnet.
func (d *Device) Note(change control.DeviceChange) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record(control.Event{Type: control.EventDevice, Device: &change})
}

// Rooms implements control.API.
func (d *Device) Rooms(context.Context) ([]control.Room, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms := []control.Room{}
	for name, r := range d.rooms {
		if r.left {
			continue
		}
		noun := control.Room{Name: name, Public: true, Members: 1, Present: 1, Posts: len(r.posts), DatagramLimit: 1400,
			Ephemeral: r.options.Ephemeral, Retention: r.options.Retention, Topic: topicOf(r.posts)}
		if p, err := d.peer(strings.TrimPrefix(name, "@")); name[0] == '@' && err == nil {
			noun.Public, noun.Direct = false, d.title(*p)
		}
		for _, p := range d.members(name) {
			if noun.Members++; control.Here(p.Status) {
				noun.Present++
			}
		}
		rooms = append(rooms, noun)
	}
	slices.SortFunc(rooms, func(a, b control.Room) int { return strings.Compare(a.Name, b.Name) })
	return rooms, nil
}

// Join implements control.API.
func (d *Device) Join(_ context.Context, name string, options control.JoinOptions) (control.Joined, error) {
	name, err := roomName(name)
	if err != nil {
		return control.Joined{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	direct := ""
	if whom, found := strings.CutPrefix(name, "@"); found {
		p, err := d.peer(whom)
		if err != nil {
			return control.Joined{}, err
		}
		name, direct = "@"+p.ID, d.title(*p)
	}
	r := d.rooms[name]
	if r != nil && !r.left {
		return control.Joined{Room: name, Direct: direct}, nil
	}
	if r == nil {
		r = &room{roster: map[string][]string{}, have: map[string]map[string]bool{}}
		d.rooms[name] = r
	}
	r.options, r.left = options, false
	return control.Joined{Room: name, New: true, Direct: direct}, nil
}

// Leave implements control.API.
func (d *Device) Leave(_ context.Context, name string, forget bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.joined(name)
	if err != nil {
		return err
	}
	r.left = true
	if forget {
		delete(d.rooms, strings.TrimPrefix(name, "#"))
	}
	return nil
}

// Members implements control.API.
func (d *Device) Members(_ context.Context, name string) ([]control.Member, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(name); err != nil {
		return nil, err
	}
	members := []control.Member{{ID: d.status.ID, Nick: d.status.Nick, Tag: d.status.Tag, Status: "self",
		LastSeen: Epoch}}
	for _, p := range d.members(name) {
		members = append(members, control.Member{ID: p.ID, Nick: p.Nick, Tag: p.Tag, Status: p.Status,
			LastSeen: p.LastSeen, Tagged: p.Tagged, Verified: p.Verified})
	}
	return members, nil
}

// Nick implements control.API.
func (d *Device) Nick(_ context.Context, nick string) error {
	if nick == "" || strings.ContainsAny(nick, " \t\n") {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is not a nick", nick), "")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Nick = nick
	return nil
}

// Events implements control.API. Ids count the events; one that was never given starts with a gap.
func (d *Device) Events(ctx context.Context, after string) iter.Seq2[control.Event, error] {
	d.mu.Lock()
	next, gap := len(d.events), false
	if after != "" {
		_, err := fmt.Sscan(after, &next)
		gap = err != nil || next > len(d.events)
	}
	d.mu.Unlock()
	return func(yield func(control.Event, error) bool) {
		if gap {
			next = 0
			if !yield(control.Event{Type: control.EventGap, ID: "0", Time: Epoch}, nil) {
				return
			}
		}
		for {
			d.mu.Lock()
			events, changed := d.events[next:], d.changed
			d.mu.Unlock()
			for _, event := range events {
				if next++; !yield(event, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// post, record and tick want d.mu held.
func (d *Device) post(post control.Post) control.Post {
	name, id := strings.TrimPrefix(post.Room, "#"), deviceID(post.Nick)
	r := d.rooms[name]
	post.Room, post.Kind = name, cmp.Or(post.Kind, "text")
	post.Record, post.ID = fmt.Sprintf("r%d", d.facts), fmt.Sprintf("r%d.0", d.facts)
	post.From, post.Tag, post.Time = id, id[:4], d.tick()
	if p, err := d.peer(strings.TrimPrefix(name, "@")); strings.HasPrefix(name, "@") && err == nil {
		post.Direct = d.title(*p)
	}
	r.posts = append(r.posts, post)
	r.have[post.ID] = map[string]bool{}
	for _, p := range d.members(name) {
		if p.ID != id {
			r.roster[post.ID] = append(r.roster[post.ID], p.Nick)
			r.have[post.ID][p.Nick] = control.Here(p.Status) && !d.deaf[p.Nick]
		}
	}
	d.record(control.Event{Type: control.EventPost, Post: &post})
	return post
}

func (d *Device) record(event control.Event) {
	event.ID, event.Time = fmt.Sprint(len(d.events)+1), d.tick()
	d.events = append(d.events, event)
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Device) tick() time.Time {
	d.facts++
	return Epoch.Add(time.Duration(d.facts) * time.Second)
}

// members are the others.
func (d *Device) members(name string) []control.Peer {
	var in []control.Peer
	for _, p := range d.peers {
		if slices.Contains(p.Rooms, strings.TrimPrefix(name, "#")) {
			in = append(in, p)
		}
	}
	return in
}

// title is what people are shown a peer as.
func (d *Device) title(p control.Peer) string {
	if p.Tagged {
		return p.Nick + "-" + p.Tag
	}
	return p.Nick
}

func (d *Device) joined(name string) (*room, error) {
	name, err := roomName(name)
	if err != nil {
		return nil, err
	}
	if r := d.rooms[name]; r != nil && !r.left {
		return r, nil
	}
	return nil, control.NewError(control.CodeNotJoined, nil, fmt.Sprintf("room %s is not joined", name),
		"bcast join "+name)
}

func roomName(name string) (string, error) {
	name = strings.TrimPrefix(name, "#")
	if strings.HasPrefix(name, "@") {
		return name, nil
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	}) {
		return "", control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is not a room name", name), "e.g. lobby")
	}
	return name, nil
}
