package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// newest is the newest post of the lobby.
func (s *stage) newest() control.Post {
	posts, err := s.device.Posts(s.t.Context(), "lobby", control.PostQuery{Limit: 1})
	if err != nil || len(posts) == 0 {
		s.t.Fatalf("%d posts, %v", len(posts), err)
	}
	return posts[0]
}

func TestTheCursorStandsWhereOneWrites(t *testing.T) {
	perform(t, func(s *stage) {
		s.write("hi 你好")
		if c := s.View().Cursor; c == nil || c.X != 9 || c.Y != 23 { // an input method shows there what it writes
			t.Errorf("the cursor is at %+v", c)
		}
		s.press("alt+enter")
		s.write("世")
		if c := s.View().Cursor; c == nil || c.X != 4 || c.Y != 23 {
			t.Errorf("the cursor is at %+v", c)
		}
	})
}

func TestPasteIsOnePost(t *testing.T) {
	perform(t, func(s *stage) {
		s.write("look: ")
		s.send(tea.PasteMsg{Content: "one\r\n\ttwo\rthree"})
		s.want("3 lines; Enter says them as one post", "› look: one", "      two")
		s.press("alt+enter")
		s.write("四")
		s.whole()
		s.press("enter")
		if got := s.newest().Text; got != "look: one\n    two\nthree\n四" {
			t.Errorf("said %q", got)
		}
	})
}

func TestAPasteIsNotCut(t *testing.T) {
	perform(t, func(s *stage) {
		text := strings.TrimSpace(strings.Repeat("a line\n", 1000))
		s.send(tea.PasteMsg{Content: text})
		s.whole()
		s.press("enter")
		if got := s.newest().Text; got != text {
			t.Errorf("%d of %d bytes were said", len(got), len(text))
		}
	})
}

func TestWhatWasRefusedStays(t *testing.T) {
	perform(t, func(s *stage) {
		text := strings.Repeat("x", control.MaxText+1)
		s.send(tea.PasteMsg{Content: text})
		s.press("enter")
		s.want("! the text is longer than")
		if s.input.Value() != text {
			t.Errorf("%d of %d bytes are left", len(s.input.Value()), len(text))
		}
	})
}

func TestLinesAreSaidInOrder(t *testing.T) {
	perform(t, func(s *stage) {
		for _, text := range []string{"one", "two", "three"} {
			s.send(tea.PasteMsg{Content: text})
			_, cmd := s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
			s.do(cmd)
		}
		s.send()
		s.live()
		posts, _ := s.device.Posts(t.Context(), "lobby", control.PostQuery{})
		if len(posts) != 3 || posts[0].Text+posts[1].Text+posts[2].Text != "onetwothree" {
			t.Errorf("said %+v", posts)
		}
	})
}

func TestWhatWasWrittenBefore(t *testing.T) {
	perform(t, func(s *stage) {
		s.say("first")
		s.say("second")
		s.write("half")
		s.press("up")
		s.want("› second")
		s.press("up", "up")
		s.want("› first")
		s.press("down", "down")
		s.want("› half")
		s.press("down")
		s.want("› half")
	})
}

func TestTabFinishes(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Meet("bobby", "lobby")
		s.live()
		s.hear("hi")
		for _, test := range []struct {
			typed string
			tabs  int
			want  string
		}{
			{"/na", 1, "› /names"},
			{"bo", 1, "› bob:"},
			{"bo", 2, "› bobby:"},
			{"BO", 3, "› bob:"},
			{"hello bobb", 1, "› hello bobby"},
			{"hello @bobb", 1, "› hello @bobby"},
			{"/join lo", 1, "› /join lobby"},
			{"see #lo", 1, "› see #lobby"},
			{"nothing so", 1, "› nothing so"},
			{"", 1, "›"},
		} {
			s.press("ctrl+u")
			s.write(test.typed)
			for range test.tabs {
				s.press("tab")
			}
			lines := strings.Split(s.text(), "\n")
			if got := lines[len(lines)-1]; got != test.want {
				t.Errorf("%q and %d times Tab make %q, want %q", test.typed, test.tabs, got, test.want)
			}
		}
	})
}

func TestAnAnswerIsToWhatIsPointedAt(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("one", "two", "three")
		s.press("alt+up", "alt+up")
		s.want("┃ two", "answering bob")
		s.press("alt+down", "alt+up", "alt+up")
		s.want("┃ one")
		target := s.room().picked.post.ID
		s.say("an answer")
		if post := s.newest(); post.Kind != "reply" || post.ReplyTo != target {
			t.Errorf("said %+v", post)
		}
		s.miss("answering")
		s.press("alt+up")
		s.want("┃ an answer", "your post: Tab to change it")
		s.press("tab")
		s.want("› /edit an answer")
		s.press("ctrl+u")
		s.press("esc")
		s.miss("┃")
	})
}

func TestPointingScrolls(t *testing.T) {
	perform(t, func(s *stage) {
		for range 250 {
			s.press("alt+up")
		}
		s.want("┃ post 51.")
		for range 245 {
			s.press("alt+down")
		}
		s.want("┃ post 296.")
	}, history(300))
}

func TestSearch(t *testing.T) {
	perform(t, func(s *stage) {
		s.press("ctrl+f")
		s.write("needle")
		s.want("search › needle")
		s.press("enter")
		s.want("── needle", "a needle here", "┃ the needle again", "↑↓ choose")
		s.whole()
		s.press("up")
		s.want("┃ a needle here")
		s.press("enter")
		s.want("┃ a needle here", "post 3.")
		s.miss("── needle")
		s.press("esc", "end")
		s.want("post 900.")
		s.say("/search nowhere")
		s.want("nothing here holds nowhere")
		s.press("ctrl+f", "esc")
		s.want("\n›")
		s.say("/search needle")
		s.press("esc")
		s.want("post 900.")
	}, func(_ *Config, d *controltest.Device) {
		for i, text := range numbered(900) {
			if i == 3 {
				d.Hear("lobby", "bob", "a needle here")
			}
			d.Hear("lobby", "bob", text)
		}
		d.Hear("lobby", "bob", "the needle again")
		d.Hear("lobby", "bob", "post 900.")
	})
}

func TestEnding(t *testing.T) {
	for _, keys := range [][]string{{"ctrl+c", "ctrl+c"}, {"ctrl+d"}} {
		perform(t, func(s *stage) {
			s.press(keys...)
			if !s.ended {
				t.Errorf("%q did not end it", keys)
			}
		})
	}
	perform(t, func(s *stage) {
		s.write("half a line")
		s.press("ctrl+c")
		s.want("Ctrl-C once more ends", "\n›")
		s.miss("half a line")
		s.write("x")
		s.press("ctrl+c", "backspace")
		if s.ended {
			t.Error("it ended")
		}
		s.say("/clear")
		s.hear("after")
		s.say("/help")
		s.want("help", "is near", "Alt-Up, Alt-Down")
		s.say("/quit")
		if !s.ended {
			t.Error("/quit did not end it")
		}
	})
}

func TestPartLeavesTheRoom(t *testing.T) {
	perform(t, func(s *stage) {
		s.say("/join dev")
		s.say("/part")
		s.want(" 1 lobby\n")
		s.miss("dev")
		if rooms, _ := s.device.Rooms(t.Context()); len(rooms) != 1 || rooms[0].Name != "lobby" {
			t.Errorf("rooms %+v", rooms)
		}
		s.say("/part")
		if !s.ended {
			t.Error("with no room left it goes on")
		}
	})
}

func TestRoomsAreListedAsTheyWereNamed(t *testing.T) {
	perform(t, func(s *stage) {
		s.want("  1 zebra  2 ape 3 lobby")
		if err := s.leave(s.device); err != nil {
			t.Error(err)
		}
		if rooms, _ := s.device.Rooms(t.Context()); len(rooms) != 1 {
			t.Errorf("rooms %+v, want the lobby, which was joined before", rooms)
		}
	}, func(cfg *Config, _ *controltest.Device) {
		cfg.Rooms, cfg.Leave = []string{"zebra", "ape", "lobby"}, true
	})
}

func TestAFirstRoomThatIsRefusedEndsIt(t *testing.T) {
	perform(t, func(s *stage) {
		if !s.ended || s.failed == nil {
			t.Errorf("ended %t, failed %v", s.ended, s.failed)
		}
	}, func(cfg *Config, _ *controltest.Device) { cfg.Rooms = []string{"no/room"} })
}
