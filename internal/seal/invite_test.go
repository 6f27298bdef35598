package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bcast/identity"
	"bcast/internal/fuzztest"
)

// counted is a secret of the bytes from first on.
func counted(first byte) Secret {
	var s Secret
	for i := range s {
		s[i] = first + byte(i)
	}
	return s
}

// The texts were computed apart from this code.
var goldenInvites = []struct {
	text   string
	invite Invite
}{
	{"bcast:1:lab#aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypsaffc", Invite{Name: "lab", Secret: counted(1)}},
	{"bcast:1:küche#amaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypsaaaaaadwkzthnbuwu23mnvxg64drojzxi5lwo54hs6t3pr6x" +
		"474aqgbihbdaxi", Invite{Name: "küche", Secret: counted(1), Ephemeral: true, Epoch: 7, EpochSecret: counted(101)}},
}

func TestInvite(t *testing.T) {
	for _, c := range goldenInvites {
		if got := c.invite.Text(); got != c.text {
			t.Errorf("text %s, want %s", got, c.text)
		}
		for _, s := range []string{c.text, " " + c.text + "\n"} {
			if got, err := ParseInvite(s); err != nil || got != c.invite {
				t.Errorf("%q does not come back: %v", s, err)
			}
		}
	}
}

// PairDrop #55 (six digits admit whoever guesses them): no short code opens a room.
func TestADV_38_An_invite_is_a_whole_secret(t *testing.T) {
	good := goldenInvites[0].text
	secret := counted(1)
	code := func(b ...byte) string {
		return "bcast:1:lab#" + inviteEncoding.EncodeToString(append(b, checkInvite("lab", b)...))
	}
	with := func(flags byte, rest ...byte) []byte { return append(append([]byte{flags}, secret[:]...), rest...) }
	epoch := func(e byte, s Secret) []byte { return append([]byte{0, 0, 0, e}, s[:]...) }
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", errInviteForm}, {"another version", strings.Replace(good, ":1:", ":2:", 1), errInviteForm},
		{"no hash", strings.Replace(good, "#", "", 1), errInviteForm}, {"upper case", strings.ToUpper(good), errInviteForm},
		{"no name", strings.Replace(good, "lab", "", 1), errInviteName},
		{"name not normal", strings.Replace(good, "lab", "Lab", 1), errInviteName},
		{"the secret first", "bcast:1:" + good[12:] + "!#lab", errInviteName},
		{"another name", strings.Replace(good, "lab", "lob", 1), errInviteCheck},
		{"code in upper case", good[:12] + strings.ToUpper(good[12:]), errInviteEncoding},
		{"a digit that is none", good[:30] + "1" + good[31:], errInviteEncoding},
		{"a line end inside", good[:30] + "\n" + good[30:], errInviteEncoding},
		{"spare bits", goldenInvites[1].text[:len(goldenInvites[1].text)-1] + "j", errInviteEncoding},
		{"cut off", good[:len(good)-8], errInviteLength}, {"too long", good + strings.Repeat("a", 1<<16), errInviteLong},
		{"a later flag", code(with(4)...), errInviteFlags},
		{"epoch without flag", code(with(0, epoch(1, secret)...)...), errInviteLength},
		{"flag without epoch", code(with(flagRekeyed)...), errInviteLength},
		{"empty secret", code(make([]byte, inviteShort)...), errInviteSecret},
		{"epoch 0", code(with(flagRekeyed, epoch(0, secret)...)...), errInviteSecret},
		{"empty epoch secret", code(with(flagRekeyed, epoch(1, Secret{})...)...), errInviteSecret},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseInvite(c.text); err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// One character mistyped is noticed, but for one in 65,536; which these are does not change.
func TestInviteTypingErrors(t *testing.T) {
	good := goldenInvites[0].text
	for i := len("bcast:1:"); i < len(good); i++ {
		for _, r := range "abcdefghijklmnopqrstuvwxyz234567" {
			bad := good[:i] + string(r) + good[i+1:]
			if _, err := ParseInvite(bad); err == nil && bad != good {
				t.Errorf("%q for %q at %d passes", r, good[i], i)
			}
		}
	}
}

// CVE-2023-43620 (croc): a secret shows in no text, log, JSON or error.
func TestADV_09_An_invite_is_never_printed(t *testing.T) {
	secret := Secret(bytes.Repeat([]byte{0x0a}, 32))
	i := Invite{Name: "lab", Secret: secret, Epoch: 1, EpochSecret: secret}
	ring, err := NewRing(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, v := range []any{i, &i, []Invite{i}, struct{ I Invite }{i}, map[string]Invite{"i": i},
		ring, *ring, struct{ R *Ring }{ring}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&log, verb, v)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "v", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		log.Write(b)
	}
	broken := i.Text()
	for n := range broken {
		if _, err := ParseInvite(broken[:n] + "8" + broken[n:]); err != nil {
			fmt.Fprintln(&log, err)
		}
		if _, err := ParseInvite(broken[n:]); err != nil {
			fmt.Fprintln(&log, err)
		}
	}
	text := strings.ToLower(log.String())
	code := broken[strings.IndexByte(broken, '#')+1:]
	for n := range len(code) - 6 {
		if strings.Contains(text, code[n:n+6]) {
			t.Fatalf("the invite shows as %q", code[n:n+6])
		}
	}
	for _, leak := range []string{"0a0a", "0xa, 0xa", "10 10 10", "10,10,10", `\n\n\n`, "cgokcgok"} {
		if strings.Contains(text, leak) {
			t.Errorf("the secret shows as %q", leak)
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Error("nothing was printed at all")
	}
}

func FuzzInvite(f *testing.F) {
	for _, c := range goldenInvites {
		f.Add(c.text)
		f.Add(c.text[:len(c.text)-3])
	}
	f.Add("bcast:1:#")
	identity.ParseRoomName("e\u0301") // the tables of Unicode are built once
	f.Fuzz(func(t *testing.T, s string) {
		var i Invite
		var err error
		fuzztest.Within(t, len(s), 0, 24<<10, func() { i, err = ParseInvite(s) })
		if err != nil {
			if i != (Invite{}) {
				t.Error("half an invite")
			}
			return
		}
		if i.Text() != strings.TrimSpace(s) {
			t.Errorf("%q is written again as %q", s, i.Text())
		}
	})
}
