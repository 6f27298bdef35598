package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"until": until},
	})
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
	env.Setenv("PORT", fmt.Sprint(free.LocalAddr().(*net.UDPAddr).Port))
	env.Setenv("HOMES", home)
	env.Setenv("BCAST_HOME", home+"/own")
	env.Setenv("USER", "tester")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program of a race build ends a second late
	return nil
}

// until runs a command again until its output matches: until PATTERN COMMAND…
func until(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND…")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	for limit := time.Now().Add(10 * time.Second); ; {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%q never matched %s (%v)", args[1:], args[0], err)
		}
	}
}
