package control_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

var rewrite = flag.Bool("rewrite", false, "write openapi.json anew")

// operation is a call as the document tells of it. The document is made of these, of the nouns' types and of their
// comments; that all three are as the handlers have it is what the tests below see to.
type operation struct {
	pattern, id, summary string

	query []parameter
	in    any      // a value of the body's type
	needs []string // fields that the body must have
	out   any      // a value of the answer's type; nil: no content
	media string   // of the answer, if it is not one JSON value; out is then one of its parts
}

// described is an operation's method and path as OpenAPI writes them.
func (op operation) described() (method, path string) {
	method, path, _ = strings.Cut(strings.Replace(op.pattern, "...}", "}", 1), " ")
	return method, path
}

type parameter struct{ name, kind, text string }

var limitQuery = parameter{"limit", "integer", "the newest so many; without it, all"}

var operations = []operation{
	{pattern: "GET /v1/status", id: "status", summary: "What this node is, hears, sends and refuses", out: control.Status{}},
	{pattern: "GET /v1/config", id: "config", summary: "Settings in force and where they come from", out: []control.Setting{}},
	{pattern: "GET /v1/peers", id: "peers", summary: "Other bcast devices of this subnet", out: []control.Peer{}},
	{pattern: "GET /v1/rooms", id: "rooms", summary: "Joined rooms", out: []control.Room{}},
	{pattern: "PUT /v1/rooms/{room}", id: "join", summary: "Join a room; joining twice is no error",
		in: control.JoinOptions{}, out: control.Joined{}},
	{pattern: "DELETE /v1/rooms/{room}", id: "leave", summary: "Leave a room; what is kept of it stays readable",
		query: []parameter{{"forget", "boolean", "forget what is kept, too"}}},
	{pattern: "GET /v1/rooms/{room}/members", id: "members", summary: "Members and their presence", out: []control.Member{}},
	{pattern: "GET /v1/rooms/{room}/posts", id: "posts", summary: "Posts in the order that all members see",
		query: []parameter{limitQuery, {"since", "string", "a post id (exclusive) or a duration such as 10m"},
			{"before", "string", "a post id (exclusive): with limit, the page before it"},
			{"search", "string", "words that all have to be in it; the last may be the beginning of one"}},
		out: []control.Post{}},
	{pattern: "POST /v1/rooms/{room}/posts", id: "say", summary: "Post; answers when the post is stored and on its way",
		query: []parameter{{"timeout", "string", "with wait: how long, such as 10s"}},
		in:    control.Say{}, out: control.Said{}},
	{pattern: "POST /v1/rooms/{room}/signals", id: "signal", summary: "Tell members what we do at this moment",
		in: control.Signal{}, needs: []string{"kind"}},
	{pattern: "GET /v1/rooms/{room}/invite", id: "invite", summary: "What lets others into a private room: a secret",
		out: control.Invitation{}},
	{pattern: "POST /v1/rooms/{room}/rekey", id: "rekey", summary: "Change the keys of a private room, leaving some out",
		in: control.RekeyBody{}, needs: []string{"without"}, out: control.Rekeyed{}},
	{pattern: "GET /v1/rooms/{room}/records", id: "export", summary: "All records of a room as signed, one a line",
		out: control.Record{}, media: "application/jsonl"},
	{pattern: "POST /v1/rooms/{room}/records", id: "import", summary: "Take records as export gives them, one a line",
		in: control.Record{}, needs: []string{"id", "bytes"}, out: control.Imported{}},
	{pattern: "GET /v1/posts/{post}/ledger", id: "ledger", summary: "Who has a post, named by its id or the beginning of one",
		out: control.Ledger{}},
	{pattern: "GET /v1/posts/{post}/file", id: "readFile", summary: "The file that a post offers, from here or from whoever " +
		"has it, checked", out: "", media: "application/octet-stream"},
	{pattern: "PUT /v1/rooms/{room}/files/{name}", id: "offerFile", summary: "Offer the body to a room as a file of that " +
		"name; it is kept until the post is deleted", out: control.Said{}},
	{pattern: "POST /v1/posts/{post}/file", id: "fetch", summary: "Bring the file that a post offers, from whoever has it; " +
		"answers when that has begun, events of type file tell the rest", in: control.FetchBody{}, out: control.File{}},
	{pattern: "POST /v1/rooms/{room}/pushes", id: "push", summary: "Offer a file to a room and broadcast it there once; " +
		"answers when that has begun, events of type push tell the rest",
		in: control.PushOrder{}, needs: []string{"file"}, out: control.Pushed{}},
	{pattern: "GET /v1/posts/{post}/push", id: "pushStatus", summary: "How far a push from here has come",
		out: control.Pushed{}},
	{pattern: "DELETE /v1/posts/{post}/push", id: "stopPush", summary: "End a push from here; its offer stays"},
	{pattern: "GET /v1/peers/{peer}/verification", id: "verification", summary: "What two people compare",
		out: control.Verification{}},
	{pattern: "PUT /v1/peers/{peer}/verification", id: "pin", summary: "Remember that it was compared",
		in: control.PinBody{}, needs: []string{"proof"}, out: control.Verification{}},
	{pattern: "PUT /v1/peers/{peer}/block", id: "block", summary: "Hide what a device posts, or show it again",
		in: control.BlockBody{}, needs: []string{"blocked"}},
	{pattern: "POST /v1/join", id: "joinInvite", summary: "Join a private room by its invite, which has no place in a path",
		in: control.InviteBody{}, needs: []string{"invite"}, out: control.Joined{}},
	{pattern: "PUT /v1/nick", id: "nick", summary: "Change the name shown to others",
		in: control.NickBody{}, needs: []string{"nick"}},
	{pattern: "GET /v1/guests", id: "guests", summary: "Guest links that are good, and who came by them", out: []control.GuestLink{}},
	{pattern: "POST /v1/rooms/{room}/guests", id: "inviteGuests", summary: "Make a link that lets guests into a room",
		in: control.GuestOptions{}, out: control.GuestLink{}},
	{pattern: "DELETE /v1/guests/{link}", id: "revokeGuests", summary: "End a guest link, and send away who came by it"},
	{pattern: "POST /v1/bench", id: "bench", summary: "Measure what the network carries",
		in: control.Bench{}, needs: []string{"do", "room"}, out: control.Benched{}},
	{pattern: "GET /v1/devices", id: "devices", summary: "Every device of the subnet, if the daemon watches it",
		out: []control.Device{}},
	{pattern: "GET /v1/shares", id: "shares", summary: "What this device shares", out: []control.Share{}},
	{pattern: "PUT /v1/shares/{share}", id: "share", summary: "Share a directory, until it is unshared",
		in: control.Share{}, needs: []string{"dir"}, out: control.Share{}},
	{pattern: "DELETE /v1/shares/{share}", id: "unshare", summary: "End a share; what is in the directory stays"},
	{pattern: "GET /v1/inbox", id: "inbox", summary: "Where files go that others bring of their own accord, and what waits",
		out: control.Inbox{}},
	{pattern: "PUT /v1/inbox", id: "setInbox", summary: "Change where they go and whose are taken", in: control.Inbox{},
		out: control.Inbox{}},
	{pattern: "PUT /v1/inbox/{offer}", id: "answerOffer", summary: "Take or refuse files that wait",
		in: control.AnswerBody{}, needs: []string{"accept"}},
	{pattern: "POST /v1/peers/{peer}/files/{path...}", id: "offerFiles", summary: "Offer files to a peer's inbox, or ask " +
		"for small ones together, as PROTOCOL.md, section 15, says", out: "", media: "application/octet-stream"},
	{pattern: "GET /v1/peers/{peer}/files/{path...}", id: "askFiles", summary: "Ask for the files of a peer; PROTOCOL.md, " +
		"section 15, says what path may be: shares, list/SHARE/PATH, data/SHARE/PATH, blocks/SHARE/PATH, partial/SHARE/PATH",
		query: []parameter{
			{"deep", "boolean", "of a list: all that is below"},
			{"force", "boolean", "of partial: the file that is there is to be replaced"},
		}, out: "", media: "application/octet-stream"},
	{pattern: "PUT /v1/peers/{peer}/files/{path...}", id: "putFiles", summary: "Put a file into a share of a peer, as " +
		"PROTOCOL.md, section 15, says", query: []parameter{{"force", "boolean", "replace the file that is there"}},
		out: "", media: "application/octet-stream"},
	{pattern: "POST /v1/probe", id: "probe", summary: "Have peers send datagrams back", out: []control.Probed{}},
	{pattern: "POST /v1/announce", id: "announce", summary: "Make a service of this host known for as long as the answer is " +
		"read, which tells, one a line, what becomes of it", in: control.Service{}, needs: []string{"name", "type", "port"},
		out: control.Announced{}, media: "application/jsonl"},
	{pattern: "GET /v1/events", id: "events", summary: "What happens, as server-sent events; a Last-Event-ID header resumes",
		query: []parameter{{"after", "string", "resume after the event with this id, as the header does"}},
		out:   control.Event{}, media: "text/event-stream"},
	{pattern: "GET /v1/openapi.json", id: "openapi", summary: "This document", out: map[string]any{}},
	{pattern: "GET /metrics", id: "metrics", summary: "Counters for Prometheus", out: "", media: "text/plain"},
}

// document makes the OpenAPI document.
func document(t *testing.T) map[string]any {
	t.Helper()
	n := newNouns(t)
	paths := map[string]map[string]any{}
	for _, op := range operations {
		method, path := op.described()
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(method)] = n.operation(op, path)
	}
	codes := slices.Sorted(maps.Keys(control.Statuses))
	failure := n.schema(reflect.TypeFor[control.Failure](), true)
	n.all["Error"].Properties["code"] = &jsonschema.Schema{Type: "string", Description: "a closed list",
		Enum: slices.Collect(func(yield func(any) bool) {
			for _, c := range codes {
				yield(string(c))
			}
		})}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "bcast", "version": "1", "description": "Chat and device discovery on the local network. " +
			"Fields are added, never renamed; a reader ignores what it does not know."},
		"servers": []any{map[string]any{"url": "http://bcast", "description": "by the Unix socket control.sock in the home, " +
			"where the token is not asked for"}, map[string]any{"url": "http://127.0.0.1:8080", "description": "with --http"}},
		"security": []any{map[string]any{}, map[string]any{"token": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas": n.all,
			"responses": map[string]any{"Failure": map[string]any{"description": "Why not; the status follows from the code",
				"content": map[string]any{"application/json": map[string]any{"schema": failure}}}},
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer",
				"description": "the text of http.token in the home"}},
		},
	}
}

// nouns are the types of the API as schemas, with the comments of the sources as descriptions.
type nouns struct {
	t        *testing.T
	all      map[string]*jsonschema.Schema
	comments map[string]string // of "Type" and of "Type.field"
}

func newNouns(t *testing.T) *nouns {
	n := &nouns{t, map[string]*jsonschema.Schema{}, map[string]string{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../roster/roster.go", "../roster/device.go", "../roster/memory.go")
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if d, ok := node.(*ast.GenDecl); ok && d.Tok == token.TYPE && d.Doc != nil && len(d.Specs) == 1 {
				n.comments[called(file.Name.Name, d.Specs[0].(*ast.TypeSpec).Name.Name)] = words(d.Doc.Text())
			}
			if s, ok := node.(*ast.TypeSpec); ok {
				if in, ok := s.Type.(*ast.StructType); ok {
					n.fields(called(file.Name.Name, s.Name.Name), in)
				}
			}
			return true
		})
	}
	return n
}

// called is the name of a type of a package in the document.
func called(of, name string) string {
	name = strings.ToUpper(name[:1]) + name[1:]
	if of == "roster" && name != "Device" {
		return "Device" + name
	}
	return name
}

var jsonName = regexp.MustCompile(`json:"([a-z0-9_]+)`)

func (n *nouns) fields(name string, in *ast.StructType) {
	for _, f := range in.Fields.List {
		if f.Tag == nil {
			continue
		}
		if tag := jsonName.FindStringSubmatch(f.Tag.Value); tag != nil {
			n.comments[name+"."+tag[1]] = words(f.Doc.Text() + f.Comment.Text())
		}
	}
}

func words(comment string) string { return strings.Join(strings.Fields(comment), " ") }

// schema is that of a type, which may get more fields in an answer and not in a request.
func (n *nouns) schema(t reflect.Type, answer bool) *jsonschema.Schema {
	switch t.Kind() {
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: n.schema(t.Elem(), answer)}
	case reflect.Struct:
		return n.reference(t, answer)
	}
	s, err := jsonschema.ForType(t, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// reference names the schema of a struct, which it adds if it is not there.
func (n *nouns) reference(t reflect.Type, answer bool) *jsonschema.Schema {
	noun := called(path.Base(t.PkgPath()), t.Name())
	name := noun
	if !answer {
		name += "Request"
	}
	to := &jsonschema.Schema{Ref: "#/components/schemas/" + name}
	if n.all[name] != nil {
		return to
	}
	n.all[name] = &jsonschema.Schema{} // for what names itself
	others := map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
		reflect.TypeFor[[]byte](): {Type: "string", ContentEncoding: "base64"}}
	n.parts(t, answer, others)
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: others})
	if err != nil {
		n.t.Fatal(err)
	}
	s.Description = n.comments[noun]
	for field, p := range s.Properties {
		if p.Ref != "" {
			p.Types = nil // a pointer; where there is nothing the field is left out
		}
		if text := n.comments[noun+"."+field]; text != "" && p.Ref == "" {
			p.Description = text
		}
	}
	if answer {
		s.AdditionalProperties = nil
	} else {
		s.Required = nil // what a call needs it says itself
	}
	*n.all[name] = *s
	return to
}

// parts adds the structs in a struct to the types that are named and not repeated.
func (n *nouns) parts(t reflect.Type, answer bool, others map[reflect.Type]*jsonschema.Schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		in := f.Type
		for in.Kind() == reflect.Slice || in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		switch {
		case !f.IsExported() && !f.Anonymous:
		case in.Kind() != reflect.Struct || in == reflect.TypeFor[time.Time]():
		case f.Anonymous:
			n.parts(in, answer, others)
		case others[in] == nil:
			others[in] = n.reference(in, answer)
		}
	}
}

var inPath = regexp.MustCompile(`\{(\w+)\}`)

var pathTexts = map[string]string{
	"room": "a room's name, or @ and a nick, nick-tag or the beginning of an id", "post": "a post's id or the beginning of it",
	"peer": "a nick, nick-tag or the beginning of an id", "share": "a share's name", "offer": "an offer's id or the beginning of it",
	"path": "what is asked for",
}

func (n *nouns) operation(op operation, path string) map[string]any {
	parameters := []any{}
	for _, name := range inPath.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, map[string]any{"name": name[1], "in": "path", "required": true,
			"description": pathTexts[name[1]], "schema": map[string]any{"type": "string"}})
	}
	for _, q := range op.query {
		parameters = append(parameters, map[string]any{"name": q.name, "in": "query", "description": q.text,
			"schema": map[string]any{"type": q.kind}})
	}
	made := map[string]any{"operationId": op.id, "summary": op.summary, "responses": n.responses(op)}
	if len(parameters) > 0 {
		made["parameters"] = parameters
	}
	if op.in != nil {
		body := n.schema(reflect.TypeOf(op.in), false)
		if len(op.needs) > 0 {
			n.all[strings.TrimPrefix(body.Ref, "#/components/schemas/")].Required = op.needs
		}
		media := "application/json"
		if op.id == "import" {
			media = "application/jsonl"
		}
		made["requestBody"] = map[string]any{"required": len(op.needs) > 0, "content": map[string]any{media: map[string]any{"schema": body}}}
	}
	return made
}

func (n *nouns) responses(op operation) map[string]any {
	made := map[string]any{"default": map[string]any{"$ref": "#/components/responses/Failure"}}
	if op.out == nil {
		made["204"] = map[string]any{"description": "done"}
		return made
	}
	media := op.media
	if media == "" {
		media = "application/json"
	}
	made["200"] = map[string]any{"description": op.summary,
		"content": map[string]any{media: map[string]any{"schema": n.schema(reflect.TypeOf(op.out), true)}}}
	return made
}

func TestOpenAPIIsOfTheseNouns(t *testing.T) {
	var made bytes.Buffer
	encoder := json.NewEncoder(&made)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(document(t)); err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile("openapi.json", made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("openapi.json")
	if err != nil || !bytes.Equal(kept, made.Bytes()) {
		t.Errorf("openapi.json is not of this package any more (%v): go test ./internal/control -run OpenAPI -rewrite", err)
	}
}

// Every call is in the document, and every one in the document is a call.
func TestOpenAPIHasEveryCall(t *testing.T) {
	var described, there []string
	for _, op := range operations {
		described = append(described, op.pattern)
	}
	for _, pattern := range control.Patterns(control.NewHandler(controltest.New("alice"), quiet)) {
		if pattern != "/" {
			there = append(there, pattern)
		}
	}
	slices.Sort(described)
	slices.Sort(there)
	if !slices.Equal(described, there) {
		t.Errorf("described %v\nthere %v", described, there)
	}
}
