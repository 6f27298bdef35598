package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

// described is the document as a reader of it has it.
type described struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		RequestBody struct {
			Content map[string]struct{ Schema *jsonschema.Schema }
		} `json:"requestBody"`
		Responses map[string]struct {
			Content map[string]struct{ Schema *jsonschema.Schema }
		}
	}
	Components struct {
		Schemas map[string]*jsonschema.Schema
	}
	all *jsonschema.Resolved // a property for each request and answer
}

func readDescription(t *testing.T) (d described) {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err == nil {
		// A schema is resolved within itself, not within the document.
		err = json.Unmarshal(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	root := &jsonschema.Schema{Defs: d.Components.Schemas, Properties: map[string]*jsonschema.Schema{
		"failure": {Ref: "#/$defs/Failure"}}}
	for _, s := range root.Defs { // a reader takes fields that it does not know; here there are to be none
		if s.AdditionalProperties == nil && len(s.Properties) > 0 {
			s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
		}
	}
	for _, path := range d.Paths {
		for _, op := range path {
			for _, content := range op.RequestBody.Content {
				root.Properties["request of "+op.OperationID] = content.Schema
			}
			for _, content := range op.Responses["200"].Content {
				root.Properties[op.OperationID] = content.Schema
			}
		}
	}
	if d.all, err = root.Resolve(nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// check fails unless a JSON value is what the document says of the one of that name.
func (d described) check(t *testing.T, what string, text []byte) {
	t.Helper()
	var value any
	err := json.Unmarshal(text, &value)
	if d.all.Schema().Properties[what] == nil {
		t.Errorf("%s is not described", what)
	}
	if err == nil {
		err = d.all.Validate(map[string]any{what: value})
	}
	if err != nil {
		t.Errorf("%s: %v: %.300s", what, err, text)
	}
}

// calls are one of each, in an order in which they work; those of a body have one that the document must allow.
var calls = []struct{ method, path, id, body string }{
	{"PUT", "/v1/rooms/lobby", "join", `{"private":true}`}, {"GET", "/v1/status", "status", ""},
	{"POST", "/v1/rooms/lobby/posts?timeout=1s", "say", `{"text":"hi","wait":"here"}`},
	{"GET", "/v1/config", "config", ""}, {"GET", "/v1/peers", "peers", ""}, {"GET", "/v1/devices", "devices", ""}, {"GET", "/v1/rooms", "rooms", ""},
	{"GET", "/v1/rooms/lobby/members", "members", ""}, {"GET", "/v1/rooms/lobby/posts?limit=9&search=h", "posts", ""},
	{"POST", "/v1/rooms/lobby/signals", "signal", `{"kind":"typing"}`}, {"GET", "/v1/rooms/lobby/invite", "invite", ""},
	{"POST", "/v1/rooms/lobby/rekey", "rekey", `{"without":["bob"]}`}, {"GET", "/v1/rooms/lobby/records", "export", ""},
	{"POST", "/v1/rooms/lobby/records", "import", `{"id":"x","bytes":"aGk="}`}, {"GET", "/v1/posts/{post}/ledger", "ledger", ""},
	{"GET", "/v1/posts/{post}/file", "readFile", ""}, {"PUT", "/v1/rooms/lobby/files/a%20b", "offerFile", ""},
	{"POST", "/v1/posts/{post}/file", "fetch", `{"dir":"/tmp"}`},
	{"POST", "/v1/rooms/lobby/pushes", "push", `{"file":"/docs/a.txt","rate":-1}`},
	{"GET", "/v1/posts/pushed/push", "pushStatus", ""}, {"DELETE", "/v1/posts/pushed/push", "stopPush", ""},
	{"GET", "/v1/peers/bob/verification", "verification", ""}, {"PUT", "/v1/peers/bob/verification", "pin", `{"proof":"PROOF"}`},
	{"PUT", "/v1/peers/bob/block", "block", `{"blocked":true}`}, {"POST", "/v1/join", "joinInvite", `{"invite":"lobby"}`},
	{"PUT", "/v1/nick", "nick", `{"nick":"alicia"}`}, {"POST", "/v1/bench", "bench", `{"do":"recv","room":"lobby","count":1}`},
	{"PUT", "/v1/shares/docs", "share", `{"dir":"/docs","public":true}`}, {"GET", "/v1/shares", "shares", ""},
	{"DELETE", "/v1/shares/docs", "unshare", ""}, {"GET", "/v1/peers/bob/files/data/docs/a.txt", "askFiles", ""},
	{"PUT", "/v1/peers/bob/files/data/docs/a.txt", "putFiles", ""}, {"POST", "/v1/peers/bob/files/offers", "offerFiles", ""},
	{"PUT", "/v1/inbox", "setInbox", `{"dir":"/in","accept":"ask"}`}, {"GET", "/v1/inbox", "inbox", ""},
	{"PUT", "/v1/inbox/0f", "answerOffer", `{"accept":true}`},
	{"POST", "/v1/probe", "probe", ""}, {"GET", "/v1/openapi.json", "openapi", ""}, {"GET", "/v1/events?after=0", "events", ""},
	{"POST", "/v1/announce", "announce", `{"name":"Web","type":"_http._tcp","port":80,"txt":["path=/"]}`}, // streams have ended
	{"POST", "/v1/rooms/lobby/guests", "inviteGuests", `{"for":"3h"}`}, {"GET", "/v1/guests", "guests", ""},
	{"DELETE", "/v1/guests/00000001", "revokeGuests", ""}, {"GET", "/metrics", "metrics", ""}, {"DELETE", "/v1/rooms/lobby?forget=false", "leave", ""},
}

func TestOpenAPIAnswersAreAsDescribed(t *testing.T) {
	d := readDescription(t)
	device := controltest.New("alice")
	device.Set(control.Setting{Name: "port", Value: "27474", From: "default"})
	must[control.Joined](t)(device.Join(t.Context(), "lobby", control.JoinOptions{}))
	device.Meet("bob", "lobby")
	device.Meet("carol", "lobby")
	device.Lose("carol")
	device.Cut(control.Cut{From: "10.77.0.9:1900", Received: 16, Size: 64, Count: 1})
	post := device.Bring(control.Post{Room: "lobby", Nick: "bob", Text: "hi", ReplyTo: "x", Quote: &control.Quote{Nick: "alice"},
		Reactions: []control.Reaction{{Text: "+", From: []string{"x"}, Nicks: []string{"bob"}}}, Verified: true,
		File: &control.OfferedFile{Name: "f", Size: 1, Hash: "00"}})
	device.Offer(control.Offer{ID: "0f", Nick: "bob", Name: "f", Files: 1})
	device.Serve("bob", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("text")) }))
	handler := control.NewHandler(device, quiet)
	must[control.GuestLink](t)(device.InviteGuests(t.Context(), "lobby", control.GuestOptions{}))
	device.Visit("00000001", "dora_guest")
	seen := map[string]bool{}
	for _, c := range calls {
		c.path = strings.Replace(c.path, "{post}", post.ID, 1)
		c.body = strings.Replace(c.body, "PROOF", strings.Repeat("bob ", 10), 1)
		pattern := patternOf(t, c.id)
		op := d.Paths[pattern[1]][strings.ToLower(pattern[0])]
		if op.OperationID != c.id {
			t.Fatalf("%s is not in the document", c.id)
		}
		if len(op.RequestBody.Content) > 0 {
			d.check(t, "request of "+c.id, []byte(c.body))
		}
		w := ask(t, handler, c.method, c.path, c.body)
		answer, known := op.Responses[fmtCode(w.Code)]
		if !known || w.Code >= 300 {
			t.Errorf("%s: %d %s", c.id, w.Code, w.Body)
			continue
		}
		seen[c.id] = true
		for media := range answer.Content {
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, media) {
				t.Errorf("%s is %s, want %s", c.id, got, media)
			}
			parts := partsOf(media, w.Body.String())
			if len(parts) == 0 {
				t.Errorf("%s answered nothing", c.id)
			}
			for _, part := range parts {
				d.check(t, c.id, []byte(part))
			}
		}
	}
	for _, op := range operations {
		if !seen[op.id] {
			t.Errorf("%s was not asked for", op.id)
		}
	}
	for path, code := range map[string]int{"/v1/rooms/nowhere/members": 409, "/v1/posts/none/ledger": 404, "/v1/nothing": 404} {
		w := ask(t, handler, "GET", path, "")
		d.check(t, "failure", w.Body.Bytes())
		if w.Code != code {
			t.Errorf("%s: %d, want %d", path, w.Code, code)
		}
	}
}

func fmtCode(code int) string {
	if code == http.StatusNoContent {
		return "204"
	}
	return "200"
}

func patternOf(t *testing.T, id string) [2]string {
	for _, op := range operations {
		if op.id == id {
			method, path := op.described()
			return [2]string{method, path}
		}
	}
	t.Fatalf("no operation %s", id)
	return [2]string{}
}

// partsOf are the JSON values of an answer.
func partsOf(media, body string) (parts []string) {
	switch media {
	case "application/json":
		return []string{body}
	case "text/plain", "application/octet-stream":
		quoted, _ := json.Marshal(body) // a string cannot fail
		return []string{string(quoted)}
	}
	for line := range strings.Lines(body) {
		if data, is := strings.CutPrefix(line, "data: "); is || strings.HasPrefix(line, "{") {
			parts = append(parts, data)
		}
	}
	return parts
}

// ask asks a handler; an event stream is left once it has told all that has happened.
func ask(t *testing.T, handler *control.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if !strings.HasPrefix(path, "/v1/events") {
		handler.ServeHTTP(w, r)
		return w
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	defer handler.EndStreams()
	response, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	buffer := make([]byte, 64<<10)
	for !strings.Contains(w.Body.String(), `"type":"signal"`) {
		n, err := response.Body.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Write(buffer[:n])
	}
	return w
}

// What the text format forbids is what scrapers refuse: a type told twice, a series of none.
func TestMetricsAreOneOfEach(t *testing.T) {
	device := controltest.New("alice")
	for _, room := range []string{"lobby", "ops"} {
		must[control.Joined](t)(device.Join(t.Context(), room, control.JoinOptions{}))
	}
	device.Adjust(func(s *control.Status) {
		s.Drops = map[string]uint64{"own": 7, `odd "quoted" \ name`: 1}
		s.Cuts = 3
	})
	page := ask(t, control.NewHandler(device, quiet), "GET", "/metrics", "").Body.String()
	types, series := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(page) {
		if rest, is := strings.CutPrefix(line, "# TYPE "); is {
			name := strings.Fields(rest)[0]
			if types[name] {
				t.Errorf("the type of %s is told twice", name)
			}
			types[name] = true
		} else if !strings.HasPrefix(line, "#") {
			name := line[:strings.LastIndexByte(line, ' ')]
			family, _, _ := strings.Cut(name, "{")
			for _, part := range []string{"_bucket", "_sum", "_count"} { // of a histogram
				if of, is := strings.CutSuffix(family, part); is && types[of] {
					family = of
				}
			}
			if series[name] || !types[family] {
				t.Errorf("%s is told twice, or without a type", name)
			}
			series[name] = true
		}
	}
	for _, want := range []string{`bcast_refused_datagrams_total{reason="own"} 7`, `bcast_cut_datagrams_total 3`,
		`bcast_room_members{room="ops"} 1`, `bcast_peers 0`, `process_resident_memory_bytes`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s among %v", want, slices.Sorted(maps.Keys(series)))
		}
	}
}

// API.md tells of every code, and of no other.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../API.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[control.Code]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(text), -1) {
		told[control.Code(row[1])], _ = strconv.Atoi(row[2])
	}
	if !maps.Equal(told, control.Statuses) {
		t.Errorf("API.md tells of %v, want %v", told, control.Statuses)
	}
}
