package page

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/certificate"
	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/guest"
)

// closing is a device of a guest.
type closing struct{ *controltest.Device }

func (closing) Close() error { return nil }

// lodging is a page for guests with one that came in, and what is asked there.
type lodging struct {
	t             *testing.T
	door          *guest.Door
	api           http.Handler
	link, session string
	visitor       *controltest.Device
}

// lodge has one guest come in by a link to the lobby.
func lodge(t *testing.T) *lodging {
	t.Helper()
	host, l := controltest.New("alice"), &lodging{t: t, visitor: controltest.New("anna_guest")}
	host.Join(t.Context(), "lobby", control.JoinOptions{})
	quiet := slog.New(slog.DiscardHandler)
	l.door = guest.New(guest.Config{
		Host: host, Log: quiet, Fingerprint: "aa",
		Start: func(context.Context, string) (guest.Device, error) {
			l.visitor.Join(t.Context(), "lobby", control.JoinOptions{})
			l.visitor.Bring(control.Post{Room: "lobby", Nick: "alice", Text: "lets guests in"}) // of the same id as the host's own
			return closing{l.visitor}, nil
		},
		Bases: func(context.Context) ([]string, error) { return []string{"https://10.77.0.1:8080"}, nil },
	})
	made, err := l.door.InviteGuests(t.Context(), "lobby", control.GuestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, l.link, _ = strings.Cut(made.URLs[0], "#guest=")
	if l.session, err = l.door.Enter(t.Context(), l.link, "anna"); err != nil {
		t.Fatal(err)
	}
	l.api = control.NewHandler(guest.API{}, quiet)
	return l
}

// ask sends a request to 10.77.0.1:8080; change makes it what the test wants.
func (l *lodging) ask(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	l.t.Helper()
	ctx, stop := context.WithCancel(context.WithValue(l.t.Context(), http.LocalAddrContextKey,
		net.Addr(&net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 8080})))
	defer stop()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Host = "10.77.0.1:8080"
	for _, c := range change {
		c(r)
	}
	if path == "/v1/events" {
		time.AfterFunc(20*time.Millisecond, stop) // it has no end of its own
	}
	w := httptest.NewRecorder()
	newGuestGuard(l.door, l.api).ServeHTTP(w, r)
	return w
}

func as(secret string) func(*http.Request) { return with("Authorization", "Bearer "+secret) }

// decided says of every call of the API whether it is a guest's. A call that is new has to be decided about here.
var decided = map[string]bool{
	"GET /v1/status": true, "GET /v1/rooms": true, "GET /v1/rooms/{room}/members": true, "GET /v1/rooms/{room}/posts": true,
	"POST /v1/rooms/{room}/posts": true, "POST /v1/rooms/{room}/signals": true, "GET /v1/posts/{post}/ledger": true,
	"PUT /v1/nick": true, "GET /v1/events": true,

	"GET /v1/config": false, "GET /v1/peers": false, "GET /v1/devices": false, "PUT /v1/rooms/{room}": false,
	"DELETE /v1/rooms/{room}":     false,
	"GET /v1/rooms/{room}/invite": false, "POST /v1/rooms/{room}/rekey": false, "GET /v1/rooms/{room}/records": false,
	"POST /v1/rooms/{room}/records": false, "GET /v1/peers/{peer}/verification": false,
	"PUT /v1/peers/{peer}/verification": false, "PUT /v1/peers/{peer}/block": false, "POST /v1/join": false,
	"GET /v1/guests": false, "POST /v1/rooms/{room}/guests": false, "DELETE /v1/guests/{link}": false,
	"POST /v1/announce": false, "POST /v1/bench": false, "POST /v1/probe": false, "GET /v1/openapi.json": false, "GET /metrics": false,
	"GET /v1/shares": false, "PUT /v1/shares/{share}": false, "DELETE /v1/shares/{share}": false,
	"POST /v1/posts/{post}/file": false, "POST /v1/rooms/{room}/pushes": false, "GET /v1/posts/{post}/push": false,
	"DELETE /v1/posts/{post}/push": false,
	"GET /v1/posts/{post}/file":    true, "PUT /v1/rooms/{room}/files/{name}": false,
	"GET /v1/inbox": false, "PUT /v1/inbox": false, "PUT /v1/inbox/{offer}": false,
	"POST /v1/peers/{peer}/files/{path}": false, "GET /v1/peers/{peer}/files/{path}": false, "PUT /v1/peers/{peer}/files/{path}": false,
}

// calls are all that the API has, by its own document.
func calls(t *testing.T) (all []string) {
	t.Helper()
	w := httptest.NewRecorder()
	control.NewHandler(guest.API{}, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	for path, operations := range document.Paths {
		for method := range operations {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	return all
}

// bodies are what a call is asked with; others have none.
var bodies = map[string]string{
	"POST /v1/rooms/{room}/posts": `{"text":"hi"}`, "POST /v1/rooms/{room}/signals": `{"kind":"typing"}`, "PUT /v1/nick": `{"nick":"ann"}`,
}

// Every call of the API is open to guests or refused, by a decision: what is not on the list does not reach the API, and
// what reached it all the same would be refused there.
func TestADV_guest_Every_call_is_decided(t *testing.T) {
	l := lodge(t)
	seen := l.visitor.Bring(control.Post{Room: "lobby", Nick: "alice", Text: "hi", File: &control.OfferedFile{Name: "f"}})
	l.ask("GET", "/v1/rooms/lobby/posts", "", as(l.session))
	g, err := l.door.Guest(l.session)
	if err != nil {
		t.Fatal(err)
	}
	all := calls(t)
	for _, call := range all {
		allowed, known := decided[call]
		if !known {
			t.Errorf("nobody decided whether %s is for guests", call)
		}
		method, pattern, _ := strings.Cut(call, " ")
		path := strings.NewReplacer("{room}", "lobby", "{post}", seen.ID, "{peer}", "bob", "{link}", "00", "{name}", "f").Replace(pattern)
		w := l.ask(method, path, bodies[call], as(l.session))
		if allowed && w.Code >= 300 || !allowed && (w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "not for guests: ")) {
			t.Errorf("%s of a guest: %d %s", call, w.Code, w.Body)
		}
		for _, secret := range []string{"", l.link, token, l.session + "x", l.session[1:]} {
			if w := l.ask(method, path, bodies[call], as(secret)); w.Code != http.StatusUnauthorized && w.Code != http.StatusForbidden {
				t.Errorf("%s with %q: %d %s", call, secret, w.Code, w.Body)
			}
		}
		if allowed || call == "GET /v1/openapi.json" || strings.HasSuffix(call, "/guests") || strings.Contains(call, "/guests/") {
			continue // a document that everybody has; and what guest.API does not have
		}
		inside := httptest.NewRecorder()
		body := map[string]string{"POST /v1/join": `{"invite":"bcast:1:x"}`, "POST /v1/bench": `{"do":"recv","room":"lobby"}`}[call]
		if body == "" {
			body = "{}"
		}
		r := httptest.NewRequestWithContext(guest.As(t.Context(), g), method, path, strings.NewReader(body))
		l.api.ServeHTTP(inside, r)
		if call == "GET /metrics" {
			if strings.Contains(inside.Body.String(), "10.77") {
				t.Errorf("metrics tell a guest %s", inside.Body)
			}
		} else if !strings.Contains(inside.Body.String(), `"forbidden"`) {
			t.Errorf("%s behind the guard: %d %s", call, inside.Code, inside.Body)
		}
	}
	for call := range decided {
		if !strings.Contains(strings.Join(all, "\n"), call) {
			t.Errorf("%s is decided, and not there", call)
		}
	}
}

func TestADV_guest_Another_site_gets_nothing(t *testing.T) {
	l := lodge(t)
	for _, name := range []string{"rebinding.example:8080", "10.77.0.1.rebinding.example:8080", "localhost:8080", "127.0.0.1:8080",
		"10.77.0.2:8080", "10.77.0.1:8081", "10.77.0.1", "", "[::1]:8080", "0.0.0.0:8080"} {
		for _, path := range []string{"/", "/assets/guest.js", "/v1/status", "/guest/link"} {
			if w := l.ask("GET", path, "", as(l.session), host(name)); w.Code != http.StatusForbidden {
				t.Errorf("%s of host %q: %d", path, name, w.Code)
			}
		}
	}
	for _, foreign := range []func(*http.Request){with("Origin", "https://other.example"), with("Origin", "null"),
		with("Origin", "http://10.77.0.1:8080"), with("Sec-Fetch-Site", "cross-site"), with("Sec-Fetch-Site", "same-site")} {
		for call, secret := range map[string]string{"GET /v1/status": l.session, "GET /guest/link": l.link,
			"POST /guest/enter": l.link, "POST /guest/leave": l.session} {
			method, path, _ := strings.Cut(call, " ")
			if w := l.ask(method, path, `{"nick":"eve"}`, as(secret), foreign); w.Code != http.StatusForbidden {
				t.Errorf("%s: %d %s", call, w.Code, w.Body)
			}
		}
	}
	// The page itself may be opened from anywhere, for links come by mail; it is ours and holds nothing.
	w := l.ask("GET", "/", "", with("Sec-Fetch-Site", "cross-site"))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/assets/guest.js") || strings.Contains(w.Body.String(), "app.js") {
		t.Errorf("the page: %d %.80s", w.Code, w.Body)
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") ||
		w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Strict-Transport-Security") != "" {
		t.Errorf("its headers: %v", w.Header())
	}
}

func TestAGuestComesInAndLeaves(t *testing.T) {
	l := lodge(t)
	for secret, code := range map[string]int{l.link: 200, l.link + "x": 401, "": 401, l.session: 401, token: 401} {
		if w := l.ask("GET", "/guest/link", "", as(secret)); w.Code != code || code == 200 && !strings.Contains(w.Body.String(), `"by":"alice"`) {
			t.Errorf("a look with %q: %d %s", secret, w.Code, w.Body)
		}
	}
	for body, code := range map[string]int{`{"nick":""}`: 400, `{`: 400, `{"nick":"` + strings.Repeat("x", maxForm) + `"}`: 400} {
		if w := l.ask("POST", "/guest/enter", body, as(l.link)); w.Code != code {
			t.Errorf("entering with %.20s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := l.ask("POST", "/v1/rooms/lobby/posts", `{"text":"`+strings.Repeat("x", maxGuestBody)+`"}`, as(l.session)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d %s", w.Code, w.Body)
	}
	busy := 0
	for range 200 {
		if w := l.ask("GET", "/v1/rooms", "", as(l.session)); w.Code == http.StatusTooManyRequests {
			busy++
		}
	}
	if busy < 50 || busy > 150 {
		t.Errorf("%d of 200 requests at once are too many", busy)
	}
	if w := l.ask("GET", "/v1/status?session="+l.session, "", with("Cookie", "session="+l.session)); w.Code != http.StatusUnauthorized {
		t.Errorf("a session in an address or a cookie: %d", w.Code)
	}
	if w := l.ask("POST", "/guest/leave", "", as(l.session)); w.Code != http.StatusNoContent {
		t.Errorf("leaving: %d", w.Code)
	}
	if w := l.ask("GET", "/v1/status", "", as(l.session)); w.Code != http.StatusUnauthorized {
		t.Errorf("after it left: %d", w.Code)
	}
}

// Over TLS with the certificate whose fingerprint the owner sees; who speaks plain HTTP is told so, who is slow is dropped.
func TestADV_guest_Guests_are_served_over_TLS(t *testing.T) {
	made, err := certificate.Make(rand.Reader, time.Now(), "guests.bcast")
	if err != nil {
		t.Fatal(err)
	}
	l := lodge(t)
	synctest.Test(t, func(t *testing.T) {
		ln := controltest.NewListener()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ServeGuests(ctx, ln, l.door, made, slog.New(slog.DiscardHandler)) }()
		dial := func() net.Conn {
			conn, err := ln.Dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		pinned := ""
		conn := tls.Client(dial(), &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			pinned = hex.EncodeToString(sum[:])
			return nil
		}})
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 10.77.0.1:8080\r\n\r\n")
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 ") || pinned != certificate.Fingerprint(made) {
			t.Errorf("%q, %v; the fingerprint is %s", answer, err, pinned)
		}
		conn.Close()
		plain := dial()
		io.WriteString(plain, "GET / HTTP/1.1\r\nHost: 10.77.0.1:8080\r\n\r\n")
		if text, _ := io.ReadAll(plain); !strings.Contains(string(text), "Client sent an HTTP request to an HTTPS server") {
			t.Errorf("without TLS: %q", text)
		}
		for _, begin := range []string{"", "\x16\x03\x01", "G"} {
			slow, start := dial(), time.Now()
			io.WriteString(slow, begin)
			io.ReadAll(slow)
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("who said %q and no more was waited for %v", begin, took)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// One host of the LAN has its share of connections, and gets it back.
func TestADV_guest_One_address_keeps_out_no_other(t *testing.T) {
	ln, err := ListenGuests("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 4*maxOfOne)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	from := func(ip byte) net.Conn {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, ip)}}
		conn, err := dialer.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	var first net.Conn
	for range maxOfOne {
		from(1)
		first = <-accepted
	}
	over := from(1)
	over.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := over.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("one more of an address: %v", err)
	}
	from(2)
	if conn := <-accepted; !strings.HasPrefix(conn.RemoteAddr().String(), "127.0.0.2:") {
		t.Errorf("accepted %v", conn.RemoteAddr())
	}
	first.Close()
	first.Close() // once counts
	from(1)
	<-accepted
	for _, addr := range []string{"8080", "10.77.0.1", "0.0.0.0:"} {
		if ln, err := ListenGuests(addr); err == nil {
			ln.Close()
			t.Errorf("%s is listened on", addr)
		}
	}
	if _, err := ListenGuests(ln.Addr().String()); control.AsError(err).Code != control.CodePortTaken {
		t.Errorf("a port that is taken: %v", err)
	}
}
