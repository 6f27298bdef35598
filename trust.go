package bcast

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/home"
	"bcast/internal/node"
)

// trust is what the user decided about other devices.
type trust struct{ home.Trust }

func (t trust) pinned(id identity.DeviceID) bool {
	return slices.ContainsFunc(t.Pins, func(p home.Pin) bool { return p.ID == id.String() })
}

func (t trust) blocks(id identity.DeviceID) bool {
	return len(t.Blocked) > 0 && slices.Contains(t.Blocked, id.String())
}

// maxSkeletons bounds the skeletons remembered; beyond it all are forgotten and made again.
const maxSkeletons = 4096

// crowd is the other live devices by what their nicks look like. It follows the peer events, so that a post costs the
// same among two devices and among thousands; touched with the node's turn only.
type crowd struct {
	alike     map[string]map[identity.DeviceID]bool // the devices of each skeleton
	looks     map[identity.DeviceID]string          // the skeleton that a device stands under in alike
	skeletons map[identity.Nick]string              // of the nicks met, up to maxSkeletons
}

func newCrowd() *crowd {
	return &crowd{
		alike: map[string]map[identity.DeviceID]bool{}, looks: map[identity.DeviceID]string{},
		skeletons: map[identity.Nick]string{},
	}
}

// follow takes what became of a device.
func (c *crowd) follow(p discovery.Peer) {
	if was, live := c.looks[p.ID]; live {
		delete(c.looks, p.ID)
		if delete(c.alike[was], p.ID); len(c.alike[was]) == 0 {
			delete(c.alike, was)
		}
	}
	if !p.Present() {
		return
	}
	look := c.skeleton(p.Nick)
	c.looks[p.ID] = look
	if c.alike[look] == nil {
		c.alike[look] = map[identity.DeviceID]bool{}
	}
	c.alike[look][p.ID] = true
}

// skeleton is what a nick looks like (UTS 39). It is made once for each.
func (c *crowd) skeleton(nick identity.Nick) string {
	skeleton, known := c.skeletons[nick]
	if !known {
		if len(c.skeletons) >= maxSkeletons {
			clear(c.skeletons)
		}
		skeleton = identity.Skeleton(nick)
		c.skeletons[nick] = skeleton
	}
	return skeleton
}

// sight is how devices look to a person now: which nicks do not say who they are.
type sight struct {
	*crowd
	trust trust
	self  identity.DeviceID
	nick  identity.Nick // our own
}

// sight looks at the live devices. It runs with the node's turn.
func (n *Node) sight(e *engine.Engine) sight {
	s := sight{crowd: n.crowd}
	n.mu.Lock()
	s.trust = n.trusted
	n.mu.Unlock()
	s.self, s.nick, _ = e.Own()
	return s
}

// tagged tells whether a device's nick could be taken for that of another live one. A pin vouches for the nick that it
// was written with: under that, a device is taken for none but others that are vouched for too.
func (s *sight) tagged(id identity.DeviceID, nick identity.Nick) bool {
	if nick == "" {
		return false
	}
	look := s.skeleton(nick)
	vouched := s.vouches(id, look)
	if id != s.self && look == s.skeleton(s.nick) && !vouched {
		return true
	}
	for other := range s.alike[look] {
		if other != id && (!vouched || s.vouches(other, look)) {
			return true
		}
	}
	return false
}

// judge tells how a device's name in a room is to be shown: with its tag, and as verified.
func (s *sight) judge(e *engine.Engine, room identity.RoomName, id identity.DeviceID) (tagged, verified bool) {
	return s.tagged(id, e.Nick(room, id)), s.trust.pinned(id)
}

// vouches tells whether a device's key was compared while its nick looked so.
func (s *sight) vouches(id identity.DeviceID, look string) bool {
	return slices.ContainsFunc(s.trust.Pins, func(p home.Pin) bool {
		return p.ID == id.String() && s.skeleton(p.Nick) == look
	})
}

// hides tells whether an event is a post or a signal of a device that the user does not want to see.
func (n *Node) hides(ev engine.Event) bool {
	if ev.Kind != engine.RoomEvent {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trusted.blocks(ev.Chat.Device)
}

// peer is the device that a word names: one that is known here, or a member of a joined room.
func (n *Node) peer(ctx context.Context, word string) (identity.PublicKey, identity.Nick, error) {
	keys := map[identity.DeviceID]identity.PublicKey{}
	var among, found []identity.Candidate
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		for _, p := range e.Peers() {
			keys[p.ID] = p.Key
			among = append(among, identity.Candidate{ID: p.ID, Nick: p.Nick})
		}
		found = identity.Resolve(word, among)
	})
	if err != nil {
		return identity.PublicKey{}, "", err
	}
	c, err := theOne(found, word, "device here", "bcast peers")
	return keys[c.ID], c.Nick, err
}

// theOne is the only candidate, or the error that says what else there is.
func theOne(found []identity.Candidate, word, what, hint string) (identity.Candidate, error) {
	switch len(found) {
	case 0:
		return identity.Candidate{}, control.NewError(control.CodeNotFound, nil,
			fmt.Sprintf("no %s is called %q", what, word), hint)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, c := range found {
		names = append(names, string(c.Nick)+"-"+c.ID.LongTag())
	}
	return identity.Candidate{}, control.NewError(control.CodeAmbiguous, nil,
		fmt.Sprintf("%q is more than one %s: %s", word, what, strings.Join(names, ", ")), "name one of these")
}

// Verification is what two people compare to know that a device is whose they think.
func (n *Node) Verification(ctx context.Context, peer string) (Verification, error) {
	key, nick, err := n.peer(ctx, peer)
	if err != nil {
		return Verification{}, err
	}
	return n.verification(ctx, key, nick)
}

func (n *Node) verification(ctx context.Context, key identity.PublicKey, nick identity.Nick) (Verification, error) {
	var own identity.PublicKey
	if err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) { own = e.Key() }); err != nil {
		return Verification{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return Verification{
		ID: key.ID().String(), Nick: string(nick), Tag: key.ID().Tag(), Words: identity.Words(own, key),
		Code: identity.VerifyCode(own), Verified: n.trusted.pinned(key.ID()),
	}, nil
}

// Pin remembers that a device's key was compared. proof is the words that its side showed, or its code. A pin is
// written once: a device with another key is another device.
func (n *Node) Pin(ctx context.Context, peer, proof string) (Verification, error) {
	key, nick, err := n.peer(ctx, peer)
	if err != nil {
		return Verification{}, err
	}
	v, err := n.verification(ctx, key, nick)
	if err != nil {
		return v, err
	}
	if !proves(proof, key, v.Words) {
		return v, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("that is not what %s-%s has to show", nick, v.Tag),
			"compare again; if it stays different, somebody stands in between")
	}
	v.Verified = true
	return v, n.changeTrust(func(t *home.Trust) {
		if !(trust{*t}).pinned(key.ID()) {
			t.Pins = append(t.Pins, home.Pin{ID: v.ID, Nick: nick, At: time.Now().UTC()})
		}
	})
}

// proves tells whether proof is a device's code or the words that both sides show.
func proves(proof string, key identity.PublicKey, words []string) bool {
	if shown, err := identity.ParseVerifyCode(strings.TrimSpace(proof)); err == nil {
		return shown == key
	}
	read, err := identity.ParseWords(proof)
	return err == nil && identity.SameWords(read, words)
}

// Block hides what a device posts, or shows it again. A direct room with it is left, and opened by it no more.
func (n *Node) Block(ctx context.Context, peer string, blocked bool) error {
	key, _, err := n.peer(ctx, peer)
	if err != nil {
		return err
	}
	id := key.ID().String()
	err = n.changeTrust(func(t *home.Trust) {
		t.Blocked = slices.DeleteFunc(t.Blocked, func(b string) bool { return b == id })
		if blocked {
			t.Blocked = append(t.Blocked, id)
		}
	})
	if direct := engine.DirectRoom(key.ID()); blocked && err == nil && n.isJoined(direct) {
		err = n.Leave(ctx, string(direct), false) // what it says there is not even taken
	}
	return err
}

// changeTrust changes what is decided about others and remembers it.
func (n *Node) changeTrust(change func(*home.Trust)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := home.Trust{Pins: slices.Clone(n.trusted.Pins), Blocked: slices.Clone(n.trusted.Blocked)}
	change(&t)
	n.trusted = trust{t}
	if n.home == nil {
		return nil
	}
	if err := n.home.SetTrust(t); err != nil {
		return homeError(n.cfg.Home, err)
	}
	return nil
}
