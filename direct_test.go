package bcast

import (
	"slices"
	"testing"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/home"
)

// A direct message that is addressed by a nick goes to no impostor (bitchat, Cure53 BCH-01-003): while another device
// known here looks alike, the nick alone names both, and only the id, or the tag, names one.
func TestADV_26_A_nick_of_lookalikes_names_nobody(t *testing.T) {
	bob, mallory, carol := identity.DeviceID{1}, identity.DeviceID{2}, identity.DeviceID{3}
	among := []identity.Candidate{
		{ID: bob, Nick: "bob"}, {ID: mallory, Nick: "bоb"}, {ID: carol, Nick: "carol"}, // the о of mallory is Cyrillic
		{ID: bob, Nick: "robert"}, // as it was called when its key was compared
	}
	for word, want := range map[string][]identity.DeviceID{
		"bob": {bob, mallory}, "bоb": {mallory, bob}, "carol": {carol}, "robert": {bob}, "nobody": nil,
		"bob-" + bob.Tag(): {bob}, bob.String(): {bob}, bob.LongTag(): {bob}, "bоb-" + mallory.Tag(): {mallory},
	} {
		var got []identity.DeviceID
		for _, c := range alike(newCrowd(), word, among) {
			got = append(got, c.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s names %v, want %v", word, got, want)
		}
	}
}

// Strangers open so many rooms here and no more, and who is blocked none. A room that is opened needs a running node,
// which this one is not.
func TestStrangersOpenNotAllRooms(t *testing.T) {
	full := &Node{}
	for range maxAsked {
		full.rooms = append(full.rooms, home.Room{Asked: true})
	}
	stranger := newAuthor(t, 3).key.Public()
	full.knocked(discovery.Peer{ID: stranger.ID(), Key: stranger})
	blocking := &Node{trusted: trust{home.Trust{Blocked: []string{stranger.ID().String()}}}}
	blocking.knocked(discovery.Peer{ID: stranger.ID(), Key: stranger})
	full.opening.Wait()
	blocking.opening.Wait()
	if len(full.rooms) != maxAsked || len(blocking.rooms) != 0 {
		t.Errorf("%d rooms where there is no place, %d for who is blocked", len(full.rooms), len(blocking.rooms))
	}
}
