package page_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	control "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"bcast"
)

// drop drops a file with that content onto the page, as a hand would.
func (b *tab) drop(name, content string) {
	b.t.Helper()
	b.script(fmt.Sprintf(`(() => {
		const carried = new DataTransfer();
		carried.items.add(new File([%q], %q, {type: 'text/html'}));
		for (const type of ['dragover', 'drop']) {
			document.querySelector('#log').dispatchEvent(new DragEvent(type, {dataTransfer: carried, bubbles: true, cancelable: true}));
		}
	})()`, content, name))
}

// saves has the browser write what it saves into a directory of the test.
func (b *tab) saves() string {
	b.t.Helper()
	dir := b.t.TempDir()
	b.run(chromedp.ActionFunc(func(ctx context.Context) error {
		ctx = cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser) // it is the browser's affair, not the tab's
		return control.SetDownloadBehavior(control.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(dir).Do(ctx)
	}))
	return dir
}

// saved waits for the only file in a directory and returns its name and content.
func saved(t *testing.T, dir string) (name, content string) {
	t.Helper()
	wait(t, "a file is saved", func() bool {
		files, err := os.ReadDir(dir)
		for _, f := range files {
			if strings.HasPrefix(f.Name(), ".") || strings.HasSuffix(f.Name(), ".crdownload") {
				continue // the browser's own, while it writes
			}
			var text []byte
			text, err = os.ReadFile(filepath.Join(dir, f.Name()))
			name, content = f.Name(), string(text)
		}
		return err == nil && name != ""
	})
	os.Remove(filepath.Join(dir, name))
	return name, content
}

// A file that is dropped on one page is saved from another. Neither its name nor what is in it does anything there.
func TestFilesGoFromPageToPage(t *testing.T) {
	port := freePort(t)
	alice, bob := node(t, "alice", port, "lobby"), node(t, "bob", port, "lobby")
	for _, n := range []*bcast.Node{alice, bob} {
		wait(t, "all are members", func() bool {
			members, err := n.Members(t.Context(), "lobby")
			return err == nil && len(members) == 2
		})
	}
	ours, theirs := serve(t, alice), serve(t, bob)
	a, b := open(t, 1200, 800, false), open(t, 390, 780, true)
	a.visit(ours)
	b.visit(theirs)
	a.until(`document.querySelectorAll('#people-list .member').length === 2`)
	into := b.saves()

	photo := strings.Repeat("snow ", 200_000)
	a.drop("photo.jpg", photo)
	b.until(`document.querySelector('.file')?.innerText.replace(/\s+/g, ' ').trim() === '⭳ photo.jpg 1.0 MB'`)
	b.fits()
	b.named()
	b.click(".file")
	b.until(`document.querySelector('.file .state').textContent === 'saved'`)
	if name, content := saved(t, into); name != "photo.jpg" || content != photo {
		t.Errorf("%s of %d bytes is saved", name, len(content))
	}
	b.until(`document.querySelector('.file .state').textContent === 'saved'`)

	hostile, script := `<img src=x onerror=hacked=1>.html`, `<script>parent.hacked = opener.hacked = 1</script><h1 id="hacked">hi</h1>`
	a.drop(hostile, script)
	b.until(`document.querySelectorAll('.file .name')[1]?.textContent === '` + hostile + `'`)
	b.click(".file")
	b.until(`[...document.querySelectorAll(".file .state")].at(-1).textContent === "saved"`)
	if name, content := saved(t, into); content != script || strings.Contains(name, "/") {
		t.Errorf("%s is saved, with %q", name, content)
	}
	for _, page := range []*tab{a, b} {
		if value[bool](page, `'hacked' in window || document.querySelector('#log img') !== null || document.querySelector('h1').id === 'hacked'`) {
			t.Error("a file did something on the page")
		}
	}
	heads := value[string](b, `fetch('/v1/posts/' + document.querySelectorAll('article')[1].dataset.id + '/file',
		{headers: {Authorization: 'Bearer ' + sessionStorage.getItem('bcast.token')}}).then((r) => [r.status, r.headers.get('content-type'),
		r.headers.get('content-disposition').split(';')[0], r.headers.get('x-content-type-options'),
		r.headers.get('content-security-policy')].join('|'))`)
	if heads != "200|application/octet-stream|attachment|nosniff|default-src 'none'; sandbox" {
		t.Errorf("a file is answered with %s", heads)
	}
	a.clean(ours)
	b.clean(theirs)
	a.drop("CON", "x") // some systems take it for a device
	a.until(`document.querySelector('#toast').textContent.includes('the name "CON" is refused')`)
}
