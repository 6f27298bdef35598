package bcast

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/control"
	"bcast/internal/files"
)

// asks makes a request to the files of a peer and returns the status and the body.
func asks(t *testing.T, n *Node, peer, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://files/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := n.AskFiles(peer, r)
	if err != nil {
		return 0, string(control.AsError(err).Code)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

// A share is seen by whom it is for: as rooms are joined and left, devices blocked, and nodes started again.
func TestSharesAreForWhomTheyAre(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		lan := NewLAN()
		start := func(nick, home string) *Node {
			n, err := Start(t.Context(), Config{Nick: nick, Home: home}, OnLAN(lan))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		alice, bob := start("alice", home), start("bob", "")
		defer bob.Close()
		time.Sleep(3 * time.Second)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		share := func(s Share) error {
			_, err := alice.Share(t.Context(), s)
			return err
		}
		seen := func() (names []string) {
			t.Helper()
			_, text := asks(t, bob, "alice", "GET", "shares", "")
			var all []files.Shared
			json.Unmarshal([]byte(text), &all)
			for _, s := range all {
				names = append(names, s.Name)
			}
			return names
		}
		_, err := alice.Join(t.Context(), "crew", JoinOptions{Private: true})
		must(err)
		must(share(Share{Name: "all", Dir: dir, Public: true}))
		must(share(Share{Name: "crew", Dir: dir, Room: "crew"}))
		must(share(Share{Name: "bob", Dir: dir, Peer: "bob"}))
		if got := seen(); !slices.Equal(got, []string{"all", "bob"}) {
			t.Errorf("bob sees %q", got)
		}
		if code, text := asks(t, bob, "alice", "GET", "data/bob/f", ""); code != 200 || text != "text" {
			t.Errorf("%d %q", code, text)
		}
		invite, err := alice.Invite(t.Context(), "crew")
		must(err)
		_, err = bob.Join(t.Context(), invite.Invite, JoinOptions{})
		must(err)
		time.Sleep(3 * time.Second)
		if got := seen(); !slices.Equal(got, []string{"all", "bob", "crew"}) {
			t.Errorf("in the crew bob sees %q", got)
		}
		_, err = alice.Rekey(t.Context(), "crew", []string{"bob"})
		must(err)
		time.Sleep(3 * time.Second)
		if got := seen(); !slices.Equal(got, []string{"all", "bob"}) {
			t.Errorf("shut out bob sees %q", got)
		}
		must(alice.Block(t.Context(), "bob", true))
		if got := seen(); got != nil {
			t.Errorf("blocked bob sees %q", got)
		}
		must(alice.Block(t.Context(), "bob", false))
		must(alice.Unshare(t.Context(), "all"))
		must(alice.Close())
		if code, text := asks(t, bob, "alice", "GET", "shares", ""); code != 0 {
			t.Errorf("who is gone answers %d %s", code, text)
		}
		alice = start("alice", home)
		defer alice.Close()
		time.Sleep(3 * time.Second)
		if got := seen(); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("after a restart bob sees %q", got)
		}
		s, err := alice.Status(t.Context())
		if must(err); s.Files.Shares != 2 {
			t.Errorf("%+v", s.Files)
		}
		for _, wrong := range []Share{{Dir: dir}, {Dir: dir, Public: true, Room: "crew"}, {Dir: "rel", Public: true},
			{Dir: filepath.Join(dir, "f"), Public: true}, {Dir: dir, Name: "a/b", Public: true},
			{Dir: dir, Public: true, Quota: 5}, {Dir: dir, Room: "nowhere"}, {Dir: dir, Peer: "nobody"}, {Dir: dir, Room: "@bob"}} {
			if share(wrong) == nil {
				t.Errorf("shared %+v", wrong)
			}
		}
	})
}

// Files that are brought wait until the user answers, and where they go outlasts a restart.
func TestInboxAsks(t *testing.T) {
	home, box := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		lan := NewLAN()
		alice, err := Start(t.Context(), Config{Nick: "alice", Home: home}, OnLAN(lan))
		if err != nil {
			t.Fatal(err)
		}
		bob, err := Start(t.Context(), Config{Nick: "bob"}, OnLAN(lan))
		if err != nil {
			t.Fatal(err)
		}
		defer bob.Close()
		time.Sleep(3 * time.Second)
		if _, err := alice.SetInbox(t.Context(), Inbox{Dir: box}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		first, err := alice.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		code, text := asks(t, bob, "alice", "POST", "offers", `{"name":"f","files":1,"bytes":4}`)
		if code != 200 || !strings.Contains(text, `"waiting"`) {
			t.Fatalf("%d %s", code, text)
		}
		var told *control.Offer
		for e, err := range alice.Events(ctx, first.EventID) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == control.EventOffer {
				told = e.Offer
				break
			}
		}
		if told == nil || told.Nick != "bob" || told.Name != "f" || told.Bytes != 4 {
			t.Fatalf("%+v", told)
		}
		if err := alice.AnswerOffer(t.Context(), "zz", true); control.AsError(err).Code != control.CodeNotFound {
			t.Errorf("%v", err)
		}
		if err := alice.AnswerOffer(t.Context(), told.ID[:4], true); err != nil {
			t.Error(err)
		}
		if code, text := asks(t, bob, "alice", "GET", "offers/"+told.ID, ""); code != 200 || !strings.Contains(text, "accepted") {
			t.Errorf("%d %s", code, text)
		}
		for _, wrong := range []Inbox{{Dir: "rel"}, {Dir: filepath.Join(box, "none")}, {Accept: "all"}} {
			if _, err := alice.SetInbox(t.Context(), wrong); err == nil {
				t.Errorf("set %+v", wrong)
			}
		}
		if _, err := bob.SetInbox(t.Context(), Inbox{Accept: "room"}); err == nil {
			t.Error("a guest has an inbox")
		}
		if err := errors.Join(alice.Close()); err != nil {
			t.Error(err)
		}
		if alice, err = Start(t.Context(), Config{Nick: "alice", Home: home}, OnLAN(lan)); err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		if now, err := alice.Inbox(t.Context()); err != nil || now.Dir != box || now.Accept != files.AcceptAsk || now.Offers != nil {
			t.Errorf("%+v, %v", now, err)
		}
	})
}
