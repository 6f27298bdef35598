package control

import "testing"

// CVE-2022-29178 (Cilium): the kernel says who is at the other end of the socket.
func TestADV_31_Only_this_user_and_root_connect(t *testing.T) {
	for _, test := range []struct {
		uid, own uint32
		ok       bool
	}{{1000, 1000, true}, {0, 1000, true}, {0, 0, true}, {1001, 1000, false}, {1000, 0, false}} {
		if err := allowUser(test.uid, test.own); (err == nil) != test.ok {
			t.Errorf("user %d to a daemon of user %d: %v", test.uid, test.own, err)
		}
	}
}
