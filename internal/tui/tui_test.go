package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	_ "bcast/internal/fuzztest" // collects less
)

// stage is a model in front of a device, without a terminal: what the model asks for is done, and what comes of it told
// to it, until nothing more comes but by time.
type stage struct {
	*Model
	t       *testing.T
	device  *controltest.Device
	told    chan tea.Msg
	raw     []string // what went to the terminal past the screen
	notes   []string // what the desktop was told
	ended   bool
	eventID string
}

// perform runs a test with a stage of 80 columns and 24 lines on which alice is in the lobby with bob.
func perform(t *testing.T, act func(*stage), prepare ...func(*Config, *controltest.Device)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		device.Join(t.Context(), "lobby", control.JoinOptions{})
		device.Meet("bob", "lobby")
		s := &stage{t: t, device: device, told: make(chan tea.Msg, 1000)}
		cfg := Config{
			Now:      func() time.Time { return controltest.Epoch.Add(time.Hour) },
			Commands: []string{"join", "help", "me", "names"},
			Notify:   func(title, text string) { s.notes = append(s.notes, title+": "+text) },
			Obey:     obeyTest,
		}
		for _, p := range prepare {
			p(&cfg, device)
		}
		s.Model = New(t.Context(), cfg)
		s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
		s.sit("")
		act(s)
		time.Sleep(time.Hour) // what waits for its time comes to an end
	})
}

// obeyTest is the commands of tests: a text is said, /quit, /part, /clear, /join and /search ask the view.
func obeyTest(ctx context.Context, at Place, line string, out io.Writer) (Outcome, error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "/quit":
		return Outcome{Quit: true}, nil
	case "/part":
		return Outcome{Part: true}, nil
	case "/clear":
		return Outcome{Clear: true}, nil
	case "/join":
		return Outcome{Enter: rest}, nil
	case "/search":
		return Outcome{Search: rest}, nil
	case "/help":
		fmt.Fprintln(out, "help\nis near")
		return Outcome{}, nil
	}
	say := control.Say{Room: at.Room, Text: line, Target: at.Pick}
	if at.Pick != "" {
		say.Kind = "reply"
	}
	_, err := at.API.Say(ctx, say)
	return Outcome{}, err
}

// sit gives the model a seat, as wire does.
func (s *stage) sit(told string) {
	status, err := s.device.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventID = status.EventID
	s.send(seated{s.device, status, told})
}

// send tells the model messages, and then all that comes of them.
func (s *stage) send(msgs ...tea.Msg) {
	for _, msg := range msgs {
		s.take(msg)
	}
	for {
		synctest.Wait()
		select {
		case msg := <-s.told:
			s.take(msg)
		default:
			return
		}
	}
}

func (s *stage) take(msg tea.Msg) {
	switch msg := msg.(type) {
	case nil:
		return
	case tea.QuitMsg:
		s.ended = true
	case tea.RawMsg:
		s.raw = append(s.raw, fmt.Sprint(msg.Msg))
	}
	_, cmd := s.Update(msg)
	s.do(cmd)
}

// do runs what the model asks for: what is in a batch at once, what is in a row one after the other.
func (s *stage) do(cmd tea.Cmd) {
	if cmd != nil {
		go func() { s.tell(cmd()) }()
	}
}

func (s *stage) tell(msg tea.Msg) {
	cmds := reflect.ValueOf(msg)
	if !cmds.IsValid() || cmds.Kind() != reflect.Slice || cmds.Type().Elem() != reflect.TypeFor[tea.Cmd]() {
		s.told <- msg
		return
	}
	_, batch := msg.(tea.BatchMsg)
	for i := range cmds.Len() {
		cmd, _ := cmds.Index(i).Interface().(tea.Cmd)
		switch {
		case cmd == nil:
		case batch:
			s.do(cmd)
		default:
			s.tell(cmd())
		}
	}
}

// live tells the model what happened at the device since.
func (s *stage) live() {
	status, _ := s.device.Status(s.t.Context())
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	var events happened
	if status.EventID != s.eventID {
		for event := range s.device.Events(ctx, s.eventID) {
			if events = append(events, event); event.ID == status.EventID {
				break
			}
		}
	}
	s.eventID = status.EventID
	s.send(events)
}

// hear brings posts of bob to the lobby.
func (s *stage) hear(texts ...string) {
	for _, text := range texts {
		s.device.Hear("lobby", "bob", text)
	}
	s.live()
}

var keyNames = map[string]tea.KeyPressMsg{
	"enter": {Code: tea.KeyEnter}, "tab": {Code: tea.KeyTab}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown},
	"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "end": {Code: tea.KeyEnd}, "esc": {Code: tea.KeyEscape},
	"f2": {Code: tea.KeyF2}, "alt+up": {Code: tea.KeyUp, Mod: tea.ModAlt}, "alt+down": {Code: tea.KeyDown, Mod: tea.ModAlt},
	"backspace": {Code: tea.KeyBackspace}, "alt+enter": {Code: tea.KeyEnter, Mod: tea.ModAlt},
}

// press presses keys by name.
func (s *stage) press(names ...string) {
	s.t.Helper()
	for _, name := range names {
		key, known := keyNames[name]
		switch {
		case known:
		case strings.HasPrefix(name, "ctrl+"):
			key = tea.KeyPressMsg{Code: rune(name[5]), Mod: tea.ModCtrl}
		case strings.HasPrefix(name, "alt+"):
			key = tea.KeyPressMsg{Code: rune(name[4]), Mod: tea.ModAlt}
		default:
			s.t.Fatalf("no key is called %q", name)
		}
		s.send(key)
	}
}

// write types a text.
func (s *stage) write(text string) {
	for _, r := range text {
		s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

// say types a line and sends it off.
func (s *stage) say(text string) {
	s.write(text)
	s.press("enter")
	s.live()
}

// text is the screen without colours, each line without what is blank at its end.
func (s *stage) text() string {
	lines := strings.Split(ansi.Strip(s.View().Content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// want fails if the screen does not show each of some texts.
func (s *stage) want(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.text(), text) {
			s.t.Errorf("%q is not shown:\n%s", text, s.text())
		}
	}
}

// miss fails if the screen shows one of them.
func (s *stage) miss(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.text(), text) {
			s.t.Errorf("%q is shown:\n%s", text, s.text())
		}
	}
}

// whole fails if the screen is not exactly as large as the terminal.
func (s *stage) whole() {
	s.t.Helper()
	lines := strings.Split(s.View().Content, "\n")
	if len(lines) != s.height {
		s.t.Errorf("%d lines on a screen of %d:\n%s", len(lines), s.height, s.text())
	}
	for i, line := range lines {
		if width := ansi.StringWidth(line); width != s.width {
			s.t.Errorf("line %d has %d columns on a screen of %d:\n%s", i+1, width, s.width, s.text())
		}
	}
}

func TestScreen(t *testing.T) {
	perform(t, func(s *stage) {
		s.want("Nothing was said here yet")
		s.hear("hi alice, 你好 🚀")
		s.say("hello")
		want := `  1 lobby
 lobby                                                              2 of 2 here
                                                               │ ● alice
                                                               │ ● bob
` + strings.Repeat("                                                               │\n", 14) +
			`This is where what is kept of the room begins.                 │
── Friday, 2 January 2026 ─────────────────────────────────────│
03:04   bob │ hi alice, 你好 🚀                                │
03:04 alice │ hello ✓ 1/1                                      │
 you are alice
›`
		if got := s.text(); got != want {
			t.Errorf("the screen is\n%s\nwant\n%s", got, want)
		}
		s.whole()
	}, utc)
}

// utc shows times as they are.
func utc(*Config, *controltest.Device) { time.Local = time.UTC }

func TestSizes(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear(strings.Repeat("many words ", 40), "線と線", "", "one\ntwo\nthree")
		s.write("a line that is longer than a narrow terminal, so that the input takes several of its lines")
		for _, size := range [][2]int{{80, 24}, {120, 40}, {100, 10}, {72, 5}, {40, 12}, {20, 12}, {10, 5}, {300, 80}} {
			s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			s.whole()
		}
		s.send(tea.WindowSizeMsg{Width: 5, Height: 2})
		s.want("too small")
	})
}

// CVE-2021-25743 (kubectl), on the whole screen and in the title of its window.
func TestADV_32_The_whole_screen_gets_no_control(t *testing.T) {
	perform(t, func(s *stage) {
		s.device.Bring(control.Post{Room: "lobby", Nick: "e\x1b[2Jve", Text: "a\x1b]0;title\x07b\u202ec\u009bd"})
		s.device.Bring(control.Post{Room: "lobby", Nick: "eve", Kind: "topic", Text: "t\x1b[31mopic"})
		s.live()
		s.want("e[2Jve", "a]0;titlebcd", "t[31mopic")
		content := s.View().Content + s.View().WindowTitle
		for _, bad := range []string{"\x1b[2J", "\x1b]0", "\x07", "\u202e", "\u009b"} {
			if strings.Contains(content, bad) {
				t.Errorf("%q reaches the terminal", bad)
			}
		}
	})
}

func TestASeatThatEnds(t *testing.T) {
	perform(t, func(s *stage) {
		s.hear("before")
		s.send(unseated{err: errors.New("the daemon\x1b[2J went"), final: false})
		s.want("! no connection: the daemon[2J went; trying again")
		s.say("is anybody there")
		s.want("› is anybody there", "no connection")
		s.device.Hear("lobby", "bob", "meanwhile")
		s.sit("connected again")
		s.want("before", "meanwhile", "connected again")
		s.miss("no connection:")
		if got := strings.Count(s.text(), "before"); got != 1 {
			t.Errorf("shown %d times:\n%s", got, s.text())
		}
	})
}
