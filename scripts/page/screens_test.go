package page_test

import (
	"testing"
)

// TestScreens opens every view in every size and colour; SHOTS keeps the pictures. What it fails for by itself: a text
// that does not fit the window's width, a control without a name, a word in the console.
func TestScreens(t *testing.T) {
	s := newScene(t)
	addr := serve(t, s)
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"desktop-light", 1280, 800, false}, {"desktop-dark", 1280, 800, true}, {"phone-light", 390, 780, false},
		{"phone-dark", 390, 780, true}} {
		t.Run(look.name, func(t *testing.T) {
			b := open(t, look.width, look.height, look.dark)
			b.visit(addr)
			b.until(`document.querySelectorAll('#log article').length > 40 && document.querySelectorAll('.delivery').length > 1`)
			b.until(`[...document.querySelectorAll('.delivery')].at(-1).textContent === '✓ 6/8'`)
			see := func(view string) {
				t.Helper()
				b.fits()
				b.named()
				b.shot(look.name + "-" + view)
			}
			see("room")
			if b.phone {
				b.click("#menu")
				see("drawer")
				b.press("Escape")
				b.click("#people")
				see("people")
				b.press("Escape")
				b.click(".own .text")
				see("actions")
			} else {
				b.run(hover("#log article:not(.own):last-of-type"))
				see("actions")
			}
			b.click(".own .delivery")
			b.until(`document.querySelector('dialog[open] table')`)
			see("ledger")
			b.press("Escape")
			b.script(`document.querySelector('#go-subnet').click()`)
			b.until(`document.querySelectorAll('svg.subnet .device').length === 8`)
			see("subnet")
			b.script(`document.querySelector('#go-health').click()`)
			b.until(`document.querySelector('#health .tile')`)
			see("health")
			b.script(`document.querySelector('[data-room=crew]').click()`)
			b.until(`document.querySelector('#name').textContent === '#crew'`)
			b.script(`document.querySelector('#invite').click()`)
			b.until(`document.querySelector('dialog .qr')`)
			see("invite")
			b.press("Escape")
			b.script(`document.querySelector('#guests').click()`)
			b.until(`document.querySelector('dialog select')`)
			b.script(`document.querySelector('dialog button[type=submit]').click()`)
			b.until(`document.querySelectorAll('dialog').length === 1 && document.querySelector('dialog .print')`)
			see("guest-link")
			b.press("Escape")
			s.Visit("00000001", "dora_guest")
			b.script(`document.querySelector('#guests').click()`)
			b.until(`document.querySelector('dialog .links')`)
			see("guests")
			b.press("Escape")
			b.script(`document.querySelector('[data-room=lobby]').click()`)
			b.until(`document.querySelectorAll('#log article').length > 40`)
			b.run(focus("#query"))
			b.write("coff")
			b.until(`document.querySelector('#found li')`)
			see("search")
			b.script(`sessionStorage.clear(); location.reload()`)
			b.until(`document.querySelector('#enter')?.hidden === false && document.activeElement.id === 'token'`)
			see("enter")
			b.clean(addr)
		})
	}
}
