package page_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"bcast"
	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/guest"
	web "bcast/internal/page"
)

// hosting is a participant that takes in guests.
type hosting struct {
	control.API
	control.Hospitality
	house control.Guesthouse
}

func (h hosting) Status(ctx context.Context) (control.Status, error) {
	status, err := h.API.Status(ctx)
	status.Guests = &h.house
	return status, err
}

// takeIn serves the page for guests of a node beside its own page, and returns the addresses of both.
func takeIn(t *testing.T, node *bcast.Node, port int) (own, guests string, door *guest.Door) {
	t.Helper()
	certified, err := certificate.Make(rand.Reader, time.Now(), "guests.bcast")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := web.ListenGuests("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	print, quiet := certificate.Fingerprint(certified), slog.New(slog.DiscardHandler)
	door = guest.New(guest.Config{
		Host: node, Fingerprint: print, Log: quiet,
		Start: func(ctx context.Context, nick string) (guest.Device, error) {
			return bcast.Start(ctx, bcast.Config{Nick: nick, Ifaces: []string{"lo"}, Port: port})
		},
		Bases: func(context.Context) ([]string, error) { return []string{"https://" + ln.Addr().String()}, nil },
	})
	ctx, stop := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan struct{})
	go func() { served <- web.ServeGuests(ctx, ln, door, certified, quiet) }()
	go func() { door.Run(ctx); close(ran) }()
	t.Cleanup(func() {
		stop()
		<-ran
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	house := control.Guesthouse{Addr: ln.Addr().String(), Fingerprint: print, Pin: certificate.Pin(certified)}
	return serve(t, hosting{node, door, house}), ln.Addr().String(), door
}

// others is a browser of somebody else, who goes on in spite of the certificate.
func others(t *testing.T) context.Context {
	t.Helper()
	allocator, end := chromedp.NewExecAllocator(context.Background(),
		append(slices.Clone(options), chromedp.Flag("ignore-certificate-errors", true))...)
	t.Cleanup(end)
	browser, stop := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(stop)
	if err := chromedp.Run(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// knock opens a guest link.
func (b *tab) knock(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url))
	b.until(`document.activeElement?.id === 'nick'`)
	if at := value[string](b, `location.href`); strings.Contains(at, "guest=") {
		b.t.Errorf("the address still holds the link: %s", at)
	}
}

// comeIn gives a nick at the door.
func (b *tab) comeIn(nick string) {
	b.t.Helper()
	b.write(nick)
	b.press("Enter")
	b.until(`document.querySelector('#link').textContent === 'live'`)
}

// A host makes a link on its page, somebody with a phone comes in by it, they talk, and the host ends it.
func TestAGuestComesByALink(t *testing.T) {
	port := freePort(t)
	alice, bob := node(t, "alice", port, "lobby", "secrets"), node(t, "bob", port, "lobby", "secrets")
	wait(t, "all are members", func() bool {
		members, err := alice.Members(t.Context(), "lobby")
		return err == nil && len(members) == 2
	})
	own, guests, _ := takeIn(t, alice, port)
	if _, err := bob.Say(t.Context(), bcast.Say{Room: "lobby", Text: "OLD words", Wait: "here"}); err != nil {
		t.Fatal(err)
	}
	a := open(t, 1280, 800, false)
	a.visit(own)
	a.until(posts + `.join() === 'OLD words'`)
	a.click("#guests")
	a.until(`document.querySelector('dialog[open] select')`)
	a.fits()
	a.named()
	a.shot("guests-none")
	a.run(focus("dialog select"))
	a.press("Enter")
	a.press("Escape")
	a.script(`document.querySelector('dialog button[type=submit]').click()`)
	a.until(`document.querySelector('dialog .qr path')`)
	a.fits()
	a.named()
	a.shot("guests-link-light")
	url := value[string](a, `document.querySelector('dialog textarea').value`)
	if !strings.HasPrefix(url, "https://"+guests+"/#guest=") {
		t.Fatalf("the link is %q", url)
	}
	a.press("Escape")

	b := openIn(others(t), t, 390, 844, true)
	b.knock(url)
	b.until(`document.querySelector('#welcome').textContent.startsWith('alice invites you')`)
	b.fits()
	b.named()
	b.shot("guest-door-dark")
	b.comeIn("anna")
	a.until(posts + `.at(-1).startsWith('alice lets anna_guest-')`)
	a.run(focus("#entry"))
	a.write("welcome, anna_guest")
	a.press("Enter")
	b.until(posts + `.at(-1) === 'welcome, anna_guest'`)
	b.run(focus("#entry"))
	b.write("hello from a phone")
	b.press("Enter")
	a.until(posts + `.at(-1) === 'hello from a phone'`)
	if nick := value[string](a, `[...document.querySelectorAll('#log .by .nick')].at(-1).textContent`); nick != "anna_guest" {
		t.Errorf("the guest is shown as %q", nick)
	}
	if _, err := bob.Say(t.Context(), bcast.Say{Room: "secrets", Text: "said elsewhere", Wait: "here"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Say(t.Context(), bcast.Say{Room: "lobby", Text: "said last", Wait: "here"}); err != nil {
		t.Fatal(err)
	}
	b.until(posts + `.at(-1) === 'said last'`)
	if text := value[string](b, `document.body.innerText`); strings.Contains(text, "OLD words") || strings.Contains(text, "elsewhere") {
		t.Errorf("the guest sees %q", text)
	}
	b.shot("guest-room-dark")
	guestDoes(t, a, b)
	reloads(b)
	b.cleanOf("https://" + guests + "/")
	refused(b)
	ends(t, a, b)
	a.clean(own)
}

// guestDoes has a guest do all that it can: answer, react, change its nick, take back, read on.
func guestDoes(t *testing.T, a, b *tab) {
	t.Helper()
	b.run(focus("#log article:not(.own)"))
	b.press("r")
	b.write("an answer")
	b.press("Enter")
	a.until(posts + `.at(-1) === 'an answer' && document.querySelector('.quote')`)
	b.run(focus("#log article:not(.own)"))
	b.press("+")
	b.until(`document.activeElement.className === 'sign'`)
	b.shot("guest-react-dark")
	b.press("Enter")
	a.until(`document.querySelector('[data-react="👍"]')?.textContent === '👍 1'`)
	b.click("#people")
	b.until(`document.querySelectorAll('#people-list .member').length === 3`)
	b.fits()
	b.named()
	b.shot("guest-people-dark")
	b.script(`document.querySelector('#rename').click()`)
	b.until(`document.querySelector('dialog[open] input')`)
	b.write("<b>ann</b>")
	b.press("Enter")
	a.until(`[...document.querySelectorAll('#people-list .nick')].some((e) => e.textContent === '<b>ann</b>_guest')`)
	b.until(`[...document.querySelectorAll('#people-list .nick')].some((e) => e.textContent === '<b>ann</b>_guest')`)
	for _, page := range []*tab{a, b} {
		if markup := value[int](page, `document.querySelectorAll('#app b').length`); markup != 0 {
			t.Errorf("a nick became %d elements", markup)
		}
	}
	b.press("Escape")
}

// reloads has the guest open its page anew: it is who it was, and sees what it saw.
func reloads(b *tab) {
	b.t.Helper()
	before, _ := json.Marshal(value[[]string](b, posts))
	b.script(`window.before = true; location.reload()`)
	b.until(`!window.before && document.querySelector('#link')?.textContent === 'live'`)
	b.until(`JSON.stringify(` + posts + `) === ` + "`" + string(before) + "`")
}

// refused has the guest try what it may not: it is told so.
func refused(b *tab) {
	b.t.Helper()
	b.run(focus("#entry"))
	b.write("/topic mine now")
	b.press("Enter")
	b.until(`document.querySelector('#toast').textContent.includes('a guest says no "topic"')`)
}

// ends has the host end the link: the guest is told, and is not let in again.
func ends(t *testing.T, a, b *tab) {
	t.Helper()
	a.click("#guests")
	a.until(`document.querySelector('dialog .links .nick')?.textContent === '<b>ann</b>_guest'`)
	a.fits()
	a.shot("guests-one-light")
	a.script(`document.querySelector('dialog .links button').click()`)
	a.until(`!document.querySelector('dialog .links li')`)
	a.press("Escape")
	b.until(`document.querySelector('#app').hidden && document.querySelector('#refused').textContent.includes('this link has ended')`)
	b.until(`document.querySelector('#come').hidden`)
	b.fits()
	b.shot("guest-ended-dark")
	a.until(`![...document.querySelectorAll('#people-list section:first-child .nick')].some((e) => e.textContent.includes('_guest'))`)
}

// The guest's page in the other sizes and colours, with much to read in it.
func TestGuestScreens(t *testing.T) {
	port := freePort(t)
	alice := node(t, "alice", port, "lobby")
	_, guests, door := takeIn(t, alice, port)
	link, err := door.InviteGuests(t.Context(), "lobby", control.GuestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range corpus {
		if control.CheckText(word) != nil {
			continue
		}
		if _, err := alice.Say(t.Context(), bcast.Say{Room: "lobby", Text: word}); err != nil {
			t.Fatal(err)
		}
	}
	browser := others(t)
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"phone-light", 390, 844, false}, {"desktop-dark", 1280, 800, true}} {
		b := openIn(browser, t, look.width, look.height, look.dark)
		b.knock(link.URLs[0])
		b.comeIn("smith")
		b.until(`document.querySelectorAll('#log article').length > 20`)
		b.script(`window.pwned = () => { throw new Error('pwned'); }`)
		if found := value[string](b, alien); found != "" {
			t.Errorf("%s: what is not the page's own: %s", look.name, found)
		}
		b.fits()
		b.named()
		b.shot("guest-" + look.name)
		b.script(`document.querySelector('#leave').click()`)
		b.until(`document.querySelector('#enter')?.hidden === false && document.activeElement.value === 'smith'`)
		b.cleanOf("https://" + guests + "/")
	}
}
