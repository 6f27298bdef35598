package tui

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// numbered is so many posts' texts.
func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("post %d.", i+1))
	}
	return texts
}

// history is a device whose lobby holds so many posts of bob.
func history(n int) func(*Config, *controltest.Device) {
	return func(_ *Config, d *controltest.Device) {
		for _, text := range numbered(n) {
			d.Hear("lobby", "bob", text)
		}
	}
}

func TestHistoryComesAsOneScrolls(t *testing.T) {
	perform(t, func(s *stage) {
		if have := len(s.room().items); have != pageSize {
			t.Errorf("%d posts at the start, want %d", have, pageSize)
		}
		s.want("post 450.")
		s.press("pgup")
		s.want("below, End goes there")
		s.miss("post 450.")
		for range 40 {
			s.press("pgup")
		}
		s.want("post 1.", "This is where what is kept of the room begins")
		if have := len(s.room().items); have != 450 {
			t.Errorf("%d posts, want all 450, once each", have)
		}
		s.hear("something new") // the screen stays where it is
		s.want("post 1.")
		s.miss("something new")
		s.press("end")
		s.want("something new", "post 450.")
	}, history(450))
}

func TestScrollingDownComesBackLineByLine(t *testing.T) {
	perform(t, func(s *stage) {
		before := s.text()
		s.press("pgup", "pgup", "pgup", "pgdown", "pgdown", "pgdown")
		if s.text() != before {
			t.Errorf("the screen is another:\n%s\nwant\n%s", s.text(), before)
		}
	}, history(100))
}

func TestOldPostsAreGivenUpWhileNobodyScrolls(t *testing.T) {
	perform(t, func(s *stage) {
		for _, text := range numbered(keepPosts + 1) {
			s.device.Hear("lobby", "bob", text)
		}
		s.live()
		if have := len(s.room().items); have > trimTo+1 {
			t.Errorf("%d posts are held", have)
		}
		for range trimTo / 10 {
			s.press("pgup")
		}
		if have := len(s.room().items); have <= trimTo+1 {
			t.Error("what was given up was not asked for again")
		}
	})
}

func TestWhatIsNewIsMarked(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("seen")
		s.send(tea.BlurMsg{})
		s.hear("new one", "new two")
		text := s.text()
		if !strings.Contains(text, "── new ─") || strings.Index(text, "seen") > strings.Index(text, "── new") ||
			strings.Index(text, "── new") > strings.Index(text, "new one") {
			t.Errorf("no mark between what was seen and what is new:\n%s", text)
		}
		if title := s.View().WindowTitle; title != "bcast: lobby (2)" {
			t.Errorf("the title is %q", title)
		}
		s.send(tea.FocusMsg{})
		if title := s.View().WindowTitle; title != "bcast: lobby" {
			t.Errorf("the title is %q once it was seen", title)
		}
		s.say("an answer")
		s.miss("── new")
	})
}

func TestRoomsTellWhatIsUnread(t *testing.T) {
	perform(t, func(s *stage) {
		s.say("/join dev")
		s.want(" 2 dev")
		s.device.Meet("carol", "dev")
		s.live()
		s.hear("one", "two")
		s.want("1 lobby 2")
		s.device.Bring(control.Post{Room: "lobby", Nick: "bob", Text: "alice?", Mention: true})
		s.live()
		s.want("1 lobby 3!")
		s.write("a draft")
		s.press("alt+a")
		s.want("one", "two", "alice?", "── new")
		s.miss("a draft")
		s.press("ctrl+n")
		s.want("› a draft", "carol joined")
		s.press("alt+1", "ctrl+p")
		s.want("› a draft")
		s.send(tea.WindowSizeMsg{Width: 120, Height: 30})
		s.want(" 1 lobby          │", " 2 dev            │")
		s.whole()
	})
}

func TestWhoIsNamedIsCalled(t *testing.T) {
	named := control.Post{Room: "lobby", Nick: "bob", Text: "alice: look\x1b[2J", Mention: true}
	perform(t, func(s *stage) {
		s.device.Bring(named) // who looks at it needs no bell
		s.live()
		if len(s.raw)+len(s.notes) > 0 {
			t.Errorf("bell %q, notes %q, though it is looked at", s.raw, s.notes)
		}
		s.send(tea.BlurMsg{})
		s.hear("to nobody")
		s.device.Bring(named)
		s.live()
		if fmt.Sprint(s.raw) != "[\a]" || fmt.Sprint(s.notes) != "[bob in lobby: alice: look[2J]" {
			t.Errorf("bell %q, notes %q", s.raw, s.notes)
		}
	})
	perform(t, func(s *stage) {
		s.send(tea.BlurMsg{})
		s.device.Bring(named)
		s.live()
		if len(s.raw) > 0 {
			t.Errorf("a bell rings: %q", s.raw)
		}
	}, func(cfg *Config, _ *controltest.Device) { cfg.Quiet = true })
}

func TestRoomsOfManyComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(t.Context(), Config{Now: time.Now})
		m.Update(seated{controltest.New("alice"), control.Status{Rooms: []control.Room{
			{Name: "@b0b", Direct: "bob"}, {Name: "dev"}, {Name: "@eve", Direct: "eve"}, {Name: "lobby", Topic: "all"},
		}}, ""})
		var names []string
		for _, r := range m.rooms {
			names = append(names, r.name)
		}
		if fmt.Sprint(names) != "[dev lobby @b0b @eve]" || m.rooms[1].topic != "all" {
			t.Errorf("rooms %q", names)
		}
	})
}

func TestADirectRoomOpensByItself(t *testing.T) {
	perform(t, func(s *stage) {
		post := control.Post{
			Room: "@b0b", ID: "x.0", From: "b0b", Nick: "bob", Kind: "text", Text: "psst", Direct: "bob", Time: controltest.Epoch,
		}
		s.send(happened{{Type: control.EventPost, ID: "9", Post: &post}})
		s.want("2 @bob 1!")
	})
}

func TestPostsAreShownAsTheyAreNow(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("helo")
		post := s.room().items[len(s.room().items)-1].post
		change := func(kind string, change func(*control.Post)) {
			change(&post)
			now := post
			s.send(happened{{Type: kind, ID: "9", Post: &now}})
		}
		change(control.EventEdited, func(p *control.Post) { p.Text, p.Edited = "hello", true })
		s.want("hello (edited)")
		s.miss("helo ")
		change(control.EventReaction, func(p *control.Post) {
			p.Reactions = []control.Reaction{{Text: "👍", From: []string{"1", "2"}}, {Text: "✓", From: []string{"1"}}}
		})
		s.want("👍 2  ✓")
		change(control.EventDeleted, func(p *control.Post) { p.Text, p.Deleted = "", true })
		s.want("(deleted)")
		s.miss("hello", "👍")
		s.device.Bring(control.Post{
			Room: "lobby", Nick: "bob", Kind: "reply", Text: "me too", ReplyTo: "x", Quote: &control.Quote{Nick: "eve", Text: "I go"},
		})
		s.device.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "action", Text: "waves"})
		s.device.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "topic", Text: "lunch", ClockOff: "+4m", Verified: true})
		s.live()
		s.want("│ ↪ eve: I go", "│ me too", "* │ bob waves", "- │ bob ✓ sets the topic: lunch (clock +4m)", " lobby · lunch")
		topic := s.room().items[len(s.room().items)-1].post
		topic.Text, topic.Edited = "dinner", true
		s.device.Change(control.EventEdited, topic)
		s.live()
		s.want(" lobby · dinner")
		topic.Deleted = true
		s.device.Change(control.EventDeleted, topic)
		s.live()
		s.miss("lobby ·")
	})
}

func TestWhoHasWhatWasSaid(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Meet("carol", "lobby")
		s.device.Deafen("carol")
		s.live()
		s.say("hello")
		s.want("hello ✓ 1/2")
		s.device.Regain("carol")
		s.live()
		s.want("hello ✓ 2/2")
	})
}

func TestALatePostStandsWhereItBelongs(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("first", "third")
		late := control.Post{Room: "lobby", ID: "late.0", From: "b0b", Nick: "bob", Kind: "text", Text: "second", Late: true}
		items := s.room().items
		first, third := items[len(items)-2].post, items[len(items)-1].post
		s.room().tell(controltest.Epoch, "a note", false)
		s.room().late[late.ID] = true
		late.Late = false
		s.send(ordered{room: "lobby", since: first.ID, posts: []control.Post{late, third}})
		text := s.text()
		at := 0
		for _, want := range []string{"first", "second (late)", "third", "a note"} {
			next := strings.Index(text[at:], want)
			if next < 0 {
				t.Fatalf("%s does not stand where it belongs:\n%s", want, text)
			}
			at += next
		}
	})
}

func TestWhatWasMissedIsAskedFor(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("one")
		s.device.Hear("lobby", "bob", "missed")
		s.device.Hear("lobby", "bob", "missed too")
		s.send(happened{{Type: control.EventGap}})
		s.want("one", "missed", "missed too")
		s.live() // they come after all
		if n := strings.Count(s.text(), "missed"); n != 2 {
			t.Errorf("shown %d times:\n%s", n, s.text())
		}
	})
}

func TestMembersAreListedAsTheyAre(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Meet("carol", "lobby")
		s.device.Meet("dora", "lobby")
		s.live()
		s.device.Lose("carol")
		s.live()
		s.want("● alice", "● bob", "● dora", "○ carol     59m", "3 of 4 here", "carol is lost")
		s.send(memberList{room: "lobby", members: []control.Member{
			{ID: "1", Nick: "zoe", Status: "here", Verified: true},
			{ID: "2", Nick: "averylongnickname", Tag: "k7f2", Tagged: true, Status: "lost", LastSeen: s.cfg.Now().Add(-72 * time.Hour)},
			{ID: "3", Nick: "carol", Status: "here", Away: "lunch"},
			{ID: "4", Nick: "eve", Status: "here", Blocked: true},
		}})
		s.want("● zoe ✓", "◐ carol", "○ averylong… 3d", "× eve")
		s.whole()
		s.press("f2")
		s.miss("zoe")
		s.whole()
	})
}

func TestTyping(t *testing.T) {
	perform(t, func(s *stage) {
		signal := func(kind string) {
			s.send(happened{{Type: control.EventSignal, Time: controltest.Epoch,
				Signal: &control.Signal{Room: "lobby", ID: "b0b", Nick: "bob", Kind: kind, Text: "lunch"}}})
		}
		signal("typing")
		s.want("bob is typing")
		time.Sleep(control.TypingFor)
		s.send()
		s.miss("is typing")
		signal("typing")
		signal("away")
		s.miss("is typing")
		s.want("bob is away: lunch")
		s.write("hi")
		s.press("backspace")
		s.live()
		if n := signals(s); n != 1 {
			t.Errorf("told %d times that alice types, want once", n)
		}
		s.write("/help")
	})
}

// signals is how many signals alice gave.
func signals(s *stage) (n int) {
	for event := range s.device.Events(s.t.Context(), "0") {
		if event.Signal != nil {
			n++
		}
		if event.ID == s.eventID {
			return n
		}
	}
	return n
}

func TestOfferedFilesAreShown(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer", Text: "from the roof",
			File: &control.OfferedFile{Name: "photo.jpg", Size: 2_100_000}})
		s.live()
		post := s.room().items[len(s.room().items)-1].post
		s.want("│ from the roof", "│ photo.jpg (2.1 MB) — bcast files get "+post.ID)
		told := func(f control.File) {
			f.Post, f.Room, f.Name, f.Size = post.ID, "lobby", "photo.jpg", 2_100_000
			s.send(happened{{Type: control.EventFile, File: &f}})
		}
		told(control.File{State: control.FileFetching, Bytes: 900_000})
		s.want("bcast files get " + post.ID + " 42 %")
		told(control.File{State: control.FileFailed, Error: &control.Error{Message: "nobody has it"}})
		s.want("photo.jpg did not come: nobody has it")
		s.miss("42 %")
		told(control.File{State: control.FileWhole, Path: "/inbox/photo.jpg"})
		s.want("photo.jpg (2.1 MB) — it is here", "photo.jpg is here: /inbox/photo.jpg")
		s.device.Offer(control.Offer{ID: "3f", Nick: "bob", From: "b0b1", Tag: "b0b1", Name: "trip", Files: 3, Bytes: 5_000_000})
		s.live()
		s.want("bob wants to bring trip and 2 more, 5.0 MB: bcast", "files accept 3f")
	})
}

func TestPathsAreFinished(t *testing.T) {
	perform(t, func(s *stage) {
		s.write(`/send my\ ph`)
		s.press("tab")
		if got := s.input.Value(); got != `/send my\ photo.jpg ` {
			t.Errorf("%q", got)
		}
	}, func(cfg *Config, _ *controltest.Device) {
		cfg.Paths = func(word string) []string {
			if word != `my\ ph` {
				t.Errorf("finishing %q", word)
			}
			return []string{`my\ photo.jpg `}
		}
	})
}

func TestWhatHappensIsTold(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Cut(control.Cut{Nick: "bob", Received: 600, Size: 1400})
		s.live()
		s.want("! cut 600/1400 from bob")
		time.Sleep(noticeFor)
		s.send()
		s.miss("cut 600")
		s.send(happened{{Type: control.EventProblem, Problem: "the disk is full"}})
		s.want("! the disk is full")
		s.send(happened{{Type: control.EventProblem}})
		s.miss("the disk")
		s.send(happened{{Type: control.EventSync, Sync: &control.Sync{Room: "lobby", Nick: "bob", Have: 2000, Total: 10000}}})
		s.want("catching up from bob: 2,000 of 10,000")
		s.send(happened{{Type: control.EventFork, Fork: &control.Fork{Room: "lobby", ID: "b0b1", Nick: "bob"}}})
		s.want("the key of bob-b0b1 signed two histories")
	})
}
