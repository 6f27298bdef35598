package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// corpus is text that becomes something else where it is taken for markup, an address, a template or a pattern.
var corpus = []string{
	`<script>pwned()</script>`, `<img src=x onerror=pwned()>`, `"><svg onload=pwned()>`, `'onmouseover='pwned()`,
	`<iframe srcdoc="<script>parent.pwned()</script>">`, `javascript:pwned()`, `<a href="javascript:pwned()">x</a>`,
	`{{constructor.constructor('pwned()')()}}`, "${pwned()}", `</textarea><script>pwned()</script>`, `]]><script>pwned()</script>`,
	`<math><mtext></mtext><mglyph><svg><mtext><style><img src onerror=pwned()>`, `&lt;script&gt;pwned()&lt;/script&gt;`,
	`<style>body{display:none}</style>`, `<base href=//other.example/>`, `<form action=//other.example><input name=x>`,
	"<script\x0b>pwned()</script>", `http://x/"onmouseover="pwned()`, `http://x/<script>pwned()</script>`,
	"\u202eevil\u202c", `<object data="data:text/html,<script>pwned()</script>">`, `"; pwned(); "`, `__proto__`, `%3Cscript%3E`,
}

// hostile is a participant of which every word is hostile; all is all of them.
type hostile struct{ *controltest.Device }

var all = strings.Join(corpus, " ")

func (h hostile) Peers(ctx context.Context) ([]control.Peer, error) {
	one, err := h.Device.Peers(ctx)
	var peers []control.Peer
	for _, word := range corpus {
		p := one[0]
		p.ID, p.Nick, p.Tag, p.Addr, p.Iface, p.Status = word, word, word, word, word, "here"
		peers = append(peers, p)
	}
	return peers, err
}

func (h hostile) Members(context.Context, string) (members []control.Member, err error) {
	for _, word := range corpus {
		members = append(members, control.Member{ID: word, Nick: word, Tag: word, Status: "here", Tagged: true, Away: word})
	}
	return members, nil
}

func (h hostile) Rooms(context.Context) ([]control.Room, error) {
	rooms := []control.Room{{Name: "lobby", Public: true, Topic: all, LimitedBy: all}}
	for _, word := range corpus {
		rooms = append(rooms, control.Room{Name: word}, control.Room{Name: "@" + word, Direct: word})
	}
	return rooms, nil
}

func (h hostile) Status(ctx context.Context) (control.Status, error) {
	status, err := h.Device.Status(ctx)
	status.Rooms, _ = h.Rooms(ctx)
	status.Nick, status.Tag, status.Version, status.Problems = all, all, all, corpus
	status.Cuts, status.Interfaces = 1, nil
	for _, word := range corpus {
		status.Interfaces = append(status.Interfaces, control.Interface{Name: word, Addrs: []string{word}, Reason: word, Link: word})
		status.CutFrom = append(status.CutFrom, control.CutSource{Addr: word, Nick: word, Count: 1})
		status.Drops[word] = 1
	}
	return status, err
}

func (h hostile) Ledger(context.Context, string) (control.Ledger, error) {
	l := control.Ledger{Post: all, Members: 1}
	for _, word := range corpus {
		l.Missing = append(l.Missing, control.Missing{ID: word, Nick: word, Status: word})
	}
	return l, nil
}

func (h hostile) Verification(context.Context, string) (control.Verification, error) {
	return control.Verification{ID: all, Nick: all, Words: corpus}, nil
}

func (h hostile) Posts(ctx context.Context, room string, query control.PostQuery) ([]control.Post, error) {
	if room != "lobby" {
		return []control.Post{}, nil
	}
	return h.Device.Posts(ctx, room, query)
}

func (h hostile) Invite(context.Context, string) (control.Invitation, error) {
	return control.Invitation{Room: all, Invite: all[:200]}, nil
}

// alien finds what is not the page's own: elements and attributes that could do something.
const alien = `[...document.querySelectorAll('*')].filter((e) => {
	const source = e.getAttribute('src') ?? e.getAttribute('href') ?? e.getAttribute('action') ?? e.getAttribute('data') ?? '';
	return /^(iframe|object|embed|base|style|math|mglyph|noscript)$/i.test(e.tagName) && e.tagName !== 'NOSCRIPT' ||
		/^(script|img|link)$/i.test(e.tagName) && !source.startsWith('/assets/') ||
		e.tagName === 'A' && source !== '#entry' && !source.startsWith('http://x/') ||
		e.tagName === 'FORM' && source || [...e.attributes].some((a) => /^on|srcdoc/i.test(a.name));
}).map((e) => e.outerHTML.slice(0, 120)).join(' | ')`

func TestHostileTextStaysText(t *testing.T) {
	d := device(t, "lobby", "bob")
	addr := serve(t, hostile{d})
	b := open(t, 1200, 800, false)
	bring := func(word, kind string) {
		d.Bring(control.Post{Room: "lobby", Nick: word, Text: word, Kind: kind, ReplyTo: word, Tagged: true, Own: true,
			Quote: &control.Quote{From: word, Nick: word, Text: word}, ClockOff: word,
			Reactions: []control.Reaction{{Text: word, From: []string{word}, Nicks: []string{word}}}})
	}
	for _, word := range corpus {
		bring(word, "text")
	}
	b.visit(addr)
	b.until(fmt.Sprintf(`document.querySelectorAll('#log article').length === %d`, len(corpus)))
	want, _ := json.Marshal(corpus)
	for _, of := range []string{"#log .text", "#log .by .nick", "#log .quote .nick", "#people-list .nick", "#log .reactions bdi"} {
		b.until(fmt.Sprintf(`document.querySelectorAll('%s').length >= %d`, of, len(corpus)))
		// The members are sorted.
		if !value[bool](b, fmt.Sprintf(`(shown => %s.every((word) => shown.has(word)))(new Set(
				[...document.querySelectorAll('%s')].map((e) => e.textContent)))`, want, of)) {
			t.Errorf("%s shows %s", of, value[string](b, `[...document.querySelectorAll('`+of+`')].map((e) => e.textContent).join('\n')`))
		}
	}
	for _, word := range corpus {
		bring(word, "action")
		bring(word, "topic")
		d.Tell(control.Event{Type: control.EventSignal, Signal: &control.Signal{Room: "lobby", ID: word, Nick: word, Kind: "typing"}})
		d.Tell(control.Event{Type: control.EventFork, Fork: &control.Fork{Nick: word}})
		d.Tell(control.Event{Type: control.EventSync, Sync: &control.Sync{Nick: word}})
	}
	b.until(fmt.Sprintf(`document.querySelectorAll('#log article').length === %d`, 3*len(corpus)))
	look := func(script, seen string) {
		t.Helper()
		b.script(script)
		b.until(seen)
		if found := value[string](b, alien); found != "" {
			t.Errorf("after %s: %s", script, found)
		}
	}
	look(`document.querySelector('.delivery').click()`, `document.querySelector('dialog[open] table')`)
	b.press("Escape")
	look(`document.querySelector('#people-list button').click()`, `document.querySelector('dialog[open] .words')`)
	b.press("Escape")
	look(`document.querySelector('#go-subnet').click()`, `document.querySelector('#subnet .device')`)
	look(`document.querySelector('#go-health').click()`, `document.querySelector('#health .tile')`)
	look(`document.querySelectorAll('[data-room]')[3].click()`, `document.querySelector('#log').textContent !== ''`)
	look(`document.querySelector('#invite').click()`, `document.querySelector('dialog .qr')`)
	b.press("Escape")
	look(`document.querySelector('[data-room=lobby]').click()`, `document.querySelectorAll('#log article').length > 10`)
	b.run(focus("#query"))
	b.write(`<img`)
	look(``, `document.querySelector('#found mark')`)
	b.clean(addr)
}

// A page of another site, in the same browser, with all that such a page can try. It even knows the token.
func TestAnotherSiteGetsNothing(t *testing.T) {
	d := device(t, "lobby", "bob")
	d.Hear("lobby", "bob", "the secret")
	addr := serve(t, d)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>other</title><body>`)
	}))
	defer other.Close()
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	for _, origin := range []string{"http://other.example:" + port, "http://127.0.0.1:" + port} {
		b := open(t, 800, 600, false)
		b.run(navigate(origin))
		tried := value[map[string]string](b, `(async () => {
			const here = 'http://`+addr+`', told = {};
			const attempt = async (name, work) => {
				try { told[name] = String(await work()); } catch (error) { told[name] = 'refused'; }
			};
			const read = (path, options) => async () => (await fetch(here + path, options)).text();
			const loaded = (tag, set) => () => new Promise((resolve, reject) => {
				const e = Object.assign(document.createElement(tag), set);
				e.onload = () => resolve('loaded'); e.onerror = () => reject();
				document.body.append(e);
			});
			await attempt('status', read('/v1/status'));
			await attempt('token', read('/v1/status', {headers: {Authorization: 'Bearer `+token+`'}}));
			await attempt('opaque', read('/v1/rooms/lobby/posts', {mode: 'no-cors'}));
			await attempt('post', read('/v1/rooms/lobby/posts', {method: 'POST', mode: 'no-cors', body: '{"text":"forged"}'}));
			await attempt('page', read('/'));
			await attempt('script', loaded('script', {src: here + '/assets/app.js'}));
			await attempt('module', loaded('script', {type: 'module', src: here + '/assets/app.js'}));
			await attempt('image', loaded('img', {src: here + '/assets/icon.svg'}));
			await attempt('events', () => new Promise((resolve, reject) => {
				const source = new EventSource(here + '/v1/events');
				source.onopen = () => resolve('open'); source.onerror = () => { source.close(); reject(); };
			}));
			const frame = document.createElement('iframe');
			frame.src = here + '/';
			document.body.append(frame);
			await new Promise((resolve) => { frame.onload = resolve; });
			await attempt('frame', () => frame.contentDocument.body.innerText);
			return told;
		})()`)
		if len(tried) != 10 {
			t.Errorf("%d attempts: %v", len(tried), tried)
		}
		for name, told := range tried {
			if told != "refused" && told != "" { // an opaque answer reads as nothing
				t.Errorf("%s of %s: %q", name, origin, told)
			}
		}
	}
	posts, err := d.Posts(t.Context(), "lobby", control.PostQuery{})
	if err != nil || len(posts) != 1 {
		t.Errorf("the room holds %+v, %v", posts, err)
	}
}

// A name of another site that resolves to this machine: the browser takes it for that site's own.
func TestARebindingNameGetsNothing(t *testing.T) {
	d := device(t, "lobby")
	addr := serve(t, d)
	_, port, _ := net.SplitHostPort(addr)
	b := open(t, 800, 600, false)
	b.run(navigate("http://rebinding.example:" + port + "/#token=" + token))
	if text := value[string](b, `document.body.textContent`); !strings.Contains(text, "is not a name of this machine") ||
		strings.Contains(text, "lobby") {
		t.Errorf("the page says %q", text)
	}
	status := value[int](b, `fetch('/v1/status', {headers: {Authorization: 'Bearer `+token+`'}}).then((r) => r.status)`)
	if status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
}
