package seal

import (
	"encoding/hex"
	"slices"
	"testing"
)

func newRing(t *testing.T) *Ring {
	t.Helper()
	r, err := NewRing(counted(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func add(t *testing.T, r *Ring, epoch uint32, s Secret) *Ring {
	t.Helper()
	r, err := r.Add(epoch, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRing(t *testing.T) {
	first := newRing(t)
	second := add(t, first, 7, counted(101))
	if first.Epoch() != 0 || second.Epoch() != 7 || second.Secret() != counted(101) {
		t.Fatalf("epochs %d and %d", first.Epoch(), second.Epoch())
	}
	const wantID, wantTag = "81ff1405112fcd655734553d54a2ec57",
		"c04b0d75c17e9ef6b9b6a552a5aa0a812aba9c6495d6313bc2f9862cd781106b"
	id := second.RoomID()
	if hex.EncodeToString(id[:]) != wantID || second.Current().ID != id || first.Current().ID != id {
		t.Errorf("room id %x, want %s in every epoch", id, wantID)
	}
	key, err := hex.DecodeString(wantTag)
	if err != nil {
		t.Fatal(err)
	}
	if NewMAC(key).Sum(nil) != second.Current().tagMAC.Sum(nil) {
		t.Errorf("the tag key of epoch 7 is not %s", wantTag)
	}
	old, now := sealed(t, first.Current(), []byte("old"), 0), sealed(t, second.Current(), []byte("now"), 0)
	if _, ok := first.Owns(now); ok {
		t.Error("adding a key changed the ring it was added to")
	}
	for want, d := range map[string][]byte{"old": old, "now": now} {
		room, ok := second.Owns(d)
		if !ok {
			t.Fatalf("nobody owns %s", want)
		}
		if got, err := room.Unseal(d); err != nil || string(got) != want {
			t.Errorf("%s opens as %q, %v", want, got, err)
		}
	}
	dropped := second.Drop(7)
	if _, ok := dropped.Owns(old); ok {
		t.Error("a key that was dropped opens")
	}
	if _, ok := dropped.Drop(1000).Owns(now); !ok {
		t.Error("the current key was dropped")
	}
	if _, ok := second.Owns(old); !ok {
		t.Error("dropping a key changed the ring it was dropped from")
	}
}

func TestRingRefuses(t *testing.T) {
	if _, err := NewRing(Secret{}, nil); err == nil {
		t.Error("a room with an empty secret")
	}
	r := newRing(t)
	if _, err := r.Add(0, counted(2)); err == nil {
		t.Error("another secret of epoch 0")
	}
	if _, err := r.Add(1, Secret{}); err == nil {
		t.Error("an empty secret")
	}
	if again := add(t, add(t, r, 1, counted(2)), 1, counted(2)); len(again.keys) != 2 {
		t.Errorf("%d keys of two secrets", len(again.keys))
	}
}

// permute calls f with all orders of s.
func permute(s []int, k int, f func([]int)) {
	if k == len(s) {
		f(s)
		return
	}
	for i := k; i < len(s); i++ {
		s[k], s[i] = s[i], s[k]
		permute(s, k+1, f)
		s[k], s[i] = s[i], s[k]
	}
}

// Members rekey at once, more often than a ring has room for: all end with the same keys, whatever came first.
func TestRingDoesNotDependOnOrder(t *testing.T) {
	base := newRing(t)
	for e := uint32(1); e <= 4; e++ {
		base = add(t, base, e, counted(byte(e)*10))
	}
	var want []Secret
	permute([]int{0, 1, 2, 3, 4, 5}, 0, func(order []int) {
		r := base
		for _, i := range order {
			r = add(t, r, 5+uint32(i)/5, counted(byte(100+i))) // five of epoch 5 and one of epoch 6
		}
		var got []Secret
		for _, k := range r.keys {
			got = append(got, k.secret)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("order %v gives other keys", order)
		}
	})
	if len(want) != maxEpochs || want[0] != counted(105) {
		t.Errorf("%d keys", len(want))
	}
	rivals := 0
	for i := range byte(5) {
		if slices.Contains(want, counted(100+i)) {
			rivals++
		}
	}
	best := slices.MaxFunc([]Secret{counted(100), counted(101), counted(102), counted(103), counted(104)},
		func(a, b Secret) int {
			x, y := a.commitment(), b.commitment()
			return slices.Compare(x[:], y[:])
		})
	if rivals != maxRivals || want[1] != best {
		t.Errorf("%d rivals are kept, and the first is not the highest", rivals)
	}
}
