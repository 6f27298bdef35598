package main

import (
	"os/exec"
	"strings"
	"testing"
)

// wordsAfter are the candidates for the last word of a line.
func wordsAfter(b *bench, line string) string {
	b.t.Helper()
	other := b.beside()
	words := strings.Split(line, " ")
	if code := other.app.run(b.t.Context(), append([]string{"completion", "words", "--"}, words...)); code != 0 {
		b.t.Errorf("%q: exit %d: %s", line, code, other.err)
	}
	var found []string
	for row := range strings.Lines(other.out.String()) {
		word, _, _ := strings.Cut(row, "\t")
		found = append(found, word)
	}
	return strings.Join(found, " ")
}

func TestCompletion(t *testing.T) {
	node := alice(t)
	node.Meet("bobby", "dev")
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	for line, want := range map[string]string{
		"jo":                              "join",
		"--j":                             "--json",
		"--home /tmp mem":                 "members",
		"nonsense ":                       "",
		"say ":                            "@bob @bobby lobby",
		"say @bobb":                       "@bobby",
		"say lobby ":                      "",
		"say lobby --wa":                  "--wait",
		"say lobby hi --wait ":            "all here none",
		"say lobby hi --wait=h":           "--wait=here",
		"say --wait all l":                "lobby",
		"say --me l":                      "lobby",
		"say -- l":                        "lobby",
		"say lobby --js":                  "--json",
		"tail x":                          "",
		"chat lobby l":                    "lobby",
		"block ":                          "bob bobby",
		"rekey lobby --without b":         "bob bobby",
		"bench s":                         "send",
		"bench send l":                    "lobby",
		"daemon --durability ":            "full normal",
		"daemon --log-format=j":           "--log-format=json",
		"hooks ":                          "test",
		"hooks test device-l":             "device-lost",
		"help compl":                      "completion",
		"completion z":                    "zsh",
		"--home " + t.TempDir() + " say ": "",
		"say --home=/none/none l":         "",
	} {
		if got := wordsAfter(d, line); got != want {
			t.Errorf("%q goes on with %q, want %q", line, got, want)
		}
	}
	if got := wordsAfter(d, "daemon --iface lo"); !strings.HasPrefix(got, "lo") {
		t.Errorf("no loopback interface among %q", got)
	}
	b := d.beside()
	b.want(b.shell("completion words -- roo"), exitDone, "rooms\tlist the joined rooms\n", "")
	b.want(b.shell("completion csh"), exitUsage, "", "there is one for bash, zsh, fish")
	b.want(b.shell("completion words"), exitDone, "", "")
}

// A nick is anybody's choice, and what Tab puts on a command line is run by the next Enter: only plain words get there.
func TestADV_completion_Nicks_put_nothing_into_a_shell(t *testing.T) {
	node := alice(t)
	for _, nick := range []string{"$(reboot)", "`id`", "bob;id", "bob|id", "bob&", "bob>x", "bo*", "b'", "b\"", "b\\", "~bob", "b!1",
		"b#", "{a,b}", "b\ttab", "b\nnew", "b(x)", "b\u202Ex", "b%s"} {
		node.Meet(nick)
	}
	node.Meet("été")
	d := newBench(t, node)
	stop := daemonOf(d, "")
	defer stop()
	if got := wordsAfter(d, "block "); got != "bob été" {
		t.Errorf("offered %q, want bob and été", got)
	}
}

// The scripts are right in the eyes of the shells that are here; bash is here everywhere.
func TestCompletionScripts(t *testing.T) {
	checks := map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}}
	for _, shell := range shells {
		b := newBench(t)
		b.want(b.shell("completion "+shell), exitDone, "bcast", "")
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // scripts/faces has all three
		}
		cmd := exec.Command(path, append(checks[shell], "/dev/stdin")...)
		cmd.Stdin = strings.NewReader(b.out.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}

func TestManual(t *testing.T) {
	b := newBench(t)
	if code := b.shell("man"); code != exitDone {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	page := b.out.String()
	for _, command := range b.parser().Commands {
		if !strings.Contains(page, ".SS \"bcast "+escape.Replace(command.Name)) {
			t.Errorf("it does not have %s", command.Name)
		}
		for _, f := range command.Flags {
			if !strings.Contains(page, ".B \""+escape.Replace("--"+f.Names()[0])) {
				t.Errorf("it does not have --%s of %s", f.Names()[0], command.Name)
			}
		}
	}
	requests := map[string]bool{"TH": true, "SH": true, "SS": true, "TP": true, "B": true, "PP": true, "nf": true, "fi": true}
	for line := range strings.Lines(page) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if request, is := strings.CutPrefix(name, "."); is && !requests[request] {
			t.Errorf("a text became a request: %s", line)
		}
	}
	var r roff
	r.text(".so /etc/passwd", `a\fBb`, "it's")
	r.request("B", `say "x"`)
	if want := "\\&.so /etc/passwd\na\\efBb\nit\\(aqs\n.B \"say \\(dqx\\(dq\"\n"; r.String() != want {
		t.Errorf("got %q, want %q", r.String(), want)
	}
}
