// Package controltest is a working participant without a network, for tests of the faces: rooms, posts, peers and an
// event log in memory, and methods that let the rest of the LAN act.
//
// Its invariant: the API behaves as control documents it, so a face that works here works on a node. It never waits for
// anything but its context.
package controltest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/internal/control"
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
	changed  chan struct{} // closed and replaced at every event
	facts    int
}

type room struct {
	posts []control.Post
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
			Drops: map[string]uint64{}, Sent: map[string]uint64{}, Received: map[string]uint64{},
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
	now := d.tick()
	peer := control.Peer{
		ID: deviceID(nick), Nick: nick, Tag: deviceID(nick)[:4], Addr: fmt.Sprintf("10.77.0.%d", 10+len(d.peers)),
		Iface: "eth0", Status: "here", FirstSeen: now, LastSeen: now, RecvBuffer: 65535, Link: "wired", Version: 1,
		Rooms: rooms, Unicast: "ok",
	}
	d.peers = append(d.peers, peer)
	d.record(control.Event{Type: control.EventPeer, Peer: &peer})
	for _, name := range rooms {
		change := &control.MemberChange{Room: name, ID: peer.ID, Nick: nick, Tag: peer.Tag, Change: "join"}
		d.record(control.Event{Type: control.EventMember, Member: change})
	}
}

// Deafen keeps a peer from ever confirming a post.
func (d *Device) Deafen(nick string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deaf[nick] = true
}

// Hear brings a post of another device to a joined room.
func (d *Device) Hear(name, nick, text string) control.Post {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.post(name, nick, text, "text", false)
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

// Peers implements control.API.
func (d *Device) Peers(context.Context) ([]control.Peer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.peers), nil
}

// Rooms implements control.API.
func (d *Device) Rooms(context.Context) ([]control.Room, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms := []control.Room{}
	for name, r := range d.rooms {
		present := 1 + len(d.present(name))
		rooms = append(rooms, control.Room{Name: name, Public: true, Members: present, Present: present,
			Posts: len(r.posts), DatagramLimit: 1400})
	}
	slices.SortFunc(rooms, func(a, b control.Room) int { return strings.Compare(a.Name, b.Name) })
	return rooms, nil
}

// Join implements control.API.
func (d *Device) Join(_ context.Context, name string) (control.Joined, error) {
	name, err := roomName(name)
	if err != nil {
		return control.Joined{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh := d.rooms[name] == nil
	if fresh {
		d.rooms[name] = &room{}
	}
	return control.Joined{Room: name, New: fresh}, nil
}

// Leave implements control.API.
func (d *Device) Leave(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.joined(name); err != nil {
		return err
	}
	delete(d.rooms, strings.TrimPrefix(name, "#"))
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
	for _, p := range d.present(name) {
		members = append(members, control.Member{ID: p.ID, Nick: p.Nick, Tag: p.Tag, Status: p.Status,
			LastSeen: p.LastSeen})
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

// Say implements control.API.
func (d *Device) Say(ctx context.Context, say control.Say) (control.Said, error) {
	if err := control.CheckText(say.Text); err != nil {
		return control.Said{}, err
	}
	d.mu.Lock()
	if _, err := d.joined(say.Room); err != nil {
		d.mu.Unlock()
		return control.Said{}, err
	}
	said := control.Said{ID: d.post(say.Room, d.status.Nick, say.Text, say.Kind, true).ID}
	for _, p := range d.present(say.Room) {
		said.Members++
		if !d.deaf[p.Nick] {
			said.Have++
		}
	}
	d.mu.Unlock()
	if say.Wait != "all" || said.Have == said.Members {
		return said, nil
	}
	<-ctx.Done()
	return said, control.NewError(control.CodeTimeout, ctx.Err(), "not all have it in time", "")
}

// Posts implements control.API.
func (d *Device) Posts(_ context.Context, name string, query control.PostQuery) ([]control.Post, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.joined(name)
	if err != nil {
		return nil, err
	}
	posts := r.posts
	if at := slices.IndexFunc(posts, func(p control.Post) bool { return p.ID == query.Since }); at >= 0 {
		posts = posts[at+1:]
	}
	if query.Limit > 0 && len(posts) > query.Limit {
		posts = posts[len(posts)-query.Limit:]
	}
	return append([]control.Post{}, posts...), nil
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
func (d *Device) post(name, nick, text, kind string, own bool) control.Post {
	if kind == "" {
		kind = "text"
	}
	name = strings.TrimPrefix(name, "#")
	r := d.rooms[name]
	id := deviceID(nick)
	post := control.Post{Room: name, Record: fmt.Sprintf("r%d", d.facts), ID: fmt.Sprintf("r%d.0", d.facts), From: id,
		Nick: nick, Tag: id[:4], Time: d.tick(), Kind: kind, Text: text, Own: own}
	r.posts = append(r.posts, post)
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

func (d *Device) present(name string) []control.Peer {
	var in []control.Peer
	for _, p := range d.peers {
		if slices.Contains(p.Rooms, strings.TrimPrefix(name, "#")) {
			in = append(in, p)
		}
	}
	return in
}

func (d *Device) joined(name string) (*room, error) {
	name, err := roomName(name)
	if err != nil {
		return nil, err
	}
	if r := d.rooms[name]; r != nil {
		return r, nil
	}
	return nil, control.NewError(control.CodeNotJoined, nil, fmt.Sprintf("room %s is not joined", name),
		"bcast join "+name)
}

func roomName(name string) (string, error) {
	name = strings.TrimPrefix(name, "#")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	}) {
		return "", control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%q is not a room name", name), "e.g. lobby")
	}
	return name, nil
}
