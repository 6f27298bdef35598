package control_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"bcast/internal/control"
	"bcast/internal/control/controltest"
)

func TestPrivateRoomsAndTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := controltest.New("alice")
		client := serve(t, device)
		must[control.Joined](t)(client.Join(t.Context(), "crew", control.JoinOptions{Private: true}))
		device.Meet("bob", "crew")
		invitation := must[control.Invitation](t)(client.Invite(t.Context(), "crew"))
		if invitation.Room != "crew" || !strings.HasPrefix(invitation.Invite, "bcast:1:crew#") {
			t.Errorf("invited with %+v", invitation)
		}
		done := must[control.Rekeyed](t)(client.Rekey(t.Context(), "crew", []string{"bob"}))
		if done != (control.Rekeyed{Room: "crew", Epoch: 1}) {
			t.Errorf("rekeyed: %+v", done)
		}
		if _, err := client.Rekey(t.Context(), "crew", []string{"carol"}); control.AsError(err).Code != control.CodeNotFound {
			t.Errorf("shutting out nobody: %v", err)
		}
		v := must[control.Verification](t)(client.Verification(t.Context(), "bob"))
		if v.Nick != "bob" || len(v.Words) != 10 || v.Verified {
			t.Errorf("verification %+v", v)
		}
		if _, err := client.Pin(t.Context(), "bob", "wrong words"); control.AsError(err).Code != control.CodeInvalid {
			t.Errorf("wrong words: %v", err)
		}
		if v = must[control.Verification](t)(client.Pin(t.Context(), "bob", strings.Join(v.Words, " "))); !v.Verified {
			t.Error("pinned and not verified")
		}
		if err := client.Block(t.Context(), "bob", true); err != nil {
			t.Error(err)
		}
		peers := must[[]control.Peer](t)(client.Peers(t.Context()))
		if len(peers) != 1 || !peers[0].Verified || !peers[0].Blocked {
			t.Errorf("peers %+v", peers)
		}
		if err := client.Block(t.Context(), "nobody", true); control.AsError(err).Code != control.CodeNotFound {
			t.Errorf("blocking nobody: %v", err)
		}
	})
}

// An invite is a secret: it travels in a body, and the participant alone judges it.
func TestInviteTravelsInABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serve(t, controltest.New("alice"))
		_, err := client.Join(t.Context(), " bcast:1:crew#"+strings.Repeat("a", 56), control.JoinOptions{})
		if e := control.AsError(err); e.Code != control.CodeInvalid { // the fake knows no invites
			t.Errorf("joined by a name that is none: %v", err)
		}
	})
}
