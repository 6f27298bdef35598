package page

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control/controltest"
)

const token = "the-token-of-the-tests"

// ask sends a request through the guard; change makes it what the test wants. Whatever reaches the API is answered by
// "secret".
func ask(method, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "secret") })
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:8080"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	newGuard(token, api).ServeHTTP(w, r)
	return w
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

var known = with("Authorization", "Bearer "+token)

func TestWhoHasTheTokenReachesTheAPI(t *testing.T) {
	for _, path := range []string{"/v1/status", "/metrics"} {
		for _, change := range []func(*http.Request){
			host("localhost:9000"), host("[::1]:8080"), host("127.0.0.1"), with("Authorization", "bearer  "+token+" "),
			with("Sec-Fetch-Site", "same-origin"), with("Origin", "http://127.0.0.1:8080"),
		} {
			if w := ask("GET", path, known, change); w.Code != http.StatusOK || w.Body.String() != "secret" {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
	if w := ask("POST", "/v1/rooms/lobby/posts", known, with("Sec-Fetch-Site", "same-origin")); w.Code != http.StatusOK {
		t.Errorf("a post of the page: %d %s", w.Code, w.Body)
	}
}

// Transmission, CVE-2018-5702, and others: what another site has a browser send, or a program without the token.
func TestADV_30_Without_the_token_nothing_is_told(t *testing.T) {
	for _, path := range []string{"/v1/status", "/v1/openapi.json", "/v1/", "/metrics", "/page/qr"} {
		for _, given := range []string{"", "Bearer", "Bearer ", "Bearer " + token[:10], "Bearer " + token + "x", "Basic " + token,
			token} {
			w := ask("POST", path, with("Authorization", given))
			if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"no_token"`) {
				t.Errorf("%s with %q: %d %s", path, given, w.Code, w.Body)
			}
		}
	}
	if w := ask("GET", "/v1/status?token="+token, with("Cookie", "token="+token)); w.Code != http.StatusUnauthorized {
		t.Errorf("a token in an address or a cookie: %d", w.Code)
	}
}

func TestADV_30_Another_origin_gets_nothing(t *testing.T) {
	for _, foreign := range []func(*http.Request){
		with("Origin", "http://other.example"), with("Origin", "null"), with("Origin", "http://127.0.0.1:9999"),
		with("Origin", "https://127.0.0.1:8080"), with("Sec-Fetch-Site", "cross-site"), with("Sec-Fetch-Site", "same-site"),
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			w := ask(method, "/v1/status", known, foreign)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"forbidden"`) {
				t.Errorf("%s: %d %s", method, w.Code, w.Body)
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: another origin may read: %s", method, name)
				}
			}
		}
	}
}

func TestADV_30_Another_host_name_gets_nothing(t *testing.T) {
	for _, name := range []string{"rebinding.example", "rebinding.example:8080", "127.0.0.1.rebinding.example", "", "192.168.1.2",
		"localhost.rebinding.example:8080", "0.0.0.0:8080", "[fe80::1%25lo]:8080", "2130706433"} {
		for _, path := range []string{"/", "/assets/app.js", "/v1/status"} {
			if w := ask("GET", path, known, host(name)); w.Code != http.StatusForbidden {
				t.Errorf("%s of host %q: %d %.60s", path, name, w.Code, w.Body)
			}
		}
	}
}

func TestADV_30_Only_this_machine_is_served(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:8080", "[::1]:8080", "127.1.2.3:80"} {
		if err := CheckAddr(addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{":8080", "0.0.0.0:8080", "[::]:8080", "192.168.1.2:8080", "example.org:80", "8080", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:no such port"} {
		if err := CheckAddr(addr); err == nil {
			t.Errorf("%s is taken", addr)
		}
		if ln, err := Listen(addr); err == nil {
			ln.Close()
			t.Errorf("%s is listened on", addr)
		}
	}
}

// Syncthing, CVE-2022-46165: a name that is markup. Whether the page shows it as text is seen in scripts/page; here,
// that a browser would refuse even if it did not, and that no file of the page tries.
func TestADV_10_Nothing_is_made_markup(t *testing.T) {
	for _, path := range []string{"/", "/assets/app.js", "/assets/nothing", "/v1/status", "/nothing"} {
		got := ask("GET", path).Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "base-uri 'none'",
			"frame-ancestors 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} {
			if !strings.Contains(got, part) {
				t.Errorf("%s: the policy %q lacks %s", path, got, part)
			}
		}
		if strings.Contains(got, "unsafe") || strings.Contains(got, "*") || strings.Contains(got, "http") {
			t.Errorf("%s: the policy is %q", path, got)
		}
	}
	risky := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\b|new Function|` +
		`DOMParser|createContextualFragment|javascript:|<[^>]* on\w+=|<[^>]* style=|<style|` +
		`(src|href|action)="(https?:)?//|@import|[ :]url\(|import\(|//[a-z0-9.-]+\.[a-z]{2,}/`)
	for name, file := range assets() {
		text := strings.ReplaceAll(string(file.data), "http://www.w3.org/2000/svg", "")
		if found := risky.FindString(text); found != "" {
			t.Errorf("%s: %s", name, found)
		}
	}
}

func TestEveryFileOfThePageIsServed(t *testing.T) {
	named := regexp.MustCompile(`"/assets/([^"]+)"|from '\./([^']+)'`)
	wanted := map[string]bool{"": true, guestDocument: true}
	for _, file := range assets() {
		for _, match := range named.FindAllStringSubmatch(string(file.data), -1) {
			wanted[match[1]+match[2]] = true
		}
	}
	for name := range wanted {
		path := "/assets/" + name
		if name == "" {
			path = "/"
		}
		w := ask("GET", path)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") == "" || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %q, %d bytes", path, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		again := ask("GET", path, with("If-None-Match", w.Header().Get("ETag")))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
	}
	for name := range assets() {
		if !wanted[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
	if w := ask("GET", "/assets/..%2fpage.go"); w.Code != http.StatusNotFound {
		t.Errorf("outside of the page: %d", w.Code)
	}
}

func TestDrawsACode(t *testing.T) {
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(text)) }
	}
	if w := ask("POST", "/page/qr", known, body("bcast:1:crew#aaaa")); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "█") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("POST", "/page/qr", known, body(strings.Repeat("x", maxQR+1))); w.Code != http.StatusBadRequest {
		t.Errorf("a text that fits no code: %d", w.Code)
	}
}

// CVE-2020-7219 (Consul): who is refused anyhow holds no connection by a body that never comes.
func TestADV_21_Who_is_refused_is_not_waited_for(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := controltest.NewListener()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Serve(ctx, ln, controltest.New("alice"), token, slog.New(slog.DiscardHandler)) }()
		for _, path := range []string{"/v1/nick", "/page/qr", "/nothing"} {
			conn, err := ln.Dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			io.WriteString(conn, "PUT "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
			answer, err := io.ReadAll(conn)
			if took := time.Since(start); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 4") || took > 2*time.Second {
				t.Errorf("%s: after %v %.40q, %v", path, took, answer, err)
			}
			conn.Close()
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Anybody on this machine can connect; what that costs is bounded.
func TestADV_21_Connections_are_bounded(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 2*maxConnections)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	for range maxConnections + 1 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	var last net.Conn
	for range maxConnections {
		last = <-accepted
		defer last.Close()
	}
	select {
	case <-accepted:
		t.Error("one more is accepted")
	default:
	}
	last.Close()
	if conn := <-accepted; conn == nil {
		t.Error("none is accepted when one ended")
	}
}
