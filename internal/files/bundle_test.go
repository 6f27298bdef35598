package files

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// smalls writes so many small files into a directory, some in one below it, and returns what they hold by name.
func smalls(t *testing.T, dir string, count int) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for i := range count {
		name := fmt.Sprintf("f%03d", i)
		if i%3 == 1 {
			name = "sub/" + name
		}
		all[name] = dice(i * 37)
		writeAt(t, filepath.Join(dir, filepath.FromSlash(name)), all[name])
	}
	return all
}

// counted tells how often a device was asked for each kind of thing.
func counted(d *desk) map[string]int {
	asked := map[string]int{}
	var mu sync.Mutex
	inner := d.server.Handler()
	d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+strings.Split(r.URL.Path, "/")[2]]++
		mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	return asked
}

func TestSmallFilesGoTogether(t *testing.T) {
	d := newDesk(t)
	all := smalls(t, filepath.Join(d.docs, "top"), maxBundle+4)
	asked := counted(d)
	var told atomic.Int64
	done := 0
	o := Options{Progress: func(n int64, _ bool) { told.Add(n) }, Each: func(_ string, err error) {
		if done++; err != nil {
			t.Error(err)
		}
	}}
	size := int64(0)
	for _, content := range all {
		size += int64(len(content))
	}
	check := func(what, dir string, err error) {
		t.Helper()
		if err != nil || told.Load() != size || done != len(all) {
			t.Errorf("%s: %v, told of %d of %d bytes, %d files", what, err, told.Load(), size, done)
		}
		for name, content := range all {
			has(t, dir, name, content)
		}
		if got := names(t, dir); len(got) != len(all) {
			t.Errorf("%s: there is %q", what, got)
		}
		told.Store(0)
		done = 0
	}
	check("get", filepath.Join(d.at, "top"), d.fetch("top", o))
	check("put", filepath.Join(d.docs, "back"), d.Send(t.Context(), d.out, "top", "docs", "back", o))
	check("the same put again", filepath.Join(d.docs, "back"), d.Send(t.Context(), d.out, "top", "docs", "back", o))
	was, _ := os.Stat(filepath.Join(d.docs, "top", "f003"))
	if is, err := os.Stat(filepath.Join(d.docs, "back", "f003")); err != nil || !is.ModTime().Equal(was.ModTime()) {
		t.Errorf("the time of a file: %v, want %v", is, was.ModTime())
	}
	if asked["GET data"]+asked["PUT data"] > 0 || asked["POST bundle"] != 2 || asked["PUT bundle"] != 4 {
		t.Errorf("asked %v", asked)
	}
	if c := d.server.Counts(); c.SentBytes != uint64(size) || c.ReceivedBytes != uint64(size) {
		t.Errorf("%+v, want %d bytes each way", c, size)
	}
}

// One that knows no bundles is asked for one file after the other.
func TestWithoutBundles(t *testing.T) {
	d := newDesk(t)
	all := smalls(t, filepath.Join(d.docs, "top"), 20)
	inner := d.server.Handler()
	d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/bundle/") {
			r.URL.Path = "/v1/unknown"
		}
		inner.ServeHTTP(w, r)
	}))
	if err := d.fetch("top", Options{}); err != nil {
		t.Error(err)
	}
	if err := d.Send(t.Context(), d.out, "top", "docs", "back", Options{}); err != nil {
		t.Error(err)
	}
	for name, content := range all {
		has(t, d.at, "top/"+name, content)
		has(t, d.docs, "back/"+name, content)
	}
}

// A connection that breaks in the middle of a bundle is made again for what is left of it, and what came is counted once.
func TestBundleBreaks(t *testing.T) {
	d := newDesk(t)
	all, size := smalls(t, filepath.Join(d.docs, "top"), 40), int64(0)
	for _, content := range all {
		size += int64(len(content))
	}
	listed := 8 << 10
	d.wire.breakAfter(listed + int(size)/2)
	carry := d.Remote.Do
	d.Remote.Do = func(r *http.Request) (*http.Response, error) {
		if d.wire.isBroken() {
			d.wire.breakAfter(0)
		}
		return carry(r)
	}
	told := int64(0)
	err := d.fetch("top", Options{Patience: time.Hour, Progress: func(n int64, _ bool) { told += n }})
	if err != nil || told != size {
		t.Errorf("%v, told of %d of %d bytes", err, told, size)
	}
	for name, content := range all {
		has(t, d.at, "top/"+name, content)
	}
	if sent := int64(d.server.Counts().SentBytes); sent < size || sent > 2*size {
		t.Errorf("%d bytes were sent for %d", sent, size)
	}
}

// What a bundle holds is checked as what comes alone: a liar leaves nothing under a name, and each file that is right is
// there.
func TestADV_01_Bundles_are_checked(t *testing.T) {
	line := func(p string, size int, h Hash) string {
		return fmt.Sprintf(`{"path":%q,"size":%d,"version":"v","hash":"%s"}`+"\n", p, size, h)
	}
	good := hashSmall([]byte("good"))
	for name, test := range map[string]struct {
		answer string
		want   []string // that is there then
		code   Code     // of what is not
	}{
		"other bytes":    {line("a", 4, good) + "evil" + line("b", 4, good) + "good", []string{"b"}, CodeDamaged},
		"another hash":   {line("a", 4, Hash{}) + "good" + line("b", 4, good) + "good", []string{"b"}, CodeDamaged},
		"another name":   {line("../a", 4, good) + "good" + line("b", 4, good) + "good", nil, CodeDamaged},
		"another order":  {line("b", 4, good) + "good" + line("a", 4, good) + "good", nil, CodeDamaged},
		"another size":   {line("a", 5, good) + "good!" + line("b", 4, good) + "good", nil, CodeDamaged},
		"too large":      {line("a", unit+1, good) + "good", nil, CodeDamaged},
		"less than none": {line("a", -1, good) + "good", nil, CodeDamaged},
		"no line":        {strings.Repeat("x", 2*maxLine), nil, CodeBroken},
		"too short":      {line("a", 4, good) + "go", nil, CodeBroken},
		"nothing":        {"", nil, CodeBroken},
		"one is refused": {`{"path":"a","error":{"code":"not_found","message":"no"}}` + "\n" + line("b", 4, good) + "good", []string{"b"}, CodeNotFound},
		"all is refused": {`{"path":"a","error":{"code":"space","message":"no"}}` + "\n", nil, CodeSpace},
	} {
		d := newDesk(t)
		d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/list/") {
				io.WriteString(w, `{"path":"","dir":true}`+"\n"+`{"path":"a","size":4,"version":"v"}`+"\n"+
					`{"path":"b","size":4,"version":"v"}`+"\n")
				return
			}
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, test.answer)
		}))
		var last error
		err := d.fetch("top", Options{Each: func(_ string, err error) {
			if err != nil {
				last = err
			}
		}})
		if last == nil {
			last = err
		}
		wantCode(t, name, last, test.code)
		if got := names(t, filepath.Join(d.at, "top")); !slices.Equal(slices.DeleteFunc(got, isPart), test.want) {
			t.Errorf("%s: there is %q", name, got)
		}
	}
}

// What others put here in bundles goes through the checks of what they put alone.
func TestADV_01_Bundles_put_are_checked(t *testing.T) {
	d := newDesk(t)
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true}, {Name: "drop", Dir: d.docs, Public: true, Write: true}})
	d.write("top/there", []byte("mine"))
	put := func(share string, files ...bundled) ([]bundled, error) {
		var body bytes.Buffer
		for _, b := range files {
			content := []byte("text")
			if b.Hash == "" {
				b.Hash = hashSmall(content).String()
			}
			b.Size = 4
			writeBundled(&body, b, content)
		}
		response, err := d.ask(t.Context(), http.MethodPut, target("bundle", share, "top", ""), &body, nil)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		var told []bundled
		for in := newBundleReader(response.Body); ; {
			b, err := in.next()
			if err != nil {
				return told, nil
			}
			told = append(told, b)
		}
	}
	_, err := put("docs", bundled{Path: "new"})
	wantCode(t, "who may not write", err, CodeForbidden)
	_, err = put("drop", bundled{Path: "twice"}, bundled{Path: "twice"})
	wantCode(t, "one twice", err, CodeInvalid)
	if got := names(t, d.docs); len(got) != 1 {
		t.Errorf("of a bundle with one twice there is %q", got)
	}
	_, err = put("drop", make([]bundled, maxBundle+1)...)
	wantCode(t, "too many", err, CodeInvalid)
	told, err := put("drop", bundled{Path: "there"}, bundled{Path: "THERE"}, bundled{Path: "other", Hash: Hash{}.String()},
		bundled{Path: "fine"}, bundled{Path: "Fine"})
	var codes []Code
	for _, b := range told {
		codes = append(codes, "")
		if b.Error != nil {
			codes[len(codes)-1] = b.Error.Code
		}
	}
	if want := []Code{CodeExists, CodeExists, CodeDamaged, "", CodeExists}; err != nil || !slices.Equal(codes, want) {
		t.Errorf("%v, %v, want %v", err, codes, want)
	}
	all := hostileNames()
	for chunk := range slices.Chunk(all, maxBundle) {
		var files []bundled
		for _, name := range chunk {
			if utf8.ValidString(name) && !slices.ContainsFunc(files, func(b bundled) bool { return b.Path == name }) {
				files = append(files, bundled{Path: name})
			}
		}
		told, err := put("drop", files...)
		for _, b := range told {
			if b.Error == nil {
				t.Errorf("%q was taken", b.Path)
			}
		}
		if err == nil && len(told) != len(files) {
			t.Errorf("%d of %d were told of", len(told), len(files))
		}
	}
	has(t, d.docs, "top/there", []byte("mine"))
	if got, want := names(t, d.docs), []string{"top/fine", "top/there"}; !slices.Equal(got, want) {
		t.Errorf("there is %q", got)
	}
}
