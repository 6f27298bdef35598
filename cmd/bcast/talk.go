package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bcast/internal/control"
	"bcast/internal/show"
	"bcast/internal/tui"
)

// talk is a person's place in a room. What they type there means the same in each view of a room.
type talk struct {
	api  control.API
	room string
	pick string   // the post that they point at; empty if none
	p    *printer // what commands answer
}

// say posts a text: to a room, or as a reply to the post pointed at.
func (t talk) say(ctx context.Context, text string) error {
	say := control.Say{Room: t.room, Text: text}
	if t.pick != "" {
		say.Kind, say.Target = "reply", t.pick
	}
	_, err := t.api.Say(ctx, say)
	return err
}

func (t talk) action(ctx context.Context, text string) error {
	_, err := t.api.Say(ctx, control.Say{Room: t.room, Text: text, Kind: "action"})
	return err
}

// enter goes to another room.
func (t talk) enter(_ context.Context, rest string) (tui.Outcome, error) {
	if strings.HasPrefix(rest, invitePrefix) {
		return tui.Outcome{Enter: rest}, nil
	}
	room, err := parseRoom(rest)
	return tui.Outcome{Enter: room}, err
}

func (t talk) query(_ context.Context, rest string) (tui.Outcome, error) {
	room, err := parseRoom("@" + strings.TrimPrefix(rest, "@"))
	return tui.Outcome{Enter: room}, err
}

func (t talk) nick(ctx context.Context, rest string) error { return t.api.Nick(ctx, rest) }

func (t talk) rooms(ctx context.Context, _ string) error {
	rooms, err := t.api.Rooms(ctx)
	if err != nil {
		return err
	}
	return t.p.rooms(rooms)
}

// list tells which public rooms there are, as far as devices here tell.
func (t talk) list(ctx context.Context, _ string) error {
	rooms, err := t.api.Rooms(ctx)
	if err != nil {
		return err
	}
	peers, err := t.api.Peers(ctx)
	if err != nil {
		return err
	}
	devices, joined := control.Devices(rooms, peers), map[string]string{}
	for _, r := range rooms {
		joined[r.Name] = "joined"
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		rows = append(rows, []string{show.Clean(name), fmt.Sprint(devices[name]), joined[name]})
	}
	return t.p.columns([]string{"ROOM", "DEVICES", ""}, rows)
}

// whisper says something to one device alone, or in another room. It comes back to the screen as all posts do.
func (t talk) whisper(ctx context.Context, rest string) error {
	whom, text, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(whom, "#") {
		whom = "@" + strings.TrimPrefix(whom, "@")
	}
	room, err := parseRoom(whom)
	if err != nil {
		return err
	}
	text = strings.TrimSpace(text)
	if err := control.CheckText(text); err != nil {
		return err
	}
	joined, err := t.api.Join(ctx, room, control.JoinOptions{})
	if err != nil {
		return err
	}
	_, err = t.api.Say(ctx, control.Say{Room: joined.Room, Text: text})
	return err
}

// signals tells all rooms joined: who is away is away in each.
func signals(kind string) func(talk, context.Context, string) error {
	return func(t talk, ctx context.Context, text string) error {
		rooms, err := t.api.Rooms(ctx)
		if err != nil {
			return err
		}
		for _, r := range rooms {
			if err := t.api.Signal(ctx, control.Signal{Room: r.Name, Kind: kind, Text: text}); err != nil {
				return err
			}
		}
		return nil
	}
}

// changes replies to a post, edits, deletes it or reacts to it: the one pointed at, or named, or said last.
func changes(kind string) func(talk, context.Context, string) error {
	return func(t talk, ctx context.Context, rest string) error {
		target, text := t.pick, rest
		if target == "" {
			target, text = t.named(ctx, rest, kind)
		}
		if target == "" {
			last, err := lastSaid(ctx, t.api, t.room, kind == "edit" || kind == "delete")
			if err != nil {
				return err
			}
			target = last
		}
		if kind == "delete" {
			text = ""
		}
		_, err := t.api.Say(ctx, control.Say{Room: t.room, Kind: kind, Target: target, Text: strings.TrimSpace(text)})
		return err
	}
}

// named takes a post's id off the front of a line. Where no post begins so, all of it is text.
func (t talk) named(ctx context.Context, rest, kind string) (target, text string) {
	target, text, _ = strings.Cut(rest, " ")
	if kind == "delete" {
		return target, "" // a wrong id is to be refused, not to take back another post
	}
	if _, err := t.api.Ledger(ctx, target); err != nil {
		return "", rest
	}
	return target, text
}

// lastSaid is the newest post of ours in a room, or of somebody else.
func lastSaid(ctx context.Context, api control.API, room string, own bool) (string, error) {
	posts, err := api.Posts(ctx, room, control.PostQuery{Limit: 100})
	if err != nil {
		return "", err
	}
	for _, post := range slices.Backward(posts) {
		if post.Own == own && !post.Deleted && post.Kind != "topic" {
			return post.ID, nil
		}
	}
	who := map[bool]string{true: "you", false: "nobody else"}[own]
	return "", control.NewError(control.CodeNotFound, nil, who+" said nothing here lately", "name the post by its id")
}

// topic tells what the room is about, or sets it.
func (t talk) topic(ctx context.Context, text string) error {
	if text != "" {
		_, err := t.api.Say(ctx, control.Say{Room: t.room, Kind: "topic", Text: text})
		return err
	}
	rooms, err := t.api.Rooms(ctx)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		switch {
		case r.Name != t.room:
		case r.Topic == "":
			t.p.note("no topic is set")
		default:
			t.p.note("topic: %s", show.Clean(r.Topic))
		}
	}
	return nil
}

// members lists who is in the room, here or gone.
func (t talk) members(ctx context.Context, _ string) error {
	members, err := t.api.Members(ctx, t.room)
	if err != nil {
		return err
	}
	return t.p.members(members)
}

// who tells who has a post: the one pointed at or named; else who is here and who has the last own one.
func (t talk) who(ctx context.Context, post string) error {
	if t.pick != "" {
		post = t.pick
	}
	if post != "" {
		ledger, err := t.api.Ledger(ctx, post)
		if err != nil {
			return err
		}
		return t.p.ledger(ledger)
	}
	if err := t.members(ctx, ""); err != nil {
		return err
	}
	own, err := lastSaid(ctx, t.api, t.room, true)
	if err != nil {
		return nil // nothing was said
	}
	ledger, err := t.api.Ledger(ctx, own)
	if err != nil {
		return err
	}
	t.p.note("your last post was %s", t.p.seen(ledger.Have, ledger.Members, ledger.Missing))
	return nil
}

// whois tells what is known of a device.
func (t talk) whois(ctx context.Context, word string) error {
	peers, err := t.api.Peers(ctx)
	if err != nil {
		return err
	}
	word = strings.TrimPrefix(word, "@")
	known := slices.DeleteFunc(peers, func(p control.Peer) bool {
		return word == "" || p.Nick != word && p.Nick+"-"+p.Tag != word && !strings.HasPrefix(p.ID, word)
	})
	if len(known) == 0 {
		return control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no device %q is known", word),
			"/members lists those of the room")
	}
	if err := t.p.peers(known); err != nil {
		return err
	}
	for _, p := range known {
		t.p.note("%s has the key %s, verified: %t, known since %s", t.p.plainName(p.ID, p.Nick, p.Tag), show.Clean(p.ID),
			p.Verified, p.FirstSeen.Local().Format("2 Jan 15:04"))
	}
	return nil
}

func (t talk) invite(ctx context.Context, room string) error {
	if room == "" {
		room = t.room
	}
	invitation, err := t.api.Invite(ctx, room)
	if err != nil {
		return err
	}
	return t.p.line("%s", show.Clean(invitation.Invite))
}

func (t talk) verify(ctx context.Context, rest string) error {
	peer, proof, _ := strings.Cut(rest, " ")
	if peer == "" {
		return usageError("verify whom?", "/verify PEER shows what to compare")
	}
	known, err := t.api.Verification(ctx, peer)
	if err == nil && proof != "" {
		known, err = t.api.Pin(ctx, peer, strings.TrimSpace(proof))
	}
	if err != nil {
		return err
	}
	return t.p.verification(known, false)
}

// blocks hides what a device posts, or shows it again.
func blocks(blocked bool) func(talk, context.Context, string) error {
	return func(t talk, ctx context.Context, peer string) error {
		if err := t.api.Block(ctx, strings.TrimPrefix(peer, "@"), blocked); err != nil {
			return err
		}
		what := map[bool]string{true: "hidden here", false: "shown again"}[blocked]
		t.p.note("what %s posts is %s", show.Clean(peer), what)
		return nil
	}
}
