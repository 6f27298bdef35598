// Package page_test drives the web page in a real Chromium, and reads the documents of the API with libraries of others.
// It is a module of its own: none of this is linked into bcast.
//
//	go -C scripts/page test ./...
//	SHOTS=/tmp/shots go -C scripts/page test -run Screens ./...     keep the pictures
package page_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	web "bcast/internal/page"
)

const token = "dGhlIHRva2VuIG9mIHRoZSBwYWdlIGluIGl0cyB0ZXN0cw"

// browser is one Chromium for all tests; each opens tabs of its own.
var browser context.Context

// options are those of every browser.
var options = append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, // as root, in a container
	chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-GB"))

func TestMain(m *testing.M) {
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(options,
		// A name that another site has resolved to this machine.
		chromedp.Flag("host-resolver-rules", "MAP rebinding.example 127.0.0.1,MAP other.example 127.0.0.1"))...)
	var stop context.CancelFunc
	browser, stop = chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {})) // of events it does not know
	if err := chromedp.Run(browser); err != nil {
		fmt.Fprintln(os.Stderr, "chromium does not start:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	end()
	os.Exit(code)
}

// serve serves the page of a participant and returns its address.
func serve(t *testing.T, api control.API) string {
	t.Helper()
	ln, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(serveUntil(t, ln, api))
	return ln.Addr().String()
}

// serveUntil serves until it is told to end.
func serveUntil(t *testing.T, ln net.Listener, api control.API) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, ln, api, token, slog.New(slog.DiscardHandler)) }()
	return func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// tab is one page in the browser, and what it complained of.
type tab struct {
	t   *testing.T
	ctx context.Context

	phone bool

	mu         sync.Mutex
	complaints []string
	asked      []string // addresses of requests
}

// open opens a tab of that size; what it writes to its console fails the test.
func open(t *testing.T, width, height int64, dark bool) *tab {
	t.Helper()
	return openIn(browser, t, width, height, dark)
}

// openIn is open in a browser of one's own.
func openIn(browser context.Context, t *testing.T, width, height int64, dark bool) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, b.heard)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}}
	if b.phone = width < 720; b.phone {
		b.run(chromedp.EmulateViewport(width, height, chromedp.EmulateMobile, chromedp.EmulateTouch))
	} else {
		b.run(chromedp.EmulateViewport(width, height))
	}
	b.run(emulation.SetFocusEmulationEnabled(true), page.BringToFront(),
		emulation.SetEmulatedMedia().WithFeatures(features), emulation.SetTimezoneOverride("UTC"))
	return b
}

func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, event.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprint("console: ", event.Args))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, event.Entry.Text+" "+event.Entry.URL)
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, event.Request.URL)
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "dialog: "+event.Message)
	}
}

// clean fails the test for everything in the console, and for every request to another host.
func (b *tab) clean(addr string) {
	b.t.Helper()
	b.cleanOf("http://" + addr + "/")
}

// cleanOf is clean for a page whose addresses all begin so.
func (b *tab) cleanOf(base string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the console says: %s", c)
	}
	for _, url := range b.asked {
		if !strings.HasPrefix(url, base) {
			b.t.Errorf("the page asked %s", url)
		}
	}
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\nconsole: %q", err, b.complaints)
	}
}

// visit opens the page with its token and waits until it is live.
func (b *tab) visit(addr string) {
	b.t.Helper()
	b.run(chromedp.Navigate("http://" + addr + "/#token=" + token))
	b.until(`document.querySelector('#link').textContent === 'live'`)
}

// value is what an expression is in the page.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	var v T
	b.run(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	return v
}

// until waits until an expression holds. (chromedp's own Poll makes functions of texts, which the page's policy forbids.)
func (b *tab) until(expression string) {
	b.t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var holds bool
		// While a page is left for another there is none to ask.
		if err := chromedp.Run(b.ctx, chromedp.Evaluate("Boolean("+expression+")", &holds)); err == nil && holds {
			return
		}
		if time.Now().After(limit) {
			b.shot("never")
			b.t.Fatalf("never: %s\nconsole: %q\nthe page: %.2000s", expression, b.complaints,
				value[string](b, `document.body.innerText`))
		}
	}
}

// press sends a key, as a keyboard does: modifiers are 1 Alt, 2 Control, 8 Shift.
func (b *tab) press(key string, modifiers ...input.Modifier) {
	b.t.Helper()
	down := input.DispatchKeyEvent(input.KeyRawDown).WithKey(key).WithCode(key)
	up := input.DispatchKeyEvent(input.KeyUp).WithKey(key).WithCode(key)
	if virtual := map[string]int64{"Enter": 13, "Tab": 9, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "Delete": 46, " ": 32,
		"End": 35, "Home": 36}[key]; virtual != 0 {
		down = down.WithWindowsVirtualKeyCode(virtual)
		up = up.WithWindowsVirtualKeyCode(virtual)
	}
	for _, m := range modifiers {
		down, up = down.WithModifiers(m), up.WithModifiers(m)
	}
	// What is a character presses buttons and is written; the others are keys alone.
	switch {
	case key == "Enter" && len(modifiers) == 0:
		down.Type, down.Text = input.KeyDown, "\r"
	case len([]rune(key)) == 1 && len(modifiers) == 0:
		down.Type, down.Text = input.KeyDown, key
	}
	b.run(down, up)
}

// write types a text where the focus is.
func (b *tab) write(text string) {
	b.t.Helper()
	b.run(input.InsertText(text))
}

// focused is the element that has the focus, in words.
func (b *tab) focused() string {
	b.t.Helper()
	return value[string](b, `(e => e.id || e.getAttribute('aria-label') || e.dataset.room || e.textContent)(document.activeElement)`)
}

// shot keeps a picture when SHOTS says where.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.run(page.BringToFront(), chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// device is a participant in a room with others.
func device(t *testing.T, room string, others ...string) *controltest.Device {
	t.Helper()
	d := controltest.New("alice")
	if _, err := d.Join(t.Context(), room, control.JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, nick := range others {
		d.Meet(nick, room)
	}
	return d
}

func (b *tab) script(expression string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(expression, nil))
}

// click clicks on an element, with a finger on a phone.
func (b *tab) click(selector string) {
	b.t.Helper()
	if !b.phone {
		b.run(chromedp.Click(selector, chromedp.ByQuery))
		return
	}
	b.script(`[...document.querySelectorAll('` + selector + `')].at(-1).scrollIntoView({block: 'center'})`)
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		var at [2]float64
		if err := middle(selector, &at).Do(ctx); err != nil {
			return err
		}
		finger := []*input.TouchPoint{{X: at[0], Y: at[1]}}
		if err := input.DispatchTouchEvent(input.TouchStart, finger).Do(ctx); err != nil {
			return err
		}
		return input.DispatchTouchEvent(input.TouchEnd, []*input.TouchPoint{}).Do(ctx)
	}))
}

// middle is the point in the middle of the last element of a selector.
func middle(selector string, at *[2]float64) chromedp.Action {
	return chromedp.Evaluate(`(r => [r.x + r.width / 2, r.y + r.height / 2])([...document.querySelectorAll('`+selector+
		`')].at(-1).getBoundingClientRect())`, at)
}

func focus(selector string) chromedp.Action { return chromedp.Focus(selector, chromedp.ByQuery) }

// hover puts the pointer on an element.
func hover(selector string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var at [2]float64
		if err := middle(selector, &at).Do(ctx); err != nil {
			return err
		}
		return input.DispatchMouseEvent(input.MouseMoved, at[0], at[1]).Do(ctx)
	})
}

// fits fails when something is wider than the window, and says what.
func (b *tab) fits() {
	b.t.Helper()
	wide := value[string](b, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return '';
		const all = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width + 1);
		return document.documentElement.scrollWidth + ' of ' + width + ': ' +
			all.map((e) => e.tagName + '#' + e.id + '.' + e.getAttribute('class')).slice(0, 8).join(' ');
	})()`)
	if wide != "" {
		b.t.Errorf("the page is too wide: %s", wide)
	}
}

// named fails for each control that a screen reader could only call "button": the browser computes the names.
func (b *tab) named() {
	b.t.Helper()
	var nodes []*accessibility.Node
	b.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		nodes, err = accessibility.GetFullAXTree().Do(ctx)
		return err
	}))
	controls := 0
	for _, n := range nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		switch role := strings.Trim(string(n.Role.Value), `"`); role {
		case "button", "link", "textbox", "searchbox", "checkbox", "dialog", "article", "log", "navigation", "table", "image":
			controls++
			if n.Name == nil || strings.Trim(string(n.Name.Value), `"`) == "" {
				b.t.Errorf("a %s has no name: node %d", role, n.BackendDOMNodeID)
			}
		}
	}
	if controls == 0 {
		b.t.Error("the page has no controls")
	}
}

func navigate(url string) chromedp.Action { return chromedp.Navigate(url) }
