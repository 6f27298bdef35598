package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
	"bcast/internal/fuzztest"
)

func wantCode(t *testing.T, err error, code control.Code) {
	t.Helper()
	if err == nil || control.AsError(err).Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// What a client announces is announced for as long as it listens, and no longer than the participant lives.
func TestAnnounceLastsAsLongAsItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		client := serve(t, device)
		service := control.Service{Name: "Web 1.0", Type: "_http._tcp", Port: 80, Text: []string{"path=/"}}
		var told []control.Announced
		for announced, err := range client.Announce(t.Context(), service) {
			if told = append(told, announced); err != nil {
				t.Fatal(err)
			}
			if len(told) == 2 {
				break
			}
			if offers := device.Offers(); len(offers) != 1 || offers[0].Name != "Web 1.0" || offers[0].Text[0] != "path=/" {
				t.Errorf("announced %+v", offers)
			}
		}
		if told[0].By != "bcast" || told[1].Host != "alice.local" {
			t.Errorf("told %+v", told)
		}
		synctest.Wait()
		if offers := device.Offers(); len(offers) != 0 {
			t.Errorf("still announced: %+v", offers)
		}
		refused := 0
		for _, err := range client.Announce(t.Context(), control.Service{Name: "Web"}) {
			wantCode(t, err, control.CodeInvalid)
			refused++
		}
		if refused != 1 {
			t.Errorf("refused %d times", refused)
		}
	})
}

// A face must not be able to tell the client from the participant itself.
func TestClientAnswersAsTheParticipantDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		device.Set(control.Setting{Name: "port", Value: "27474", From: "default"})
		client := serve(t, device)
		joined := must[control.Joined](t)(client.Join(t.Context(), "#lobby", control.JoinOptions{}))
		if want := (control.Joined{Room: "lobby", New: true}); joined != want {
			t.Errorf("Join = %+v, want %+v", joined, want)
		}
		device.Meet("bob", "lobby")
		said := must[control.Said](t)(client.Say(t.Context(), control.Say{Room: "lobby", Text: "one\n\ttwo ✓"}))
		if said.Members != 1 || said.Have != 1 {
			t.Errorf("Say = %+v, want one member that has it", said)
		}
		device.Hear("lobby", "bob", "three")
		if err := client.Nick(t.Context(), "alicia"); err != nil {
			t.Errorf("Nick: %v", err)
		}
		ctx := t.Context()
		same(t, "Status")(client.Status(ctx))(device.Status(ctx))
		same(t, "Config")(client.Config(ctx))(device.Config(ctx))
		same(t, "Peers")(client.Peers(ctx))(device.Peers(ctx))
		same(t, "Probe")(client.Probe(ctx))(device.Probe(ctx))
		same(t, "Rooms")(client.Rooms(ctx))(device.Rooms(ctx))
		same(t, "Members")(client.Members(ctx, "lobby"))(device.Members(ctx, "lobby"))
		for _, query := range []control.PostQuery{{}, {Limit: 1}, {Since: said.ID}, {Before: said.ID}, {Search: "on"}} {
			same(t, "Posts")(client.Posts(ctx, "lobby", query))(device.Posts(ctx, "lobby", query))
		}
		for _, do := range []string{"send", "recv"} {
			bench := control.Bench{Do: do, Room: "lobby", Count: 10}
			same(t, "Bench")(client.Bench(ctx, bench))(device.Bench(ctx, bench))
		}
		same(t, "Ledger")(client.Ledger(ctx, said.ID))(device.Ledger(ctx, said.ID))
		if err := client.Leave(ctx, "lobby", false); err != nil {
			t.Errorf("Leave: %v", err)
		}
		_, err := client.Members(ctx, "lobby")
		wantCode(t, err, control.CodeNotJoined)
		if got := control.AsError(err); got.Message != "room lobby is not joined" || got.Hint != "bcast join lobby" {
			t.Errorf("refusal came as %+v", got)
		}
	})
}

// same compares two answers by their JSON, which is what both promise.
func same(t *testing.T, what string) func(any, error) func(any, error) {
	t.Helper()
	return func(got any, gotErr error) func(any, error) {
		return func(want any, wantErr error) {
			t.Helper()
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			if gotErr != nil || wantErr != nil || string(g) != string(w) {
				t.Errorf("%s = %s, %v\nwant %s, %v", what, g, gotErr, w, wantErr)
			}
		}
	}
}

func TestSayTellsWhoHasItWhenTimeRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, client := inLobby(t)
		device.Meet("bob", "lobby")
		device.Meet("carol", "lobby")
		device.Deafen("bob")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		said, err := client.Say(ctx, control.Say{Room: "lobby", Text: "hi", Wait: "all"})
		wantCode(t, err, control.CodeTimeout)
		if said.ID == "" || said.Have != 1 || said.Members != 2 || time.Since(start) != 3*time.Second {
			t.Errorf("Say = %+v after %v, want 1 of 2 after 3s", said, time.Since(start))
		}
	})
}

func TestSayEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, client := inLobby(t)
		device.Meet("bob", "lobby")
		device.Deafen("bob")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := client.Say(ctx, control.Say{Room: "lobby", Text: "hi", Wait: "all"})
		wantCode(t, err, control.CodeTimeout)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Say ended after %v, want 1s", took)
		}
	})
}

func TestEventsResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, client := inLobby(t)
		device.Meet("bob", "lobby")
		status := must[control.Status](t)(client.Status(t.Context()))
		device.Hear("lobby", "bob", "one")
		device.Hear("lobby", "bob", "two")
		if got := texts(t, client, status.EventID, 2); got != "one two" {
			t.Errorf("after the status: %s", got)
		}
		if got := texts(t, client, "3", 1); got != "two" {
			t.Errorf("after event 3: %s", got)
		}
		for event, err := range client.Events(t.Context(), "99") {
			if err != nil || event.Type != control.EventGap {
				t.Errorf("after an unknown id: %+v, %v, want a gap", event, err)
			}
			break
		}
	})
}

func texts(t *testing.T, api control.API, after string, count int) string {
	t.Helper()
	var texts []string
	for event, err := range api.Events(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Type == control.EventPost {
			texts = append(texts, event.Post.Text)
		}
		if len(texts) == count {
			break
		}
	}
	return strings.Join(texts, " ")
}

func TestEventsResumeByHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		device.Meet("bob")
		device.Meet("carol")
		handler := control.NewHandler(device, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		request := httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil)
		request.Header.Set("Last-Event-ID", "1")
		recorder := httptest.NewRecorder()
		go handler.ServeHTTP(recorder, request)
		synctest.Wait()
		cancel()
		synctest.Wait()
		events, err := control.ReadEvents(recorder.Body)
		if err != nil || len(events) != 1 || events[0].Peer.Nick != "carol" {
			t.Errorf("events %+v, %v, want carol only", events, err)
		}
	})
}

func TestSilentStreamShowsThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := control.NewHandler(controltest.New("alice"), quiet)
		recorder := httptest.NewRecorder()
		go handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/v1/events", nil))
		time.Sleep(31 * time.Second)
		handler.EndStreams()
		synctest.Wait()
		if got := recorder.Body.String(); got != ": bcast\n\n: \n\n: \n\n" {
			t.Errorf("31 s of silence are %q", got)
		}
	})
}

func TestStopEndsStreamsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serve(t, controltest.New("alice"))
		ended := make(chan error, 1)
		go func() {
			for _, err := range client.Events(t.Context(), "") {
				ended <- err
			}
		}()
		synctest.Wait()
		start := time.Now()
		err := client.stop()
		wantCode(t, <-ended, control.CodeNoDaemon)
		if err != nil || time.Since(start) > 500*time.Millisecond {
			t.Errorf("Serve returned %v after %v", err, time.Since(start))
		}
		_, err = client.Status(t.Context())
		wantCode(t, err, control.CodeNoDaemon)
	})
}

func TestStopWaitsForACallNoLongerThanItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, client := inLobby(t)
		device.Meet("bob", "lobby")
		device.Deafen("bob")
		failed := make(chan error, 1)
		go func() {
			_, err := client.Say(t.Context(), control.Say{Room: "lobby", Text: "hi", Wait: "all"})
			failed <- err
		}()
		synctest.Wait()
		start := time.Now()
		client.stop()
		if took := time.Since(start); took < time.Second || took > 2*time.Second {
			t.Errorf("Serve stopped after %v", took)
		}
		wantCode(t, <-failed, control.CodeNoDaemon)
	})
}

// broken fails every call with an error that has no code.
type broken struct{ control.API }

func (broken) Status(context.Context) (control.Status, error) {
	return control.Status{}, errors.New("disk on fire")
}

func TestErrorWithoutCodeIsInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := serve(t, broken{}).Status(t.Context())
		wantCode(t, err, control.CodeInternal)
		if err.Error() != "disk on fire" {
			t.Errorf("message %q", err)
		}
	})
}

func TestEveryCodeTravels(t *testing.T) {
	for code := range control.Statuses {
		sent := control.NewError(code, io.EOF, "message of "+string(code), "hint of "+string(code))
		synctest.Test(t, func(t *testing.T) {
			_, err := serve(t, refusing{err: sent}).Rooms(t.Context())
			got := control.AsError(err)
			if got.Code != code || got.Message != sent.Message || got.Hint != sent.Hint {
				t.Errorf("sent %+v, got %+v", sent, got)
			}
		})
	}
}

type refusing struct {
	control.API
	err error
}

func (r refusing) Rooms(context.Context) ([]control.Room, error) { return nil, r.err }

func TestRequests(t *testing.T) {
	long := strings.Repeat("x", control.MaxText+1)
	for _, test := range []struct {
		request, body string
		status        int
		want          string // in the answer
	}{
		{"GET /v1/status", "", 200, `"nick":"alice"`},
		{"GET /v1/rooms", "", 200, `[{"name":"lobby"`},
		{"PUT /v1/rooms/dev", "", 200, `{"room":"dev","new":true}`},
		{"PUT /v1/rooms/%23dev", "", 200, `{"room":"dev","new":true}`},
		{"PUT /v1/rooms/Big%20One", "", 400, `"code":"invalid"`},
		{"PUT /v1/rooms/dev", `{"ephemeral":true,"retention":{"age":"24h","count":5}}`, 200, `{"room":"dev","new":true}`},
		{"PUT /v1/rooms/dev", `{"ephemral":true}`, 400, `unknown field`},
		{"PUT /v1/rooms/dev", `[]`, 400, `"code":"invalid"`},
		{"DELETE /v1/rooms/lobby", "", 204, ""},
		{"DELETE /v1/rooms/lobby?forget=true", "", 204, ""},
		{"DELETE /v1/rooms/lobby?forget=1", "", 400, `neither true nor false`},
		{"DELETE /v1/rooms/none", "", 409, `"code":"not_joined"`},
		{"POST /v1/rooms/lobby/posts", `{"text":"hi"}`, 200, `{"id":"r0.0","members":0,"have":0}`},
		{"POST /v1/rooms/lobby/posts", `{"room":"lobby","text":"hi"}`, 200, `"members":0`},
		{"POST /v1/rooms/lobby/posts", `{"room":"dev","text":"hi"}`, 400, `"hint":"leave room out of the body"`},
		{"POST /v1/rooms/lobby/posts", `{"txt":"hi"}`, 400, `unknown field`},
		{"POST /v1/rooms/lobby/posts", `{"text":"hi"} {}`, 400, `more follows`},
		{"POST /v1/rooms/lobby/posts", `{"text":7}`, 400, `"code":"invalid"`},
		{"POST /v1/rooms/lobby/posts", ``, 400, `"code":"invalid"`},
		{"POST /v1/rooms/lobby/posts", "{\"text\":\"\xff\"}", 400, `not valid UTF-8`},
		{"POST /v1/rooms/lobby/posts", `{"text":"\u001b[2J"}`, 400, `control character U+001B`},
		{"POST /v1/rooms/lobby/posts", `{"text":"` + long + `"}`, 413, `"code":"too_large"`},
		{"POST /v1/rooms/lobby/posts", `{"text":"` + strings.Repeat(long, 7) + `"}`, 413, `"code":"too_large"`},
		{"POST /v1/rooms/lobby/posts?timeout=soon", `{"text":"hi"}`, 400, `not a duration`},
		{"GET /v1/rooms/lobby/posts?limit=2&since=10m", "", 200, `[]`},
		{"GET /v1/rooms/lobby/posts?limit=-1", "", 400, `"code":"invalid"`},
		{"GET /v1/rooms/lobby/posts?limt=2", "", 400, `unknown parameter \"limt\"`},
		{"GET /v1/rooms/lobby/posts?limit=%zz", "", 400, `"code":"invalid"`},
		{"GET /v1/rooms/lobby/posts?search=no+such", "", 200, `[]`},
		{"GET /v1/posts/r9.0/ledger", "", 404, `"code":"not_found"`},
		{"GET /v1/posts/r9.0", "", 404, `no such call`},
		{"GET /v1/rooms/lobby/records", "", 200, ""},
		{"GET /v1/rooms/none/records", "", 409, `"code":"not_joined"`},
		{"POST /v1/rooms/lobby/records", "", 200, `{"new":0,"known":0,"refused":0}`},
		{"POST /v1/rooms/lobby/records", "{\"id\":\"a\",\"bytes\":\"aGk=\"}\n\n{\"id\":\"a\",\"bytes\":\"aGk=\"}\n{}", 200,
			`{"new":1,"known":1,"refused":1}`},
		{"POST /v1/rooms/lobby/records", "{}\n{\"bytes\":7}", 400, `line 2 is no record`},
		{"POST /v1/rooms/lobby/records", `{"error":{"code":"read_only","message":"cut short"}}`, 507, `cut short`},
		{"POST /v1/rooms/none/records", "{}", 409, `"code":"not_joined"`},
		{"PUT /v1/nick", `{"nick":"bob"}`, 204, ""},
		{"PUT /v1/nick", `{"nick":"b b"}`, 400, `"code":"invalid"`},
		{"GET /v1/events?from=3", "", 400, `unknown parameter \"from\"`},
		{"POST /v1/status", "", 404, `no such call: POST /v1/status`},
		{"GET /", "", 404, `"code":"not_found"`},
	} {
		device := controltest.New("alice")
		device.Join(t.Context(), "lobby", control.JoinOptions{})
		method, path, _ := strings.Cut(test.request, " ")
		recorder := httptest.NewRecorder()
		control.NewHandler(device, quiet).ServeHTTP(recorder,
			httptest.NewRequest(method, path, strings.NewReader(test.body)))
		got := recorder.Body.String()
		if recorder.Code != test.status || !strings.Contains(got, test.want) {
			t.Errorf("%s %.40s = %d %.200s, want %d %s", test.request, test.body, recorder.Code, got, test.status,
				test.want)
		}
	}
}

// CVE-2020-7219 (Consul): who sends slowly or much holds no connection and no memory.
func TestADV_21_A_slow_body_is_dropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := controltest.NewListener()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- control.Serve(ctx, ln, controltest.New("alice"), quiet) }()
		near := must[net.Conn](t)(ln.Dial(ctx))
		defer near.Close()
		start := time.Now()
		io.WriteString(near, "PUT /v1/nick HTTP/1.1\r\nHost: bcast\r\nContent-Length: 10\r\n\r\n{")
		answer, err := io.ReadAll(near)
		if took := time.Since(start); err != nil || !strings.Contains(string(answer), "400 Bad Request") ||
			took != 5*time.Second {
			t.Errorf("after %v: %q, %v; want a refusal after 5s", took, answer, err)
		}
		stop()
		<-done
	})
}

func TestClientRefusesWhatTheWireWouldChange(t *testing.T) {
	client := control.NewClientDial(func(context.Context) (net.Conn, error) {
		t.Error("dialled")
		return nil, io.EOF
	})
	_, err := client.Say(t.Context(), control.Say{Room: "lobby", Text: "\xff"})
	wantCode(t, err, control.CodeInvalid)
	_, err = client.Join(t.Context(), "..", control.JoinOptions{})
	wantCode(t, err, control.CodeInvalid)
}

func TestReadEvents(t *testing.T) {
	for _, test := range []struct {
		stream string
		types  string
		code   control.Code
	}{
		{": hello\n\nretry: 5\nid: 1\nevent: post\ndata: {\"type\":\"post\",\"id\":\"1\"}\n\n", "post", ""},
		{"data:{\"type\":\"a\"}\r\n\r\ndata: {\"type\":\"b\"}\r\n\r\n", "a b", ""},
		{"event: error\ndata: {\"error\":{\"code\":\"busy\",\"message\":\"full\"}}\n\n", "", control.CodeBusy},
		{"event: error\ndata: {\"error\":{\"code\":\"new\",\"message\":\"full\"}}\n\n", "", control.CodeInternal},
		{"data: {\"type\":\"a\"}\n\ndata: {\"type\":", "a", control.CodeInternal},
		{"data: nonsense\n\n", "", control.CodeInternal},
		{"event: error\ndata: {}\n\n", "", control.CodeInternal},
	} {
		events, err := control.ReadEvents(strings.NewReader(test.stream))
		var types []string
		for _, event := range events {
			types = append(types, event.Type)
		}
		var code control.Code
		if err != nil {
			code = control.AsError(err).Code
		}
		if strings.Join(types, " ") != test.types || code != test.code {
			t.Errorf("%q = %v, %v, want %s, code %q", test.stream, types, err, test.types, test.code)
		}
	}
}

func FuzzRequest(f *testing.F) {
	seeds := []string{
		"POST /v1/rooms/lobby/posts {\"text\":\"hi\",\"kind\":\"action\",\"wait\":\"none\"}",
		"PUT /v1/nick {\"nick\":\"bob\"}", "PUT /v1/rooms/%23dev ", "GET /v1/rooms/lobby/posts?limit=1 ",
		"POST /v1/rooms/lobby/records {\"id\":\"a\",\"bytes\":\"aGk=\"}", "GET /v1/rooms/lobby/records ",
		"PUT /v1/rooms/dev {\"retention\":{\"count\":3}}", "PUT /v1/nick {\"nick\":\"\\ud800\"}", "DELETE /v1/rooms/lobby {", "GET /v1/nothing [[[[",
	}
	for _, seed := range seeds {
		method, rest, _ := strings.Cut(seed, " ")
		path, body, _ := strings.Cut(rest, " ")
		f.Add(method, path, body)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		request, err := http.NewRequest(method, path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v1/events") {
			t.Skip() // net/http answers it before the handler, or it has no end
		}
		device := controltest.New("alice")
		device.Join(t.Context(), "lobby", control.JoinOptions{})
		recorder := httptest.NewRecorder()
		handler := control.NewHandler(device, quiet)
		fuzztest.Within(t, len(method)+len(path)+len(body), 256, 256<<10, func() {
			request.Body = io.NopCloser(strings.NewReader(body))
			recorder = httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
		})
		if recorder.Code == http.StatusNoContent || recorder.Code == http.StatusTemporaryRedirect ||
			recorder.Code == http.StatusMovedPermanently {
			return
		}
		answers := recorder.Body.String()
		for decoder := json.NewDecoder(recorder.Body); ; {
			var answer any
			err := decoder.Decode(&answer)
			if err == io.EOF {
				break
			}
			if err != nil || recorder.Code == 500 {
				t.Fatalf("%s %s %q = %d %q: %v", method, path, body, recorder.Code, answers, err)
			}
		}
	})
}

func FuzzReadEvents(f *testing.F) {
	f.Add("id: 1\nevent: post\ndata: {\"type\":\"post\"}\n\n")
	f.Add("event: error\ndata: {\"error\":{\"code\":\"busy\",\"message\":\"full\"}}\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		var events []control.Event
		var err error
		fuzztest.Within(t, len(stream), 512, 64<<10, func() {
			events, err = control.ReadEvents(strings.NewReader(stream))
		})
		if len(events) > strings.Count(stream, "data") {
			t.Errorf("%d events from %q, %v", len(events), stream, err)
		}
	})
}

// A file of a post is something to be saved for every browser, whatever it is called and is.
func TestADV_files_Offered_files_are_saved_not_shown(t *testing.T) {
	device := controltest.New("alice")
	must[control.Joined](t)(device.Join(t.Context(), "lobby", control.JoinOptions{}))
	post := device.Bring(control.Post{Room: "lobby", Nick: "bob", Kind: "offer",
		File: &control.OfferedFile{Name: "a\"b;\r\nX: y\u00e4 .html", Size: 5}})
	w := httptest.NewRecorder()
	control.NewHandler(device, quiet).ServeHTTP(w, httptest.NewRequest("GET", "/v1/posts/"+post.ID+"/file", nil))
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Length": "5",
		"Content-Security-Policy": "default-src 'none'; sandbox",
		"Content-Disposition":     "attachment; filename*=UTF-8''a%22b%3B%0D%0AX%3A%20y%C3%A4%20.html",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if w.Code != 200 || w.Body.Len() != 5 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}
