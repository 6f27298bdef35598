package main

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
)

func TestScreenTellsWhoIsTyping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := alice(t)
		typing := func(nick string) {
			node.Tell(control.Event{Type: control.EventSignal, Signal: &control.Signal{
				Room: "lobby", ID: nick + "-id", Nick: nick, Kind: "typing",
			}})
			synctest.Wait()
		}
		keys, out, done := onTestScreen(t, node)
		synctest.Wait()
		io.WriteString(keys, "/a")
		synctest.Wait()
		typing("carol")
		if !strings.HasSuffix(out.String(), "lobby (carol is typing)> /a") {
			t.Errorf("the line being edited is %q", last(out.String()))
		}
		typing("bob")
		if !strings.HasSuffix(out.String(), "lobby (bob and carol are typing)> /a") {
			t.Errorf("the line being edited is %q", last(out.String()))
		}
		time.Sleep(control.TypingFor)
		synctest.Wait()
		if !strings.HasSuffix(out.String(), "lobby> /a") {
			t.Errorf("after a while the line being edited is %q", last(out.String()))
		}
		io.WriteString(keys, "\x7f\x7fhello") // the fake node tells us of ourselves
		synctest.Wait()
		if count := strings.Count(out.String(), "alice is typing"); count == 0 {
			t.Error("it is not told that one types")
		}
		node.Tell(control.Event{Type: control.EventSignal, Signal: &control.Signal{
			Room: "lobby", ID: "bob-id", Nick: "bob", Kind: "away", Text: "lunch",
		}})
		out.await(t, "bob is away: lunch")
		io.WriteString(keys, "\x15\x04")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Who fell silent is forgotten in time, whoever else goes on typing.
func TestTypistsAreForgottenOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown := ""
		typists := newTypists(func(who string) { shown = who })
		defer typists.end()
		types := func(nick string) {
			signal := &control.Signal{ID: nick, Nick: nick, Kind: "typing"}
			typists.note(control.Event{Type: control.EventSignal, Signal: signal}, func(_, nick string) string { return nick })
		}
		types("carol")
		for passed := time.Duration(0); passed <= control.TypingFor; passed += control.TypingEach {
			types("bob")
			time.Sleep(control.TypingEach)
		}
		synctest.Wait()
		if shown != "bob is typing" {
			t.Errorf("shown is %q", shown)
		}
	})
}

func last(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// Typing is told at most every control.TypingEach, and commands are nobody's business.
func TestTypingIsRareAndNoCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := 0
		k := keys{now: time.Now, say: func() { count++ }}
		press := func(line string, key rune) {
			k.pressed(line, len(line), key)
			synctest.Wait()
		}
		press("", '/')
		press("/who", 'x')
		press("hello", 13)
		if count != 0 {
			t.Errorf("told %d times of a command and a line's end", count)
		}
		press("", 'h')
		press("h", 'i')
		if count != 1 {
			t.Errorf("told %d times in a moment", count)
		}
		time.Sleep(control.TypingEach)
		press("hi", '!')
		if count != 2 {
			t.Errorf("told %d times after a while", count)
		}
	})
}

func TestScreenSaysThingsToOneAlone(t *testing.T) {
	node := alice(t)
	node.Hear("lobby", "bob", "before")
	keys, out, done := onTestScreen(t, node)
	out.await(t, "bob: before")
	node.Hear("lobby", "bob", "after")
	out.await(t, "bob: after")
	node.Tell(control.Event{Type: control.EventPost, Post: &control.Post{
		Room: "@dora-id", Direct: "dora", ID: "x.0", From: "dora-id", Nick: "dora", Tag: "dora", Kind: "text", Text: "psst",
	}})
	out.await(t, "[@dora] dora: psst")
	for _, step := range []struct{ keys, want string }{
		{"/msg\r", "! @ and the name of a device"},
		{"/msg bob\r", "! the text is empty"},
		{"/who\r", "NICK"},
	} {
		io.WriteString(keys, step.keys)
		out.await(t, step.want)
	}
	io.WriteString(keys, "\x04")
	if err := <-done; err != nil {
		t.Error(err)
	}
}
