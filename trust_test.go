package bcast

import (
	"bytes"
	"strings"
	"testing"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/home"
)

// Confusables: of two live devices whose nicks look alike both show the tag of their key.
func TestADV_confusables_Nicks_that_look_alike_are_tagged(t *testing.T) {
	of := func(b byte) identity.DeviceID { return identity.DeviceID{b} }
	s := sight{crowd: newCrowd(), self: of(1), nick: "alice"}
	see := func(id byte, nick identity.Nick, status discovery.Status) {
		s.follow(discovery.Peer{ID: of(id), Nick: nick, Proven: status != discovery.Lost, Status: status})
	}
	for id, nick := range map[byte]identity.Nick{2: "аlice", 3: "bob", 4: "carol"} { // the а of 2 is Cyrillic
		see(id, nick, discovery.Here)
	}
	for _, c := range []struct {
		id   byte
		nick identity.Nick
		want bool
	}{
		{1, "alice", true}, {2, "аlice", true}, {3, "bob", false}, {4, "carol", false},
		{9, "bob", true},   // who is gone looks like one who is here
		{9, "dave", false}, // and like nobody
		{9, "", false},
	} {
		if got := s.tagged(of(c.id), c.nick); got != c.want {
			t.Errorf("%d %s: %v", c.id, c.nick, got)
		}
	}
	see(3, "carol", discovery.Here)
	if !s.tagged(of(4), "carol") || s.tagged(of(9), "bob") {
		t.Error("a device that took another nick is still known by its old one")
	}
	see(3, "carol", discovery.Suspect)
	if !s.tagged(of(4), "carol") {
		t.Error("a device that is late is taken for one that is gone")
	}
	see(3, "carol", discovery.Lost)
	if s.tagged(of(4), "carol") || len(s.looks) != 2 || len(s.alike) != 2 {
		t.Error("a device that is gone still stands in the crowd")
	}
	// A pin vouches for one nick: under it a device is known bare, also beside one that looks alike, unless that is vouched
	// for as well; under another it is one of those that look alike.
	see(3, "alyx", discovery.Here)
	see(4, "alyx", discovery.Here)
	s.trust.Pins = []home.Pin{{ID: of(3).String(), Nick: "bob"}, {ID: of(4).String(), Nick: "alyx"}}
	if !s.tagged(of(3), "alyx") || s.tagged(of(4), "alyx") {
		t.Error("a verified device is taken for another one after it took its nick")
	}
	s.trust.Pins[0].Nick = "alyx"
	if !s.tagged(of(3), "alyx") || !s.tagged(of(4), "alyx") {
		t.Error("two verified devices of one nick are not told apart")
	}
	s.trust.Pins = nil
	see(3, "carol", discovery.Lost)
	see(4, "carol", discovery.Here)
	for i := range 3 * maxSkeletons {
		s.skeleton(identity.Nick(strings.Repeat("x", i%30) + string(rune('a'+i%26)) + string(rune(0x4e00+i))))
	}
	if len(s.skeletons) > maxSkeletons {
		t.Errorf("%d skeletons remembered", len(s.skeletons))
	}
}

func TestProofOfADevice(t *testing.T) {
	alice, bob := newAuthor(t, 1).key.Public(), newAuthor(t, 2).key.Public()
	words := identity.Words(alice, bob)
	spoken := strings.Join(words, " ")
	for proof, want := range map[string]bool{
		spoken: true, strings.ToUpper(spoken): true, identity.VerifyCode(bob): true, " " + identity.VerifyCode(bob) + "\n": true,
		identity.VerifyCode(alice): false, strings.Join(words[:9], " "): false, "": false,
		strings.Join(identity.Words(alice, newAuthor(t, 3).key.Public()), " "): false,
	} {
		if got := proves(proof, bob, words); got != want {
			t.Errorf("%.30q: %v", proof, got)
		}
	}
}

func TestTrust(t *testing.T) {
	a, b := identity.DeviceID{1}, identity.DeviceID{2}
	tr := trust{home.Trust{Pins: []home.Pin{{ID: a.String()}}, Blocked: []string{b.String()}}}
	if !tr.pinned(a) || tr.pinned(b) || !tr.blocks(b) || tr.blocks(a) {
		t.Error("pins and blocks are mixed up")
	}
}

// Offline dictionary: a password of 28 bits falls in days. A private room's secret is drawn, and owes nothing to its name.
func TestADV_dictionary_A_private_room_has_a_drawn_secret(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		r, err := parseJoin("crew", JoinOptions{Private: true})
		if err != nil || len(r.Secret) != 32 || bytes.Equal(r.Secret, make([]byte, 32)) {
			t.Fatalf("a secret of %d bytes, %v", len(r.Secret), err)
		}
		seen[string(r.Secret)] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d secrets of 100 differ", len(seen))
	}
}

func TestQuote(t *testing.T) {
	bob, mallory := identity.DeviceID{1}, identity.DeviceID{2}
	tr := trust{home.Trust{Blocked: []string{mallory.String()}}}
	long := strings.Repeat("ö", control.QuoteLength)
	for _, c := range []struct {
		post Post
		want string // empty: none
	}{
		{Post{From: bob.String(), Text: "short"}, "short"},
		{Post{From: bob.String(), Text: "two\nlines"}, "two…"},
		{Post{From: bob.String(), Text: long}, long},
		{Post{From: bob.String(), Text: long + "ö"}, long[2:] + "…"},
		{Post{From: bob.String(), Deleted: true}, ""},
		{Post{From: mallory.String(), Text: "buy my boat"}, ""},
	} {
		q := tr.quote(c.post)
		if q == nil && c.want != "" || q != nil && q.Text != c.want {
			t.Errorf("%+v is quoted as %+v", c.post, q)
		}
	}
}
