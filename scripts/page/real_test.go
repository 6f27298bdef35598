package page_test

import (
	"net"
	"testing"
	"time"

	"bcast"
)

// node is a participant on the loopback interface, with its home in a directory of the test.
func node(t *testing.T, nick string, port int, rooms ...string) *bcast.Node {
	t.Helper()
	n, err := bcast.Start(t.Context(), bcast.Config{
		Home: t.TempDir(), Nick: nick, Ifaces: []string{"lo"}, Port: port, Rooms: rooms,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// wait waits until something holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(15 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Three real nodes and two pages: what is said, answered, changed, reacted to and taken back on one page is on the other.
func TestTwoPagesOfRealNodes(t *testing.T) {
	port := freePort(t)
	alice, bob := node(t, "alice", port, "lobby"), node(t, "bob", port, "lobby")
	node(t, "carol", port, "lobby")
	for _, n := range []*bcast.Node{alice, bob} {
		wait(t, "all are members", func() bool {
			members, err := n.Members(t.Context(), "lobby")
			return err == nil && len(members) == 3
		})
	}
	ours, theirs := serve(t, alice), serve(t, bob)
	a, b := open(t, 1200, 800, false), open(t, 390, 780, true)
	a.visit(ours)
	b.visit(theirs)
	a.until(`document.querySelectorAll('#people-list .member').length === 3`)
	a.write("hello from a page")
	a.press("Enter")
	b.until(posts + `.join() === 'hello from a page'`)
	a.until(`document.querySelector('.delivery.all')?.textContent === '✓ 2/2'`)

	b.run(focus("#log article"))
	b.press("r")
	b.write("and back")
	b.press("Enter")
	a.until(`document.querySelector('.quote')?.textContent === 'alice hello from a page'`)
	b.run(focus("#log .own"))
	b.press("e")
	b.script(`document.querySelector('#entry').value = 'and back, better'`)
	b.press("Enter")
	a.until(posts + `.at(-1) === 'and back, better (edited)' && document.querySelector('.quote').textContent === 'alice hello from a page'`)
	a.run(focus("#log article:not(.own)"))
	a.press("+")
	a.until(`document.activeElement.className === 'sign'`)
	a.press("Enter")
	b.until(`document.querySelector('[data-react="👍"]')?.textContent === '👍 1'`)
	b.script(`document.querySelector('[data-react="👍"]').click()`)
	a.until(`document.querySelector('[data-react="👍"]')?.textContent === '👍 2'`)
	b.run(focus("#log .own"))
	b.press("Delete")
	b.until(`document.querySelector('dialog[open] blockquote') && document.activeElement.textContent === 'Cancel'`)
	b.press("Tab")
	b.press("Enter")
	a.until(posts + `.at(-1) === 'deleted by its author'`)

	a.write("/topic hammers only")
	a.press("Enter")
	b.until(`document.querySelector('#topic').textContent === 'hammers only'`)
	changedTopic(t, alice, b)
	a.write("/me waves")
	a.press("Enter")
	b.until(posts + `.at(-1) === 'alice waves'`)

	a.script(`document.querySelector('#people-list button').click()`)
	a.until(`document.querySelectorAll('dialog[open] .words li').length === 10`)
	a.press("Escape")
	direct(t, a, b)
	a.script(`document.querySelector('#go-subnet').click()`)
	a.until(`document.querySelectorAll('svg.subnet .device').length === 2`)
	private(t, a, b)
	a.clean(ours)
	b.clean(theirs)
}

// changedTopic has the last post of the lobby, a topic, changed and taken back from elsewhere.
func changedTopic(t *testing.T, by *bcast.Node, b *tab) {
	t.Helper()
	said, err := by.Posts(t.Context(), "lobby", bcast.PostQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, text, shown string }{
		{"edit", "saws, too", "saws, too"}, {"delete", "", "public · 3 of 3 members here"},
	} {
		say := bcast.Say{Room: "lobby", Kind: c.kind, Target: said[0].ID, Text: c.text}
		if _, err := by.Say(t.Context(), say); err != nil {
			t.Fatal(err)
		}
		b.until(`document.querySelector('#topic').textContent === '` + c.shown + `'`)
	}
}

// direct says something to one alone; the room opens there by itself.
func direct(t *testing.T, a, b *tab) {
	t.Helper()
	a.click("#join")
	a.until(`document.activeElement.placeholder === 'lobby'`)
	a.write("@bob")
	a.press("Enter")
	a.until(`document.querySelector('#name').textContent === '@bob'`)
	a.write("to you alone")
	a.press("Enter")
	b.until(`document.querySelector('[data-room^="@"].mention .count')?.textContent === '1'`)
	b.script(`document.querySelector('[data-room^="@"]').click()`)
	b.until(posts + `.join() === 'to you alone'`)
}

// private makes a room with a secret; its invite, as the page shows it, lets the other one in.
func private(t *testing.T, a, b *tab) {
	t.Helper()
	a.click("#join")
	a.until(`document.activeElement.placeholder === 'lobby'`)
	a.write("crew")
	a.press("Tab")
	a.press(" ")
	a.press("Enter")
	a.until(`document.querySelector('#name').textContent === '#crew'`)
	a.click("#invite")
	a.until(`document.querySelector('dialog .qr path')`)
	invite := value[string](a, `document.querySelector('dialog textarea').value`)
	a.press("Escape")
	b.script(`document.querySelector('#join').click()`)
	b.until(`document.activeElement.placeholder === 'lobby'`)
	b.write(invite)
	b.press("Enter")
	b.until(`document.querySelector('#name').textContent === '#crew'`)
	b.run(focus("#entry"))
	b.write("in the crew")
	b.press("Enter")
	a.until(posts + `.join() === 'in the crew'`)
}
