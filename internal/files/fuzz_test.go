package files

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// A path that is taken from another names something below where it is put, on every system, reaches a server as it was
// said, and looks like nothing but itself; what is made of its names are names.
func FuzzPath(f *testing.F) {
	for _, name := range hostileNames() {
		f.Add(name)
	}
	for _, name := range []string{"a", "dir/f.txt", "Ünï/ö", "a b/%2e%2e/?#;", "con1/~x", "日本語.txt", ".profile", "a..b/…"} {
		f.Add(name)
	}
	mux := http.NewServeMux()
	var got string
	mux.HandleFunc("PUT /v1/data/{share}/{path...}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("path") })
	f.Fuzz(func(t *testing.T, p string) {
		if checkPath(p) != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(p)) || path.Clean(p) != p || !utf8.ValidString(p) ||
			strings.ContainsAny(p, "\x00\\\x1b\n\r") || len(p) > maxPath {
			t.Errorf("%q is taken", p)
		}
		u, err := url.Parse(target("data", "docs", p, ""))
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		got = ""
		mux.ServeHTTP(nil, &http.Request{Method: http.MethodPut, URL: u, Host: "files"})
		if got != p {
			t.Errorf("%q reaches the server as %q", p, got)
		}
		for _, name := range strings.Split(p, "/") {
			if twin(twin(name)) != twin(name) || twin(strings.ToUpper(name)) != twin(strings.ToLower(strings.ToUpper(name))) {
				t.Errorf("%q has two twins", name)
			}
			if again := numbered(name, 7); again == name || CheckName(again) != nil {
				t.Errorf("%q is numbered %q: %v", name, again, CheckName(again))
			}
			if part := path.Base(partOf(name, p)); !isPart(part) || !isOurPart(part) || CheckName(part) == nil {
				t.Errorf("%q is written aside as %q", name, part)
			}
		}
	})
}

// Whatever comes for a bundle is one, or is refused, and ends.
func FuzzBundle(f *testing.F) {
	var seed bytes.Buffer
	for _, content := range []string{"", "text", "other"} {
		b := bundled{Path: "a/" + content, Size: int64(len(content)), Hash: hashSmall([]byte(content)).String()}
		writeBundled(&seed, b, []byte(content))
	}
	f.Add(seed.Bytes())
	f.Add([]byte(`{"path":"x","error":{"code":"not_found","message":"no"}}` + "\n"))
	f.Add([]byte(`{"path":"x","size":-1}` + "\n"))
	f.Add([]byte(`{"path":"x","size":262145}` + "\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		in := newBundleReader(bytes.NewReader(p))
		for range len(p) + 1 {
			b, err := in.next()
			if err != nil {
				return
			}
			if b.Size < 0 || b.Size > unit {
				t.Fatalf("%d bytes are a small file", b.Size)
			}
			if _, err := io.CopyN(io.Discard, in, b.Size); err != nil {
				return
			}
		}
		t.Error("it has no end")
	})
}
