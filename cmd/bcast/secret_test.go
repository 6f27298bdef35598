package main

import (
	"strings"
	"testing"
)

// An invite in the wrong place is in no error text.
func TestErrorsKeepSecrets(t *testing.T) {
	secret := strings.Repeat("k7f2abcd", 7)
	for _, line := range []string{
		"join crew#" + secret, "join --detach bcast:1:crew" + secret, "say crew#" + secret + " hi", "nick x#" + secret, secret,
		"say bcast:1:crew#" + secret + " hi", "history bcast:1:crew#" + secret, "daemon --room bcast:1:crew#" + secret,
		"join --json BCAST:1:crew#" + strings.ToUpper(secret), "join crew#" + secret[:20] + "1" + secret[20:],
		"--" + secret, "join --keep " + secret, "peers bcast:1:crew#" + secret,
	} {
		b := newBench(t)
		if code := b.shell(line); code == exitDone {
			t.Errorf("%q is no error", line)
		}
		if said := strings.ToLower(b.err.String()); strings.Contains(said, secret[:20]) {
			t.Errorf("%q: %s", line, said)
		}
	}
}
