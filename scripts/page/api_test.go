package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"bcast/internal/control"
)

// Running nodes answer as the document says that they serve.
func TestRealAnswersAreAsDescribed(t *testing.T) {
	port := freePort(t)
	alice, bob := node(t, "alice", port, "lobby"), node(t, "bob", port, "lobby")
	wait(t, "both are members and known by name", func() bool {
		members, err := alice.Members(t.Context(), "lobby")
		_, unknown := alice.Verification(t.Context(), "bob")
		return err == nil && len(members) == 2 && unknown == nil
	})
	said, err := bob.Say(t.Context(), control.Say{Room: "lobby", Text: "hi", Wait: "all"})
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, alice)
	described := schemas(t, answer(t, addr, "/v1/openapi.json"))
	for path, name := range map[string]string{"/v1/status": "status", "/v1/config": "config", "/v1/peers": "peers",
		"/v1/rooms": "rooms", "/v1/rooms/lobby/members": "members", "/v1/rooms/lobby/posts?limit=10": "posts",
		"/v1/posts/" + said.ID + "/ledger": "ledger", "/v1/peers/bob/verification": "verification",
		"/v1/posts/none/ledger": "failure"} {
		var value any
		text := answer(t, addr, path)
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if err := described.Validate(map[string]any{name: value}); err != nil {
			t.Errorf("%s: %v\n%s", path, err, text)
		}
	}
}

// answer asks for a path with the token.
func answer(t *testing.T, addr, path string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// schemas are those of the answers to GET, each a property by the name of its operation; they take no field that the
// document does not name.
func schemas(t *testing.T, text []byte) *jsonschema.Resolved {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]struct {
				Content map[string]struct{ Schema *jsonschema.Schema }
			}
		}
		Components struct{ Schemas map[string]*jsonschema.Schema }
	}
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), &document); err != nil {
		t.Fatal(err)
	}
	root := &jsonschema.Schema{Defs: document.Components.Schemas, Required: []string{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
		Properties:           map[string]*jsonschema.Schema{"failure": {Ref: "#/$defs/Failure"}}}
	for _, s := range root.Defs {
		if s.AdditionalProperties == nil {
			s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
		}
	}
	for _, path := range document.Paths {
		root.Properties[path["get"].OperationID] = path["get"].Responses["200"].Content["application/json"].Schema
	}
	delete(root.Properties, "") // paths without GET
	for name, s := range root.Properties {
		if s == nil {
			delete(root.Properties, name) // not JSON
		}
	}
	resolved, err := root.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// example is a piece of API.md that a shell runs, and what it has to print.
var example = regexp.MustCompile("(?s)```sh\n(.*?)```\n```json\n(.*?)```")

// The examples of API.md do what stands below them: the same fields of the same kinds.
func TestExamplesOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../API.md")
	if err != nil {
		t.Fatal(err)
	}
	bin, home := t.TempDir(), t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "bcast"), "./cmd/bcast")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "BCAST_HOME="+home)
	port := freePort(t)
	node(t, "bob", port, "lobby")
	daemon := exec.Command(filepath.Join(bin, "bcast"), "daemon", "--nick", "alice", "--iface", "lo", "--port", fmt.Sprint(port),
		"--room", "lobby", "--http", "127.0.0.1:0")
	daemon.Env = env
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		daemon.Process.Signal(os.Interrupt)
		if err := daemon.Wait(); err != nil {
			t.Error(err)
		}
	}()
	wait(t, "the daemon answers", func() bool {
		status := exec.Command(filepath.Join(bin, "bcast"), "status")
		status.Env = env
		return status.Run() == nil
	})
	found := example.FindAllStringSubmatch(string(text), -1)
	if blocks := strings.Count(string(text), "```sh\n"); len(found) != blocks || blocks < 7 {
		t.Fatalf("%d of %d examples say what they print", len(found), blocks)
	}
	for _, e := range found {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		shell := exec.CommandContext(ctx, "bash", "-euc", e[1])
		shell.WaitDelay = time.Second
		shell.Env = env
		var complaints bytes.Buffer
		shell.Stderr = &complaints
		out, err := shell.Output()
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		var got, want any
		if json.Unmarshal(out, &got) != nil {
			err = json.Unmarshal(lines[len(lines)-1], &got) // of several answers the last
		}
		if err != nil {
			t.Errorf("%v\n%s\nprints %s%s", err, e[1], out, &complaints)
			continue
		}
		if err := json.Unmarshal([]byte(e[2]), &want); err != nil {
			t.Fatal(err)
		}
		if !alike(want, got) {
			t.Errorf("%s\nprints %s, which is not like %s", e[1], out, e[2])
		}
	}
}

// alike tells whether two values have the same fields of the same kinds. Texts that name something are the same.
func alike(want, got any) bool {
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		return false
	}
	switch want := want.(type) {
	case map[string]any:
		for name, value := range want {
			if !alike(value, got.(map[string]any)[name]) {
				return false
			}
			if text, is := value.(string); is && name != "time" && !strings.Contains(text, "…") && text != got.(map[string]any)[name] {
				return false
			}
		}
		return len(want) == len(got.(map[string]any))
	case string:
		return true
	}
	return true
}
