package control

import "testing"

func TestOnlyThisUserAndRootMayConnect(t *testing.T) {
	for _, test := range []struct {
		uid, own uint32
		ok       bool
	}{{1000, 1000, true}, {0, 1000, true}, {0, 0, true}, {1001, 1000, false}, {1000, 0, false}} {
		if err := allowUser(test.uid, test.own); (err == nil) != test.ok {
			t.Errorf("user %d to a daemon of user %d: %v", test.uid, test.own, err)
		}
	}
}
