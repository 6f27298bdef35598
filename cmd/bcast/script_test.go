package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	_ "bcast/internal/fuzztest" // collects less
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bcast": main})
}

// TestScript runs the real program as people do. Its datagrams stay on the loopback interface, on a port of the script's
// own; nothing in a script sleeps.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setUpScript,
		Cmds:  scriptCommands,
	})
}

// scriptCommands are those of the scripts beside testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"run": runHere, "fails": failsHere, "begin": beginHere, "end": endHere, "until": until, "keep": keep,
}

// runHere runs the program in the process of the test, which starts none of twenty milliseconds: run [<FILE] WORDS… What
// only a process has is tested by those that a script starts with exec: signals, a terminal, a pipe, what a shell is told.
func runHere(ts *testscript.TestScript, negated bool, words []string) {
	if negated {
		ts.Fatalf("how it fails is to be said: fails CODE [<FILE] WORDS…")
	}
	if code := here(ts, words, ts.Stdout(), ts.Stderr()); code != exitDone {
		ts.Fatalf("exit %d", code)
	}
}

// failsHere runs the program as runHere does and wants it to end with an exit code: fails CODE [<FILE] WORDS…
func failsHere(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) == 0 {
		ts.Fatalf("usage: fails CODE [<FILE] WORDS…")
	}
	if code := here(ts, args[1:], ts.Stdout(), ts.Stderr()); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit %d", code)
	}
}

// begun is a program that runs here until its end is wanted or its work is done.
type begun struct {
	stop     context.CancelFunc
	done     chan struct{}
	code     int
	out, err strings.Builder
}

// begunPrograms are those of a script, by name; it begins and ends them one after the other.
type begunPrograms struct{}

// beginHere runs the program beside the script, as runHere does: begin NAME WORDS…
func beginHere(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: begin NAME WORDS…")
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &begun{stop: stop, done: make(chan struct{})}
	env := map[string]string{} // a script may set its variables while this one reads them
	for _, name := range []string{"BCAST_HOME", "BCAST_PORT", "HOME", "USER"} {
		env[name] = ts.Getenv(name)
	}
	go func() {
		defer close(b.done)
		b.code = run(ctx, args[1:], stdio{strings.NewReader(""), &b.out, &b.err}, func(name string) string { return env[name] })
	}()
	ts.Defer(func() {
		stop()
		<-b.done
		ts.Logf("[%s] exit %d: %s", args[0], b.code, b.err.String())
	})
	ts.Value(begunPrograms{}).(map[string]*begun)[args[0]] = b
}

// endHere ends a program that was begun, as an interrupt does, or with --done lets it come to its end. What it wrote is
// standard output and error then: end [--done] NAME.
func endHere(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) == 0 {
		ts.Fatalf("usage: end [--done] NAME")
	}
	b := ts.Value(begunPrograms{}).(map[string]*begun)[args[len(args)-1]]
	if b == nil {
		ts.Fatalf("%s was not begun", args[len(args)-1])
	}
	if args[0] != "--done" {
		b.stop()
	}
	<-b.done
	io.WriteString(ts.Stdout(), b.out.String())
	io.WriteString(ts.Stderr(), b.err.String())
	if b.code != exitDone {
		ts.Fatalf("exit %d", b.code)
	}
}

// here runs the program; what is in a <FILE before its words is its standard input.
func here(ts *testscript.TestScript, words []string, out, err io.Writer) int {
	in := ""
	if len(words) > 0 && strings.HasPrefix(words[0], "<") {
		in, words = ts.ReadFile(words[0][1:]), words[1:]
	}
	return run(context.Background(), words, stdio{strings.NewReader(in), out, err}, ts.Getenv)
}

// keep sets a variable to what the first parentheses of a pattern find in standard output: keep NAME PATTERN.
func keep(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		ts.Fatalf("usage: keep NAME PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s is not in standard output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func setUpScript(env *testscript.Env) error {
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer free.Close()
	home, err := os.MkdirTemp("", "b") // short: a socket's path is limited
	if err != nil {
		return err
	}
	env.Defer(func() { os.RemoveAll(home) })
	env.Values[begunPrograms{}] = map[string]*begun{}
	env.Setenv("PORT", fmt.Sprint(free.LocalAddr().(*net.UDPAddr).Port))
	env.Setenv("HOMES", home)
	env.Setenv("BCAST_HOME", home+"/own")
	env.Setenv("USER", "tester")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program of a race build ends a second late
	return nil
}

// patience is how long is waited for what comes at once, unless the machine has a lot else to do.
const patience = time.Minute

// until runs commands again until what they write matches: until PATTERN COMMAND… [&& COMMAND…]. Each is run WORDS… or a
// process; one that fails writes nothing.
func until(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND… [&& COMMAND…]")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	first, second := args[1:], []string(nil)
	if at := slices.Index(first, "&&"); at > 0 {
		first, second = first[:at], first[at+1:]
	}
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		out := written(ts, first)
		if len(second) > 0 {
			out += written(ts, second)
		}
		if pattern.MatchString(out) {
			io.WriteString(ts.Stdout(), out)
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%q never matched %s: %s", args[1:], args[0], out)
		}
	}
}

// written is what a command writes; empty: it fails.
func written(ts *testscript.TestScript, command []string) string {
	if command[0] != "run" {
		if ts.Exec(command[0], command[1:]...) != nil {
			return ""
		}
		return ts.ReadFile("stdout")
	}
	var out strings.Builder
	if here(ts, command[1:], &out, io.Discard) != exitDone {
		return ""
	}
	return out.String()
}
