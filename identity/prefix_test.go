package identity

import (
	"slices"
	"testing"
)

// bitchat BCH-01-003: a message goes to a key; a nick that two have names both, and the user is asked.
func TestADV_26_A_nick_of_two_is_nobody(t *testing.T) {
	id := func(s string) DeviceID {
		id, err := ParseDeviceID(s)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	alice := Candidate{id("k7f2aaaaaaaaaaaaaaaaaaaaaa"), "alice"}
	alice2 := Candidate{id("k7f2bbbbaaaaaaaaaaaaaaaaaa"), "alice"}
	upper := Candidate{id("m3m3m3m3aaaaaaaaaaaaaaaaaa"), "Alice"}
	cyrillic := Candidate{id("c4c4c4c4aaaaaaaaaaaaaaaaaa"), "аlice"}
	dashed := Candidate{id("d5d5d5d5aaaaaaaaaaaaaaaaaa"), "mary-ann"}
	poser := Candidate{id("p6p6p6p6aaaaaaaaaaaaaaaaaa"), "alice-k7f2"}
	likeID := Candidate{id("q7q7q7q7aaaaaaaaaaaaaaaaaa"), Nick(dashed.ID.String())}
	beginsLikeID := Candidate{id("r2r2r2r2aaaaaaaaaaaaaaaaaa"), "d5d5"}
	zoe := Candidate{id("z2z2z2z2aaaaaaaaaaaaaaaaaa"), "zo\u00eb"}
	honest := []Candidate{alice, upper, cyrillic, dashed, zoe}
	for _, c := range []struct {
		name, word string
		among      []Candidate
		want       []Candidate
	}{
		{"nick", "alice", honest, []Candidate{alice}},
		{"at", "@alice", honest, []Candidate{alice}},
		{"only one at", "@@alice", honest, nil},
		{"exact, not what it looks like", "ALICE", honest, nil},
		{"decomposed", "zoe\u0308", honest, []Candidate{zoe}},
		{"several of one nick", "alice", []Candidate{alice, upper, alice2}, []Candidate{alice, alice2}},
		{"nick and tag", "alice-k7f2", honest, []Candidate{alice}},
		{"nick and tag with at", "@alice-k7f2", honest, []Candidate{alice}},
		{"nick and long tag", "alice-k7f2bbbb", []Candidate{alice, alice2}, []Candidate{alice2}},
		{"nick and upper-case tag", "alice-K7F2", honest, []Candidate{alice}},
		{"both share the tag", "alice-k7f2", []Candidate{alice, alice2}, []Candidate{alice, alice2}},
		{"tag of another", "Alice-k7f2", honest, nil},
		{"tag too short", "alice-k7f", honest, nil},
		{"dash in the nick", "mary-ann", honest, []Candidate{dashed}},
		{"dash in the nick, and a tag", "mary-ann-d5d5", honest, []Candidate{dashed}},
		{"beginning of an id", "m3m3m", honest, []Candidate{upper}},
		{"beginning of an id, upper case", "M3M3", honest, []Candidate{upper}},
		{"three characters", "m3m", honest, nil},
		{"beginning of two ids", "k7f2", []Candidate{alice, alice2}, []Candidate{alice, alice2}},
		{"whole id", alice2.ID.String(), []Candidate{alice, alice2}, []Candidate{alice2}},
		{"a nick like nick and tag", "alice-k7f2", []Candidate{alice, poser}, []Candidate{poser, alice}},
		{"a nick like a whole id", dashed.ID.String(), []Candidate{likeID, dashed}, []Candidate{dashed}},
		{"a nick like a whole id that is gone", dashed.ID.String(), []Candidate{likeID}, nil},
		{"a nick like a beginning", "d5d5", []Candidate{dashed, beginsLikeID}, []Candidate{beginsLikeID, dashed}},
		{"both ways at once", "k7f2", []Candidate{{alice.ID, "k7f2"}}, []Candidate{{alice.ID, "k7f2"}}},
		{"nobody", "bob", honest, nil}, {"empty", "", honest, nil}, {"only at", "@", honest, nil}, {"dash", "-", honest, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Resolve(c.word, c.among); !slices.Equal(got, c.want) {
				t.Errorf("%q means %v, want %v", c.word, got, c.want)
			}
		})
	}
}
