package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTheDesktopIsTold(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no shell")
	}
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + told + "\n"
	if err := os.WriteFile(filepath.Join(dir, "notify-send"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := newBench(t)
	if b.desktop(t.Context()) != nil {
		t.Error("without a desktop one is told")
	}
	b.env["DISPLAY"] = ":0"
	b.desktop(t.Context())("--bob in lobby", "<b>look</b>")
	if text, err := os.ReadFile(told); err != nil ||
		!strings.HasSuffix(string(text), "--\n--bob in lobby\n&lt;b&gt;look&lt;/b&gt;\n") {
		t.Errorf("told %q, %v", text, err)
	}
}

func TestAnotherSeatTellsWhatChanged(t *testing.T) {
	if seatAgain(nil) != nil {
		t.Error("a guest has another seat")
	}
	for _, test := range []struct {
		seat *seat
		err  error
		want string
	}{
		{&seat{own: true}, nil, tookOver},
		{&seat{}, nil, "connected again"},
		{nil, errors.New("none"), ""},
	} {
		again := seatAgain(func(context.Context) (*seat, error) { return test.seat, test.err })
		if _, told, err := again(t.Context()); told != test.want || err != test.err {
			t.Errorf("told %q, %v; want %q", told, err, test.want)
		}
	}
}
