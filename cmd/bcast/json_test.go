package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bcast/internal/control"
	"bcast/internal/hook"
)

// jsonLines are command lines for each verb, with what one object of their answers has. Those that begin with ! fail.
var jsonLines = map[string][]string{
	"join":     {`--detach dev|"new":true`, `--detach dev --ephemeral|"new":false`, `lobby|"text":"piped"`},
	"chat":     {`!lobby|"code":"usage"`},
	"say":      {`lobby hi --wait all|"id":"r`, `fresh hi|"note":"joined fresh`, `!nowhere|"code":"usage"`},
	"tail":     {`lobby --follow=false|"text":"old news"`},
	"history":  {`lobby|"text":"old news"`, `lobby --export -|"note":"`, `!lobby --import /none|"code":"internal"`},
	"who":      {`r3.0|"post":"r3.0"`, `!zz|"code":"not_found"`},
	"rooms":    {`|"name":"lobby"`},
	"members":  {`lobby|"status":"self"`, `!nowhere|"code":"not_joined"`},
	"leave":    {`dev|"room":"dev"`, `!dev|"code":"not_joined"`},
	"invite":   {`lobby|"invite":"bcast:1:`, `!lobby --guest|"code":"unsupported"`, `!lobby --for 1h|"code":"usage"`},
	"guests":   {`!|"code":"unsupported"`, `!--revoke x|"code":"unsupported"`},
	"rekey":    {`lobby|"epoch":1`},
	"verify":   {`bob|"words":[`},
	"block":    {`bob|"blocked":true`, `bob --undo|"blocked":false`},
	"nick":     {`alicia|"nick":"alicia"`},
	"peers":    {`--for 1ms|"nick":"bob"`},
	"discover": {`--for 1ms|"kind":"bcast"`},
	"announce": {`Web --service _http._tcp --port 80 --for 100ms|"by":"mdns","iface":"eth0","name":"Web"`, `!Web|"code":"usage"`,
		`!Web --service _http._tcp --port 0|"code":"invalid"`},
	"daemon":     {`!--port 70000|"code":"usage"`, `!--nick x|"code":"running"`},
	"page":       {`!|"code":"not_found"`},
	"hooks":      {`|"on":"join"`, `test join|"done":true`, `!test cut|"code":"not_found"`},
	"status":     {`|"nick":"alic`, `--wait 1s|"version":"`},
	"doctor":     {`!--for 1ms|"verdict":"`},
	"ifaces":     {`|"name":"lo`},
	"loss":       {`|"misses":0.25`},
	"recvfrom":   {`!--port 0 --timeout 1ms|"code":"timeout"`},
	"sendto":     {`127.0.0.1:9 hi|"size":2`, `!127.0.0.1 hi|"code":"usage"`},
	"bench":      {`send lobby --count 10|"sent":10`},
	"id":         {`|"tag":"`},
	"config":     {`|"name":"port"`},
	"completion": {`bash|"shell":"bash"`, `words -- roo|"word":"rooms"`, `!csh|"code":"usage"`},
	"man":        {`|"page":"`},
	"version":    {`|"go":"go1`},
	"help":       {`|"command":"say"`, `say|"arguments":"ROOM`, `!nosuch|"code":"usage"`},
}

// With --json each verb answers in objects, one a line, on both streams and whatever happens; prose is for people.
func TestEveryVerbSpeaksJSON(t *testing.T) {
	node := alice(t)
	node.Hear("lobby", "bob", "old news")
	node.Set(control.Setting{Name: "port", Value: "27474", From: "default"})
	d := newBench(t, node)
	text := "[[hook]]\non = \"join\"\nexec = \"true\"\n"
	if err := os.WriteFile(filepath.Join(d.home, hook.File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := servesDocs(t, node)
	stop := daemonOf(d, "--json --print")
	for _, command := range d.parser().Commands {
		lines := append(slices.Clone(jsonLines[command.Name]), `!--no-such-flag|"code":"usage"`, `--help|"command":"`+command.Name)
		if len(lines) == 2 {
			t.Errorf("no line tries %s --json", command.Name)
		}
		for _, line := range lines {
			words, want, _ := strings.Cut(line, "|")
			words, fails := strings.CutPrefix(strings.ReplaceAll(words, "OUT", out), "!")
			b := d.beside()
			b.in = strings.NewReader("piped\n")
			code := b.shell(command.Name + " --json " + words)
			if (code != exitDone) != fails || !strings.Contains(b.out.String()+b.err.String(), want) {
				t.Errorf("%s %s: exit %d, want %s in\n%s%s", command.Name, words, code, want, b.out, b.err)
			}
			wantObjects(t, command.Name+" "+words, b.out.String()+b.err.String())
		}
	}
	stop()
	wantObjects(t, "daemon", d.out.String()+d.err.String())
	if !strings.Contains(d.err.String(), `"msg":"post"`) {
		t.Errorf("the daemon's log is %s", d.err)
	}
	for _, words := range []string{"--json", "--help --json", "--version --json"} {
		b := d.beside()
		b.want(b.shell(words), exitDone, "{", "")
		wantObjects(t, words, b.out.String()+b.err.String())
	}
}

// wantObjects fails for each line that is no JSON object.
func wantObjects(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("%s: %q is no object: %v", what, line, err)
		}
	}
}
