package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/identity"
)

// offer has the desk's device hold a file that was offered in the crew.
func (d *desk) offer(name string, content []byte) File {
	d.t.Helper()
	d.write(name, content)
	one, err := d.server.Hold(d.t.Context(), filepath.Join(d.docs, name))
	if err != nil {
		d.t.Fatal(err)
	}
	one.Offers = []OfferedIn{{Room: "crew", Post: "post"}}
	d.held.Add(one)
	d.who = Visitor{In: func(room string) bool { return room == "crew" }}
	return File{Hash: one.Hash, Size: one.Size, Name: name}
}

// collect brings a file from desks, the first of which is asked first.
func (d *desk) collect(f File, o Options, from ...*desk) (string, error) {
	return Collect(d.t.Context(), f, d.out, func() (all []Source) {
		for i, one := range from {
			all = append(all, one.Source(identity.DeviceID{byte(i + 1)}))
		}
		return all
	}, o)
}

func TestCollect(t *testing.T) {
	for _, size := range []int{0, 1, unit, unit + 1, 5*unit + 7} {
		d := newDesk(t)
		content := dice(size)
		f := d.offer("a.bin", content)
		if name, err := d.collect(f, Options{}, d); err != nil || name != "a.bin" {
			t.Fatalf("%d bytes: %s, %v", size, name, err)
		}
		has(t, d.at, "a.bin", content)
		var passed bytes.Buffer
		err := Pass(t.Context(), f, &passed, func() []Source { return []Source{d.Source(identity.DeviceID{})} }, 0)
		if err != nil || !bytes.Equal(passed.Bytes(), content) {
			t.Errorf("%d bytes: %d passed, %v", size, passed.Len(), err)
		}
		if name, err := d.collect(f, Options{}, d); err != nil || name != "a.bin" {
			t.Errorf("what is here already: %s, %v", name, err)
		}
		writeAt(t, filepath.Join(d.at, "a.bin"), []byte("another"))
		if name, err := d.collect(f, Options{}, d); err != nil || name != "a (2).bin" {
			t.Errorf("beside another: %s, %v", name, err)
		}
		if all := names(t, d.at); !slices.Equal(all, []string{"a (2).bin", "a.bin"}) {
			t.Errorf("%q", all)
		}
	}
}

// Who breaks off is followed by the next, which is asked for what is missing and nothing else.
// Of what never came nothing stays, and of what came in part that part.
func TestNothingStaysOfWhatNeverCame(t *testing.T) {
	d := newDesk(t)
	f := File{Hash: Hash{1}, Size: 3 * unit, Name: "a.bin"}
	if _, err := d.collect(f, Options{}); err == nil {
		t.Error("it came from nobody")
	}
	for _, came := range []int{0, unit} {
		g, _, err := NewGather(f, d.out)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Aside(0, make([]byte, came)); err != nil {
			t.Fatal(err)
		}
		g.Close()
		left, err := os.ReadDir(d.at)
		if err != nil || len(left) != min(came, 1) {
			t.Errorf("%d bytes came: %d files are there, %v", came, len(left), err)
		}
	}
}

func TestCollectGoesOnWithAnother(t *testing.T) {
	first, second := newDesk(t), newDesk(t)
	content := dice(9*unit + 5)
	f := first.offer("a", content)
	second.offer("a", content)
	first.wire.breakAfter(4*unit + 1000)
	second.wire.breakAfter(8 * unit) // of which more than this was not to come
	came := int64(0)
	_, err := first.collect(f, Options{Progress: func(n int64, _ bool) { came += n }}, first, second)
	if err != nil || came != f.Size || !first.wire.isBroken() || second.wire.isBroken() {
		t.Fatalf("%d bytes, first broken: %t, second: %t, %v", came, first.wire.isBroken(), second.wire.isBroken(), err)
	}
	has(t, first.at, "a", content)
}

// What is here from a try before, in this process or another, is not fetched again.
func TestCollectGoesOn(t *testing.T) {
	d := newDesk(t)
	content := dice(9*unit + 5)
	f := d.offer("a", content)
	d.wire.breakAfter(5 * unit)
	_, err := d.collect(f, Options{}, d)
	wantCode(t, "a cable that is out", err, CodeBroken)
	_, err = d.collect(f, Options{}) // nobody is here now, and what came stays
	wantCode(t, "nobody", err, CodeNotFound)
	d.wire.breakAfter(0)
	before, after := int64(0), int64(0)
	_, err = d.collect(f, Options{Progress: func(n int64, was bool) {
		if was {
			before += n
		} else {
			after += n
		}
	}}, d)
	if err != nil || before < 3*unit || before+after != f.Size {
		t.Errorf("%d bytes were here, %d came: %v", before, after, err)
	}
	has(t, d.at, "a", content)
}

// A member that sends other bytes, or other hashes, than the offer's is left for the next; what it sent is not kept.
func TestADV_files_Members_that_lie_are_left(t *testing.T) {
	content := dice(5*unit + 5)
	for lie, change := range map[string]func(kind string, body []byte) []byte{
		"bytes":  func(kind string, body []byte) []byte { return flip(body, kind != "blocks", 2*unit) },
		"hashes": func(kind string, body []byte) []byte { return flip(body, kind == "blocks", 40) },
		"less":   func(kind string, body []byte) []byte { return body[:len(body)/2] },
	} {
		liar, honest := newDesk(t), newDesk(t)
		f := liar.offer("a", content)
		honest.offer("a", content)
		liar.serve(tamper(change)(liar.server.Handler()))
		if _, err := liar.collect(f, Options{}, liar, honest); err != nil {
			t.Errorf("%s: %v", lie, err)
		}
		has(t, liar.at, "a", content)
		var passed bytes.Buffer
		only := func() []Source { return []Source{liar.Source(identity.DeviceID{1})} }
		if err := Pass(t.Context(), f, &passed, only, 0); err == nil || !bytes.HasPrefix(content, passed.Bytes()) {
			t.Errorf("%s: of a liar alone %d bytes are passed: %v", lie, passed.Len(), err)
		}
	}
}

func flip(body []byte, it bool, at int) []byte {
	if it && len(body) > at {
		body[at] ^= 1
	}
	return body
}

// A file of a hash is told of to members of the rooms that it was offered in, and all others get the one answer.
func TestADV_files_Offered_files_are_for_members(t *testing.T) {
	d := newDesk(t)
	f := d.offer("a", []byte("text"))
	other := Hash{1}
	member := d.who
	ask := func(at string) (int, string) {
		t.Helper()
		answer, err := http.NewRequest(http.MethodGet, "http://files/v1/"+at, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := d.Do(answer)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		delete(response.Header, "Date")
		var head strings.Builder
		response.Header.Write(&head)
		return response.StatusCode, head.String() + string(text)
	}
	if code, text := ask("offered/" + f.Hash.String()); code != 200 || !strings.HasSuffix(text, "text") {
		t.Fatalf("a member: %d %s", code, text)
	}
	_, nothing := ask("offered/" + other.String())
	for who, v := range map[string]Visitor{
		"stranger": {}, "member of another room": {In: func(room string) bool { return room == "lobby" }},
		"blocked": {In: member.In, Blocked: true}, "no member": {In: func(string) bool { return false }},
	} {
		d.who = v
		for _, at := range []string{"", "/blocks"} {
			if code, text := ask("offered/" + f.Hash.String() + at); code != 404 || text != nothing {
				t.Errorf("%s: %d %s", who, code, text)
			}
		}
	}
	d.who = member
	for _, guess := range []string{other.String(), strings.ToUpper(f.Hash.String())[:10], f.Hash.String() + "00"} {
		if code, text := ask("offered/" + guess); code != 404 || text != nothing {
			t.Errorf("%s: %d %s", guess, code, text)
		}
	}
	d.held.Withdraw("post")
	if code, text := ask("offered/" + f.Hash.String()); code != 404 || text != nothing {
		t.Errorf("taken back: %d %s", code, text)
	}
}

// A file that is another one by now, or a link, is held no more.
func TestHoldingsAreAsTheyWere(t *testing.T) {
	for what, change := range map[string]func(at string) error{
		"longer": func(at string) error { return os.WriteFile(at, []byte("longer"), 0o644) },
		"newer":  func(at string) error { return os.Chtimes(at, time.Time{}, time.Now().Add(time.Hour)) },
		"gone":   os.Remove,
		"a link": func(at string) error { return errors.Join(os.Remove(at), os.Symlink("/etc/passwd", at)) },
	} {
		d := newDesk(t)
		f := d.offer("a", []byte("text"))
		told := 0
		d.held.Changed = func() { told++ }
		if err := change(filepath.Join(d.docs, "a")); err != nil {
			t.Fatal(err)
		}
		_, err := d.collect(f, Options{}, d)
		wantCode(t, what, err, CodeNotFound)
		if d.held.Held(f.Hash) || told != 1 {
			t.Errorf("%s: held %t, told %d times", what, d.held.Held(f.Hash), told)
		}
	}
}

func TestHoldingsAreBounded(t *testing.T) {
	var h Holdings
	for i := range maxHoldings + 9 {
		h.Add(Holding{Hash: Hash{byte(i), byte(i >> 8)}, Used: time.Unix(int64(i), 0)})
	}
	if all := h.All(); len(all) != maxHoldings || all[0].Used != time.Unix(9, 0) {
		t.Errorf("%d, from %v", len(all), all[0].Used)
	}
	last := Hash{8, 4}
	for i := range maxOffered + 5 {
		h.Add(Holding{Hash: last, Used: time.Now(), Offers: []OfferedIn{{"crew", string(rune('a' + i))}}})
	}
	for _, one := range h.All() {
		if one.Hash == last && (len(one.Offers) != maxOffered || one.Offers[0].Post != "f") {
			t.Errorf("%+v", one.Offers)
		}
	}
}

func TestHoldRefuses(t *testing.T) {
	d := newDesk(t)
	for _, at := range []string{d.docs, filepath.Join(d.docs, "none"), "/dev/null"} {
		_, err := d.server.Hold(t.Context(), at)
		wantCode(t, at, err, CodeInvalid)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	d.write("a", dice(unit))
	if _, err := d.server.Hold(ctx, filepath.Join(d.docs, "a")); err == nil {
		t.Error("held after all")
	}
}
