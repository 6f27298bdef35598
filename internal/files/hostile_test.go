package files

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"bcast/identity"
)

// hostileNames are names, and paths of names, that nobody takes from another.
func hostileNames() []string {
	names := []string{
		"", ".", "..", "/", "//", "a//b", "/etc/passwd", "../x", "../../x", "a/../../x", "a/..", "./a", "a/.", "a/", "a/b/",
		`..\x`, `a\b`, `C:\x`, `\\host\share`, "~/x/../..", "a\x00b", "a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\u0085b",
		"a\u202etxt.exe", "a\u2066b", "a\u200bb", "a\ufeffb", "a\u2028b", "a\u00adb", "\xff\xfe", "a\xc0\xafb", "a\xe2\x80",
		"a.", "a ", " a", "a. ", "...", " ", "a/b./c", "a/ /b", strings.Repeat("x", 256), strings.Repeat("é", 128),
		strings.Repeat("a/", 64) + "a", strings.Repeat("abcdefgh/", 500) + "a", ".bcast-0123456789abcdef.part",
		"a/.BCAST-x.Part",
	}
	for _, device := range []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$", "COM0", "COM1", "COM9", "LPT1",
		"LPT9", "COM¹", "LPT³"} {
		for _, form := range []string{"%s", "%s.txt", "%s.tar.gz", "%s .txt", "a/%s", "%s/a", "a/%s.b/c"} {
			names = append(names, fmt.Sprintf(form, device), fmt.Sprintf(form, strings.ToLower(device)))
		}
	}
	return names
}

// CVE-2025-27142 (LocalSend), CVE-2023-43616 to 43621 (croc): names of another's choice led out of the directory, wrote
// over what was there, or did something to the terminal.
func TestADV_01_Hostile_names_are_refused(t *testing.T) {
	all := hostileNames()
	if len(all) < 200 {
		t.Fatalf("%d names, want 200", len(all))
	}
	outside := t.TempDir()
	listed := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !utf8.ValidString(s) }) // no JSON has them
	liar := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/list/") {
			lines := json.NewEncoder(w)
			lines.Encode(Entry{Dir: true})
			for i, name := range listed {
				lines.Encode(Entry{Path: name, Dir: i%5 == 4, Size: 4, Version: "v", Modified: time.Unix(1, 0)})
			}
			lines.Encode(Entry{Path: "fine", Size: 4, Version: "v", Modified: time.Unix(1, 0)})
			return
		}
		w.Header().Set(headHash, hashSmall([]byte("evil")).String())
		w.Header().Set("Content-Length", "4")
		io.WriteString(w, "evil")
	}
	d := newDesk(t)
	d.serve(http.HandlerFunc(liar))
	inbox, err := os.OpenRoot(mkdir(t, filepath.Join(outside, "inbox")))
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	refused := 0
	err = d.Fetch(t.Context(), "docs", "top", inbox, "top", Options{Each: func(name string, err error) {
		if err != nil {
			refused++
			if err.Error() == "" || strings.ContainsAny(err.Error(), "\x00\x1b\n") {
				t.Errorf("%q: the error is %q", name, err)
			}
		}
	}})
	if err != errSome || refused != len(listed) {
		t.Errorf("%v, %d of %d names refused", err, refused, len(listed))
	}
	if got := names(t, outside); len(got) != 1 || got[0] != "inbox/top/fine" {
		t.Errorf("there is %q", got)
	}
	// What is put here by others is refused in the same way.
	before := names(t, d.docs)
	for _, name := range all {
		e := httptest.NewRequest(http.MethodPut, "/v1/data/docs/x", strings.NewReader("evil"))
		e.SetPathValue("share", "docs")
		e.SetPathValue("path", name)
		h := hashSmall([]byte("evil"))
		e.Header.Set(headSize, "4")
		e.Header.Set(headHash, h.String())
		e.Body = io.NopCloser(strings.NewReader(string(h[:]) + "evil"))
		w := httptest.NewRecorder()
		d.server.answer(d.server.put)(w, e)
		if w.Code < 400 {
			t.Errorf("%q was taken: %d", name, w.Code)
		}
	}
	if got := names(t, d.docs); !slices.Equal(got, before) {
		t.Errorf("there is %q", got)
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNamesThatAreFine(t *testing.T) {
	for _, name := range []string{"a", ".profile", "a b", "Ünï", "10:30 *.png", "con1", "common", "auxiliary.txt", "com10", "a..b",
		"👩\u200d👩\u200d👧", "نامه\u200cها", "日本語.txt", strings.Repeat("x", 255), ".bcast-x", "-rf", "$(reboot)", "a;b"} {
		if err := checkName(name, false); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := checkName("10:30", true); err == nil {
		t.Error("Windows takes a colon for the name of a stream")
	}
}

// CVE-2025-22873, CVE-2026-27139 and CVE-2026-39822 (os.Root), CVE-2022-42725 (Warpinator): links, and names with a slash
// behind them, led out of the directory.
func TestADV_33_Links_lead_nowhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a right of their own")
	}
	d := newDesk(t)
	outside := t.TempDir()
	writeAt(t, filepath.Join(outside, "secret"), []byte("secret"))
	d.write("in/file", []byte("in"))
	for link, to := range map[string]string{
		"file-out": filepath.Join(outside, "secret"), "dir-out": outside, "up": "../..", "nowhere": "none", "self": "self",
		"in/out": filepath.Join(outside, "secret"), "root": "/", "fine": "in/file", "loop": ".",
	} {
		if err := os.Symlink(to, filepath.Join(d.docs, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := mkfifo(filepath.Join(d.docs, "pipe")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"file-out", "dir-out", "dir-out/secret", "up", "nowhere", "self", "root/etc/passwd", "pipe",
		"file-out/", "in/out", "fine/x"} {
		wantCode(t, p, d.fetch(strings.TrimSuffix(p, "/"), Options{}), CodeNotFound)
		for _, kind := range []string{"data", "blocks"} {
			if got := d.raw(kind + "/docs/" + p); !strings.HasPrefix(got, "404") {
				t.Errorf("%s of %s: %.200q", kind, p, got)
			}
		}
	}
	if err := d.fetch("fine", Options{}); err != nil {
		t.Errorf("a link within: %v", err)
	}
	has(t, d.at, "fine", []byte("in"))
	var said []string
	err := d.Fetch(t.Context(), "docs", "", d.out, "all", Options{Each: func(name string, err error) {
		if err != nil {
			said = append(said, name)
		}
	}})
	slices.Sort(said)
	want := []string{"all/dir-out", "all/file-out", "all/in/out", "all/loop", "all/nowhere", "all/pipe", "all/root", "all/self",
		"all/up"}
	if err != errSome || !slices.Equal(said, want) {
		t.Errorf("%v, refused %q", err, said)
	}
	// A link in the directory that is written to is not followed either, whether somebody says force or not.
	d.write("victim", []byte("new"))
	os.Symlink(filepath.Join(outside, "secret"), filepath.Join(d.at, "victim"))
	wantCode(t, "onto a link", d.fetch("victim", Options{}), CodeExists)
	if err := d.fetch("victim", Options{Force: true}); err != nil {
		t.Error(err)
	}
	os.Symlink(outside, filepath.Join(d.at, "through"))
	if err := d.Fetch(t.Context(), "docs", "victim", d.out, "through/new", Options{}); err == nil {
		t.Error("it wrote through a link")
	}
	for _, p := range []string{"dir-out/new", "up/new", "file-out"} {
		if err := d.Send(t.Context(), d.out, "victim", "docs", p, Options{}); err == nil {
			t.Errorf("put %s: taken", p)
		}
	}
	has(t, outside, "secret", []byte("secret"))
	if got := names(t, outside); len(got) != 1 {
		t.Errorf("outside there is %q", got)
	}
}

// CVE-2022-42725 and CVE-2023-29380 (Warpinator): what a transfer that ends removes is what it made.
func TestADV_08_Nothing_of_others_is_removed(t *testing.T) {
	d := newDesk(t)
	d.write("top/a", dice(2*unit))
	theirs := []string{"top/mine", "top/.bcast-0000000000000000.part", ".bcast-1111111111111111.part", "other"}
	for _, dir := range []string{d.at, d.docs} {
		for _, name := range theirs {
			writeAt(t, filepath.Join(dir, filepath.FromSlash(name)), []byte("mine"))
		}
	}
	writeAt(t, filepath.Join(d.at, "src", "b"), dice(2*unit))
	inner := d.server.Handler()
	d.serve(tamper(func(_ string, b []byte) []byte { return b[:len(b)/3] })(inner))
	if err := d.fetch("top", Options{}); err == nil {
		t.Error("half a file was taken for one")
	}
	d.serve(inner)
	d.wire.breakAfter(unit)
	if err := d.Send(t.Context(), d.out, "src", "docs", "top", Options{}); err == nil {
		t.Error("it did not break")
	}
	for _, dir := range []string{d.at, d.docs} {
		for _, name := range theirs {
			has(t, dir, name, []byte("mine"))
		}
	}
}

// Who may not see a share is told what is told of one that is not there, to the byte; and who may not write is told
// nothing of what is there.
func TestADV_files_Strangers_are_told_nothing(t *testing.T) {
	d := newDesk(t)
	d.write("secret.txt", []byte("secret"))
	alice, bob := identity.DeviceID{1}, identity.DeviceID{2}
	in := func(rooms ...string) func(string) bool {
		return func(room string) bool { return slices.Contains(rooms, room) }
	}
	d.lib.Set([]Share{
		{Name: "all", Dir: d.docs, Public: true}, {Name: "crew", Dir: d.docs, Room: "crew"},
		{Name: "alice", Dir: d.docs, Peer: alice}, {Name: "drop", Dir: d.docs, Room: "crew", Write: true},
	})
	for _, test := range []struct {
		who  Visitor
		sees string
	}{
		{Visitor{Device: bob, In: in()}, "all"},
		{Visitor{Device: bob}, "all"},
		{Visitor{Device: bob, In: in("lobby", "crew")}, "all crew drop"},
		{Visitor{Device: alice, In: in()}, "alice all"},
		{Visitor{Device: alice, In: in("crew"), Blocked: true}, ""},
	} {
		d.who = test.who
		shares, err := d.Shares(t.Context())
		var seen []string
		for _, s := range shares {
			seen = append(seen, s.Name)
		}
		if err != nil || strings.Join(seen, " ") != test.sees {
			t.Errorf("%+v sees %v, %v", test.who, seen, err)
		}
		for _, share := range []string{"all", "crew", "alice", "drop"} {
			for _, request := range []string{"list/", "data/", "blocks/", "partial/"} {
				there := d.raw(request + share + "/secret.txt")
				nowhere := d.raw(request + "nothing/secret.txt")
				if !slices.Contains(seen, share) && there != nowhere {
					t.Errorf("%s%s: %q, want %q", request, share, there, nowhere)
				}
			}
		}
	}
	d.who = Visitor{Device: bob}
	if there, not := d.raw("partial/all/secret.txt"), d.raw("partial/all/none.txt"); there != not {
		t.Errorf("who may not write learns of names: %q, %q", there, not)
	}
}

// raw is a whole answer, without what HTTP itself says.
func (d *desk) raw(p string) string {
	request, _ := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://files/v1/"+p, nil)
	request.Header.Set(headSize, "4")
	request.Header.Set(headHash, Hash{}.String())
	answer, err := d.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	answer.Header.Del("Date")
	return fmt.Sprint(answer.Status, answer.Header, string(body))
}

// A sender that lies, changes its mind or breaks off leaves nothing under the file's name.
func TestADV_01_Liars_leave_nothing(t *testing.T) {
	content := dice(4 * unit)
	for name, test := range map[string]struct {
		lie  func(h http.Handler) http.Handler
		code Code
	}{
		"other bytes": {tamper(func(kind string, b []byte) []byte {
			if kind == "data" {
				b = append([]byte{b[0] ^ 1}, b[1:]...)
			}
			return b
		}), CodeDamaged},
		"other hashes": {tamper(func(kind string, b []byte) []byte {
			if kind == "blocks" {
				b = append([]byte{b[0] ^ 1}, b[1:]...)
			}
			return b
		}), CodeDamaged},
		"too short": {tamper(func(_ string, b []byte) []byte { return b[:len(b)/2] }), CodeBroken},
		"another length": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/data/") {
					w.Header().Set("Content-Length", "1")
					w.Write([]byte("x"))
					return
				}
				h.ServeHTTP(w, r)
			})
		}, CodeDamaged},
		"no file any more": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/list/") {
					h.ServeHTTP(w, r)
					return
				}
				http.NotFound(w, r)
			})
		}, CodeNotFound},
	} {
		for _, file := range []string{"big", "small"} {
			if name == "other hashes" && file == "small" {
				continue // it has none
			}
			d := newDesk(t)
			d.write("big", content)
			d.write("small", content[:1000])
			d.serve(test.lie(d.server.Handler()))
			err := d.fetch(file, Options{})
			if name == "too short" && codeOf(err) == CodeDamaged {
				err = Broken(io.ErrUnexpectedEOF) // by the length, before anything came
			}
			wantCode(t, name+" of "+file, err, test.code)
			for _, left := range names(t, d.at) {
				if !isPart(left) {
					t.Errorf("%s: %s is there", name, left)
				}
			}
		}
	}
}

// tamper changes the bodies of answers.
func tamper(change func(kind string, body []byte) []byte) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kind := strings.Split(r.URL.Path, "/")[2]
			if strings.HasSuffix(r.URL.Path, "/blocks") {
				kind = "blocks"
			}
			if kind == "list" {
				h.ServeHTTP(w, r)
				return
			}
			made := httptest.NewRecorder()
			h.ServeHTTP(made, r)
			for name, values := range made.Header() {
				if name != "Content-Length" {
					w.Header()[name] = values
				}
			}
			body := change(kind, made.Body.Bytes())
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(made.Code)
			w.Write(body)
		})
	}
}

// A file that changes while it is read comes as it was or not at all.
func TestFileChangesWhileRead(t *testing.T) {
	d := newDesk(t)
	d.write("big", dice(4*unit))
	inner := d.server.Handler()
	d.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/data/") {
			d.write("big", dice(4*unit + 1)[1:])
		}
		inner.ServeHTTP(w, r)
	}))
	err := d.fetch("big", Options{})
	if c := codeOf(err); err == nil || c != CodeChanged && c != CodeDamaged {
		t.Errorf("%v", err)
	}
	if got := names(t, d.at); slices.Contains(got, "big") {
		t.Errorf("there is %q", got)
	}
}

// Two files of one size and one moment are not one file.
func TestSizeAndTimeAreNotEnough(t *testing.T) {
	d := newDesk(t)
	moment := time.Unix(1_700_000_000, 0)
	for at, content := range map[string][]byte{d.docs: dice(2 * unit), d.at: append(dice(2*unit-1), 0)} {
		writeAt(t, filepath.Join(at, "f"), content)
		writeAt(t, filepath.Join(at, "same"), dice(2*unit))
		for _, name := range []string{"f", "same"} {
			if err := os.Chtimes(filepath.Join(at, name), moment, moment); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantCode(t, "get", d.fetch("f", Options{}), CodeExists)
	wantCode(t, "put", d.Send(t.Context(), d.out, "f", "docs", "f", Options{}), CodeExists)
	sent := d.server.Counts().SentBytes
	if err := d.fetch("same", Options{}); err != nil || d.server.Counts().SentBytes != sent {
		t.Errorf("get of what is here: %v", err)
	}
	if err := d.Send(t.Context(), d.out, "same", "docs", "same", Options{}); err != nil || d.server.Counts().Received != 0 {
		t.Errorf("put of what is there: %v", err)
	}
	if err := d.fetch("f", Options{Force: true}); err != nil {
		t.Error(err)
	}
	has(t, d.at, "f", dice(2*unit))
}

// What comes between is not replaced: the last step itself refuses.
func TestNothingIsReplaced(t *testing.T) {
	d := newDesk(t)
	d.write("big", dice(2*unit))
	mine := func(n int64, _ bool) { writeAt(t, filepath.Join(d.at, "big"), []byte("mine")) }
	wantCode(t, "get", d.fetch("big", Options{Progress: mine}), CodeExists)
	has(t, d.at, "big", []byte("mine"))
	wantCode(t, "put", d.Send(t.Context(), d.out, "big", "docs", "big", Options{}), CodeExists)
	has(t, d.docs, "big", dice(2*unit))
	if err := d.Send(t.Context(), d.out, "big", "docs", "big", Options{Force: true}); err != nil {
		t.Error(err)
	}
	has(t, d.docs, "big", []byte("mine"))
	os.Mkdir(filepath.Join(d.at, "dir"), 0o755)
	d.write("dir", []byte("file"))
	wantCode(t, "onto a directory", d.fetch("dir", Options{Force: true}), CodeExists)
}

// Names that people and file systems take for one another are refused where others write.
func TestTwins(t *testing.T) {
	d := newDesk(t)
	for _, name := range []string{"README", "caf\u00e9", "Stra\u00dfe", "Dir/x"} {
		d.write(name, []byte("first"))
	}
	writeAt(t, filepath.Join(d.at, "f"), []byte("second"))
	for _, name := range []string{"readme", "ReadMe", "cafe\u0301", "CAF\u00c9", "STRASSE", "dir/y", "DIR/x"} {
		wantCode(t, name, d.Send(t.Context(), d.out, "f", "docs", name, Options{Force: true}), CodeExists)
	}
	for _, name := range []string{"readme2", "Dir/y", "neu/a", "neu/b"} {
		if err := d.Send(t.Context(), d.out, "f", "docs", name, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantCode(t, "a twin of what just came", d.Send(t.Context(), d.out, "f", "docs", "NEU/c", Options{}), CodeExists)
}

func TestQuota(t *testing.T) {
	d := newDesk(t)
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true, Write: true, Quota: 10 * unit}})
	d.write("there", dice(3*unit))
	writeAt(t, filepath.Join(d.at, "f"), dice(4*unit))
	if err := d.Send(t.Context(), d.out, "f", "docs", "one", Options{}); err != nil {
		t.Error(err)
	}
	wantCode(t, "beyond the quota", d.Send(t.Context(), d.out, "f", "docs", "two", Options{}), CodeSpace)
	if got := names(t, d.docs); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
	huge := Entry{Size: MaxSize, Version: "v", Modified: time.Unix(1, 0)}
	err := d.Get(t.Context(), "docs", "there", huge, d.out, "huge", Options{})
	if _, known := freeSpace(d.out, "."); known {
		wantCode(t, "beyond the disk", err, CodeSpace)
	}
	if got := names(t, d.at); len(got) != 1 {
		t.Errorf("there is %q", got)
	}
}

// Who may only read writes nothing, and who may write does it through the checks of names and hashes.
func TestPutIsChecked(t *testing.T) {
	d := newDesk(t)
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true}, {Name: "drop", Dir: d.docs, Public: true, Write: true}})
	writeAt(t, filepath.Join(d.at, "f"), dice(1000))
	wantCode(t, "put", d.Send(t.Context(), d.out, "f", "docs", "x", Options{}), CodeForbidden)
	wantCode(t, "mkdir", d.mkdir(t.Context(), "docs", "x"), CodeForbidden)
	send := func(size int, h Hash, body string) error {
		_, err := askFor[admitted](t.Context(), d.Remote, http.MethodPut, target("data", "drop", "x", ""), strings.NewReader(body),
			map[string]string{headSize: strconv.Itoa(size), headHash: h.String()})
		return err
	}
	h := hashSmall([]byte("text"))
	wantCode(t, "other bytes", send(4, h, string(h[:])+"TEXT"), CodeDamaged)
	wantCode(t, "another hash", send(4, Hash{}, string(h[:])+"text"), CodeDamaged)
	wantCode(t, "too few bytes", send(5, h, string(h[:])+"text"), CodeInvalid)
	wantCode(t, "no size", send(-1, h, ""), CodeInvalid)
	for _, left := range names(t, d.docs) {
		if !isPart(left) {
			t.Errorf("%s is there", left)
		}
	}
}

// CVE-2021-21404 (Syncthing): a length that nothing has. The size of the blocks of such a file was sought for ever,
// before it was looked at whether who asks may write at all.
func TestADV_11_Sizes_that_no_file_has(t *testing.T) {
	d := newDesk(t)
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true}})
	for _, size := range []int64{math.MinInt64, -1, MaxSize + 1, 1 << 62, 1<<62 + 1, math.MaxInt64} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := askFor[admitted](ctx, d.Remote, http.MethodPut, target("data", "docs", "x", ""), strings.NewReader(""),
			map[string]string{headSize: strconv.FormatInt(size, 10), headHash: Hash{}.String()})
		cancel()
		wantCode(t, strconv.FormatInt(size, 10), err, CodeInvalid)
	}
}

// Whatever size is asked about, there is an answer.
func TestBlockSizeEnds(t *testing.T) {
	for size, want := range map[int64]int64{-1: unit, 0: unit, unit * maxBlocks: unit, unit*maxBlocks + 1: 2 * unit,
		MaxSize: unit << 10, MaxSize + 1: unit << 10, 1<<62 + 1: unit << 10, math.MaxInt64: unit << 10} {
		if got := BlockSize(size); got != want {
			t.Errorf("%d: %d, want %d", size, got, want)
		}
	}
}

func TestInterruptedIsSaid(t *testing.T) {
	d := newDesk(t)
	d.write("f", dice(10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Fetch(ctx, "docs", "f", d.out, "f", Options{Patience: time.Hour}); err == nil {
		t.Error("it went on")
	}
}

// What the file system of the one who shares does not allow is told as that, and not where it lies.
func TestWhatMayNotBeWrittenIsSaid(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	for err, want := range map[error]Code{
		syscall.EROFS: CodeForbidden, syscall.EACCES: CodeForbidden, syscall.EPERM: CodeForbidden, syscall.EIO: CodeInternal,
	} {
		request := httptest.NewRequest(http.MethodPut, "/x", nil)
		told := s.reason(&answer{Request: request}, &fs.PathError{Op: "openat", Path: "/home/alice/x", Err: err})
		if told.Code != want || strings.Contains(told.Message+told.Hint, "alice") {
			t.Errorf("%v: %+v", err, told)
		}
	}
}
