package bcast_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast"
	"bcast/internal/control"
	"bcast/internal/guest"
)

// party is a LAN with a host that takes in guests, and another member.
type party struct {
	*testing.T
	lan        *bcast.LAN
	alice, bob *bcast.Node
	door       *guest.Door
	end        context.CancelFunc
	ended      chan struct{}
	early      bool // guests' devices have the room's past before anybody looks: then it came in its order
}

// throw has alice take in guests, and then runs a test of it.
func throw(t *testing.T, test func(*party)) {
	synctest.Test(t, func(t *testing.T) {
		p := &party{T: t, lan: bcast.NewLAN(), ended: make(chan struct{})}
		p.alice, p.bob = on(t, p.lan, "alice"), on(t, p.lan, "bob")
		defer p.alice.Close()
		defer p.bob.Close()
		p.door = guest.New(guest.Config{
			Host: p.alice, Fingerprint: "aa", Log: slog.New(slog.DiscardHandler),
			Start: func(ctx context.Context, nick string) (guest.Device, error) {
				node, err := bcast.Start(ctx, bcast.Config{Nick: nick}, bcast.OnLAN(p.lan))
				if err == nil && p.early {
					_, err = node.Join(ctx, "lobby", bcast.JoinOptions{})
					time.Sleep(5 * time.Second)
				}
				return node, err
			},
			Bases: func(context.Context) ([]string, error) { return []string{"https://10.77.0.1:8080"}, nil },
		})
		ctx, end := context.WithCancel(t.Context())
		p.end = end
		go func() { p.door.Run(ctx); close(p.ended) }()
		time.Sleep(time.Second)
		test(p)
		p.end()
		<-p.ended
	})
}

// link makes a guest link that is good for so long and returns its secret.
func (p *party) link(room, good string) (secret string, link control.GuestLink) {
	p.Helper()
	link, err := p.door.InviteGuests(p.Context(), room, control.GuestOptions{For: good})
	if err != nil {
		p.Fatal(err)
	}
	_, secret, _ = strings.Cut(link.URLs[0], "#guest=")
	time.Sleep(time.Second)
	return secret, link
}

// enter comes in by a link; what is asked with the context is asked by the guest.
func (p *party) enter(secret, nick string) (context.Context, string) {
	p.Helper()
	session, err := p.door.Enter(p.Context(), secret, nick)
	if err != nil {
		p.Fatal(err)
	}
	g, err := p.door.Guest(session)
	if err != nil {
		p.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	return guest.As(p.Context(), g), session
}

func (p *party) say(node *bcast.Node, say bcast.Say) string {
	p.Helper()
	said, err := node.Say(p.Context(), say)
	if err != nil {
		p.Fatal(err)
	}
	time.Sleep(time.Second)
	return said.ID
}

// reads is what a participant reads in a room: who said what.
func (p *party) reads(ctx context.Context, api interface {
	Posts(context.Context, string, control.PostQuery) ([]control.Post, error)
}, room string) string {
	p.Helper()
	posts, err := api.Posts(ctx, room, control.PostQuery{Limit: 100})
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, post := range posts {
		line := post.Nick + ": " + post.Text
		if post.Quote != nil {
			line += " (" + post.Quote.Text + ")"
		}
		lines = append(lines, line)
	}
	return tags.ReplaceAllString(strings.Join(lines, "\n"), "_guest ")
}

// tags are those of guests, which differ from run to run.
var tags = regexp.MustCompile(`_guest-[a-z2-7]{4} `)

const opened = "alice: lets guests in here by a link, for 12 hours; they read what is said from now on"

func TestAGuestTalksAsADeviceOfItsOwn(t *testing.T) {
	throw(t, func(p *party) {
		secret, _ := p.link("#Lobby", "")
		welcome, err := p.door.Look(p.Context(), secret)
		if err != nil || welcome.Room != "lobby" || welcome.By != "alice" {
			p.Errorf("welcome %+v, %v", welcome, err)
		}
		anna, _ := p.enter(secret, " anna_guest ")
		said, err := guest.API{}.Say(anna, control.Say{Room: "lobby", Text: "hello"})
		if err != nil {
			p.Fatal(err)
		}
		time.Sleep(time.Second)
		p.say(p.bob, bcast.Say{Room: "lobby", Kind: "reply", Target: said.ID, Text: "who is that?"})
		want := "alice: lets anna_guest in as a guest\nanna_guest: hello\nbob: who is that? (hello)"
		if got := p.reads(anna, guest.API{}, "lobby"); got != want {
			p.Errorf("the guest reads\n%s\nwant\n%s", got, want)
		}
		for _, n := range []*bcast.Node{p.alice, p.bob} {
			if got := p.reads(p.Context(), n, "lobby"); got != opened+"\n"+want {
				p.Errorf("a member reads\n%s", got)
			}
		}
		status, err := guest.API{}.Status(anna)
		posts, _ := p.bob.Posts(p.Context(), "lobby", bcast.PostQuery{Limit: 2})
		if err != nil || status.ID != posts[0].From || status.Nick != "anna_guest" || status.Home != "" || status.Port != 0 {
			p.Errorf("status %+v, %v; bob was told by %s", status, err, posts[0].From)
		}
		if _, err := p.alice.Posts(p.Context(), "lobby", bcast.PostQuery{}); err != nil || posts[0].From == newID(p, p.alice) {
			p.Errorf("the guest speaks by the host's key, %v", err)
		}
		if err := (guest.API{}).Nick(anna, "ann"); err != nil {
			p.Error(err)
		}
		time.Sleep(time.Second)
		members, err := p.bob.Members(p.Context(), "lobby")
		if err != nil || len(members) != 3 || !strings.Contains(fmt.Sprint(members), "ann_guest") {
			p.Errorf("members %+v, %v", members, err)
		}
	})
}

// direct is the name of the room of alice and bob, which she joins.
func direct(p *party) string {
	joined, err := p.alice.Join(p.Context(), "@bob", bcast.JoinOptions{})
	if err != nil {
		p.Fatal(err)
	}
	return joined.Room
}

func newID(p *party, node *bcast.Node) string {
	status, err := node.Status(p.Context())
	if err != nil {
		p.Error(err)
	}
	return status.ID
}

// When so much was said that the guest's device has given up the post from which it may see, it reads on.
func TestAGuestReadsOnWhenMuchWasSaid(t *testing.T) {
	throw(t, func(p *party) {
		p.say(p.alice, bcast.Say{Room: "lobby", Text: "OLD secret"})
		secret, _ := p.link("lobby", "")
		anna, _ := p.enter(secret, "anna")
		p.reads(anna, guest.API{}, "lobby")
		text := strings.Repeat("x", 16_000)
		for range 3 {
			for range 110 {
				if _, err := p.alice.Say(p.Context(), bcast.Say{Room: "lobby", Text: text}); err != nil {
					p.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			p.hears(anna, func(control.Event) {})
		}
		last := p.say(p.bob, bcast.Say{Room: "lobby", Text: "the last"})
		posts, err := guest.API{}.Posts(anna, "lobby", control.PostQuery{})
		if err != nil || len(posts) < 100 || posts[len(posts)-1].ID != last || len(posts) > 300 {
			p.Errorf("the guest reads %d posts, %v: want the last of what its device keeps", len(posts), err)
		}
		told := false
		p.hears(anna, func(e control.Event) {
			if e.Post != nil {
				told = told || e.Post.ID == last
			}
			if strings.Contains(fmt.Sprintf("%+v %+v", e, e.Post), "OLD") {
				p.Errorf("the guest is told %+v", e)
			}
		})
		if !told {
			p.Error("the guest is not told the last")
		}
	})
}

// events are those that a guest is told from the first of its device on.
func (p *party) events(as context.Context) string {
	p.Helper()
	var told strings.Builder
	p.hears(as, func(e control.Event) { fmt.Fprintf(&told, "%+v %+v\n", e, e.Post) })
	return told.String()
}

// hears calls do with each of those events.
func (p *party) hears(as context.Context, do func(control.Event)) {
	p.Helper()
	status, err := guest.API{}.Status(as)
	if err != nil {
		p.Fatal(err)
	}
	run := status.EventID[:strings.LastIndexByte(status.EventID, '.')]
	ctx, stop := context.WithTimeout(as, time.Second)
	defer stop()
	for e := range (guest.API{}).Events(ctx, run+".0") {
		do(e)
	}
}

// What was said before the link was made reaches no guest: not as a post, a quote, a change or an event, in whatever
// order it comes.
func TestADV_guest_What_was_said_before_stays_unseen(t *testing.T) {
	throw(t, func(p *party) { // its device gets all in its order, as from who is ahead of time, and is asked for it later
		p.early = true
		for range 500 { // each record is a millisecond later at least, so this is half a second ahead
			if _, err := p.alice.Say(p.Context(), bcast.Say{Room: "lobby", Text: "OLD secret"}); err != nil {
				p.Fatal(err)
			}
		}
		link, err := p.door.InviteGuests(p.Context(), "lobby", control.GuestOptions{})
		if err != nil {
			p.Fatal(err)
		}
		anna, _ := p.enter(strings.SplitAfter(link.URLs[0], "#guest=")[1], "anna")
		p.reads(anna, guest.API{}, "lobby")
		if events := p.events(anna); strings.Contains(events, "OLD") || !strings.Contains(events, "in as a guest") {
			p.Errorf("of what its device was told at first the guest is told %s", events)
		}
	})
	throw(t, func(p *party) {
		old := p.say(p.bob, bcast.Say{Room: "lobby", Text: "OLD secret"})
		p.lan.Unplug(p.bob)
		p.say(p.bob, bcast.Say{Room: "lobby", Text: "OLD, and unheard of when the link was made"})
		secret, _ := p.link("lobby", "")
		anna, _ := p.enter(secret, "anna")
		status, err := guest.API{}.Status(anna)
		if err != nil {
			p.Fatal(err)
		}
		if got := p.reads(anna, guest.API{}, "lobby"); got != "alice: lets anna_guest in as a guest" {
			p.Errorf("the guest first reads\n%s", got)
		}
		var told []control.Event
		ctx, stop := context.WithCancel(anna)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range (guest.API{}).Events(ctx, status.EventID) {
				told = append(told, e)
			}
		}()
		p.lan.Plug(p.bob)
		time.Sleep(30 * time.Second)
		p.say(p.bob, bcast.Say{Room: "lobby", Kind: "reply", Target: old, Text: "new words"})
		p.say(p.bob, bcast.Say{Room: "lobby", Kind: "edit", Target: old, Text: "OLD edited"})
		p.say(p.alice, bcast.Say{Room: "lobby", Kind: "reaction", Target: old, Text: "👍"})
		want := "alice: lets anna_guest in as a guest\nbob: new words"
		if got := p.reads(anna, guest.API{}, "lobby"); got != want {
			p.Errorf("the guest reads\n%s\nwant\n%s", got, want)
		}
		if got := p.reads(p.Context(), p.alice, "lobby"); strings.Count(got, "OLD") != 3 {
			p.Errorf("its host reads\n%s", got)
		}
		stop()
		<-done
		heard := false
		for _, e := range told {
			heard = heard || e.Post != nil && e.Post.Text == "new words"
			if text := fmt.Sprintf("%+v %+v", e, e.Post); strings.Contains(text, "OLD") || e.Post != nil && e.Post.Quote != nil {
				p.Errorf("the guest is told of %s", text)
			}
		}
		if !heard {
			p.Error("the guest was not told of what was said")
		}
		for _, query := range []control.PostQuery{{Since: old}, {Since: "10h"}, {Before: old}, {Search: "secret"}} {
			if posts, err := (guest.API{}).Posts(anna, "lobby", query); control.AsError(err) == nil || len(posts) > 0 {
				p.Errorf("%+v is answered: %v", query, posts)
			}
		}
		if _, err := (guest.API{}).Ledger(anna, old); err == nil {
			p.Error("a guest learns who has an old post")
		}
		if _, err := (guest.API{}).Say(anna, control.Say{Room: "lobby", Kind: "reply", Target: old[:8], Text: "x"}); err == nil {
			p.Error("a guest answers an old post")
		}
	})
}

// A guest is in one room: others, its host's or its own device's, do not exist for it.
func TestADV_guest_Another_room_is_not_there(t *testing.T) {
	throw(t, func(p *party) {
		if _, err := p.alice.Join(p.Context(), "crew", bcast.JoinOptions{Private: true}); err != nil {
			p.Fatal(err)
		}
		secret, _ := p.link("crew", "")
		anna, _ := p.enter(secret, "anna")
		p.say(p.alice, bcast.Say{Room: "lobby", Text: "in the lobby"})
		p.say(p.alice, bcast.Say{Room: "crew", Text: "in the crew"})
		if _, err := p.bob.Join(p.Context(), "@anna_guest", bcast.JoinOptions{}); err != nil {
			p.Fatal(err)
		}
		p.say(p.bob, bcast.Say{Room: "@anna_guest", Text: "to the guest alone"})
		if got := p.reads(anna, guest.API{}, "crew"); got != "alice: lets anna_guest in as a guest\nalice: in the crew" {
			p.Errorf("the guest reads %s", got)
		}
		rooms, err := guest.API{}.Rooms(anna)
		if err != nil || len(rooms) != 1 || rooms[0].Name != "crew" {
			p.Errorf("rooms %+v, %v", rooms, err)
		}
		status, _ := guest.API{}.Status(anna)
		if len(status.Rooms) != 1 {
			p.Errorf("the status tells of %+v", status.Rooms)
		}
		for _, room := range []string{"lobby", "@bob", "@anna_guest", ""} {
			_, posts := guest.API{}.Posts(anna, room, control.PostQuery{})
			_, members := guest.API{}.Members(anna, room)
			_, said := guest.API{}.Say(anna, control.Say{Room: room, Text: "x"})
			signal := guest.API{}.Signal(anna, control.Signal{Room: room, Kind: "typing"})
			for _, err := range []error{posts, members, said, signal} {
				if e := control.AsError(err); e == nil || e.Code != control.CodeForbidden {
					p.Errorf("%q: %v", room, err)
				}
			}
		}
		for _, direct := range []string{"@bob", direct(p)} {
			_, err := p.door.InviteGuests(p.Context(), direct, control.GuestOptions{})
			if e := control.AsError(err); e == nil || e.Code == control.CodeInternal {
				p.Errorf("guests are let into %s, a room of two: %v", direct, err)
			}
		}
		// Any member of a private room can shut the guest out, who then reads no further.
		if _, err := p.alice.Rekey(p.Context(), "crew", []string{"anna_guest"}); err != nil {
			p.Fatal(err)
		}
		p.say(p.alice, bcast.Say{Room: "crew", Text: "behind closed doors"})
		if got := p.reads(anna, guest.API{}, "crew"); strings.Contains(got, "behind") {
			p.Errorf("who was shut out reads %s", got)
		}
	})
}

// A link and its guests end when it is revoked, when its time is over, when a guest leaves or is silent for long, and
// with the daemon; then nothing of them is good.
func TestADV_guest_What_has_ended_opens_nothing(t *testing.T) {
	for what, end := range map[string]func(p *party, id, session string){
		"revoked": func(p *party, id, _ string) {
			if err := p.door.RevokeGuests(p.Context(), id); err != nil {
				p.Error(err)
			}
		},
		"over":   func(*party, string, string) { time.Sleep(time.Minute) },
		"silent": func(*party, string, string) { time.Sleep(21 * time.Minute) },
		"left":   func(p *party, _, session string) { p.door.Leave(session) },
		"host left": func(p *party, _, _ string) {
			if err := p.alice.Leave(p.Context(), "lobby", false); err != nil {
				p.Error(err)
			}
			time.Sleep(5 * time.Second)
		},
		"stopped": func(p *party, _, _ string) { p.end(); <-p.ended },
	} {
		t.Run(what, func(t *testing.T) {
			throw(t, func(p *party) {
				good := "1m"
				if what == "silent" {
					good = ""
				}
				secret, link := p.link("lobby", good)
				anna, session := p.enter(secret, "anna")
				ending := make(chan struct{})
				g, _ := guest.Of(anna)
				go func() {
					defer close(ending)
					if what != "silent" {
						defer g.Open()()
					}
					for range (guest.API{}).Events(anna, "") {
					}
				}()
				synctest.Wait()
				end(p, link.ID, session)
				<-ending
				time.Sleep(time.Second)
				if _, err := p.door.Guest(session); control.AsError(err) == nil || control.AsError(err).Code != control.CodeNoToken {
					p.Errorf("the session is good: %v", err)
				}
				if _, err := (guest.API{}).Say(anna, control.Say{Room: "lobby", Text: "still here"}); err == nil {
					p.Error("the guest still speaks")
				}
				stays := what == "silent" || what == "left"
				if _, err := p.door.Look(p.Context(), secret); (err == nil) != stays {
					p.Errorf("the link: %v", err)
				}
				if _, err := p.door.Enter(p.Context(), secret, "eve"); (err == nil) != stays {
					p.Errorf("somebody comes: %v", err)
				}
				members, err := p.bob.Members(p.Context(), "lobby")
				if err != nil || strings.Contains(fmt.Sprint(members), "anna_guest") {
					p.Errorf("members %+v, %v: the guest left", members, err)
				}
			})
		})
	}
}

// Guests are few, post at a pace and no long texts; links are few.
func TestADV_guest_Guests_are_bounded(t *testing.T) {
	throw(t, func(p *party) {
		secret, _ := p.link("lobby", "")
		anna, _ := p.enter(secret, "anna")
		said := 0
		for range 100 {
			if _, err := (guest.API{}).Say(anna, control.Say{Room: "lobby", Text: "x"}); err == nil {
				said++
			}
		}
		time.Sleep(10 * time.Second)
		for range 100 {
			if _, err := (guest.API{}).Say(anna, control.Say{Room: "lobby", Text: "x"}); err == nil {
				said++
			}
		}
		if said != 25 {
			p.Errorf("%d of 200 posts in ten seconds, want 25", said)
		}
		time.Sleep(time.Minute)
		for _, refused := range []struct {
			say  control.Say
			code control.Code
		}{
			{control.Say{Text: strings.Repeat("x", 4097)}, control.CodeTooLarge},
			{control.Say{Text: "x", Kind: "topic"}, control.CodeForbidden},
			{control.Say{Text: "x", Wait: "all"}, control.CodeForbidden},
			{control.Say{Text: "x", Kind: "join"}, control.CodeForbidden},
			{control.Say{Files: []string{"/etc/passwd"}}, control.CodeForbidden},
		} {
			refused.say.Room = "lobby"
			_, err := (guest.API{}).Say(anna, refused.say)
			if control.AsError(err) == nil || control.AsError(err).Code != refused.code {
				p.Errorf("%.60v: %v, want %s", refused.say, err, refused.code)
			}
		}
		if err := (guest.API{}).Signal(anna, control.Signal{Room: "lobby", Kind: "away", Text: "x"}); err == nil {
			p.Error("a guest is away")
		}
		for _, nick := range []string{"", " ", "_guest", strings.Repeat("x", 27), "a b", "@x"} {
			_, err := p.door.Enter(p.Context(), secret, nick)
			if e := control.AsError(err); e == nil || e.Code != control.CodeInvalid {
				p.Errorf("%q comes: %v", nick, err)
			}
		}
		came := 1
		for range 2 {
			time.Sleep(time.Minute)
			for range 10 {
				if _, err := p.door.Enter(p.Context(), secret, "more"); err == nil {
					came++
				} else if e := control.AsError(err); e.Code != control.CodeBusy {
					p.Errorf("one more guest: %v", err)
				}
			}
		}
		if came != 8 {
			p.Errorf("%d guests came, want 8", came)
		}
		made := 1
		for range 20 {
			if _, err := p.door.InviteGuests(p.Context(), "lobby", control.GuestOptions{For: "1m"}); err == nil {
				made++
			}
		}
		if links, err := p.door.Guests(p.Context()); made != 16 || len(links) != 16 || err != nil || len(links[0].Guests) != 8 {
			p.Errorf("%d links, %d told: %v", made, len(links), err)
		}
		for _, long := range []string{"1s", "721h", "-1h", "soon"} {
			if _, err := p.door.InviteGuests(p.Context(), "lobby", control.GuestOptions{For: long}); control.AsError(err).Code != control.CodeInvalid {
				p.Errorf("a link for %q: %v", long, err)
			}
		}
	})
}
