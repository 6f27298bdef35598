package page_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	web "bcast/internal/page"
)

const posts = `[...document.querySelectorAll('#log .text')].map(p => p.textContent)`

func TestPostsComeAndGo(t *testing.T) {
	d := device(t, "lobby", "bob", "carol")
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	d.Hear("lobby", "bob", "said before the page was opened")
	b.visit(addr)
	b.until(posts + `.join() === 'said before the page was opened'`)
	d.Hear("lobby", "carol", "said while it is open")
	b.until(posts + `.join('|') === 'said before the page was opened|said while it is open'`)
	b.until(`document.activeElement.id === 'entry'`)
	b.write("said here")
	b.press("Enter")
	b.until(`document.querySelector('.own .text')?.textContent === 'said here'`)
	b.until(`document.querySelector('.own .delivery')?.textContent === '✓ 2/2'`)
	if got := value[string](b, `document.querySelector('#entry').value`); got != "" {
		t.Errorf("the line still holds %q", got)
	}
	kept, err := d.Posts(t.Context(), "lobby", control.PostQuery{})
	if err != nil || len(kept) != 3 || kept[2].Text != "said here" {
		t.Errorf("the room holds %+v, %v", kept, err)
	}
	if hash := value[string](b, `location.href`); hash != "http://"+addr+"/" {
		t.Errorf("the address still says %s", hash)
	}
	b.clean(addr)
	b.shot("first")
}

// Who opens the page without its token is told how to get it, and can paste it.
func TestTheTokenCanBePasted(t *testing.T) {
	addr := serve(t, device(t, "lobby"))
	b := open(t, 1200, 800, false)
	b.run(navigate("http://" + addr + "/"))
	b.until(`document.activeElement.id === 'token' && document.querySelector('#app').hidden`)
	b.clean(addr)
	for text, then := range map[string]string{
		"not the token":                        `document.querySelector('#refused')?.textContent.includes('missing or wrong')`,
		"http://" + addr + "/#token=" + token:  `document.querySelector('#link')?.textContent === 'live'`,
		"http://" + addr + "/#token=x" + token: `document.querySelector('#refused')?.textContent.includes('missing or wrong')`,
	} {
		b.script(`sessionStorage.clear(); window.before = true; location.reload()`)
		b.until(`!window.before && document.activeElement?.id === 'token'`)
		b.write(text)
		b.press("Enter")
		b.until(then)
	}
}

// What was said while the stream was broken comes when the daemon is back, and nothing twice.
func TestTheStreamGoesOnWhereItBroke(t *testing.T) {
	d := device(t, "lobby", "bob")
	ln, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	end := serveUntil(t, ln, d)
	b := open(t, 1200, 800, false)
	d.Hear("lobby", "bob", "one")
	b.visit(addr)
	b.until(posts + `.join() === 'one'`)
	end()
	b.until(`document.querySelector('#link').textContent === 'reconnecting'`)
	d.Hear("lobby", "bob", "two")
	if ln, err = web.Listen(addr); err != nil {
		t.Fatal(err)
	}
	defer serveUntil(t, ln, d)()
	b.until(`document.querySelector('#link').textContent === 'live'`)
	d.Hear("lobby", "bob", "three")
	b.until(posts + `.join() === 'one,two,three'`)
}

// Posts of other rooms are counted, those that name us more loudly, until the room is looked at.
func TestUnreadIsCounted(t *testing.T) {
	d := device(t, "lobby", "bob")
	if _, err := d.Join(t.Context(), "ops", control.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	b.visit(addr)
	d.Hear("ops", "bob", "one")
	d.Bring(control.Post{Room: "ops", Nick: "bob", Text: "alice: two", Mention: true})
	b.until(`document.querySelector('[data-room=ops].unread.mention .count')?.textContent === '2'`)
	if title := value[string](b, `document.title`); title != "(1!) #lobby · bcast" {
		t.Errorf("the title is %q", title)
	}
	b.press("ArrowDown", input.ModifierAlt)
	b.until(posts + `.join() === 'one,alice: two' && !document.querySelector('.count:not(:empty)[aria-label]')`)
	d.Hear("ops", "bob", "three")
	b.until(posts + `.join() === 'one,alice: two,three'`)
	b.script(`window.before = true; location.reload()`)
	b.until(`!window.before && document.querySelector('#name')?.textContent === '#ops' &&
		document.querySelectorAll('#log article').length === 3`)
	d.Hear("lobby", "bob", "four")
	b.until(`document.querySelector('[data-room=lobby] .count')?.textContent === '1'`)
	b.clean(addr)
}

// reordered is a device whose room has got a post in between.
type reordered struct {
	*controltest.Device
	late atomic.Pointer[control.Post]
}

func (r *reordered) Posts(ctx context.Context, room string, query control.PostQuery) ([]control.Post, error) {
	all, err := r.Device.Posts(ctx, room, query)
	if late := r.late.Load(); late != nil && len(all) > 1 {
		all = slices.Insert(all, 1, *late)
	}
	return all, err
}

// A post that comes late stands where all members have it, not where it came. What comes while the page asks for that
// order is not lost, though the answer, when it is slow, lacks it.
func TestALatePostTakesItsPlace(t *testing.T) {
	d := &reordered{Device: device(t, "lobby", "bob")}
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	d.Hear("lobby", "bob", "one")
	three := d.Hear("lobby", "bob", "three")
	b.visit(addr)
	b.until(posts + `.join() === 'one,three'`)
	b.script(`window.real = window.fetch;
		window.fetch = async (...what) => {
			const answer = await window.real(...what);
			if (String(what[0]).includes('/posts?limit=')) await new Promise((go) => { window.go = go; });
			return answer;
		}`)
	late := three
	late.ID, late.Text, late.Late = "r0.0", "two", true
	d.late.Store(&late)
	d.Tell(control.Event{Type: control.EventPost, Post: &late})
	b.until(`window.go`)
	d.Hear("lobby", "bob", "four")
	b.until(posts + `.join() === 'one,three,four'`)
	b.script(`window.go()`)
	b.until(posts + `.join() === 'one,two,three,four'`)
	b.clean(addr)
}

// Everything that matters by the keyboard alone, from an empty page to a post that was changed.
func TestKeysAreEnough(t *testing.T) {
	d := device(t, "lobby", "bob")
	d.Hear("lobby", "bob", "first")
	d.Hear("lobby", "bob", "second")
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	b.visit(addr)
	b.until(posts + `.length === 2 && document.activeElement.id === 'entry'`)
	b.press("ArrowUp")
	b.press("ArrowUp")
	b.until(`document.activeElement.ariaLabel.endsWith(': first')`)
	b.press("r")
	b.until(`document.activeElement.id === 'entry' && document.querySelector('#about .said').textContent === 'first'`)
	b.write("an answer")
	b.press("Enter")
	b.until(posts + `.at(-1) === 'an answer' && document.querySelector('#about').hidden`)
	b.press("ArrowUp")
	b.until(`document.activeElement.ariaLabel.endsWith(': an answer')`)
	b.press("i")
	b.until(`document.querySelector('dialog[open] h2')?.textContent === 'Delivery'`)
	b.press("Escape")
	b.until(`!document.querySelector('dialog') && document.activeElement.tagName === 'ARTICLE'`)
	b.press("e")
	b.until(`document.querySelector('#entry').value === 'an answer'`)
	b.press("Escape")
	b.until(`document.querySelector('#entry').value === '' && document.querySelector('#about').hidden`)
	b.press("ArrowUp")
	b.press("/")
	b.until(`document.activeElement.id === 'query'`)
	b.write("sec")
	b.until(`document.querySelector('#found li')`)
	b.press("Tab")
	b.press("Enter")
	b.until(`document.activeElement.ariaLabel?.endsWith(': second') && !document.querySelector('#room').hidden`)
	b.press("?")
	b.until(`document.querySelector('dialog[open] h2')?.textContent === 'Keys'`)
	b.press("Escape")
	// Every control of the page can be reached by Tab, and nothing keeps the focus.
	reached := map[string]bool{}
	for range 40 {
		b.press("Tab")
		reached[b.focused()] = true
	}
	for _, name := range []string{"entry", "send", "query", "join", "go-subnet", "go-health", "self", "invite", "leave", "log", "lobby"} {
		if !reached[name] {
			t.Errorf("Tab never comes to %s; it comes to %v", name, reached)
		}
	}
	b.clean(addr)
}

// Ten thousand posts: loaded by scrolling, then scrolled through from end to end and back.
func TestTenThousandPostsScrollSmoothly(t *testing.T) {
	d := device(t, "lobby", "bob", "carol")
	for i := range 10_000 {
		d.Hear("lobby", []string{"bob", "carol"}[i/3%2], fmt.Sprintf("post %d: %s", i, strings.Repeat("all is well here ", i%9)))
	}
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	b.visit(addr)
	b.until(posts + `.at(-1)?.startsWith('post 9999:')`)
	loading := value[frames](b, measured(`
		while (!document.querySelector('.beginning').textContent.startsWith('This is where')) { log.scrollTop = 0; await frame(); }`))
	if n := value[int](b, `document.querySelectorAll('#log article').length`); n != 10_000 {
		t.Fatalf("%d posts are shown", n)
	}
	flying := value[frames](b, measured(`
		for (let i = 0; i < 60; i++) { log.scrollBy(0, log.scrollHeight / 60); await frame(); }`))
	scrolling := value[frames](b, measured(`
		for (let i = 0; i < 240; i++) { log.scrollBy(0, -300); await frame(); }`))
	b.script(`document.querySelector('#newest').click()`)
	d.Hear("lobby", "bob", "the newest")
	b.until(posts + `.at(-1) === 'the newest'`)
	t.Logf("loading: %v; end to end: %v; a fast wheel: %v", loading, flying, scrolling)
	if scrolling.Median > 20 || scrolling.Long > scrolling.Count/10 {
		t.Errorf("scrolling is not smooth: %v", scrolling)
	}
	b.clean(addr)
}

// A room in which somebody says two thousand posts a second: the page keeps up, keeps no more than it shows and stays at
// hand.
func TestAFloodOfPosts(t *testing.T) {
	d := device(t, "lobby", "bob")
	addr := serve(t, d)
	b := open(t, 1200, 800, false)
	b.visit(addr)
	b.until(`document.querySelector('.beginning').textContent.startsWith('Nothing')`)
	go func() {
		for i := range 4500 {
			d.Hear("lobby", "bob", fmt.Sprintf("flood %d", i))
			if i%20 == 19 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	during := value[frames](b, measured(`for (let i = 0; i < 120; i++) await frame();`))
	b.until(posts + `.at(-1) === 'flood 4499'`)
	t.Logf("during: %v", during)
	if n := value[int](b, `document.querySelectorAll('#log article').length`); n > 4000 {
		t.Errorf("%d posts are kept in the page", n)
	}
	if during.Median > 34 {
		t.Errorf("the page is not at hand: %v", during)
	}
	first := value[string](b, posts+`.at(0)`)
	b.script(`document.querySelector('#log').scrollTop = 0`)
	b.until(posts + `.at(0) !== '` + first + `'`) // what was given up comes again
	b.clean(addr)
}

// frames are how long frames took, in milliseconds; Long are those of more than 50.
type frames struct {
	Count, Long       int
	Median, P95, Most float64
}

func (f frames) String() string {
	return fmt.Sprintf("%d frames, median %.1f ms, 95 %% under %.1f, longest %.1f, %d over 50", f.Count, f.Median, f.P95, f.Most, f.Long)
}

func measured(work string) string {
	return `(async () => {
		const log = document.querySelector('#log'), took = [];
		const frame = async () => {
			const start = performance.now();
			await new Promise(requestAnimationFrame);
			took.push(performance.now() - start);
		};
		` + work + `
		took.sort((a, b) => a - b);
		const at = (share) => took[Math.floor(share * (took.length - 1))];
		return {Count: took.length, Median: at(0.5), P95: at(0.95), Most: at(1), Long: took.filter((t) => t > 50).length};
	})()`
}

// The best of three, for other work on the machine is not the page's doing. Nor is what the browser takes on it to paint
// anything: a page of one word is the measure of that, and the goal is 300 ms or, where that is slow, six times as long.
func TestTheFirstPaintIsQuick(t *testing.T) {
	d := device(t, "lobby", "bob")
	for i := range 500 {
		d.Hear("lobby", "bob", fmt.Sprintf("post %d", i))
	}
	addr := serve(t, d)
	const painted = `performance.getEntriesByName('first-contentful-paint')`
	best, live, blank := 1e9, 1e9, 1e9
	for range 3 {
		word := open(t, 1200, 800, false)
		word.run(navigate("data:text/html,word"))
		word.until(painted + `.length`)
		blank = min(blank, value[float64](word, painted+`[0].startTime`))
		b := open(t, 1200, 800, false)
		b.visit(addr)
		b.until(posts + `.length > 100 && ` + painted + `.length`)
		best = min(best, value[float64](b, painted+`[0].startTime`))
		live = min(live, value[float64](b, `performance.now()`))
		b.clean(addr)
	}
	t.Logf("first paint %.0f ms, posts to read and live %.0f ms; a word %.0f ms", best, live, blank)
	if most := max(300, 6*blank); best > most {
		t.Errorf("first paint after %.0f ms, at most %.0f", best, most)
	}
}
