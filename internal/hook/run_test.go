package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/roster"
)

// runs is a Runner of a file of hooks that remembers what it would have done, at a device that nobody has met yet.
func runs(t *testing.T, home, file string) (r *record, device *controltest.Device, stop func()) {
	t.Helper()
	hooks, line, err := parse([]byte(file))
	if err != nil {
		t.Fatalf("line %d: %v", line, err)
	}
	r, device = &record{}, controltest.New("alice")
	device.Join(t.Context(), "lobby", control.JoinOptions{})
	runner := New(hooks, Config{Home: home, Log: r.logger()})
	runner.do = func(_ context.Context, h Hook, e control.Event) error {
		nick, _, _ := who(e)
		r.add(h.Exec + " " + nick)
		if h.Exec == "fail" {
			return errors.New("exit status 1")
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx, device) }()
	synctest.Wait()
	return r, device, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func hookOn(on, exec string, more ...string) string {
	return fmt.Sprintf("[[hook]]\non = %q\nexec = %q\n%s\n", on, exec, strings.Join(more, "\n"))
}

// did compares what was done so far, in whatever order, and forgets it.
func (r *record) did(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	got := slices.Sorted(slices.Values(r.done))
	r.done = nil
	r.mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
}

func TestHooksOnWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, device, stop := runs(t, "", hookOn("post", "post")+hookOn("mention", "mention")+hookOn("cut", "cut")+
			hookOn("post", "fail", `text = "^fail"`))
		now := func(p control.Post) control.Event {
			p.Time = time.Now()
			return control.Event{Type: control.EventPost, Post: &p}
		}
		device.Tell(now(control.Post{Nick: "bob", Text: "hi"}))
		device.Tell(now(control.Post{Nick: "alice", Text: "hi", Own: true}))
		r.did(t, "post bob")
		device.Tell(now(control.Post{Nick: "bob", Text: "@alice", Mention: true}))
		r.did(t, "mention bob", "post bob")
		device.Tell(now(control.Post{Nick: "bob", Direct: "bob"}))
		r.did(t, "mention bob", "post bob")
		old := now(control.Post{Nick: "bob"})
		old.Post.Time = old.Post.Time.Add(-time.Hour)
		device.Tell(old)
		edited := now(control.Post{Nick: "bob"})
		edited.Type = control.EventEdited
		device.Tell(edited)
		r.did(t)
		device.Cut(control.Cut{Nick: "carol", Received: 512, Size: 1400})
		r.did(t, "cut carol")
		device.Tell(now(control.Post{Nick: "bob", Text: "fail"}))
		r.did(t, "fail bob", "post bob")
		if log := r.logged(); !strings.Contains(log, "a hook failed") || !strings.Contains(log, "line=13") {
			t.Errorf("logged %s", log)
		}
		device.Tell(control.Event{Type: control.EventGap})
		synctest.Wait()
		if log := r.logged(); !strings.Contains(log, "more happened than hooks could follow") {
			t.Errorf("logged %s", log)
		}
		stop()
	})
}

func TestHooksOnFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, device, stop := runs(t, "", hookOn("file-offered", "offered", `text = "jpg$"`)+hookOn("file-offered", "any")+
			hookOn("file-received", "received", `room = "lobby"`)+hookOn("file-received", "all"))
		post := control.Post{Nick: "bob", Room: "lobby", Time: time.Now(), Kind: "offer",
			File: &control.OfferedFile{Name: "photo.jpg", Size: 9, Hash: "ab"}}
		offer := control.Event{Type: control.EventPost, Post: &post}
		device.Tell(offer)
		own := post
		own.Own = true
		device.Tell(control.Event{Type: control.EventPost, Post: &own})
		r.did(t, "any bob", "offered bob")
		waits := control.Event{Type: control.EventOffer, Offer: &control.Offer{ID: "3f", Nick: "carol", Name: "f", Files: 2, Bytes: 7}}
		device.Tell(waits)
		r.did(t, "any carol")
		file := control.File{Post: "p", Room: "lobby", Name: "photo.jpg", Size: 9, Nick: "bob", Path: "/in/photo.jpg"}
		for _, state := range []string{control.FileFetching, control.FileFailed, control.FileOffered} {
			file.State = state
			told := file
			device.Tell(control.Event{Type: control.EventFile, File: &told})
		}
		r.did(t)
		file.State = control.FileWhole
		whole := control.Event{Type: control.EventFile, File: &file}
		device.Tell(whole)
		device.Tell(control.Event{Type: control.EventFile, File: &control.File{Name: "f", Nick: "carol", State: control.FileWhole, Share: "drop"}})
		r.did(t, "all bob", "all carol", "received bob")
		stop()
		for e, want := range map[*control.Event]string{
			&offer: "FILE=photo.jpg SIZE=9 HASH=ab", &waits: "FILE=f SIZE=7 COUNT=2 ID=3f",
			&whole: "FILE=photo.jpg FILE_PATH=/in/photo.jpg SIZE=9 ID=p ROOM=lobby",
		} {
			env := environ("file-received", *e)
			for fact := range strings.FieldsSeq(want) {
				if !slices.Contains(env, prefix+fact) {
					t.Errorf("%s is not in %q", fact, env)
				}
			}
		}
	})
}

func TestHooksOnMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, device, stop := runs(t, "", hookOn("join", "join", `room = "lobby"`)+hookOn("leave", "leave"))
		status, _ := device.Status(t.Context())
		for _, m := range []control.MemberChange{
			{Nick: "bob", Room: "lobby", Change: "join"}, {Nick: "bob", Room: "dev", Change: "join"},
			{Nick: "bob", Room: "dev", Change: "nick"}, {Nick: "bob", Room: "dev", Change: "leave"},
			{Nick: "alice", Room: "lobby", Change: "join", ID: status.ID},
		} {
			device.Tell(control.Event{Type: control.EventMember, Member: &m})
		}
		r.did(t, "join bob", "leave bob")
		stop()
	})
}

func TestHooksOnDevicesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := t.TempDir()
		file := hookOn("device-new", "new", `for = "10s"`) + hookOn("device-lost", "lost", `for = "1m"`) +
			hookOn("device-back", "back", `for = "5s"`, `nick = "bob"`)
		r, device, stop := runs(t, home, file)
		device.Meet("bob")
		device.Meet("carol")
		time.Sleep(9 * time.Second)
		device.Lose("carol") // it only passes by
		r.did(t)
		time.Sleep(2 * time.Second)
		r.did(t, "new bob")
		time.Sleep(time.Minute)
		r.did(t, "lost carol")
		for range 10 { // it flaps
			device.Lose("bob")
			time.Sleep(40 * time.Second)
			device.Regain("bob")
			time.Sleep(time.Second)
		}
		r.did(t)
		device.Lose("bob")
		time.Sleep(59 * time.Second)
		r.did(t)
		time.Sleep(2 * time.Second)
		r.did(t, "lost bob")
		device.Regain("bob")
		time.Sleep(4 * time.Second)
		r.did(t)
		time.Sleep(2 * time.Second)
		r.did(t, "back bob")
		device.Regain("carol")
		time.Sleep(11 * time.Second)
		r.did(t, "new carol")
		stop()

		// Who was new once is not in the next run, and not back either.
		r, device, stop = runs(t, home, file)
		device.Meet("bob")
		device.Meet("dora")
		time.Sleep(time.Hour)
		r.did(t, "new dora")
		stop()
	})
}

// Hooks with a kind are on all devices of the subnet, and so are those that only it tells of; others are on peers alone.
func TestHooksOnTheSubnet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, device, stop := runs(t, "", hookOn("device-new", "new", `kind = "printer"`)+hookOn("device-lost", "lost", `kind = "*"`, `for = "1m"`)+
			hookOn("device-lost", "peer")+hookOn("device-changed", "changed", `nick = "Print*"`)+hookOn("address-conflict", "address")+
			hookOn("name-conflict", "name", `kind = "camera"`))
		defer stop()
		tell := func(change, status string) {
			device.Note(control.DeviceChange{Change: change, Device: control.Device{
				Key: "k", Name: "Printer", Kind: "printer", Status: status, Addrs: []string{"10.0.0.9"}}})
		}
		tell(roster.New, roster.Seen)
		r.did(t, "new Printer")
		tell(roster.Changed, roster.Seen)
		tell(roster.AddressConflict, roster.Seen)
		tell(roster.NameConflict, roster.Seen)
		r.did(t, "address Printer", "changed Printer")
		tell(roster.Lost, roster.Gone)
		time.Sleep(50 * time.Second)
		tell(roster.Back, roster.Seen)
		time.Sleep(time.Hour)
		r.did(t)
		tell(roster.Lost, roster.Gone)
		time.Sleep(2 * time.Minute)
		r.did(t, "lost Printer")
		device.Meet("bob")
		device.Lose("bob")
		time.Sleep(time.Minute)
		r.did(t, "peer bob")
	})
}

// Who was gone when hooks began is back when it comes, and who was here is lost when it goes; neither is new.
func TestHooksRecallTheSubnet(t *testing.T) {
	p := newPresence([]Hook{{On: "device-new", Kind: "*"}, {On: "device-back", Kind: "*"}, {On: "device-lost", Kind: "*"}}, true)
	now := time.Now()
	p.recall("gone", false, control.Event{}, now)
	p.recall("here", true, control.Event{}, now)
	if news, _ := p.settle(now); len(news) != 0 {
		t.Errorf("at the start %+v", news)
	}
	p.note("gone", true, false, control.Event{}, now)
	p.note("here", false, false, control.Event{}, now)
	if news, _ := p.settle(now); len(news) != 2 || news[0].hook != 1 || news[1].hook != 2 {
		t.Errorf("then %+v", news)
	}
}

// Of devices that are here when hooks begin, as after a reload, those are new that were not met.
func TestHooksBeginWithWhoIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPresence([]Hook{{On: "device-new"}, {On: "device-lost"}, {On: "device-new", Kind: "*"}}, false)
		for _, id := range []string{"carol", "bob", "dora"} {
			p.note(id, true, id != "bob", control.Event{}, time.Now())
		}
		p.note("eve", false, true, control.Event{}, time.Now())
		news, next := p.settle(time.Now())
		if len(news) != 2 || news[0].id != "carol" || news[1].id != "dora" || !next.IsZero() {
			t.Errorf("%+v, next %v", news, next)
		}
	})
}

func TestDevicesAreBounded(t *testing.T) {
	p := newPresence([]Hook{{On: "device-new"}}, false)
	now := time.Now()
	for i := range maxDevices {
		p.note(fmt.Sprint(i), true, true, control.Event{}, now)
	}
	p.note("beyond", true, true, control.Event{}, now)
	if p.devices["beyond"] != nil {
		t.Error("one beyond the limit is noticed")
	}
	p.note("7", false, true, control.Event{}, now)
	p.note("beyond", true, true, control.Event{}, now)
	if len(p.devices) != maxDevices || p.devices["7"] != nil {
		t.Errorf("%d devices, the one that is gone: %v", len(p.devices), p.devices["7"])
	}
}

func TestDevicesMetAreBounded(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, metFile), []byte(strings.Repeat("x", 20)+"\n\nb0b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := readMet(home)
	if err != nil || len(a.ids) != 2 {
		t.Fatalf("%v, %v", a.ids, err)
	}
	for i := range maxMet {
		a.ids[fmt.Sprint(i)] = true
	}
	if err := a.add("new"); err != nil {
		t.Error(err)
	}
	if b, err := readMet(home); err != nil || len(b.ids) != 1 || !b.has("new") {
		t.Errorf("%v, %v: want the new one alone", b.ids, err)
	}
}

// A flood of events does as much as its user allowed, and what is beyond is logged once a minute.
func TestADV_hook_A_flood_is_bounded_by_the_minute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, device, stop := runs(t, "", hookOn("post", "some", "most = 5")+hookOn("post", "few", "most = 1"))
		for i := range 120 {
			device.Tell(control.Event{Type: control.EventPost, Post: &control.Post{Nick: "eve", Text: fmt.Sprint(i), Time: time.Now()}})
			time.Sleep(time.Second)
		}
		got := r.list()
		if some := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != "some eve" }); len(some) != 10 {
			t.Errorf("%d times in two minutes, want 10", len(some))
		}
		if len(got) != 12 {
			t.Errorf("%d actions in two minutes, want 12", len(got))
		}
		if n := strings.Count(r.logged(), "too much happens"); n < 1 || n > 3 {
			t.Errorf("logged %d times", n)
		}
		stop()
	})
}

// answers is an address: each call gets the next of these status codes, 0 none.
type answers struct {
	codes []int
	calls []*http.Request
	bodies
}

type bodies []string

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(request.Body)
	a.calls, a.bodies = append(a.calls, request), append(a.bodies, string(body))
	code := a.codes[min(len(a.calls), len(a.codes))-1]
	if code == 0 {
		<-request.Context().Done() // who does not answer
		return nil, request.Context().Err()
	}
	endless := io.MultiReader(strings.NewReader("SECRET"), zeros{})
	return &http.Response{StatusCode: code, Body: io.NopCloser(endless), Header: http.Header{"Location": {"http://elsewhere"}},
		Request: request}, nil
}

// zeros is an answer without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestWebhookIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks, _, err := parse([]byte(`[[hook]]
on = "mention"
webhook = "http://u:p@hooks.example/SECRET"
headers = { Authorization = "Bearer x" }`))
		if err != nil {
			t.Fatal(err)
		}
		a := &answers{codes: []int{204}}
		runner := New(hooks, Config{})
		runner.call.transport = a
		e := control.Event{Type: "post", Post: &control.Post{Text: "hi @alice"}}
		tried, err := runner.Try(t.Context(), "mention", e, func(_ Hook, err error) error { return err })
		if tried != 1 || err != nil {
			t.Fatalf("%d, %v", tried, err)
		}
		var got control.Event
		if err := json.Unmarshal([]byte(a.bodies[0]), &got); err != nil || got.Post.Text != "hi @alice" {
			t.Errorf("it got %s, %v", a.bodies[0], err)
		}
		h := a.calls[0].Header
		if h.Get("Bcast-Event") != "mention" || h.Get("Authorization") != "Bearer x" || h.Get("Content-Type") != "application/json" {
			t.Errorf("with %v", h)
		}
	})
}

// An address that fails, hangs or sends elsewhere costs a bounded time, is not followed, and its secret is not logged.
func TestADV_hook_An_address_gets_no_more_than_three_calls(t *testing.T) {
	for _, test := range []struct {
		codes []int
		calls int
		took  time.Duration
		err   string
	}{
		{[]int{200}, 1, 0, ""},
		{[]int{500, 429, 200}, 3, 6 * time.Second, ""},
		{[]int{503}, 3, 6 * time.Second, "it answers 503 Service Unavailable"},
		{[]int{404}, 1, 0, "it answers 404 Not Found"},
		{[]int{302}, 1, 0, "it answers 302, a redirect, which is not followed"},
		{[]int{307}, 1, 0, "it answers 307, a redirect, which is not followed"},
		{[]int{0}, 3, 3*CallTime + 6*time.Second, "context deadline exceeded"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := &answers{codes: test.codes}
			began := time.Now()
			err := caller{a}.call(t.Context(), Hook{Webhook: "http://hooks.example/SECRET"}, []byte("{}"))
			if took := time.Since(began); len(a.calls) != test.calls || took != test.took {
				t.Errorf("%v: %d calls in %v", test.codes, len(a.calls), took)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%v: %v", test.codes, err)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestWebhookEndsWithTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{codes: []int{500}}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := (caller{a}).call(ctx, Hook{Webhook: "http://x"}, nil); err == nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
