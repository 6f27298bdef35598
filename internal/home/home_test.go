package home

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func random() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

func open(t *testing.T, dir string) *Home {
	t.Helper()
	h, err := Open(dir, random())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHomeRemembers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "home")
	h := open(t, dir)
	id := h.Key().ID()
	if h.Boot() != 1 || h.Nick() != "" || len(h.Rooms()) != 0 {
		t.Errorf("a new home has boot %d, nick %q, rooms %v", h.Boot(), h.Nick(), h.Rooms())
	}
	rooms := []Room{{Name: "lobby"}, {Name: "ops", Ephemeral: true}}
	if err := errors.Join(h.SetNick("alice"), h.SetRooms(rooms), h.RaiseBoot(7), h.Close()); err != nil {
		t.Fatal(err)
	}
	h = open(t, dir)
	defer h.Close()
	if h.Key().ID() != id || h.Boot() != 8 || h.Nick() != "alice" || len(h.Rooms()) != 2 {
		t.Errorf("reopened: id %v, boot %d, nick %q, rooms %v", h.Key().ID(), h.Boot(), h.Nick(), h.Rooms())
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	if _, err := Open(dir, random()); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if h.Close() != nil {
		t.Fatal("close")
	}
	open(t, dir).Close()
}

func TestADV_31_Nothing_at_home_is_readable_by_others(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir)
	defer h.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range append(files, nil) {
		name := dir
		if f != nil {
			name = filepath.Join(dir, f.Name())
		}
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestDamagedFilesAreRefusedAndKept(t *testing.T) {
	for name, content := range map[string]string{
		keyFile + " empty":   "",
		keyFile + " other":   "ssh-rsa AAAA",
		keyFile + " base64":  keyPrefix + "!!!secret!!!",
		keyFile + " short":   keyPrefix + "c2VjcmV0",
		keyFile + " zero":    keyPrefix + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		stateFile + " empty": "",
		stateFile + " cut":   `{"boot": 3, "ro`,
	} {
		dir := t.TempDir()
		open(t, dir).Close()
		path := filepath.Join(dir, strings.Fields(name)[0])
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, random())
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || corrupt.Path != path {
			t.Errorf("%s: %v, want a CorruptError of that file", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the secret: %v", name, err)
		}
		if kept, _ := os.ReadFile(path); !bytes.Equal(kept, []byte(content)) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestDefault(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"BCAST_HOME": "x", "HOME": "/h"}, "x"},
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, filepath.Join("/s", "bcast")},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/h"}, filepath.Join("/h", ".local", "state", "bcast")},
	} {
		got, err := Default(func(name string) string { return test.env[name] })
		if err != nil || got != test.want {
			t.Errorf("%v: %q, %v, want %q", test.env, got, err, test.want)
		}
	}
}

func TestSocketPathMustFit(t *testing.T) {
	if _, err := SocketPath(strings.Repeat("d", 100)); err == nil {
		t.Error("a path of over 100 bytes was taken")
	}
	if path, err := SocketPath("home"); err != nil || filepath.Base(path) != "control.sock" {
		t.Errorf("%q, %v", path, err)
	}
	deep := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	want := filepath.Join("home", "control.sock")
	if path, err := SocketPath(filepath.Join(deep, "home")); err != nil || path != want {
		t.Errorf("from the working directory: %q, %v", path, err)
	}
}

// A home of before rooms.json names its rooms in state.json.
func TestRoomsOfAnOlderHome(t *testing.T) {
	dir := t.TempDir()
	older := `{"boot": 3, "nick": "alice", "rooms": ["lobby", "ops"]}`
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h, err := Open(dir, random())
		if err != nil {
			t.Fatal(err)
		}
		want := []Room{
			{Name: "lobby", Age: DefaultAge, Count: DefaultCount}, {Name: "ops", Age: DefaultAge, Count: DefaultCount},
		}
		if !reflect.DeepEqual(h.Rooms(), want) || h.Nick() != "alice" {
			t.Errorf("rooms %+v, nick %s", h.Rooms(), h.Nick())
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrustIsRemembered(t *testing.T) {
	dir := t.TempDir()
	h, err := Open(dir, random())
	if err != nil {
		t.Fatal(err)
	}
	want := Trust{Pins: []Pin{{ID: "abc", Nick: "alice", At: time.Unix(1, 0).UTC()}}, Blocked: []string{"def"}}
	secret := Secret{1, 2, 3}
	rooms := []Room{{Name: "crew", Secret: secret}}
	if err := errors.Join(h.SetTrust(want), h.SetRooms(rooms), h.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, random())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !reflect.DeepEqual(again.Trust(), want) || !reflect.DeepEqual(again.Rooms(), rooms) {
		t.Errorf("%+v, %d rooms", again.Trust(), len(again.Rooms()))
	}
	if text := fmt.Sprintf("%v %+v %#v %s %x", rooms, rooms, rooms[0], secret, secret); strings.Contains(text, "010203") ||
		strings.Contains(text, "1 2 3") || strings.Contains(text, "0x1, 0x2") {
		t.Errorf("a room's secret is printed: %s", text)
	}
	info, err := os.Stat(filepath.Join(dir, roomsFile))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v: others can read %v", err, info.Mode())
	}
}
